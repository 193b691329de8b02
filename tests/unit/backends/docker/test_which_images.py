"""Which images a lab is made of: what does not fit this version, or each other, is refused."""

from __future__ import annotations

from typing import Any, cast

import docker
import pytest

from lab.backends.docker import assembly, engine, inspection, snapshots
from lab.backends.docker.backend import DockerBackend
from lab.backends.docker.container_spec import VOLUMES_AT, chassis_of
from lab.config.loader import load
from lab.errors import LabError
from lab.model import Trust

NOW = {engine.VOLUMES: VOLUMES_AT}
NOBODY = "lab images build chassis-nobody sms-nobody"
JUPYTER = "lab images build sms-jupyter"


def image(identifier: str, *layers: str, labels: dict[str, str] | None = NOW) -> dict[str, Any]:
    return {"Id": identifier, "RootFS": {"Layers": list(layers)}, "Config": {"Labels": labels}}


class Engine:
    """Images by their names, and what was done with containers."""

    def __init__(self, **images: dict[str, Any]) -> None:
        self.images = {engine.image(name.replace("_", "-")): found for name, found in images.items()}
        self.images |= {found["Id"]: found for found in images.values()}
        self.done: list[str] = []

    def inspect_image(self, name: str) -> dict[str, Any]:
        if name not in self.images:
            raise docker.errors.ImageNotFound(name)
        return self.images[name]

    def create_host_config(self, **_settings: object) -> None:
        return None

    def create_container(self, image: str, **_settings: object) -> dict[str, str]:
        self.done.append(f"create {image}")
        return {"Id": f"of-{image}"}

    def get_archive(self, container: str, path: str) -> tuple[list[bytes], None]:
        self.done.append(f"get {container} {path}")
        return [b"chas", b"sis"], None

    def put_archive(self, container: str, path: str, data: bytes) -> None:
        self.done.append(f"put {container} {path} {data[:7].decode()}" if path == "/" else "describe")

    def remove_container(self, container: str, **_settings: object) -> None:
        self.done.append(f"remove {container}")

    def start(self, container: str) -> None:
        self.done.append(f"start {container}")


def images(fake: Engine, trust: Trust, *sets: str) -> assembly.Images:
    return assembly.images(cast("Any", fake), load(None, (f"trust={trust.value}", *sets), {}, "mine"))


BUILT = {
    "chassis": image("c", "1", "2"),
    "sms": image("s", "1", "3"),
    "chassis_nobody": image("cn", "1", "2", "4"),
    "sms_nobody": image("sn", "1", "3", "5", "6"),
    "sms_jupyter": image("sj", "1", "3", "7"),
}


def test_each_kind_of_trust_has_its_images() -> None:
    assert images(Engine(**BUILT), Trust.LEARNER) == assembly.Images("c", "s")
    assert images(Engine(**BUILT), Trust.NOBODY) == assembly.Images("cn", "sn")


@pytest.mark.parametrize("name", ["chassis", "sms"])
def test_images_of_nobody_are_refused_when_those_below_them_were_built_anew(name: str) -> None:
    fake = Engine(**BUILT | {name: image("new", "1", "9")})
    assert images(fake, Trust.LEARNER) != assembly.Images("c", "s")
    with pytest.raises(LabError) as caught:
        images(fake, Trust.NOBODY)
    assert caught.value.message == f"the image {engine.image(f'{name}-nobody')} is outdated"
    assert engine.image(name) in caught.value.evidence
    assert caught.value.hint == NOBODY


def test_an_sms_with_jupyter_has_an_image_of_its_own_on_the_usual_one() -> None:
    assert images(Engine(**BUILT), Trust.LEARNER, "jupyter=true") == assembly.Images("c", "sj")
    with pytest.raises(LabError, match="is outdated") as caught:
        images(Engine(**BUILT | {"sms": image("new", "1", "9")}), Trust.LEARNER, "jupyter=true")
    assert caught.value.hint == JUPYTER


@pytest.mark.parametrize(("sets", "base"), [((), "s"), (("trust=nobody",), "s"), (("jupyter=true",), "sj")])
def test_a_start_state_ends_with_the_image_that_its_lab_is_made_of(
    monkeypatch: pytest.MonkeyPatch, sets: tuple[str, ...], base: str
) -> None:
    saved: list[str] = []
    monkeypatch.setattr(inspection, "spec", lambda *_: load(None, sets, {}, "mine"))
    monkeypatch.setattr(snapshots, "save_shared", lambda *words: saved.append(words[3]))
    monkeypatch.setattr(DockerBackend, "client", Engine(**BUILT))
    backend = DockerBackend()
    backend.shared_states.save("mine", "after-one", print)
    assert saved == [base]
    assert backend.base_id(load(None, sets, {}, "mine")).endswith(f" {base}")


@pytest.mark.parametrize("labels", [None, {}, {engine.VOLUMES: "/elsewhere"}])
def test_images_of_another_version_are_refused(labels: dict[str, str] | None) -> None:
    """They would look for the lab's volumes where this version does not mount them."""
    with pytest.raises(LabError, match="was built by another version of lab") as caught:
        images(Engine(**BUILT | {"sms": image("s", "1", "3", labels=labels)}), Trust.LEARNER)
    assert caught.value.hint == "lab images build"


@pytest.mark.parametrize(("missing", "hint"), [("sms", "lab images build"), ("sms_nobody", NOBODY)])
def test_an_image_that_is_missing_is_named_with_how_to_build_it(missing: str, hint: str) -> None:
    there = {name: found for name, found in BUILT.items() if name != missing}
    with pytest.raises(LabError, match="has not been built") as caught:
        images(Engine(**there), Trust.NOBODY)
    assert caught.value.hint == hint


@pytest.mark.parametrize(("taken_from", "renewed"), [("sms:1", True), ("sms:2", False), (None, True)])
def test_a_snapshot_of_another_build_gets_the_chassis_of_today(taken_from: str | None, renewed: bool) -> None:
    """Else it would look for the lab's volumes on its disk, and have the faults of then."""
    spec = load(None, (), {}, "mine")
    labels = {} if taken_from is None else {engine.IMAGE: taken_from}
    fake = Engine(sms=image("today", labels={engine.IMAGE: "sms:2"}), kept=image("kept", labels=labels))
    chassis = chassis_of(spec, spec.sms, "kept")
    assembly.make_node(cast("Any", fake), spec, spec.sms, chassis, 2, today="today")
    renewal = ["create today", "get of-today /chassis", "put rackling-mine-sms / chassis", "remove of-today"]
    begin, end = ["create kept"], ["describe", "start rackling-mine-sms"]
    assert fake.done == [*begin, *(renewal if renewed else []), *end]

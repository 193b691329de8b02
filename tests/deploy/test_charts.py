"""The charts render to objects of the API that ask for no more than they need; bad values are told."""

from __future__ import annotations

import base64
import copy
import json
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.deploy.charts import (
    DEPLOY,
    NEWEST,
    NOTEBOOK,
    OLDEST,
    SECRET,
    SLURM,
    VARIANTS,
    Object,
    merged,
    objects,
    of_kind,
    pod_of,
    rendered,
    validate,
)
from tests.deploy.judge import faults

CHARTS = ("slurm-jupyter", "slurm-single-node")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_one_of_the_oldest_and_the_newest_api(variant: str) -> None:
    found = objects(variant)
    for one in found:
        validate(one, OLDEST)
        validate(one, NEWEST)
        assert one["metadata"].get("namespace", "lab") == "lab"
    keys = [(one["kind"], one["metadata"]["name"]) for one in found]
    assert len(keys) == len({*keys}) >= 2
    ours = [one for one in found if one["kind"] == "Deployment"]
    assert ours[0]["spec"]["selector"]["matchLabels"].items() <= pod_of(found)["metadata"]["labels"].items()


def test_the_validation_sees_a_word_that_the_api_does_not_know() -> None:
    found = objects("notebook")
    pod_of(found)["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(of_kind(found, "Deployment")[0], OLDEST)


def test_newest_is_the_newest_that_the_validator_knows() -> None:
    assert kubernetes_validate.latest_version() == f"{NEWEST}.0"
    for chart in CHARTS:
        told = yaml.safe_load((DEPLOY / "charts" / chart / "Chart.yaml").read_text(encoding="utf-8"))
        assert told["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize("chart", CHARTS)
def test_helm_itself_finds_nothing(chart: str) -> None:
    told = helm_python.lint(str(DEPLOY / "charts" / chart))
    assert [one["error"] for one in told["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_asks_for_more_than_it_needs(variant: str) -> None:
    assert faults(objects(variant)) == []


def _container(found: list[Object], number: int = 0) -> Object:
    one: Object = pod_of(found)["spec"]["containers"][number]
    return one


SPOILED: dict[str, tuple[str, Callable[[list[Object]], Any]]] = {
    "hostNetwork": ("notebook", lambda o: pod_of(o)["spec"].update(hostNetwork=True)),
    "token is mounted": ("notebook", lambda o: pod_of(o)["spec"].pop("automountServiceAccountToken")),
    "account whose": (
        "notebook",
        lambda o: of_kind(o, "ServiceAccount")[0].update(automountServiceAccountToken=True),
    ),
    "kind hostPath": (
        "slurm",
        lambda o: pod_of(o)["spec"]["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    ),
    "opens the API": (
        "notebook",
        lambda o: [
            source["serviceAccountToken"].pop("audience")
            for volume in pod_of(o)["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
        ],
    ),
    "more than TokenReview": (
        "slurm",
        lambda o: of_kind(o, "ClusterRole")[0]["rules"][0].update(resources=["*"]),
    ),
    "type Opaque": ("slurm", lambda o: of_kind(o, "Secret")[0].update(type="Opaque")),
    "in other containers": (
        "slurm",
        lambda o: _container(o)["volumeMounts"].append({"name": "tls", "mountPath": "/t"}),
    ),
    "privileged": ("slurm", lambda o: _container(o)["securityContext"].update(privileged=True)),
    "allowPrivilegeEscalation": (
        "notebook",
        lambda o: _container(o)["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    "readOnlyRootFilesystem": (
        "slurm",
        lambda o: _container(o)["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    "not dropped": ("notebook", lambda o: _container(o)["securityContext"].pop("capabilities")),
    "capabilities {": (
        "slurm",
        lambda o: _container(o)["securityContext"]["capabilities"]["add"].append("SYS_ADMIN"),
    ),
    "system calls": ("slurm", lambda o: pod_of(o)["spec"]["securityContext"].clear()),
    "as root": ("notebook", lambda o: pod_of(o)["spec"]["securityContext"].update(runAsUser=0)),
    "port of the host": (
        "notebook-all",
        lambda o: _container(o)["ports"][0].update(hostPort=8888),
    ),
    "no livenessProbe": ("notebook", lambda o: _container(o).pop("livenessProbe")),
    "of memory": ("slurm", lambda o: _container(o)["resources"]["limits"].pop("memory")),
    "never renewed": (
        "notebook-secret",
        lambda o: _container(o)["volumeMounts"][-1].update(subPath="token"),
    ),
    "in the environment": (
        "notebook",
        lambda o: _container(o)["env"].append({"name": "SLURM_JWT", "value": "x"}),
    ),
    "LoadBalancer": ("slurm", lambda o: of_kind(o, "Service")[0]["spec"].update(type="LoadBalancer")),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_each_fault_would_be_seen(fault: str) -> None:
    variant, spoil = SPOILED[fault]
    found = copy.deepcopy(objects(variant))
    spoil(found)
    assert any(fault in line for line in faults(found)), faults(found)


BAD_NOTEBOOK: dict[str, tuple[Object, str]] = {
    "image": ({"image": ""}, "no image is named: --set image=REGISTRY/slurm-jupyter-trixie:TAG"),
    "name": ({"user": {"name": "a b"}}, 'user.name does not name a user of the Slurm cluster: "a b"'),
    "root": ({"user": {"uid": 0}}, "user.uid is no number of an ordinary account, and a notebook never runs"),
    "group": ({"user": {"gid": 0}}, "user.gid is no number of an ordinary account"),
    "controller": ({"controller": "ctl;id"}, 'controller does not say where slurmctld answers: "ctl;id"'),
    "no-token": ({"token": {"url": ""}}, "there is no way to a token: --set token.url=https://HOST:PORT/v1"),
    "two-tokens": ({"token": {"secret": "x"}}, "token.url and token.secret exclude each other"),
    "plain-token": (
        {"token": {"url": "http://slurm:8443/v1/token/kubernetes"}},
        'token.url is not where slurm-token answers pods: "http://slurm',
    ),
    "no-ca": ({"token": {"ca": {"configMap": ""}}}, "nothing says who certified slurm-token"),
    "sub-path": ({"home": {"subPath": "x"}}, "home.subPath is a folder of a claim"),
    "typo": ({"contoller": "x"}, "additional properties 'contoller' not allowed"),
    "typo-inside": ({"user": {"nmae": "x"}}, "at '/user': additional properties 'nmae' not allowed"),
    "text-uid": ({"user": {"uid": "1001"}}, "at '/user/uid': got string, want integer"),
    "no-limit": ({"resources": {"limits": None}}, "at '/resources': missing property 'limits'"),
    "refresh": ({"refresh": 0}, "at '/refresh': minimum: got 0, want 1"),
}
BAD_SLURM: dict[str, tuple[Object, str]] = {
    "image": ({"image": ""}, "no image is named: --set image=REGISTRY/slurm-single-node-trixie:TAG"),
    "caller": ({"token": {"accounts": {"x": "user1"}}}, 'token.accounts names no service account: "x"'),
    "account": (
        {"token": {"accounts": {"lab:notebook": "root"}}},
        'token.accounts gives lab:notebook the account "root", and the image has user1 and user2',
    ),
    "class": ({"state": {"storageClass": "fast"}}, "state.storageClass needs a size"),
    "lifespan": ({"token": {"lifespan": 86400}}, "at '/token/lifespan': maximum: got 86,400, want 3,600"),
    "typo": ({"tokens": {}}, "additional properties 'tokens' not allowed"),
}


@pytest.mark.parametrize(
    ("chart", "values", "changed", "sentence"),
    [
        *(
            pytest.param("slurm-jupyter", NOTEBOOK, changed, told, id=f"notebook-{name}")
            for name, (changed, told) in BAD_NOTEBOOK.items()
        ),
        *(
            pytest.param("slurm-single-node", SLURM, changed, told, id=f"slurm-{name}")
            for name, (changed, told) in BAD_SLURM.items()
        ),
    ],
)
def test_a_bad_value_gets_one_sentence(chart: str, values: Object, changed: Object, sentence: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        rendered(chart, "slurm", merged(values, changed))
    told = str(refused.value)
    assert sentence in told
    schema = "values don't meet the specifications"
    assert len(told.splitlines()) <= (3 if told.startswith(schema) else 1)


def test_the_machines_name_is_a_host_name() -> None:
    with pytest.raises(helm_python.HelmError, match="the release cannot be called"):
        rendered("slurm-single-node", "1.slurm", SLURM)


def _places(values: Object, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where a text stands in the values."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += _places(value, (*above, key))
        elif isinstance(value, str) and value:
            found.append((*above, key))
    return found


HOSTILE = (
    'x"\n      hostNetwork: true #',
    "x}}, hostNetwork: true, y: {z: {",
    "x\n      hostNetwork: true\n      y: z",
)


@pytest.mark.parametrize("variant", ["notebook-all", "notebook-secret", "slurm-all"])
def test_a_value_is_text_and_never_a_manifest(variant: str) -> None:
    """Whatever a value says, it adds no line of YAML: it stays a text, or is refused."""
    chart, release, values = VARIANTS[variant]
    places = _places(values)
    assert len(places) >= 4
    stayed = 0
    for place in places:
        for text in HOSTILE:
            hostile: Any = text
            for key in reversed(place):
                hostile = {key: hostile}
            try:
                found = rendered(chart, release, merged(values, hostile))[0]
            except helm_python.HelmError:
                continue
            stayed += 1
            assert "hostNetwork" not in pod_of(found)["spec"], (place, text)
            assert [line for line in faults(found) if "may run as" not in line] == [], (place, text)
            assert json.dumps(text)[1:-1] in json.dumps(found), (place, "it is not what was said")
    assert stayed >= 2 * len(HOSTILE)


@pytest.mark.parametrize("chart", CHARTS)
def test_the_schema_knows_every_value_and_the_values_every_word_of_the_schema(chart: str) -> None:
    folder = DEPLOY / "charts" / chart
    values = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((folder / "values.schema.json").read_text(encoding="utf-8"))

    def compare(value: Object, part: Object) -> None:
        assert part["additionalProperties"] is False
        assert {*part["properties"]} - {"global"} == {*value}
        for key, inner in value.items():
            if "properties" in part["properties"][key]:
                compare(inner, part["properties"][key])

    compare(values, schema)
    text = "".join(path.read_text(encoding="utf-8") for path in (folder / "templates").iterdir())
    for key in values:
        assert re.search(rf"\.Values\.{key}\b", text), f"no template reads {key}"


def test_the_made_certificate_is_one_that_python_takes_strictly(tmp_path: Path) -> None:
    """As the notebook's Python 3.13 does (RFC 5280 to the letter), under each name of the service."""
    found = objects("slurm")
    authority = next(one for one in of_kind(found, "ConfigMap") if "ca.crt" in one["data"])["data"]["ca.crt"]
    (secret,) = of_kind(found, "Secret")
    for name, text in secret["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(text))
    service = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    service.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client = ssl.create_default_context(cadata=authority)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("slurm", "slurm.lab", "slurm.lab.svc"):
        _shake_hands(client, service, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(client, service, "slurm.other.svc")


def _shake_hands(client: ssl.SSLContext, service: ssl.SSLContext, name: str) -> None:
    to_client, to_service = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_service, server_hostname=name)
    other = service.wrap_bio(to_service, to_client, server_side=True)
    for _ in range(3):
        for side in (one, other):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert one.version() == "TLSv1.3"


@pytest.mark.parametrize("variant", ["notebook", "notebook-secret", "slurm"])
def test_the_notes_name_what_is_there(variant: str) -> None:
    chart, release, values = VARIANTS[variant]
    found, notes = rendered(chart, release, values)
    names = {one["metadata"]["name"] for one in of_kind(found, "Deployment")}
    assert {*re.findall(r"deployment/(\S+)", notes)} == names
    assert ("slurm-token's table" in notes) == (variant == "notebook")
    for used in re.findall(r"--set (\S+)", notes):
        for pair in used.strip("'").split(","):
            key = pair.partition("=")[0].split(".")[0]
            assert key in {**NOTEBOOK, **SECRET, **SLURM}, key


def test_the_page_sets_what_the_charts_know() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    known = {
        f"{key}.{inner}" if inner else key
        for chart in CHARTS
        for key, value in yaml.safe_load(
            (DEPLOY / "charts" / chart / "values.yaml").read_text(encoding="utf-8")
        ).items()
        for inner in ("", *(value if isinstance(value, dict) else ()))
    }
    pairs = [one for words in re.findall(r"--set '?([^\s'`]+)", text) for one in words.split(",")]
    assert len(pairs) >= 10
    for pair in pairs:
        key = ".".join(pair.partition("=")[0].split(".")[:2])
        assert key in known, f"no chart has {pair}"

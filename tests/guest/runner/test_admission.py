"""The SMS takes a release only if it is what was signed, and the runner's key can ask for nothing else."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from lab.guest.nodeimage.errors import NodeImageError
from lab.guest.nodeimage.places import Places
from lab.guest.runner import admission, delivery
from lab.guest.system import System
from tests.guest.nodeimage.bed import Bed, git, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


class Sms:
    """A head node beside the bed that makes releases."""

    def __init__(self, root: Path, bed: Bed) -> None:
        self.bed, self.system = bed, System(str(root), uid=0)
        self.places = Places(str(root / "state"), str(root / "srv/nodeimage"))
        self.system.write("/etc/nodeimage/allowed_signers", bed.signers.read_bytes())
        self.folder = root / "srv/nodeimage/compute"

    def admit(self, data: bytes, release: str = "one") -> str:
        return admission.admit(self.system, self.places, "compute", release, io.BytesIO(data))

    def refuses(self, status: int, data: bytes, release: str = "one") -> str:
        with pytest.raises(NodeImageError) as caught:
            self.admit(data, release)
        assert caught.value.kind.status == status
        assert not [path for path in self.folder.iterdir() if path.name not in (".lock", "one")]
        return caught.value.text()


@pytest.fixture
def sms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: Path) -> Sms:
    (tmp_path / "bed").mkdir()
    return Sms(tmp_path / "sms", Bed(tmp_path / "bed", monkeypatch, template))


def packed(folder: Path, **more: bytes) -> bytes:
    """A release as the runner sends it, with files replaced or added."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in {**{path.name: path.read_bytes() for path in folder.iterdir()}, **more}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def test_a_signed_release_is_there_whole_and_a_second_time_already(sms: Sms) -> None:
    folder = sms.bed.published("one")
    assert sms.admit(packed(folder)).startswith("the SMS has compute one, as builder signed it; there: ")
    assert {p.name: p.read_bytes() for p in (sms.folder / "one").iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }
    assert sms.admit(packed(folder)) == "the SMS has compute one already"


def test_what_the_runner_sends_is_what_the_sms_takes(sms: Sms) -> None:
    folder = sms.bed.published("one")
    sms.admit(b"".join(delivery.stream(str(folder))))
    assert {p.name: p.read_bytes() for p in (sms.folder / "one").iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }


def test_what_was_changed_on_the_way_is_not_there(sms: Sms) -> None:
    folder = sms.bed.published("one")
    assert "image" in sms.refuses(18, packed(folder, image=b"other"))
    sms.refuses(18, packed(folder, more=b"a file too many"))
    sms.refuses(18, packed(folder, **{"manifest.json": b"{}"}))
    sms.refuses(18, packed(folder)[:4096])
    sms.refuses(18, b"no archive")
    assert "signed as one, and lies there as two" in sms.refuses(18, packed(folder), "two")


def test_a_release_never_changes_under_its_name(sms: Sms) -> None:
    sms.admit(packed(sms.bed.published("one")))
    before = {path: path.read_bytes() for path in (sms.folder / "one").iterdir()}
    (sms.bed.tree / "etc/about").write_text("other")
    sms.bed.pack()
    shutil.rmtree(sms.bed.release("one"))
    sms.bed.must("publish", "compute", "--release", "one")
    sms.refuses(17, packed(sms.bed.release("one")))
    assert {path: path.read_bytes() for path in (sms.folder / "one").iterdir()} == before


def test_a_commit_that_two_branches_have_is_one_release(sms: Sms) -> None:
    """Also where the runner no longer has the first one: it was made anew since."""
    sms.bed.pack()
    folder = Path(sms.bed.must("publish", "compute")["place"])
    sms.admit(packed(folder), folder.name)
    shutil.rmtree(folder)
    git(sms.bed.folder, "checkout", "-q", "-b", "feature")
    sms.bed.pack()
    sms.bed.must("publish", "compute")
    told = sms.admit(packed(folder), folder.name)
    assert told == f"the SMS has compute {folder.name} already, built from main"
    assert b'"ref": "main"' in (sms.folder / folder.name / "manifest.json").read_bytes()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_links_devices_and_folders_are_refused(sms: Sms, kind: bytes) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("image")
        entry.type, entry.linkname = kind, "/etc/shadow"
        archive.addfile(entry)
    assert "something else than the files of a release" in sms.refuses(18, stream.getvalue())


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b", "-x", ".hidden"])
def test_names_that_are_paths_are_refused(sms: Sms, name: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(NodeImageError, match="is no name of a file"):
        sms.admit(stream.getvalue())


def test_too_many_and_too_large_files_are_refused(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sms.bed.published("one")
    monkeypatch.setattr(admission, "MOST_FILES", 3)
    sms.refuses(18, packed(folder))
    monkeypatch.setattr(admission, "MOST_FILES", 16)
    monkeypatch.setattr(admission, "MOST_BYTES", 100)
    sms.refuses(18, packed(folder))


@pytest.mark.parametrize(
    "asked", ["", "sh", "deliver", "deliver a b c", "rollback compute one", "activate ../x one"]
)
def test_the_key_can_ask_for_two_things_only(sms: Sms, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", asked)
    assert admission.main([], sms.system) != 0


def test_an_admitted_release_is_activated_on_demand(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    sms.admit(packed(sms.bed.published("one")))
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "activate compute one")
    monkeypatch.setattr(admission, "RELEASES", "/srv/nodeimage")
    assert admission.main([], sms.system) == 0
    assert (sms.folder / "current").resolve().name == "one"


def test_the_runner_trusts_no_answer_that_it_cannot_know(tmp_path: Path) -> None:
    system = System(str(tmp_path), uid=0)
    system.write("/run/runner/sms", b"172.16.0.1\n")
    words = delivery.ssh(system, "deliver", "compute", "one")
    assert words[-4:] == ["root@172.16.0.1", "deliver", "compute", "one"]
    assert "StrictHostKeyChecking=yes" in words

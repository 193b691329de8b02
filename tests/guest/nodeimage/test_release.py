"""Releases: signed, verified, activated by one link; and what kills and full disks leave of them."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.guest.nodeimage import active, manifest
from lab.guest.nodeimage.places import read_json
from tests.guest.nodeimage.bed import TOML, Bed, command, git, make_key, unchanged

FILES = {"image", "kernel", "packages.txt", "tests.json", "manifest.json", "manifest.json.sig"}


def current(bed: Bed) -> str:
    """What nodes boot: the text in the image's neighbour, through the link."""
    return bed.release("current").resolve().name


def test_a_release_is_one_folder_with_all_that_a_node_and_an_auditor_need(bed: Bed) -> None:
    made = bed.pack()
    done = bed.must("publish", "compute")
    folder = bed.release(made["commit"][:12])
    assert done["place"] == str(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    told = json.loads((folder / "manifest.json").read_text())
    assert told["files"] == made["files"]
    assert set(told["files"]) == FILES - {"manifest.json", "manifest.json.sig"}
    assert (told["commit"], told["ref"], told["role"]) == (made["commit"], "main", "compute")
    assert bed.must("verify", "compute", made["commit"][:12])["signer"] == "builder"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_ssh_keygen_alone_verifies_a_release(bed: Bed) -> None:
    folder = bed.published("one")
    with (folder / "manifest.json").open("rb") as told:
        subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", str(bed.signers), "-I", "builder", "-n", "nodeimage",
         "-s", str(folder / "manifest.json.sig")],
        stdin=told, capture_output=True, check=True,
    )  # fmt: skip


def test_publishing_again_has_nothing_to_do(bed: Bed) -> None:
    folder = bed.published("one")
    before = unchanged(folder)
    assert not bed.must("publish", "compute", "--release", "one")["changed"]
    assert unchanged(folder) == before


def test_the_same_name_with_other_content_is_refused(bed: Bed) -> None:
    folder = bed.published("one")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    (bed.tree / "etc/about").write_text("other")
    bed.pack()
    said = bed.refuses(17, "publish", "compute", "--release", "one")
    assert "error: a release one of compute exists with other content\n  image: published " in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    bed.must("publish", "compute", "--release", "one.1")


def test_what_is_no_release_is_not_replaced_by_one(bed: Bed) -> None:
    bed.pack()
    place = bed.release("one")
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    said = bed.refuses(17, "publish", "compute", "--release", "one")
    assert "a release one of compute exists with other content\n  image: published missing, packed " in said
    assert place.read_text() == "mine"


@pytest.mark.parametrize("compress", ["zstd", "gzip"])
def test_a_commit_that_two_branches_have_is_one_release(bed: Bed, compress: str) -> None:
    bed.commit(f'{TOML}\n[image]\ncompress = "{compress}"\n')
    first = bed.pack()
    folder = Path(bed.must("publish", "compute")["place"])
    before = {path: unchanged(path) for path in folder.iterdir()}
    git(bed.folder, "checkout", "-q", "-b", "feature")
    second = bed.pack()
    assert (second["ref"], second["commit"]) == ("feature", first["commit"])
    assert second["files"]["image"] != first["files"]["image"], "its stamp names another branch"
    again = bed.must("publish", "compute")
    assert (again["changed"], again["built_from"], again["ref"]) == (False, "main", "main")
    assert again["files"] == first["files"]
    assert {path: unchanged(path) for path in folder.iterdir()} == before
    assert "it was built from main, which leads to the same commit" in bed.run("publish", "compute").out
    assert bed.must("verify", "compute", again["release"])["ref"] == "main"


@pytest.mark.parametrize("what", ["a file", "a kernel", "a name"])
def test_one_commit_with_other_content_is_refused_on_every_branch(
    bed: Bed, what: str, tmp_path: Path
) -> None:
    bed.commit()
    bed.pack()
    name = bed.must("publish", "compute", *(("--release", "one") if what == "a name" else ()))["release"]
    git(bed.folder, "checkout", "-q", "-b", "feature")
    (tmp_path / "vmlinuz").write_text("another kernel")
    if what == "a file":
        (bed.tree / "etc/passwd").write_text("toor:x:0:0::/root:/bin/sh\n")
    bed.pack(*(("--kernel", str(tmp_path / "vmlinuz")) if what == "a kernel" else ()))
    words = ("--release", name) if what == "a name" else ()
    assert f"{name} of compute exists with other content" in bed.refuses(17, "publish", "compute", *words)


def test_an_image_that_changed_after_packing_is_not_published(bed: Bed) -> None:
    bed.pack()
    bed.image().write_bytes(bed.image().read_bytes()[:-1] + b"x")
    assert "is not what pack wrote" in bed.refuses(18, "publish", "compute")
    assert not list(bed.release(".").glob("[!.]*"))
    assert bed.refuses(19, "publish", "other").startswith("error: no image of other is packed")


def test_without_a_key_nothing_is_published(bed: Bed) -> None:
    bed.pack()
    said = bed.refuses(21, "publish", "compute", "--key", "/nonexistent/key")
    assert "hint: ssh-keygen -t ed25519 -N '' -f /nonexistent/key" in said
    (bed.root / "no key").write_text("no key")
    bed.refuses(1, "publish", "compute", "--key", str(bed.root / "no key"))
    assert not list(bed.release(".").glob("[!.]*")), "and nothing unsigned is left"
    assert not list(bed.release(".").glob(".new*"))


UNKNOWN_SIGNER, NO_MANIFEST = "is not signed by anybody whom", "is missing or is no manifest"
Change = Callable[[Bed, Path], object]
WRONG: dict[str, tuple[Change, str]] = {
    "a changed image": (lambda _, one: flip(one / "image"), "image: SHA-256 "),
    "a longer kernel": (
        lambda _, one: (one / "kernel").write_text("evil kernel"),
        "kernel: 11 bytes, expected 10",
    ),
    "a missing kernel": (lambda _, one: (one / "kernel").unlink(), "kernel: missing"),
    "one file more": (lambda _, one: (one / "initrd").write_text("x"), "'initrd': not in the manifest"),
    "a hidden file more": (lambda _, one: (one / ".x").write_text("x"), "'.x': not in the manifest"),
    "a folder more": (lambda _, one: (one / "sub").mkdir(), "'sub': not in the manifest"),
    "a link": (lambda _, one: linked(one / "kernel"), "kernel: not a plain file"),
    "no signature": (lambda _, one: (one / "manifest.json.sig").unlink(), "is not signed"),
    "a broken signature": (lambda _, one: (one / "manifest.json.sig").write_text("x"), UNKNOWN_SIGNER),
    "a changed manifest": (lambda _, one: edited(one, "ref", "v9"), "the signature of "),
    "no manifest": (lambda _, one: (one / "manifest.json").unlink(), "the signature of "),
    "another's signature": (lambda bed, one: signed_by(bed, one, "mallory"), UNKNOWN_SIGNER),
    "a signature for something else": (
        lambda bed, one: signed_by(bed, one, "builder", "git"),
        "the signature of ",
    ),
    "a path as a name": (lambda bed, one: named(bed, one, "../../etc/passwd"), NO_MANIFEST),
    "an unfinished manifest": (lambda _, one: flip(one / "manifest.json", cut=True), "the signature of "),
    "another role's": (
        lambda bed, one: resigned(bed, one, "role", "login"),
        "signed as login, and lies there as ",
    ),
    "an old one under a new name": (lambda bed, one: resigned(bed, one, "release", "zero"), "signed as zero"),
}


def flip(path: Path, *, cut: bool = False) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if cut else data[:-1] + bytes([data[-1] ^ 1]))


def linked(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to("../elsewhere")


def edited(folder: Path, key: str, value: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def signed_by(bed: Bed, folder: Path, who: str, namespace: str = "nodeimage") -> None:
    (folder / "manifest.json.sig").unlink()
    key = bed.root / who if (bed.root / who).exists() else make_key(bed.root / who)
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", namespace, str(folder / "manifest.json")],
        check=True,
    )


def resigned(bed: Bed, folder: Path, key: str, value: object) -> None:
    edited(folder, key, value)
    signed_by(bed, folder, "builder")


def named(bed: Bed, folder: Path, name: str) -> None:
    files = read_json(str(folder / "manifest.json"))["files"]
    resigned(bed, folder, "files", {**files, name: files["kernel"]})


@pytest.mark.parametrize("what", WRONG)
def test_verify_and_activate_refuse(bed: Bed, what: str) -> None:
    change, said = WRONG[what]
    bed.published("zero")
    bed.must("activate", "compute", "zero")
    folder = bed.published("one")
    change(bed, folder)
    assert said in bed.refuses(18, "verify", "compute", "one")
    assert said in bed.refuses(18, "activate", "compute", "one")
    assert current(bed) == "zero"


def test_a_release_that_was_carried_elsewhere_verifies_there(bed: Bed, tmp_path: Path) -> None:
    folder = bed.published("one")
    shutil.copytree(folder, tmp_path / "usb-stick")
    assert bed.must("verify", str(tmp_path / "usb-stick"))["release"] == "one"
    flip(tmp_path / "usb-stick" / "image")
    bed.refuses(18, "verify", str(tmp_path / "usb-stick"))
    assert "nobody's signature counts" in bed.refuses(
        21, "verify", "compute", "one", "--signers", "/nonexistent"
    )
    assert "there is no release" in bed.refuses(19, "verify", "compute", "two")
    assert "no release of compute is active" in bed.refuses(19, "verify", "compute")


def test_one_link_leads_to_kernel_and_image(bed: Bed) -> None:
    for name in ("one", "two"):
        folder = bed.published(name)
        bed.must("activate", "compute", name)
        for file in ("kernel", "image"):
            assert (bed.release("current") / file).samefile(folder / file)
    assert bed.must("show", "compute")["release"] == "two"
    assert not bed.must("activate", "compute", "two")["changed"]
    assert bed.must("activate", "compute", "two")["before"] == "one"


def test_rollback_goes_back_once(bed: Bed) -> None:
    for name in ("one", "two"):
        bed.published(name)
        bed.must("activate", "compute", name)
    assert bed.must("rollback", "compute")["release"] == "one"
    assert current(bed) == "one"
    again = bed.must("rollback", "compute")
    assert (again["changed"], again["release"], again["before"]) == (False, "one", "two")
    assert current(bed) == "one", "who types it twice does not get the bad one back"
    bed.published("three")
    bed.must("activate", "compute", "three")
    bed.must("rollback", "compute")
    assert current(bed) == "one"


def test_there_may_be_nothing_to_roll_back_to(bed: Bed) -> None:
    assert "there are no releases" in bed.refuses(19, "rollback", "compute")
    bed.published("one")
    assert "no release of compute is active" in bed.refuses(19, "rollback", "compute")
    bed.must("activate", "compute", "one")
    assert "was active before one" in bed.refuses(19, "rollback", "compute")
    two = bed.published("two")
    bed.must("activate", "compute", "two")
    flip(bed.release("one") / "image")
    assert "is not what builder signed" in bed.refuses(18, "rollback", "compute")
    assert current(bed) == two.name


def test_a_folder_in_the_place_of_the_link_is_left_alone(bed: Bed) -> None:
    bed.published("one")
    bed.release("current").mkdir()
    assert "is not a link" in bed.refuses(17, "activate", "compute", "one")
    assert bed.release("current").is_dir()


def test_list_show_and_prune(bed: Bed) -> None:
    assert bed.must("list")["releases"] == []
    for number, name in enumerate(("a", "b", "c", "d", "e")):
        os.utime(bed.published(name), (number, number))
    bed.must("activate", "compute", "a")
    bed.must("activate", "compute", "b")
    listed = bed.must("list", "compute")["releases"]
    assert [(one["release"], one["state"]) for one in listed] == [
        ("a", "before"), ("b", "active"), ("c", ""), ("d", ""), ("e", "")
    ]  # fmt: skip
    assert "  active  " in bed.run("list").out
    shown = bed.run("show", "compute", "c").out
    assert "release        c\n" in shown
    assert "tests          none: the role says so\n" in shown
    assert bed.must("prune", "compute", "--keep", "1")["removed"] == ["c", "d"]
    assert bed.must("prune", "compute", "--keep", "1")["removed"] == []
    assert [one["release"] for one in bed.must("list")["releases"]] == ["a", "b", "e"]
    assert bed.must("prune", "compute", "--keep", "0")["removed"] == ["e"]
    bed.must("rollback", "compute")


def test_a_damaged_release_is_listed_as_such(bed: Bed) -> None:
    folder = bed.published("one")
    (folder / "manifest.json").write_text("{")
    assert [one["state"] for one in bed.must("list")["releases"]] == ["damaged"]
    bed.refuses(18, "show", "compute", "one")
    bed.refuses(17, "publish", "compute", "--release", "one")
    shutil.rmtree(folder)
    bed.must("publish", "compute", "--release", "one")
    flip(folder / "kernel")
    assert "exists and is damaged\n  kernel: SHA-256" in bed.refuses(
        18, "publish", "compute", "--release", "one"
    )


@pytest.mark.parametrize("word", ["../compute", "a/b", ".", "-x", "", "a b", ".new-x", "current"])
def test_names_that_could_be_paths_or_options_are_refused(bed: Bed, word: str) -> None:
    bed.published("one")
    assert bed.run("activate", "compute", word).status in (2, 19)
    assert bed.run("show", word).status in (2, 19)
    assert bed.run("publish", "compute", "--release", word).status in ((0,) if word == "" else (2, 19))


def killed(action: Callable[[], int], step: int) -> bool:
    """Runs an action in a child that is killed before its nth change; whether it was killed.

    Python tells audit hooks (PEP 578) of every file that is opened, made, renamed or removed.
    """
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    counter = iter(range(1_000_000))

    def watch(event: str, details: tuple[object, ...]) -> None:
        changes = event in CHANGES or (
            event == "open" and isinstance(details[2], int) and details[2] & WRITES
        )
        if changes and next(counter) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    os._exit(action())


CHANGES = {"os.mkdir", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "subprocess.Popen"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY
"""Folders are opened to have their names on the disk, which comes after a change."""


def each_kill(bed: Bed, action: Callable[[], int], again: Callable[[], None]) -> None:
    """Kills an action at each of its changes, and looks each time at what nodes would boot."""
    step = 0
    while killed(action, step):
        names = [one["release"] for one in bed.must("list", "compute")["releases"]]
        assert current(bed) in names
        for name in names:
            assert manifest.problems(manifest.read(str(bed.release(name)))) == []
        again()
        step += 1
    assert step > 3


def test_publish_killed_anywhere(bed: Bed) -> None:
    bed.published("zero")
    bed.must("activate", "compute", "zero")
    (bed.tree / "etc/about").write_text("one")
    bed.pack()
    seen = set()

    def again() -> None:
        seen.add(bed.release("one").exists())
        bed.must("publish", "compute", "--release", "one")
        assert not list(bed.release(".").glob(".new*"))
        bed.must("verify", "compute", "one")
        shutil.rmtree(bed.release("one"))

    each_kill(bed, lambda: bed.run("publish", "compute", "--release", "one").status, again)
    assert seen == {False, True}, "it was killed before and after the release was there"
    assert current(bed) == "zero"


@pytest.mark.parametrize("verb", ["activate", "rollback"])
def test_activate_and_rollback_killed_anywhere(bed: Bed, verb: str) -> None:
    for name in ("one", "two"):
        bed.published(name)
    bed.must("activate", "compute", "one")
    if verb == "rollback":
        bed.must("activate", "compute", "two")
    before = active.now(str(bed.release(".")))
    after = (
        active.Active("one", "two", "rollback")
        if verb == "rollback"
        else active.Active("two", "one", "activate")
    )
    links, saved = bed.release(".active"), bed.root / "saved"
    shutil.copytree(links, saved, symlinks=True)
    target = bed.release("current").readlink()
    words = ["compute", "two"] if verb == "activate" else ["compute"]
    seen = set()

    def again() -> None:
        found = active.now(str(bed.release(".")))
        assert found in (before, after), "never one without the other"
        seen.add(found)
        bed.must(verb, *words)
        assert active.now(str(bed.release("."))) == after
        bed.release("current").unlink()
        shutil.rmtree(links)
        shutil.copytree(saved, links, symlinks=True)
        bed.release("current").symlink_to(target)

    each_kill(bed, lambda: bed.run(verb, *words).status, again)
    assert seen == {before, after}


def test_prune_killed_anywhere(bed: Bed) -> None:
    for name in ("one", "two"):
        bed.published(name)
    bed.must("activate", "compute", "two")
    spare = bed.root / "spare"
    shutil.copytree(bed.release("one"), spare)

    def again() -> None:
        bed.must("prune", "compute", "--keep", "0")
        assert not list(bed.release(".").glob(".new*"))
        shutil.copytree(spare, bed.release("one"))

    each_kill(bed, lambda: bed.run("prune", "compute", "--keep", "0").status, again)


def test_a_full_disk_is_one_error_and_leaves_the_active_release(bed: Bed) -> None:
    """On a file system of 256 KiB, in a mount namespace of its own."""
    (bed.tree / "etc/noise").write_bytes(os.urandom(150_000))
    bed.published("zero")
    (bed.tree / "etc/noise").write_bytes(os.urandom(150_000))
    bed.pack()
    copy = bed.root / "copy"
    bed.release(".").rename(copy)
    activate = shlex.join(command(bed.words("activate", "compute", "zero", "--quiet")))
    publish = shlex.join(command(bed.words("publish", "compute", "--release", "one")))
    served = bed.places.releases
    script = (
        f"mount -t tmpfs -o size=256k none {served} && cp -r {copy} {served}/compute && {activate} || exit\n"
        f"{publish}; status=$?; ls -A {served}/compute; exit $status"
    )
    done = bed.among_mounts(script)
    assert done.returncode == 20, done.stderr
    assert "error: no room for the release in " in done.stderr
    assert done.stderr.endswith("hint: nodeimage prune compute\n")
    assert done.stdout.split() == [".active", ".lock", "current", "zero"]


def test_a_disk_that_fills_up_meanwhile_is_one_error(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.published("zero")
    bed.must("activate", "compute", "zero")
    (bed.tree / "etc/noise").write_bytes(os.urandom(100_000))
    bed.pack()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        said = bed.refuses(20, "publish", "compute", "--release", "one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "hint: df -h; findmnt" in said
    assert sorted(path.name for path in bed.release(".").iterdir()) == [".active", ".lock", "current", "zero"]
    assert bed.must("verify", "compute")["release"] == "zero"


def test_anybody_may_verify_and_list(bed: Bed) -> None:
    """Nobody but root packs; who reads a release needs no more than to read it."""
    bed.published("one")
    bed.must("activate", "compute", "one")
    for path in (bed.root, *list(bed.root.parents)[:-2]):
        path.chmod(path.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            good = bed.must("verify", "compute")["valid"] and bed.must("list")["releases"]
            refused = bed.run("activate", "compute", "one").status
            status = 0 if good and (refused == 1 or os.geteuid() != 65534) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

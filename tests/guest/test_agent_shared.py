"""The folder that nodes of a lab share: one unpacked image for each that is in use, and no others."""

from __future__ import annotations

import subprocess
from pathlib import Path

AGENT = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/agent/shared.sh"
# A boot: mount(8) only looks whether what it is given is there and whole.
NODE = """. {agent}; CACHE={cache}; ww_root=overlay; disk_root=; WWVNFS_NAME=debian; NEWROOT=/none; why=
wwhwaddr=$1; WWVNFS_CHECKSUM=$2; initrd_key=$3
mkdir() {{ case "$*" in *upper*) ;; *) command mkdir "$@" ;; esac; }}
mount() {{ [ -e "$CACHE/vnfs-$WWVNFS_CHECKSUM/whole" ] && [ -d "$CACHE/modules-$initrd_key/usr" ]; }}
download_vnfs() {{ echo "$WWVNFS_CHECKSUM" >>"$CACHE/../fetched"; {download}; : >"$1/whole"; }}
gather_modules() {{ mkdir -p "$1/usr/lib/modules"; }}
"""


def boot(folder: Path, node: str, image: str, modules: str = "m", download: str = ":") -> tuple[int, str]:
    """Boots a node and returns the status of its last step, and why."""
    done = subprocess.run(
        script(folder, 'shared_vnfs; echo "$? $why"', node, image, modules, download=download),
        capture_output=True,
        text=True,
        check=True,
    )
    status, _, why = done.stdout.strip().partition(" ")
    return int(status), why


def script(folder: Path, then: str, *words: str, download: str = ":") -> list[str]:
    (folder / "cache").mkdir(exist_ok=True)
    text = NODE.format(agent=AGENT, cache=folder / "cache", download=download)
    return ["sh", "-u", "-c", text + then, "sh", *words]


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cache").iterdir() if path.name != "users")


def fetched(folder: Path) -> list[str]:
    return (folder / "fetched").read_text().split()


def test_an_image_stays_as_long_as_a_node_runs_on_it(tmp_path: Path) -> None:
    assert [boot(tmp_path, node, "one") for node in ("00:01", "00:02")] == [(0, ""), (0, "")]
    for image in ("two", "three", "four"):
        assert boot(tmp_path, "00:02", image) == (0, "")
        assert set(kept(tmp_path)) == {"modules-m", f"vnfs-{image}", "vnfs-one"}
    assert boot(tmp_path, "00:01", "four", "n") == (0, "")
    assert kept(tmp_path) == ["modules-m", "modules-n", "vnfs-four"]
    assert fetched(tmp_path) == ["one", "two", "three", "four"]


def test_what_an_earlier_lab_left_is_removed(tmp_path: Path) -> None:
    for name in ("vnfs-old", "vnfs-old2.new", "vnfs-one.lock", "old.vnfs-x.1", "modules-old"):
        (tmp_path / "cache" / name / "etc").mkdir(parents=True)
    assert boot(tmp_path, "00:01", "one") == (0, "")
    assert kept(tmp_path) == ["modules-m", "vnfs-one", "vnfs-one.lock"]


def test_a_node_that_died_while_it_unpacked_holds_nobody_up(tmp_path: Path) -> None:
    dying = script(tmp_path, "shared_vnfs", "00:01", "one", "m", download=': >"$1/half"; kill -9 $$')
    assert subprocess.run(dying, check=False).returncode == -9
    assert (tmp_path / "cache" / "vnfs-one.new" / "root" / "half").exists()
    assert boot(tmp_path, "00:02", "one") == (0, "")
    assert kept(tmp_path) == ["modules-m", "vnfs-one"]
    assert [path.name for path in (tmp_path / "cache" / "vnfs-one").iterdir()] == ["whole"]


def test_a_damaged_image_is_told_and_fetched_again(tmp_path: Path) -> None:
    assert boot(tmp_path, "00:01", "one", download="why=damaged; return 9") == (9, "damaged")
    assert boot(tmp_path, "00:01", "one") == (0, "")
    assert fetched(tmp_path) == ["one", "one"]


def test_nodes_that_boot_at_the_same_moment_unpack_once(tmp_path: Path) -> None:
    boot(tmp_path, "00:01", "old")
    words = [(f"00:{number:02}", "one", "m") for number in range(1, 9)]
    nodes = [subprocess.Popen(script(tmp_path, "shared_vnfs", *word, download="sleep 0.2")) for word in words]
    assert [node.wait() for node in nodes] == [0] * 8
    assert fetched(tmp_path) == ["old", "one"]
    assert kept(tmp_path) == ["modules-m", "vnfs-one"]


def test_a_folder_that_another_node_finishes_before_it_is_opened_is_there(tmp_path: Path) -> None:
    other = """
    mkdir() {
        case "$*" in *upper*) return ;; esac
        command mkdir "$@"
        case "$*" in *.new) command mkdir -p "${2%.new}/usr"; : >"${2%.new}/whole"; rmdir "$2" ;; esac
    }
    shared_vnfs; echo "$? $why" """
    done = subprocess.run(
        script(tmp_path, other, "00:01", "one", "m"), capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 \n"
    assert not (tmp_path / "fetched").exists()


def test_no_node_loses_what_it_runs_on_while_others_boot(tmp_path: Path) -> None:
    """Four nodes boot again and again from three images; each looks for its own before its next boot."""
    life = """
    for turn in 1 2 3 4 5 6 7 8; do
        WWVNFS_CHECKSUM=$(( (turn * $4 + $4) % 3 ))
        shared_vnfs || exit 1
        sleep 0.0$4
        mount || exit 2
    done"""
    nodes = [
        subprocess.Popen(script(tmp_path, life, f"00:0{number}", "0", "m", str(number)))
        for number in range(1, 5)
    ]
    assert [node.wait() for node in nodes] == [0] * 4
    assert len(kept(tmp_path)) <= 4

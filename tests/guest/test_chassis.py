"""The chassis's own scripts: what comes from a server or from the node is data there, whatever it says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

CHASSIS = Path(__file__).parents[2] / "lab/guest/files/chassis"
HOSTILE = (
    "x#e;touch {mark};#",
    "$(touch {mark})",
    "`touch {mark}`",
    "a\ntouch {mark}",
    "; touch {mark}",
    "' ; touch {mark} '",
    "-O{mark}",
    "--post-file={mark}",
)


def sh(script: str, *words: str, **environ: str) -> str:
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=os.environ | {"CHASSIS": str(CHASSIS)} | environ,
    )
    return done.stdout


@pytest.mark.parametrize("text", HOSTILE)
def test_a_boot_script_is_read_and_never_executed(tmp_path: Path, text: str) -> None:
    mark = tmp_path / "mark"
    said = text.format(mark=mark)
    script = tmp_path / "script"
    script.write_text(
        f"set base {said}\ninitrd ${{base}}/initrd\nkernel ${{base}}/kernel {said}\necho {said}\nboot\n"
    )
    ask = f'. {CHASSIS}/pxe_rom.sh; lease_server=$2; rom_script "$1"; rom_fetch "$rom_initrds" /dev/null'
    sh(ask, str(script), said)
    assert not mark.exists()


def test_variables_of_a_boot_script_are_replaced() -> None:
    ask = f'. {CHASSIS}/pxe_rom.sh; replaced "$1" "$2" "$3"'
    assert (
        sh(ask, "${base}/a ${base}", "${base}", "http://1.2.3.4/&\\1")
        == "http://1.2.3.4/&\\1/a http://1.2.3.4/&\\1"
    )
    assert sh(ask, "none", "${base}", "x") == "none"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_lease_is_four_lines_without_anything_that_a_shell_reads(tmp_path: Path, text: str) -> None:
    mark = tmp_path / "mark"
    said = text.format(mark=mark)
    hook = (CHASSIS / "pxe_rom.sh").read_text().split("<<'HOOK'\n")[1].split("HOOK\n")[0]
    place = tmp_path / "hook"
    place.write_text(
        hook.replace("/run/chassis/scratch/lease", str(tmp_path / "lease")).replace("busybox ", "")
    )
    sh(f"sh {place} bound", ip=said, mask=said, siaddr=said, boot_file=said)
    lines = (tmp_path / "lease").read_text().splitlines()
    assert len(lines) == 4
    assert not set("".join(lines)) & set(" ;$`'#()\"\n")
    assert not mark.exists()


def test_only_http_is_fetched() -> None:
    ask = f'. {CHASSIS}/pxe_rom.sh; rom_fetch "$1" /dev/null; echo "$? $rom_why"'
    for address in ("ftp://host/x", "--help", "/etc/passwd", ""):
        assert sh(ask, address) == f"1 no such address: {address}\n"


def stage_of(tmp_path: Path, make: str) -> str:
    """What the chassis reads as the stage, after the node has put something in its place."""
    stage = tmp_path / "stage"
    library = (CHASSIS / "stage.sh").read_text().replace("/run/chassis/node", str(tmp_path))
    return sh(f'{make}\n{library}\nread_stage; printf \'%s|%s\' "$stage" "$detail"', STAGE_FILE=str(stage))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        ('echo "init 123 all well" >$STAGE_FILE', "init|all well"),
        ("ln -s /etc/passwd $STAGE_FILE", "|"),
        ("mkfifo $STAGE_FILE", "|"),
        ("mkdir $STAGE_FILE", "|"),
        ("true", "|"),
        ("printf 'pxe 1 \\033]0;evil\\007x\\nmore' >$STAGE_FILE", "pxe|]0;evilx"),
    ],
)
def test_a_stage_is_a_plain_short_line_or_nothing(tmp_path: Path, make: str, found: str) -> None:
    assert stage_of(tmp_path, make) == found


def test_a_long_stage_is_cut(tmp_path: Path) -> None:
    read = stage_of(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' A >$STAGE_FILE")
    assert 0 < len(read) <= 401


def test_a_new_stage_replaces_a_link_and_a_folder(tmp_path: Path) -> None:
    for folder in ("node", "scratch"):
        (tmp_path / folder).mkdir()
    precious = tmp_path / "precious"
    precious.write_text("keep\n")
    library = (CHASSIS / "stage.sh").read_text().replace("/run/chassis", str(tmp_path))
    for make in (f"ln -s {precious} {tmp_path}/node/stage", f"mkdir -p {tmp_path}/node/stage/a", "true"):
        sh(f"rm -rf {tmp_path}/node/stage; {make}\n{library}\nstage pxe 'no answer'")
        assert (tmp_path / "node/stage").read_text().split(" ", 2)[::2] == ["pxe", "no answer\n"]
    assert precious.read_text() == "keep\n"


def test_no_other_child_stands_where_the_nodes_first_process_is_looked_for(tmp_path: Path) -> None:
    """The firmware starts a boot by `join`; a `power off` in that moment kills its first child."""
    (tmp_path / "node").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("mkdir", "cat", "ls"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/forked\n")
        (tmp_path / "bin" / name).chmod(0o755)
    script = tmp_path / "join"
    script.write_text((CHASSIS / "join").read_text().replace("/cgroup/$1", f"{tmp_path}/$1"))
    done = sh(f"exec sh {script} node echo joined", PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert done == "joined\n"
    assert (tmp_path / "node/cgroup.procs").read_text().strip().isdigit()
    assert not (tmp_path / "forked").exists()


class Chassis:
    """A chassis whose power is on, without its firmware."""

    def __init__(self, place: Path) -> None:
        self.power, self.request, self.supervisor = place / "state", place / "request", place / "supervisor"
        text = (CHASSIS / "power").read_text().replace("$STATE/power", str(self.power))
        self.program = place / "power"
        self.program.write_text(text.replace("$RUN", str(place)))
        self.program.chmod(0o755)
        self.power.write_text("on\n")

    def press(self, button: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self.program, button], env=os.environ | {"LAB_NODE": "c1"})

    def boot(self) -> subprocess.Popen[str]:
        """A system's first process, whose end its parent tells as a shell does: 128 and the signal."""
        script = "sleep 20 & echo $$ >$0.new; mv $0.new $0; wait $!; echo $?"
        return subprocess.Popen(
            ["sh", "-c", script, self.supervisor],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


@pytest.fixture
def chassis(tmp_path: Path) -> Chassis:
    """No system runs yet."""
    return Chassis(tmp_path)


def wait_for(path: Path) -> None:
    """Waits until a file is there and written."""
    end = time.monotonic() + 10
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.01)


def test_the_soft_button_asks_the_system_to_power_off(chassis: Chassis) -> None:
    system = chassis.boot()
    wait_for(chassis.supervisor)
    assert chassis.press("soft").wait(10) == 0
    assert system.communicate(timeout=10)[0] == f"{128 + 38}\n"
    assert not chassis.request.exists()


@pytest.mark.parametrize("button", ["soft", "off"])
def test_between_two_boots_a_button_cuts_the_power(chassis: Chassis, button: str) -> None:
    pressed = chassis.press(button)
    wait_for(chassis.request)
    system = chassis.boot()
    assert system.communicate(timeout=10)[0] == f"{128 + 9}\n"
    assert chassis.request.read_text() == "off\n"
    assert pressed.poll() is None, "the firmware has not yet said that the power is off"
    chassis.power.write_text("off\n")
    assert pressed.wait(10) == 0


@pytest.mark.parametrize("taken", [True, False])
def test_a_button_waits_for_no_boot_that_never_comes(chassis: Chassis, *, taken: bool) -> None:
    """The firmware takes the request before it would boot, or the system has powered itself off meanwhile."""
    pressed = chassis.press("soft")
    wait_for(chassis.request)
    if taken:
        chassis.request.unlink()
    chassis.power.write_text("off\n")
    assert pressed.wait(10) == 0
    assert not chassis.request.exists()


def test_a_cycle_that_the_firmware_takes_between_two_boots_does_not_end_the_next_one(
    chassis: Chassis,
) -> None:
    pressed = chassis.press("cycle")
    wait_for(chassis.request)
    assert chassis.request.read_text() == "on\n"
    chassis.request.unlink()
    assert pressed.wait(10) == 0


@pytest.mark.parametrize("button", ["soft", "off"])
def test_a_button_that_powers_off_does_nothing_while_the_power_is_off(chassis: Chassis, button: str) -> None:
    chassis.power.write_text("off\n")
    assert chassis.press(button).wait(10) == 0
    assert not chassis.request.exists()


def place_for(root: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Has the boot program make a place below a node's new root."""
    function = (CHASSIS / "boot").read_text().split("\nplace_for() {")[1].split("\n}\n")[0]
    script = f"""
        ROOT=$1; step=disk; mending="do this"; LAB_NODE=sms
        stage() {{ echo "stage $*"; }}
        say() {{ echo "$*"; }}
        place_for() {{{function}\n}}
        place_for "$2"; echo "at $place"
    """
    words = ["sh", "-c", script, "sh", str(root), path]
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)


def test_a_place_for_a_mount_is_made_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    for _ in range(2):
        assert place_for(tmp_path, "opt/ohpc/pub").stdout == f"at {tmp_path}/opt/ohpc/pub\n"
    assert (tmp_path / "opt/ohpc/pub").is_dir()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        ("ln -s $CHASSIS home", "home"),
        ("ln -s ../chassis home", "home"),
        ("ln -s . home", "home"),
        ("ln -s nowhere home", "home"),
        ("touch home", "home"),
        ("mkfifo home", "home"),
        ("ln -s $CHASSIS opt", "opt"),
        ("mkdir opt; ln -s $CHASSIS opt/ohpc", "opt/ohpc"),
        ("mkdir -p opt/ohpc; ln -s $CHASSIS opt/ohpc/pub", "opt/ohpc/pub"),
    ],
)
def test_a_link_on_a_disk_leads_no_mount_into_the_chassis(tmp_path: Path, make: str, named: str) -> None:
    """Mounted over the chassis's programs, a volume of the node's would be run instead of them."""
    root, chassis = tmp_path / "disk", tmp_path / "chassis"
    root.mkdir()
    chassis.mkdir()
    sh(f"cd {root}; {make}", CHASSIS=str(chassis))
    done = place_for(root, "opt/ohpc/pub" if named.startswith("opt") else "home")
    assert done.returncode == 64, done
    assert done.stdout.splitlines() == [
        f"stage disk /{named} is not a folder: lab console sms",
        f"/{named} is not a folder, but a link or a file, so nothing can be mounted there.",
        "sms does not boot. do this",
    ]
    assert list(chassis.iterdir()) == []


def test_the_boot_program_mounts_nothing_below_the_new_root_by_a_path_of_its_own() -> None:
    lines = (CHASSIS / "boot").read_text().splitlines()
    mounts = [line for line in lines if re.search(r"\bmount\b(?!point).* \"?\$(ROOT|place)", line)]
    assert len(mounts) >= 10
    allowed = re.compile(
        r'mount --bind (/disk|"\$1") \$ROOT$'
        r'|mount -t tmpfs -o "mode=755,size=\$\(rootfs_size\)m" rootfs \$ROOT$'
    )
    assert [line for line in mounts if "place_for" not in line and not allowed.search(line)] == []

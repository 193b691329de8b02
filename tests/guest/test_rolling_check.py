"""The rolling-update check of docs/examples has none of the hazards of old ones (docs/health-checks.md).

It runs as a check of the real nhc; Slurm and systemd are stand-ins that keep a little state.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.guest.nhc_host import Host

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "docs/examples/rolling.nhc"
DOCUMENT = ROOT / "docs/health-checks.md"
SINFO = """
echo asked >>"$NHC_TEST/questions"
[ ! -e "$NHC_TEST/silent" ] || exec sleep 100
[ ! -e "$NHC_TEST/refused" ] || exit 1
case "$*" in
    *StateComplete*) cat "$NHC_TEST/state" ;;
    *-N*) cat "$NHC_TEST/nodes"; echo "c1 drained $(cat "$NHC_TEST/reason")" ;;
    *%t*) echo "drain $(cat "$NHC_TEST/reason")" ;;
    *) cat "$NHC_TEST/reason" ;;
esac
"""
SCONTROL = """
echo "$@" >>"$NHC_TEST/updates"
[ ! -e "$NHC_TEST/closed" ] || exit 1
for word; do
    case $word in
        Reason=*)
            echo "${word#Reason=}" >"$NHC_TEST/reason"
            [ ! -e "$NHC_TEST/then" ] || cat "$NHC_TEST/then" >"$NHC_TEST/nodes" ;;
        State=RESUME) echo idle >"$NHC_TEST/state"; echo none >"$NHC_TEST/reason" ;;
    esac
done
"""
OLD, NEW = "11111111-old-boot", "22222222-new-boot"


class Node(Host):
    """A node that is drained with our token, runs an old image and should run a new one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.write("etc/nhc/scripts/rolling.nhc", CHECK.read_text())
        self.command("sinfo", SINFO)
        self.command("scontrol", SCONTROL)
        self.command("systemd-run", 'echo "$@" >>"$NHC_TEST/units"')
        self.command("sleep", 'case $1 in [0-2]) ;; *) exec /bin/sleep "$@" ;; esac')  # the random pause
        self.is_in("idle+drain", "rolling:reboot")
        self.write("nodes", "")
        self.write("boot", f"{OLD}\n")
        self.write("release", "image 1\n")
        self.write("wanted", "image 2\n")

    def is_in(self, state: str, reason: str) -> None:
        self.write("state", f"{state}\n")
        self.write("reason", f"{reason}\n")

    def check(self, conf: str = "* || check_rolling_reboot\n", *options: str, **env: str) -> str:
        """Runs nhc; returns what it printed."""
        places = {"RELEASE": "release", "WANTED": "wanted", "BOOT_ID": "boot", "STARTED": "started"}
        settings = {f"ROLLING_{name}": str(self.folder / file) for name, file in places.items()}
        done = self.run(conf, *options, env={**settings, **env})
        assert done.stderr == ""
        return done.stdout

    @property
    def reason(self) -> str:
        return (self.folder / "reason").read_text().strip()

    @property
    def reboots(self) -> int:
        return len([line for line in self.asked("units") if line.endswith("systemctl reboot")])

    def boots(self, release: str = "image 2") -> None:
        """The node goes through its reboot."""
        self.write("boot", f"{NEW}\n")
        self.write("release", f"{release}\n")
        (self.folder / "started").unlink()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_drained_node_reboots_and_returns_with_the_wanted_image(node: Node) -> None:
    assert node.check() == ""
    assert (node.reason, node.reboots) == (f"rolling:rebooting {OLD} 1", 1)
    node.check()
    assert node.reboots == 1, "it is on its way"
    node.boots()
    node.check()
    assert node.asked("updates")[-1] == "update NodeName=c1 State=RESUME"
    assert (node.reason, node.reboots) == ("none", 1)


@pytest.mark.parametrize(
    ("state", "reboots"),
    [
        ("IDLE+DRAIN", 1),
        ("idle+drain+planned", 1),
        ("idle+drain+not_responding", 1),
        ("idle+dynamic_norm+drain+maintenance", 1),
        ("idle+drain+reserved+invalid_reg", 1),
        ("mixed+drain", 0),
        ("allocated+drain", 0),
        ("idle+completing+drain", 0),
        ("idle+drain+reboot_requested", 0),
        ("idle+drain+reboot_issued", 0),
        ("down+drain", 0),
        ("idle", 0),
        ("idle+drained_by_name_only", 0),
    ],
)
def test_n1_states_are_flags(node: Node, state: str, reboots: int) -> None:
    node.is_in(state, "rolling:reboot")
    node.check()
    assert node.reboots == reboots


@pytest.mark.parametrize(
    ("reason", "reboots"),
    [
        ("reboot tonight, says Ann", 0),
        ("Reboot ASAP : reboot issued", 0),
        ("reboot requested", 0),
        ("rolling:rebooted", 0),
        ("rolling: reboot", 0),
        ("please rolling:reboot", 0),
        ("none", 0),
        ("rolling:reboot", 1),
        ("rolling:reboot ticket 5", 1),
        ("ROLLING:REBOOT", 1),
        ("Rolling:Reboot", 1),
    ],
)
def test_n2_and_n4_only_its_own_token_counts_in_any_case(node: Node, reason: str, reboots: int) -> None:
    node.is_in("idle+drain", reason)
    node.check()
    assert node.reboots == reboots


def test_n3_no_other_field_is_read(node: Node) -> None:
    """A comment cannot look like a state: only these two fields and all reasons are asked for, one by one."""
    node.command("scontrol", 'echo "$@" >>"$NHC_TEST/updates"; echo "State=IDLE+DRAIN Reason=rolling:reboot"')
    node.is_in("allocated", "none")
    node.check()
    assert (node.reboots, node.asked("updates")) == (0, [])
    text = CHECK.read_text()
    assert "scontrol show" not in text
    assert "scontrol -o" not in text


def test_n5_only_another_boot_of_the_wanted_image_returns(node: Node) -> None:
    node.check()
    node.write("release", "image 2\n")  # without a boot
    node.check()
    assert not any("RESUME" in line for line in node.asked("updates"))
    node.boots("image 1")
    node.check()
    assert node.reason == "rolling:failed runs image 1, not image 2"
    node.check()
    assert node.reboots == 1
    assert not any("RESUME" in line for line in node.asked("updates"))


@pytest.mark.parametrize(
    ("file", "said"), [("release", "runs no stamp, not image 2"), ("wanted", "runs image 2, not known")]
)
def test_n5_without_a_stamp_nothing_is_proven(node: Node, file: str, said: str) -> None:
    node.check()
    node.boots()
    (node.folder / file).unlink()
    node.check()
    assert node.reason == f"rolling:failed {said}"


def test_n5_a_node_whose_other_checks_fail_does_not_return(node: Node) -> None:
    node.check()
    node.boots()
    for options in ((), ("-a",)):
        node.check("* || check_hw_eth nosuch9\n* || check_rolling_reboot\n", *options)
        assert node.reason.startswith("rolling:rebooting "), "nhc keeps a reason that is not its own"
        assert not any("RESUME" in line for line in node.asked("updates"))


def test_n5_without_a_wanted_image_no_node_reboots(node: Node) -> None:
    (node.folder / "wanted").unlink()
    node.check()
    assert (node.reboots, node.reason) == (0, "rolling:reboot")


def test_n6_no_reason_no_reboot(node: Node) -> None:
    node.write("closed", "")
    node.check()
    assert node.reboots == 0
    (node.folder / "closed").unlink()
    node.check()
    assert node.reboots == 1


def test_n6_a_reboot_that_does_not_come_is_tried_three_times(node: Node) -> None:
    for tries in (1, 2, 3):
        node.check()
        assert (node.reason, node.reboots) == (f"rolling:rebooting {OLD} {tries}", tries)
        node.write("started", str(int(time.time()) - 301))
    node.check()
    node.check()
    assert (node.reason, node.reboots) == ("rolling:failed no reboot after 3 tries", 3)


def test_n7_and_n9_the_long_part_is_a_unit_of_its_own(node: Node) -> None:
    begun = time.monotonic()
    node.check(ROLLING_BEFORE="mmshutdown; sleep 600")
    assert time.monotonic() - begun < 20
    unit = node.asked("units")[0]
    assert unit.startswith("--quiet --no-block --collect --unit=rolling-reboot bash -c ")
    assert unit.endswith("mmshutdown; sleep 600; wait; systemctl reboot")
    text = CHECK.read_text()
    assert "stop slurm" not in text
    assert "reboot" not in [line.strip() for line in text.splitlines()]


def test_n7_a_controller_that_hangs_is_not_waited_for(node: Node) -> None:
    """slurmd ends a health check after 60 s, and nhc itself after 30 s."""
    node.write("silent", "")
    begun = time.monotonic()
    node.check("* || MARK_OFFLINE=0\n* || check_rolling_reboot\n")
    assert time.monotonic() - begun < 25
    assert node.reboots == 0


def test_n8_no_variable_of_nhc_or_of_others_is_touched(node: Node) -> None:
    names = "TIMEOUT HOSTNAME HOSTNAME_S DEBUG STATE REASON LINE NAME CHECK RET state reason token boot text"
    show = "; ".join(f'echo "{name}=${{{name}}}"' for name in names.split())
    conf = "* || STATE=mine REASON=mine LINE=mine state=mine reason=mine token=mine boot=mine text=mine\n"
    shown = [
        (node.check(f"{conf}{middle}* || {show}\n", "-l", "-").splitlines())
        for middle in ("* || true\n", "* || check_rolling_reboot\n")
    ]
    lines = [[line for line in lines if "=" in line and "/helpers/" not in line] for lines in shown]
    assert [line for line in lines[0] if line[:5] != "CHECK"] == [
        line for line in lines[1] if line[:5] != "CHECK"
    ]
    assert len(lines[0]) >= len(names.split())


def test_n10_a_metrics_server_that_hangs_holds_nothing_up(node: Node) -> None:
    """What the unit runs is run here, with a curl that never ends."""
    node.check(ROLLING_METRICS="http://metrics.example/write?a=b&c=$(id)")
    node.command("curl", 'printf "<%s>" "$@" >"$NHC_TEST/curl"; sleep 50')
    node.command("systemctl", 'echo "$@" >"$NHC_TEST/systemctl"')
    words = node.asked("units")[0].split(" bash -c ")[1]
    begun = time.monotonic()
    environment = {**node.environment(), "PATH": f"{node.bin}:/usr/bin:/bin"}
    subprocess.run(["bash", "-c", words], env=environment, check=True, timeout=40)
    assert time.monotonic() - begun < 30
    assert node.asked("systemctl") == ["reboot"]
    asked = 'events,node=c1 text="reboots into a new image"'
    assert node.asked("curl") == [f"<-s><--data-binary><{asked}><http://metrics.example/write?a=b&c=$(id)>"]


@pytest.mark.parametrize(("others", "reboots"), [(3, 1), (4, 0), (9, 0)])
def test_n11_no_more_nodes_at_once_than_the_site_allows(node: Node, others: int, reboots: int) -> None:
    rows = [f"c{number} drained rolling:rebooting {OLD} 1\n" for number in range(2, 2 + others)]
    rows += rows[:1]  # a node may be in two partitions
    rows += ["c50 idle none\n", "c51 drained broken fan\n", "c52 drained rolling:failed x\n"]
    # Slurm keeps the reason of a node that was resumed (measured with 24.11).
    rows += [
        f"c{number} {state} rolling:rebooting {OLD} 1\n" for number, state in ((60, "idle"), (61, "mixed"))
    ]
    node.write("nodes", "".join(rows))
    node.check()
    assert node.reboots == reboots
    assert node.reason.split()[0] == ("rolling:rebooting" if reboots else "rolling:reboot")


def test_n11_nodes_that_begin_at_the_same_moment_step_back(node: Node) -> None:
    node.is_in("idle+drain", "rolling:reboot ticket 5")
    node.write("then", "".join(f"c{number} down* rolling:rebooting x 1\n" for number in range(2, 6)))
    node.check()
    assert (node.reboots, node.reason) == (0, "rolling:reboot ticket 5")
    assert len(node.asked("updates")) == 2


def test_n14_the_file_is_clean(node: Node) -> None:
    assert subprocess.run(["bash", "-n", CHECK], check=False).returncode == 0
    done = node.run("* || check_rolling_reboot\n", "-x", "-l", "-")
    assert "command not found" not in done.stderr


def test_n15_the_checks_below_run_whatever_happens(node: Node) -> None:
    for file in ("", "refused", "closed"):
        if file:
            node.write(file, "")
        assert "below" in node.check("* || check_rolling_reboot\n* || echo below\n", "-l", "-").splitlines()
    assert not [line for line in CHECK.read_text().splitlines() if line.strip().startswith("exit")]


@pytest.mark.parametrize("reason", ["broken fan", "NHC: check_hw_eth", "Not responding", "rolling:failed x"])
def test_n16_drains_of_others_are_left_alone(node: Node, reason: str) -> None:
    node.is_in("idle+drain", reason)
    node.check()
    assert node.reason == reason or reason.startswith("NHC:")  # nhc resumes what it drained itself
    assert node.reboots == 0


def test_n16_a_persons_words_are_kept(node: Node) -> None:
    node.is_in("idle+drain", "rolling:reboot ticket 5, Ann")
    node.check()
    assert node.reason == f"rolling:rebooting {OLD} 1 ticket 5, Ann"
    node.boots("image 1")
    node.check()
    assert node.reason == "rolling:failed runs image 1, not image 2 ticket 5, Ann"


def test_n16_a_reason_that_was_written_meanwhile_wins(node: Node) -> None:
    """Between the question and the answer a person drains the node for another reason."""
    node.command(
        "sinfo",
        SINFO.replace(
            'cat "$NHC_TEST/nodes";', 'echo "broken fan" >"$NHC_TEST/reason"; cat "$NHC_TEST/nodes";'
        ),
    )
    node.check()
    assert (node.reboots, node.reason, node.asked("updates")) == (0, "broken fan", [])


def test_n17_all_changes_go_through_one_command_of_the_site(node: Node) -> None:
    """So that nodes need not be allowed to change Slurm's state: an agent on the controller may judge."""
    node.command("agent", 'echo "$@" >>"$NHC_TEST/agent-asked"')
    node.check(ROLLING_UPDATE="agent drained-node")
    assert node.asked("updates") == []
    assert node.asked("agent-asked") == [f"drained-node NodeName=c1 Reason=rolling:rebooting {OLD} 1"]


def test_the_document_has_a_row_for_each_hazard() -> None:
    """N12 and N13 are Slurm's, and not proven here: the document says what to set and to watch."""
    text = DOCUMENT.read_text()
    for number in range(1, 18):
        assert f"| N{number} |" in text

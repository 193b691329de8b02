"""The cluster as the course hands it out: what a learner finds, and what happens when nodes reboot."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack

from lab.nodes.shell import Console
from tests.integration.conftest import Lab, wait_until

FILES = "dynamic_hosts,passwd,group,shadow,munge.key,network"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def login_mac(lab: Lab) -> str:
    environment = lab.on("sms", "cat /etc/rackling/cluster.json")
    found = re.search(r'"name":"login".*?"mac":"([0-9a-f:]{17})"', environment)
    assert found
    return found[1]


def test_compute_nodes_are_idle_and_login_loops(lab: Lab) -> None:
    assert lab.states() == {"c1": "idle", "c2": "idle", "g1": "idle", "g2": "idle"}
    status = lab.status()
    assert status["login"]["stage"] == "pxe"
    assert "registered?" in status["login"]["evidence"]
    console = lab.command("console", "login", "-n", "40").stdout
    assert login_mac(lab) in console


def test_jobs_run_over_two_nodes_and_on_a_gpu(lab: Lab) -> None:
    assert sorted(lab.on("sms", "cd && srun -N2 hostname", user="user1").split()) in (
        ["c1", "c2"],
        ["c1", "g1"],
    )
    seen = lab.on(
        "sms", "cd && srun -w g1 --gres=gpu:1 sh -c 'echo CUDA=$CUDA_VISIBLE_DEVICES'", user="user1"
    )
    assert "CUDA=0" in seen
    both = lab.on(
        "sms", "cd && srun -w g2 --gres=gpu:2 sh -c 'echo CUDA=$CUDA_VISIBLE_DEVICES'", user="user1"
    )
    assert "CUDA=0,1" in both


def test_batch_job_writes_to_the_shared_home(lab: Lab) -> None:
    lab.on("sms", "cd && sbatch -W --wrap 'hostname; id -un' -o out.txt", user="user1")
    assert lab.on("sms", "cat out.txt", user="user1").split()[1] == "user1"


def test_a_node_looks_as_the_course_shows_it(lab: Lab) -> None:
    df = lab.on("c1", "df -h")
    assert re.search(r"^172\.16\.0\.1:/home\s", df, re.MULTILINE)
    assert re.search(r"^172\.16\.0\.1:/opt/ohpc/pub\s", df, re.MULTILINE)
    for path in ("/", "/dev/shm"):
        seen = lab.on("c1", f"df --output=source,fstype,size {path} | tail -n 1").split()
        assert seen == ["tmpfs", "tmpfs", str(512 * 1024)], path
    # systemd must know it as a network file system from the first moment: else a boot may stand still.
    for path in ("/home", "/opt/ohpc/pub"):
        assert lab.on("c1", f"findmnt -no FSTYPE {path}").strip() == "fuse.nfs4"
    assert lab.on("c1", "hostname").strip() == "c1"
    assert "172.16.0.2" not in lab.on("c1", "cat /etc/hosts")
    assert "172.16.1.2" in lab.on("c1", "getent hosts c2")
    assert lab.on("sms", "munge -n | ssh c1 unmunge | grep STATUS").split()[1] == "Success"


def test_names_that_do_not_exist_are_refused_at_once(lab: Lab) -> None:
    seen = lab.on("c1", "time -p getent hosts no-such-name; echo status=$?", check=False)
    assert "status=2" in seen or "status=1" in seen


def test_users_may_not_log_in_to_a_node_without_a_job(lab: Lab) -> None:
    refused = lab.on("sms", "ssh c1 true", user="user1", check=False)
    assert "Access denied: user user1 (uid=1001) has no active jobs on this node." in refused


def test_printing_needs_no_sudo_and_changing_does(lab: Lab) -> None:
    assert "c1" in lab.on("sms", "wwsh node list", user="user1")
    refused = lab.on("sms", "wwsh node new x1 --netdev eth0", user="user1", check=False)
    assert "ERROR" in refused
    assert "x1" not in lab.on("sms", "wwsh node list -1", user="user1")


def test_a_login_has_no_right_to_the_hosts_clock(lab: Lab) -> None:
    assert "not permitted" in lab.on("sms", "date -s '2001-01-01' 2>&1", check=False)
    inside = lab.on("c1", "grep CapBnd /proc/self/status").split()[1]
    first = lab.on("c1", "grep CapBnd /proc/1/status").split()[1]
    assert inside == first
    assert not int(inside, 16) & 1 << 25  # CAP_SYS_TIME


def test_a_reboot_unasked_leaves_the_node_down(lab: Lab) -> None:
    before = float(lab.on("c1", "cut -d' ' -f1 /proc/uptime"))
    boot = lab.on("c1", BOOT_ID)
    lab.on("sms", "ssh c1 reboot", check=False)
    wait_until(lambda: lab.states()["c1"].startswith("down"), 30, "c1 down in sinfo")
    reason = lab.on("sms", "scontrol show node c1")
    assert "Reason=Node unexpectedly rebooted" in reason
    assert float(lab.on("c1", "cut -d' ' -f1 /proc/uptime")) < before + 30
    assert lab.on("c1", BOOT_ID) not in (boot, lab.on("c2", BOOT_ID)), "a boot has a number of its own"
    lab.on("sms", "scontrol update nodename=c1 state=resume")
    wait_until(
        lambda: lab.states()["c1"] == "idle",
        15,
        "c1 idle",
        lambda: lab.on("sms", "scontrol show node c1; tail -n 20 /var/log/slurm/slurmctld.log"),
    )


def test_scontrol_reboot_brings_a_node_back_without_a_hand(lab: Lab) -> None:
    lab.on(
        "sms",
        "echo 'RebootProgram=\"/sbin/shutdown -r now\"' >>/etc/slurm/slurm.conf && scontrol reconfigure",
    )
    boot = lab.on("c2", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
    lab.on("sms", "scontrol reboot ASAP nextstate=RESUME c2")
    wait_until(lambda: "REBOOT" in lab.on("sms", "scontrol show node c2"), 10, "c2 asked to reboot")
    wait_until(lambda: lab.states()["c2"] == "idle", 45, "c2 idle again by itself")
    assert lab.on("c2", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1") != boot


def test_poweroff_stays_off_until_power_on(lab: Lab) -> None:
    lab.on("sms", "ssh g2 poweroff", check=False)
    wait_until(lambda: lab.status()["g2"]["power"] == "off", 20, "g2 off")
    lab.command("power", "on", "g2")
    wait_until(lambda: lab.states()["g2"] == "idle", 30, "g2 idle")


def test_shells_left_open_hold_up_no_reboot(lab: Lab) -> None:
    enter = ["docker", "exec", "-it", f"rackling-{lab.name}-g1", "/chassis/enter", "root", "/bin/sh"]
    with ExitStack() as open_shells:
        for _ in range(4):
            assert open_shells.enter_context(Console(enter)).run("test -t 1").ok
        asked = lab.on("sms", "ssh g1 reboot; echo status $?", check=False)
        wait_until(
            lambda: lab.states()["g1"].startswith("down"),
            60,
            "g1 back, which takes Slurm by surprise",
            lambda: (
                asked + lab.on("g1", "uptime -s; journalctl -n 30 --no-pager; systemctl list-jobs; ps axf")
            ),
        )
    lab.on("sms", "scontrol update nodename=g1 state=resume")
    wait_until(lambda: lab.states()["g1"] == "idle", 15, "g1 idle")


def test_a_plug_pulled_takes_the_packet_filter_with_it(lab: Lab) -> None:
    drop = "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }"
    chassis = ["docker", "exec", f"rackling-{lab.name}-g2", "nft"]
    subprocess.run([*chassis, drop], check=True, timeout=20)
    lab.command("power", "reset", "g2")
    wait_until(lambda: lab.states()["g2"] == "idle", 30, "g2 idle")


def test_up_again_changes_nothing(lab: Lab) -> None:
    boots = lab.on("sms", "stat -c %Y /proc/1")
    lab.command("up")
    assert lab.on("sms", "stat -c %Y /proc/1") == boots


def test_login_boots_once_it_is_registered(lab: Lab) -> None:
    mac = login_mac(lab)
    lab.on(
        "sms", f"sudo wwsh -y node new login --netdev eth0 --ipaddr=172.16.0.2 --hwaddr={mac}", user="user1"
    )
    lab.on(
        "sms",
        f"sudo wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files={FILES}",
        user="user1",
    )
    wait_until(
        lambda: lab.on("sms", "ssh login true 2>&1; echo $?", check=False).split()[-1] == "0", 40, "ssh login"
    )
    assert lab.on("sms", "sudo ssh login hostname", user="user1").strip() == "login"


def test_sinfo_on_login_fails_with_the_words_of_the_course(lab: Lab) -> None:
    seen = lab.on("login", "timeout 20 sinfo", user="user1", check=False)
    for words in (
        "resolve_ctls_from_dns_srv: res_nsearch error: Unknown host",
        "fetch_config: DNS SRV lookup failed",
        "failed to fetch config",
        "Could not establish a configuration source",
    ):
        assert words in seen
    assert "Unable to determine this slurmd's NodeName" in lab.on(
        "login", "journalctl -u slurmd", check=False
    )

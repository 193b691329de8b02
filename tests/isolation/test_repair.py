"""What `lab reset NODE` repairs: shared folders whose server died, and nodes that take no jobs."""

from __future__ import annotations

import pytest

from tests.cases.conftest import Lab
from tests.isolation.conftest import inside


def run(lab: Lab, node: str, script: str) -> str:
    """What a script of root's prints on a node; it must succeed."""
    status, text = lab.on(node, script)
    assert status == 0, text
    return text.strip()


def reset(lab: Lab, node: str) -> str:
    """Resets a node; what the command said."""
    done = lab.run("reset", "-y", node)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    return said


def state(lab: Lab, node: str) -> str:
    return run(lab, "sms", f"sinfo -h -n {node} -o %T | head -n 1")


@pytest.mark.parametrize(
    "signal",
    [
        pytest.param("KILL", marks=pytest.mark.quick),  # as when the kernel kills it for lack of memory
        "STOP",  # the mount is there, and nobody answers
    ],
)
def test_a_shared_folder_whose_server_died_comes_back(one: Lab, signal: str) -> None:
    users = run(one, "c1", "ls /home")
    assert "user1" in users
    kill = f'kill -{signal} $(grep -lsa "[/]shared/home" /proc/[0-9]*/cmdline | cut -d/ -f3)'
    inside(one, "c1", kill)
    assert one.on("c1", "sleep 2; timeout -s KILL 5 ls /home/.")[0] != 0
    assert "c1 is ready again" in reset(one, "c1")
    assert run(one, "c1", "ls /home") == users
    assert run(one, "c1", "df --output=source /home | tail -n 1") == "172.16.0.1:/home"
    assert run(one, "c1", "ls /opt/ohpc/pub") == run(one, "c2", "ls /opt/ohpc/pub")


def test_a_reset_returns_its_node_into_service_and_no_other(one: Lab) -> None:
    # As a health check does it on the node, and as an operator does (our nhc resumes what it drained itself).
    run(one, "c1", 'scontrol update nodename=c1 state=drain reason="health check: no memory"')
    run(one, "sms", 'scontrol update nodename=c2 state=drain reason="broken fan"')
    assert one.run("power", "reset", "c1").returncode == 0
    assert state(one, "c1") == "drained", "the power button alone leaves it so"
    assert "it was reset, and had been drained (health check: no memory)" in reset(one, "c1")
    assert (state(one, "c1"), state(one, "c2")) == ("idle", "drained")
    assert "it was reset, and had been drained (broken fan)" in reset(one, "c2")
    assert state(one, "c2") == "idle"


def test_a_node_that_slurm_drained_goes_back_as_well(one: Lab) -> None:
    epilog = "Epilog=/tmp/epilog"
    run(one, "c1", "printf '#!/bin/sh\\nexit 1\\n' >/tmp/epilog; chmod 755 /tmp/epilog")
    conf = run(one, "sms", "cat /etc/slurm/slurm.conf")
    try:
        run(one, "sms", f"echo {epilog} >>/etc/slurm/slurm.conf; scontrol reconfigure; sleep 2")
        run(
            one,
            "sms",
            "srun -w c1 true; timeout 30 sh -c 'until scontrol show node c1 | grep DRAIN; do sleep 1; done'",
        )
        assert "Epilog error" in run(one, "sms", "scontrol show node c1")
    finally:
        run(one, "sms", "sed -i '/^Epilog=/d' /etc/slurm/slurm.conf; scontrol reconfigure; sleep 2")
    assert run(one, "sms", "cat /etc/slurm/slurm.conf") == conf
    assert "(Epilog error)" in reset(one, "c1")
    assert state(one, "c1") == "idle"

"""What guides for Warewulf 3 and OpenHPC have people type on a head node, and what must come of it."""

from __future__ import annotations

import re

import pytest

from tests.cases.conftest import Lab

pytestmark = pytest.mark.engine

CONF = "/etc/warewulf/bootstrap.conf"
BUILD = "wwbootstrap $(uname -r) -o /tmp/case.img"
KEEP = f"cp -p {CONF} /root/case.conf; trap 'mv /root/case.conf {CONF}; rm -f /tmp/case.img' EXIT\n"


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        pytest.param("wwinit ssh_keys", "", id="keys on a lab as made"),
        pytest.param(
            "ln -sfn /nonexistent /tmp/case; trap 'wwsh -yq file delete case; rm /tmp/case' EXIT\n"
            "wwsh -y file import /tmp/case --name=case && wwsh file list",
            r"^case .*/tmp/case",
            id="a link that leads nowhere",
        ),
        pytest.param(
            "trap 'wwsh -yq file delete case' EXIT\n"
            "wwsh -y file import /etc/hostname --name=case --origin=UNDEF && wwsh file print case",
            r"ORIGIN *= UNDEF",
            id="a file without an origin",
        ),
        pytest.param(
            "trap 'wwsh -y node set g2 --enabled=1' EXIT\n"
            "wwsh -y node set g2 --enabled=true && wwsh node print g2",
            r"ENABLED *= TRUE",
            id="enabled=true",
        ),
        pytest.param(
            "wwsh -y node set g2 --cluster=alpha && wwsh -y node set g2 --cluster=undef\nwwsh node print g2",
            r"CLUSTER *= UNDEF",
            id="undef in small letters",
        ),
        pytest.param(
            "trap 'wwsh -y node set g2 -D eno1 --netdel' EXIT\n"
            "wwsh -y node set g2 --netdev=eno1 --ipaddr=10.2.2.2 --netmask= --gateway= --hwaddr=\n"
            "wwsh node print g2",
            r"eno1\.NETMASK *= UNDEF",
            id="options left empty",
        ),
        pytest.param("wwsh -qy node list g2", r"^g2 ", id="bundled flags"),
        pytest.param(
            "trap 'wwsh -y node set g2 --groups=UNDEF' EXIT\n"
            "wwsh -y object modify -s groups=a,b -t node g2 && wwsh node list -l groups b",
            r"^g2 ",
            id="a list for object modify",
        ),
        pytest.param(
            "trap 'wwsh -y node set g2 --groupdel=case' EXIT\n"
            "wwsh -y node set g2 --groupadd=case && wwsh object print -l groups case",
            r"^g2",
            id="objects by any key",
        ),
        pytest.param(
            "wwsh -y provision set g2 --bootlocal=N && wwsh provision print g2", "", id="bootlocal=N"
        ),
        pytest.param(
            KEEP + f'printf "drivers += ext4\\n  drivers += xfs\\n" >{CONF}\n{BUILD}',
            r"drivers included in bootstrap: 6$",
            id="a blank before a key",
        ),
        pytest.param(
            KEEP + f'printf "drivers += ext4, %s\\n   xfs\\n" "\\\\" >{CONF}\n{BUILD}',
            r"drivers included in bootstrap: 6$",
            id="a line continued",
        ),
    ],
)
def test_the_head_node_does_as_warewulf_does(lab: Lab, script: str, wanted: str) -> None:
    status, told = lab.on("sms", script)
    assert status == 0, told
    assert re.search(wanted, told, flags=re.MULTILINE), told


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("wwsh -y node set case --name=UNDEF", "define the name", id="renamed to UNDEF"),
        pytest.param("wwsh -y node set case --name=a.b.c", "a.b.c", id="renamed to a dotted name"),
        pytest.param(
            "wwsh -y node set case --netdev nosuch0 --netrename eth5", "nosuch0", id="no such device"
        ),
        pytest.param(f"{BUILD} --config=/tmp/nosuch.conf", "nosuch.conf", id="no such configuration"),
        pytest.param(
            "C=/opt/ohpc/admin/images/debian13; trap 'rm -f $C/opt/huge' EXIT\n"
            "truncate -s 5G $C/opt/huge; wwvnfs debian13 -o /tmp/case.img",
            "opt/huge",
            id="a file too large for an image",
        ),
    ],
)
def test_the_head_node_refuses_with_the_reason(lab: Lab, script: str, said: str) -> None:
    lab.on("sms", "wwsh -y node new case -D eth0")
    before = lab.on("sms", "wwsh node print; wwsh provision print")
    status, told = lab.on("sms", script)
    after = lab.on("sms", "wwsh node print; wwsh provision print")
    lab.on("sms", "wwsh -yq node delete case UNDEF a.b.c; rm -f /tmp/case.img")
    assert status != 0, told
    assert said in told
    assert "Traceback" not in told
    assert after == before


@pytest.mark.parametrize(
    "program", ["wwnodescan", "wwmkchroot", "wwlivesync", "wwconfig", "wwsh ipmi", "nhc-genconf"]
)
def test_programs_of_guides_are_there_or_say_what_to_use(lab: Lab, program: str) -> None:
    status, told = lab.on("c1" if program == "nhc-genconf" else "sms", f"{program} --help")
    assert status != 127, told
    assert told.strip()
    assert "Traceback" not in told


def test_siphon_replaces_a_folder_that_refuses_writing(lab: Lab) -> None:
    status, token = lab.on("sms", "scontrol token lifespan=600 username=user1")
    assert status == 0, token
    script = (
        f"export SLURM_JWT={token.strip().partition('=')[2]}; cd\n"
        "mkdir case; echo x >case/foreign; chmod 555 case; siphon -q -o case sms\n"
        "chmod 755 case; rm -rf case; siphon -o case sms; echo status=$?; rm -rf case; ls -A"
    )
    done = lab.run("shell", "-u", "user1", "client", "--", "bash", "-c", script)
    told = done.stdout.decode()
    assert "status=0" in told, told + done.stderr.decode()
    assert ".siphon" not in told

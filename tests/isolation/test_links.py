"""Links that root leaves on a disk or in a shared folder lead nothing into a chassis; nodes boot for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from lab.backends.docker.engine import container_name
from tests.cases.conftest import Lab
from tests.isolation.conftest import inside, remake
from tests.isolation.test_chassis import firmware

PLANTED = """
umount --lazy /%(path)s && rmdir /%(path)s && ln -s /chassis /%(path)s || exit
for program in firmware boot newroot enter; do
    printf '#!/bin/sh\\n: >/chassis/state/replaced\\nexec sleep 1000\\n' >%(shared)s/$program
    chmod 755 %(shared)s/$program
done
"""
"""Makes a link to the chassis of a folder on a disk, and has programs in what is mounted there."""


def is_planted(lab: Lab, node: str, path: str) -> None:
    """Has a node leave the link; its programs lie on shared storage, which other nodes hold, too."""
    shared = f"/run/shared/{path}"
    hold = f"mkdir -p {shared} && mount --bind /{path} {shared} || exit; "
    status, text = lab.on(node, hold + PLANTED % {"path": path, "shared": shared})
    assert (status, text) == (0, "")


def said(lab: Lab, node: str) -> str:
    return lab.run("console", node).stdout.decode(errors="replace")


def wait_until_said(lab: Lab, node: str, line: str) -> None:
    for _ in range(100):
        if line in said(lab, node):
            return
        time.sleep(0.3)
    pytest.fail(said(lab, node)[-2000:])


@pytest.fixture
def back_at_the_handout(one: Lab) -> Iterator[Lab]:
    """The lab, whose SMS gets its first disk again."""
    yield one
    done = one.run("restore", "handout", "-y")
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert one.on("sms", "mountpoint -q /opt/ohpc/pub && ls -d /opt/ohpc/pub/software")[0] == 0


def test_a_link_on_the_disk_of_the_sms_has_no_volume_mounted_over_its_chassis(
    back_at_the_handout: Lab,
) -> None:
    """The engine would follow it at the next start of the container, and the boot program at each boot."""
    lab = back_at_the_handout
    before = firmware(lab, "sms")
    is_planted(lab, "sms", "opt/ohpc/pub")
    container = container_name(lab.name, "sms")
    subprocess.run(["docker", "restart", "--time", "1", container], check=True, capture_output=True)
    wait_until_said(lab, "sms", "/opt/ohpc/pub is not a folder")
    assert firmware(lab, "sms") == before
    assert inside(lab, "sms", "ls /chassis/state; cat /run/chassis/node/stage").split()[0] == "power"


def test_a_link_on_the_disk_of_a_client_has_no_shared_folder_mounted_over_its_chassis(one: Lab) -> None:
    before = firmware(one, "client")
    is_planted(one, "client", "home")
    inside(one, "client", "/chassis/power cycle")  # `lab power` would wait until it is up
    wait_until_said(one, "client", "/home is not a folder")
    assert firmware(one, "client") == before
    assert inside(one, "client", "ls /chassis/state").split() == ["power"]
    remake(one, "client")
    one.on("sms", "rm /home/firmware /home/boot /home/newroot /home/enter")


HELD = """
cd /home/swapped || exit
: >../held
until [ -e ../replaced ]; do sleep 0.1; done
for name in firmware power ../chassis/firmware; do cat $name >/dev/null 2>&1 && echo "read $name"; done
(echo '#' >>firmware) 2>/dev/null && echo wrote
(: >of_a_node) 2>/dev/null && echo made
ls 2>/dev/null | head -3
"""
REPLACED = """
mkdir /home/swapped && : >/home/swapped/own && rm -f /home/held /home/replaced
(until [ -e /home/held ]; do sleep 0.1; done
    mv /home/swapped /home/former && ln -s /chassis /home/swapped && : >/home/replaced) >/dev/null 2>&1 &
"""


@pytest.mark.parametrize("node", ["c1", "client"])
def test_a_link_in_place_of_an_open_folder_leads_no_server_into_the_chassis(one: Lab, node: str) -> None:
    """The server of a shared folder finds files by path, and the head node changes what lies on it."""
    before = firmware(one, node)
    assert one.on("sms", REPLACED) == (0, "")
    try:
        status, text = one.on(node, HELD)
        assert (status, text) == (0, "")
        assert firmware(one, node) == before
        assert inside(one, node, "ls /chassis/of_a_node || true") == ""
    finally:
        one.on("sms", "rm -rf /home/swapped /home/former /home/held /home/replaced")

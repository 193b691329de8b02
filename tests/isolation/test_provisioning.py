"""What the head node gives to whom: images to root on their nodes, answers to the card that asks."""

from __future__ import annotations

import re

import pytest

from tests.cases.conftest import Lab

MASTER = "172.16.0.1"
C2 = "172.16.1.2"
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups"
STATUS = f"curl -s -o /dev/null --max-time 20 -w '%{{http_code}}\\n' http://{MASTER}"
ROOTS = "--local-port 100-1023"
IDLE_SECONDS = 10.0
SLOW_SECONDS = 30
"""How long nginx waits for a request, and for a client that takes nothing (nginx.conf)."""


def run(lab: Lab, node: str, script: str) -> str:
    """What a script of root's prints on a node; it must succeed."""
    status, text = lab.on(node, script)
    assert status == 0, text
    return text.strip()


def image(lab: Lab) -> str:
    """The path of the image that all nodes have."""
    name = run(lab, "sms", "cd /srv/warewulf/vnfs && ls -t debian13/image.* | head -n 1")
    return f"/WW/vnfs_cache/{name}"


def mac(lab: Lab, node: str) -> str:
    return run(lab, node, "cat /sys/class/net/eth0/address")


@pytest.mark.quick
def test_users_get_no_image_whose_name_they_know(one: Lab) -> None:
    path = image(one)
    assert re.fullmatch(r"/WW/vnfs_cache/debian13/image\.[0-9a-f]{32}", path)
    inside = path.removeprefix("/WW/vnfs_cache")
    script = f"""
    {NOBODY} {STATUS}{path} -I
    {STATUS}{path} -I {ROOTS}
    {STATUS}/vnfs_images{inside} {ROOTS}
    {STATUS}/WW/vnfs_cache/../../vnfs_images{inside} --path-as-is {ROOTS}"""
    assert run(one, "c1", script).split() == ["403", "200", "404", "404"]
    assert run(one, "sms", f"{STATUS}{path} -I {ROOTS}") == "403", "the SMS is no node of its own"


@pytest.mark.quick
def test_a_node_does_not_ask_for_another(one: Lab) -> None:
    own, theirs = mac(one, "c1"), mac(one, "c2")
    script = "".join(
        f"""
        {STATUS}'/WW/{what}hwaddr={theirs}' {ROOTS}
        {NOBODY} {STATUS}'/WW/{what}hwaddr={own}'
        {STATUS}'/WW/{what}hwaddr={own}' {ROOTS}"""
        for what in ("nodeconfig?", "file?", "vnfs?", "script?type=pre&")
    )
    answers = run(one, "c1", script).split()
    assert answers[0::3] == ["403"] * 4, "for another node"
    assert answers[1::3] == ["403"] * 4, "a user of the node"
    assert answers[2::3] == ["200", "200", "302", "200"]


def test_another_nodes_address_on_an_own_card_is_not_enough(one: Lab) -> None:
    ask = f"{STATUS}'/WW/nodeconfig?hwaddr={mac(one, 'c2')}' {ROOTS} --interface {C2}"
    assert run(one, "c2", f"{ask}; ip link set eth0 down") == "200"
    try:
        run(one, "sms", f"ip neigh flush to {C2}")
        assert run(one, "c1", f"ip addr add {C2}/16 dev eth0; {ask}; ip addr del {C2}/16 dev eth0") == "403"
    finally:
        run(one, "sms", f"ip neigh flush to {C2}")
        again = one.run("reset", "-y", "c2")
    assert again.returncode == 0, again.stderr.decode(errors="replace")


@pytest.mark.parametrize("said", ["", "GET /packages/ HTTP/1.0\\r\\nHost: "])
def test_who_asks_nothing_is_cut_off(one: Lab, said: str) -> None:
    script = f"""exec 3<>/dev/tcp/{MASTER}/80; SECONDS=0; printf '{said}' >&3
    timeout 60 cat <&3 >/dev/null 2>&1; echo $SECONDS"""
    assert IDLE_SECONDS - 2 <= float(run(one, "c1", script)) < 4 * IDLE_SECONDS


def test_who_takes_nothing_is_cut_off(one: Lab) -> None:
    script = f"""curl -s -o /dev/null --limit-rate 1M {ROOTS} http://{MASTER}{image(one)} &
    sleep 2; kill -STOP $!; sleep {SLOW_SECONDS + 10}; kill -CONT $!; wait $!; echo $?"""
    assert run(one, "c1", script) == "56", "curl's status for a connection that was reset"


def test_users_do_not_take_the_places_of_root(one: Lab) -> None:
    big = run(one, "sms", "cd /srv/warewulf && ls bootstrap/*/*/initfs.gz | head -n 1")
    own = f"{STATUS}'/WW/nodeconfig?hwaddr={mac(one, 'c1')}' {ROOTS}"
    script = f"""cat >/tmp/many <<'END'
    for i in $(seq 12); do {STATUS}/WW/{big} --limit-rate 10k & done; wait
END
    {NOBODY} sh /tmp/many >/tmp/held &
    sleep 5; {own}; wait; sort /tmp/held | uniq -c"""
    roots, *users = run(one, "c1", script).splitlines()
    assert roots == "200"
    assert [line.split() for line in users] == [["8", "200"], ["4", "429"]]

"""wwserver: what nodes may ask, and who else may not (warewulf3.md, section 15.3)."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf import server
from lab.guest.warewulf.handlers import Request, Response, handle_request
from lab.guest.warewulf.model import Kind, Record
from tests.guest import conftest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

MAC = "52:54:00:00:00:01"
ADDRESS = "172.16.1.1"
IMAGE = "vnfs_cache/debian13/image.c0ffee"
NEIGHBOURS = f"""\
IP address       HW type     Flags       HW address            Mask     Device
{ADDRESS}       0x1         0x2         {MAC}     *        eth1
172.16.1.2       0x1         0x2         52:54:00:00:00:02     *        eth1
172.16.1.3       0x1         0x0         00:00:00:00:00:00     *        eth1
"""
"""/proc/net/arp of an SMS whose nodes have booted, and of which a third does not answer."""


@pytest.fixture
def served(sms: Sms) -> Sms:
    """c1 with three files, another node's file, and a VNFS with its image."""
    sms.write("/etc/plain", "for %{NODENAME}\n", 0o640)
    sms.write("/etc/key", b"\0%{NODENAME}", 0o400)
    sms.write("/etc/other", "not for c1")
    sms.path("/etc/folder").mkdir()
    for name in ("plain", "key", "other", "folder"):
        sms.must("file", "import", f"/etc/{name}", "--uid=0", "--gid=7")
    store = sms.store()
    with store.transaction():
        store.add(Record(Kind.VNFS, {"NAME": "debian13", "ARCH": "x86_64", "CHECKSUM": "c0ffee"}))
    store.close()
    sms.write("/srv/warewulf/vnfs/debian13/image.c0ffee", "image")
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", ADDRESS)
    sms.must("node", "new", "c2", "-D", "eth0", "-H", "52:54:00:00:00:02", "-I", "172.16.1.2")
    sms.must("provision", "set", "c1", "--vnfs=debian13", "--files=plain,key,folder")
    sms.must("provision", "set", "c2", "--files=other")
    sms.write("/proc/net/arp", NEIGHBOURS)
    return sms


def ask(sms: Sms, path: str, address: str = ADDRESS, port: int = 700, **query: str) -> Response:
    store = sms.store()
    try:
        return handle_request(
            sms.system, store, Request(f"/WW/{path}", {"hwaddr": MAC, **query}, address, port)
        )
    finally:
        store.close()


def number(sms: Sms, name: str) -> str:
    store = sms.store()
    record = store.named(Kind.FILE, name)
    store.close()
    assert record is not None
    return str(record.id)


@pytest.mark.parametrize("path", ["nodeconfig", "vnfs", "file", "script"])
@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({"port": 1024}, 403),
        ({"port": 0}, 403),
        ({"port": 40000}, 403),
        ({"address": "172.16.1.2"}, 403),
        ({"address": ""}, 403),
        ({"hwaddr": "x"}, 400),
        ({"hwaddr": ""}, 400),
        ({"hwaddr": "52:54:00:00:00:01' OR 1"}, 400),
    ],
)
def test_no_before_anything_else(served: Sms, path: str, who: dict[str, str], status: int) -> None:
    reply = ask(served, path, **who)  # type: ignore[arg-type]
    assert (reply.status, reply.body) == (status, b"")


def test_a_disabled_node_is_refused(served: Sms) -> None:
    served.must("node", "set", "c1", "--enabled=0")
    assert ask(served, "nodeconfig").status == 403


def test_an_unknown_node_gets_an_empty_configuration_and_nothing_else(served: Sms) -> None:
    unknown = "52:54:00:00:00:09"
    assert ask(served, "nodeconfig", hwaddr=unknown) == Response(200)
    assert ask(served, "file", hwaddr=unknown).status == 404
    assert ask(served, "nothing").status == 404


def test_the_configuration_names_node_and_image(served: Sms) -> None:
    text = ask(served, "nodeconfig", hwaddr=MAC.upper()).body.decode()
    assert 'WWNODENAME="c1"\nexport WWNODENAME\n' in text
    assert 'WWVNFS_NAME="debian13"' in text
    assert 'WWVNFS_CHECKSUM="c0ffee"' in text
    assert f'WW_NETDEVLIST="eth0={ADDRESS}"' in text


def test_the_image_is_elsewhere(served: Sms) -> None:
    assert ask(served, "vnfs") == Response(302, location="/WW/vnfs_cache/debian13/image.c0ffee")
    served.path("/srv/warewulf/vnfs/debian13/image.c0ffee").unlink()
    assert ask(served, "vnfs").status == 404
    assert ask(served, IMAGE).status == 404


def test_nginx_sends_the_image_itself(served: Sms) -> None:
    assert ask(served, IMAGE) == Response(200, file="/vnfs_images/debian13/image.c0ffee")


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ({"port": 1024}, 403),  # a user of the node
        ({"port": 40000}, 403),
        ({"address": "172.16.1.2"}, 403),  # a node without this VNFS
        ({"address": "172.16.1.3"}, 403),  # nobody's address
        ({"address": "172.16.0.1"}, 403),  # a user of the SMS itself
        ({"address": ""}, 403),
    ],
)
def test_an_image_is_for_the_roots_of_its_nodes(served: Sms, who: dict[str, str], status: int) -> None:
    reply = ask(served, IMAGE, **who)  # type: ignore[arg-type]
    assert reply == Response(status)


@pytest.mark.parametrize("name", ["../debian13", ".debian13", "debian13/x", "", "%64ebian13"])
def test_only_names_of_images_are_images(served: Sms, name: str) -> None:
    assert ask(served, f"vnfs_cache/{name}/image.c0ffee").status == 404
    assert ask(served, "vnfs_cache/debian13/image.c0ffee\n").status == 404
    assert ask(served, "vnfs_cache/debian13/.import.1.new").status == 404


def test_a_node_may_finish_with_an_image_that_was_replaced(served: Sms) -> None:
    served.write("/srv/warewulf/vnfs/debian13/image.beef", "a newer image")
    with closing(served.store()) as store, store.transaction():
        vnfs = store.named(Kind.VNFS, "debian13")
        assert vnfs is not None
        store.put(vnfs.put("CHECKSUM", "beef"))
    assert ask(served, IMAGE).status == 200


@pytest.mark.parametrize(
    ("table", "status"),
    [
        (NEIGHBOURS, 200),
        (NEIGHBOURS.replace(MAC, MAC.upper()), 200),
        (NEIGHBOURS.replace(MAC, "52:54:00:00:00:02"), 403),  # c2 has taken c1's address
        (NEIGHBOURS.replace(f"0x2         {MAC}", f"0x0         {MAC}"), 403),  # does not answer any more
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", ["nodeconfig", "file", IMAGE])
def test_the_card_must_be_the_nodes_too(served: Sms, path: str, table: str, status: int) -> None:
    served.write("/proc/net/arp", table)
    assert ask(served, path).status == status


def test_the_list_is_by_time_and_only_what_is_newer(served: Sms) -> None:
    lines = ask(served, "file").body.decode().splitlines()
    assert [line.split()[1] for line in lines] == ["plain", "key", "folder"]
    _, name, uid, gid, mode, timestamp, path = lines[0].split(" ")
    assert (name, uid, gid, mode, path) == ("plain", "0", "7", "0640", "/etc/plain")
    assert lines[2].split()[4].startswith("d0")
    newer = ask(served, "file", timestamp=timestamp).body.decode().splitlines()
    assert newer == lines[1:]
    assert ask(served, "file", timestamp=lines[2].split()[5]).body == b""
    assert ask(served, "file", timestamp="x").status == 400


def test_contents_are_filled_in_unless_binary(served: Sms) -> None:
    assert ask(served, "file", fileid=number(served, "plain")).body == b"for c1\n"
    assert ask(served, "file", fileid=number(served, "key")).body == b"\0%{NODENAME}"


def test_a_file_of_another_node_is_not_given(served: Sms) -> None:
    reply = ask(served, "file", fileid=number(served, "other"))
    assert (reply.status, reply.body) == (403, b"")
    assert ask(served, "file", fileid="9999").status == 404
    assert ask(served, "file", fileid="1;2").status == 400


def test_an_interpreter_makes_the_content(served: Sms) -> None:
    served.must("file", "set", "plain", "--interpreter=/bin/cat")
    assert ask(served, "file", fileid=number(served, "plain")).body == b"for c1\n"
    served.must("file", "set", "plain", "--interpreter=/bin/false")
    assert ask(served, "file", fileid=number(served, "plain")).status == 500


def test_scripts_are_shell_only(served: Sms) -> None:
    served.write("/etc/one", "#!/bin/sh\necho one\n")
    served.must("file", "import", "/etc/one")
    served.must("object", "modify", "c1", "-s", "PRESCRIPT=one", "-a", "PRESCRIPT=plain")
    assert ask(served, "script", type="pre").body == b"#!/bin/sh\necho one\n"
    assert ask(served, "script", type="post").body == b""
    assert ask(served, "script", type="x").status == 400


def test_a_path_that_no_line_can_hold_is_left_out(served: Sms) -> None:
    store = served.store()
    with store.transaction():
        record = store.named(Kind.FILE, "plain")
        assert record is not None
        store.put(record.put("PATH", "/etc/x\n1 shadow 0 0 0666 9 /etc/shadow"))
    store.close()
    assert b"shadow" not in ask(served, "file").body


# Over a socket


@pytest.fixture
def door(served: Sms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in this process; its socket's path is short."""
    path = str(tmp_path_factory.mktemp("s") / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    thread = threading.Thread(target=server.serve, args=(served.system, listener))
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=10)
    assert not thread.is_alive()


def talk(path: str, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(path)
        one.sendall(data)
        answered = b""
        while chunk := one.recv(65536):
            answered += chunk
        return answered


def get(path: str, target: str, method: str = "GET", address: str = ADDRESS, port: int = 700) -> bytes:
    head = f"{method} {target} HTTP/1.0\r\nX-Real-IP: {address}\r\nX-Real-Port: {port}\r\n\r\n"
    return talk(path, head.encode())


def test_http_as_nginx_speaks_it(door: str) -> None:
    reply = get(door, f"/WW/nodeconfig?hwaddr={MAC}")
    head, body = reply.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'WWNODENAME="c1"' in body
    assert b"\r\nLocation: /WW/vnfs_cache/debian13/image.c0ffee\r\n" in get(door, f"/WW/vnfs?hwaddr={MAC}")
    assert b"\r\nX-Accel-Redirect: /vnfs_images/debian13/image.c0ffee\r\n" in get(door, f"/WW/{IMAGE}")
    assert get(door, f"/WW/nodeconfig?hwaddr={MAC}", method="HEAD").endswith(b"\r\n\r\n")
    assert get(door, f"/WW/nodeconfig?hwaddr={MAC.replace(':', '%3A')}") == reply
    assert b" 403 " in get(door, f"/WW/file?hwaddr={MAC}", port=5000)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /WW/file HTTP/2.0\r\n\r\n", b"400"),
        (b"POST /WW/file HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /WW/file HTTP/1.1\r\nX-Real-Port: x\r\n\r\n", b"400"),
        (b"GET /WW/../../etc/shadow HTTP/1.1\r\nX-Real-Port: 5\r\n\r\n", b"404"),
        (b"GET /WW/file?" + b"a=b&" * 50 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"\xff\xfe\r\n\r\n", b"400"),
    ],
)
def test_nonsense_is_answered_and_the_server_lives(door: str, data: bytes, status: bytes) -> None:
    assert talk(door, data).split(b" ")[1] == status
    assert get(door, f"/WW/nodeconfig?hwaddr={MAC}").startswith(b"HTTP/1.1 200")


def test_a_head_without_end_is_cut_off(door: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(door)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            one.sendall(b"x" * 10_000_000)
    assert get(door, f"/WW/nodeconfig?hwaddr={MAC}").startswith(b"HTTP/1.1 200")


def test_a_client_that_says_nothing_keeps_nobody_waiting(door: str) -> None:
    idle = [socket.socket(socket.AF_UNIX) for _ in range(10)]
    for one in idle:
        one.connect(door)
    begun = time.monotonic()
    assert get(door, f"/WW/nodeconfig?hwaddr={MAC}").startswith(b"HTTP/1.1 200")
    assert time.monotonic() - begun < 5
    for one in idle:
        one.close()


def test_a_broken_store_is_our_error(door: str, served: Sms) -> None:
    served.path("/var/lib/warewulf/warewulf.db").write_bytes(b"not a database" * 100)
    assert b" 500 " in get(door, f"/WW/nodeconfig?hwaddr={MAC}")


def test_a_socket_passed_by_systemd_is_used(served: Sms, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        code = (
            "import os, sys\n"
            f"os.dup2({listener.fileno()}, 3)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
            "from lab.guest.main import main\n"
            "sys.exit(main(['wwserver']))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], env=conftest.environment(served), pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert b'WWNODENAME="c1"' in get(path, f"/WW/nodeconfig?hwaddr={MAC}")
            process.terminate()
            assert process.stderr is not None
            assert b" 200 " in process.stderr.read()
            assert process.wait(timeout=10) == 0


def test_our_own_socket_is_closed_to_others(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(str(sms.path(server.SOCKET))) > 100:
        monkeypatch.setattr(server, "SOCKET", "/s")
    with server.bound_socket(sms.system):
        assert sms.path(server.SOCKET).stat().st_mode & 0o777 == 0o660

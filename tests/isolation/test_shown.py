"""Hostile text and files on real nodes: they hang nothing, crash nothing, show no host, steer no terminal."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.boot_stage import UNREADABLE
from tests.cases.conftest import COMMAND, Lab
from tests.hostile_text import STRINGS, as_bytes, assert_harmless, assert_json
from tests.isolation.conftest import inside

NODE, FOLDER = "c1", "/run/chassis/node"
STAGE = f"{FOLDER}/stage"
PATIENCE = 20  # seconds a look may take; the engine's own limit is a minute
MARK = f"hostmark{os.getpid()}"
FORMS = {
    "a link to the host": f"ln -s /proc/2/root/tmp/{MARK} {STAGE}",
    "a link to the switch's own": f"ln -s /tmp/{MARK} {STAGE}",
    "a folder that is a link": f"mv {FOLDER} /run/aside; ln -s /proc/2/root/tmp/{MARK}.d {FOLDER}",
    "a pipe": f"mkfifo {STAGE}",
    "a device": f"mknod {STAGE} c 1 5",
    "a folder": f"mkdir {STAGE}",
    "a file of another file system": f"touch {STAGE}; mount --bind /proc/uptime {STAGE}",
    "no word": f"printf '\\033[2J\\n' >{STAGE}",
    "very long": f"head -c 1000000 /dev/zero | tr '\\0' A >{STAGE}",
}
DISCOVER = r"""
$name = substr(shift, 0, 60); $tag = sub { chr($_[0]) . chr(length $name) . $name };
socket(S, AF_INET, SOCK_DGRAM, 17); setsockopt(S, SOL_SOCKET, $_, 1) for SO_BROADCAST, SO_REUSEADDR;
bind(S, sockaddr_in(68, INADDR_ANY));
$head = pack("C4Nnn", 1, 1, 6, 0, 1, 0, 0x8000) . "\0" x 16 . pack("H12", "525400ffff01") . "\0" x 202;
$options = pack("H8", "63825363") . "\x35\x01\x01" . $tag->(12) . $tag->(60) . $tag->(77) . "\xff";
send(S, $head . $options, 0, sockaddr_in(67, inet_aton("255.255.255.255")));
"""
"""Asks for an address as a machine of that name and kind (RFC 2132, options 12, 60 and 77)."""
SAY = r"""
said=$(echo $1 | base64 -d); short=$(printf %.50s "$said" | tr / _)
hostname "$short"; logger -- "$said"; printf '%s\n' "$said" >/dev/console
touch -- "/root/strange/$short"; ln -s /etc/passwd "/root/strange/l$short"
systemd-run --unit="u$short" --description="$said" true
perl -MSocket /root/discover "$said"
timeout 5 ssh -o BatchMode=yes -o StrictHostKeyChecking=no "$short@sms" true
exec 3<>/dev/tcp/sms/80
printf 'GET /%s HTTP/1.0\r\nUser-Agent: %s\r\nHost: %s\r\n\r\n' "$said" "$said" "$said" >&3; timeout 2 cat <&3
"""
"""Says one string wherever root in a node can: names, journals, console, files, units, DHCP, ssh and HTTP."""
BACK = (
    f"umount {STAGE} 2>/dev/null; if [ -d /run/aside ]; then rm {FOLDER}; mv /run/aside {FOLDER}; fi;"
    f"rm -rf {STAGE}; mv {STAGE}.kept {STAGE}"
)


def encoded(said: bytes) -> str:
    """Bytes without zeros, which no argument can have, as a word that passes every shell."""
    return base64.b64encode(said.replace(b"\0", b"")).decode()


def look(lab: Lab, *words: str) -> tuple[str, str]:
    """Both outputs of a command, which may fail but must not hang."""
    done = lab.run(*words, timeout=120)
    return done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def marked() -> Iterator[None]:
    """A file and a folder of the host that nobody in a lab may see."""
    file, folder = Path(f"/tmp/{MARK}"), Path(f"/tmp/{MARK}.d")
    file.write_text(f"{MARK} 1\n")
    folder.mkdir()
    (folder / "stage").write_text(f"{MARK} 1\n")
    yield
    file.unlink()
    (folder / "stage").unlink()
    folder.rmdir()


@pytest.mark.quick
@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("form", FORMS)
def test_a_stage_that_is_no_line_of_text_is_unreadable_and_nothing_else(one: Lab, form: str) -> None:
    inside(one, NODE, f"cp {STAGE} {STAGE}.kept; rm {STAGE}; {FORMS[form]}")
    try:
        began = time.monotonic()
        out, told = look(one, "status")
        assert time.monotonic() - began < PATIENCE
    finally:
        inside(one, NODE, BACK)
    assert MARK not in out + told
    assert UNREADABLE in row_of(out)
    assert_harmless(out)
    assert_harmless(told)


def test_a_file_system_that_never_answers_holds_nobody_up(one: Lab) -> None:
    mount = "mount -i -t fuse silent /run -o fd=3,rootmode=40000,user_id=0,group_id=0"
    silent = f"(exec 3<>/dev/fuse; {mount}; sleep 12; exec 3<&-; umount -l /run) >/dev/null 2>&1 & sleep 0.5"
    inside(one, NODE, silent)
    began = time.monotonic()
    seen = [row_of(look(one, "status")[0])]
    assert time.monotonic() - began < PATIENCE
    while UNREADABLE in seen[-1]:
        assert time.monotonic() - began < 60
        time.sleep(1)
        seen.append(row_of(look(one, "status")[0]))
    assert "does not answer" in seen[0]


def row_of(shown: str, node: str = NODE) -> str:
    """A node's line of `lab status`."""
    return next(line for line in shown.splitlines() if line.startswith(f"{node} "))


def test_a_ready_file_that_is_no_json_is_said_in_words(one: Lab) -> None:
    texts = ('{"result": "\\ud800"}', "[" * 200_000, '{"result": ' + "9" * 5000 + "}", "A" * 80_000_000)
    try:
        one.on("sms", "cp -p /run/rackling/ready /run/rackling/kept")
        for text in texts:
            script = (
                f"perl -e 'print \"{text[0]}\" x {len(text)}'" if len(set(text)) == 1 else f"echo '{text}'"
            )
            one.on("sms", f"{script} >/run/rackling/ready")
            out, told = look(one, "status")
            assert_harmless(out)
            assert_harmless(told)
            assert "unknown" in row_of(out, "sms")
    finally:
        one.on("sms", "mv /run/rackling/kept /run/rackling/ready")


@pytest.mark.quick
def test_a_description_of_any_size_costs_little(one: Lab, tmp_path: Path) -> None:
    place = "/etc/rackling/cluster.json"
    one.on("sms", f"cp -p {place} {place}.kept; truncate -s 200M {place}")
    try:
        with (tmp_path / "out").open("w") as out:
            words = [*COMMAND, "up", "-l", one.name, "--dry-run"]
            started = subprocess.Popen(words, stdout=out, env=dict(one.environ))
            _, status, used = os.wait4(started.pid, 0)
            started.returncode = os.waitstatus_to_exitcode(status)
    finally:
        one.on("sms", f"mv {place}.kept {place}")
    assert started.returncode == 0
    assert "description of the cluster" in (tmp_path / "out").read_text()
    assert used.ru_maxrss < 150_000  # KiB


def test_no_text_of_a_node_reaches_a_terminal_raw(one: Lab, tmp_path: Path) -> None:
    here = {"discover": DISCOVER, "say": SAY}
    writing = "\n".join(f"cat >/root/{name} <<'EOF'\n{text}\nEOF" for name, text in here.items())
    one.on(NODE, f"mkdir -p /root/strange\n{writing}")
    said = [as_bytes(text)[:3000] for text in STRINGS.values()]
    one.on(NODE, f"for said in {' '.join(map(encoded, said))}; do bash /root/say $said & done; wait")
    for five in (said[at : at + 5] for at in range(0, len(said), 5)):
        reason = encoded(b" ".join(text[:200] for text in five))
        one.on(NODE, f'scontrol update nodename={NODE} state=drain reason="$(echo {reason} | base64 -d)"')
        for words in (("status",), ("status", "--json")):
            out, told = look(one, *words)
            assert_harmless(out)
            assert_harmless(told)
            if "--json" in words:
                assert_json(out)
    assert_harmless("".join(look(one, "up", "--timeout", "1")))
    one.on(NODE, f"hostname {NODE}; scontrol update nodename={NODE} state=resume")
    for shown in (("logs", "sms", "-n", "2000"), ("logs", NODE, "-n", "2000"), ("console", NODE)):
        out, told = look(one, *shown)
        assert "FORGED" in out
        assert_harmless(out, of_node=True)
        assert_harmless(told)
    assert "\u202e" in look(one, "logs", NODE, "-n", "2000", "--raw")[0]  # so it was there to be left out
    _, told = look(one, "cp", f"{NODE}:/root/strange", str(tmp_path))
    assert "not copied" in told
    assert_harmless(told)

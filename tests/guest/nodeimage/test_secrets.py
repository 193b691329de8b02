"""No secret in an image: what is found, what is let pass, and what the error tells (P6)."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest

from lab.guest.nodeimage import secret_rules
from tests.guest.nodeimage.bed import TOML, Bed, unpacked

WORD = "Sj3kf9aQzLm20xPvWc8TnYbR5uHdEg17iKoM4qXs"
"""Stands for the secret part; joined with the rest at run time, so that no file here looks like one."""
HASH = "$" + "6$salt$" + WORD * 2


def key(path: Path, *options: str) -> bytes:
    """A private key that ssh-keygen makes."""
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(path), *options], check=True)
    return path.read_bytes()


def body(pem: bytes) -> bytes:
    """The binary form of a key."""
    return base64.b64decode(b"".join(pem.splitlines()[1:-1]))


@pytest.mark.parametrize("where", ["root/.ssh/id_ed25519", "usr/lib/python3/innocent.txt", "home/a/notes"])
def test_a_private_key_is_refused_wherever_it_lies(bed: Bed, tmp_path: Path, where: str) -> None:
    path = bed.tree / where
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = key(tmp_path / "k", "-t", "ed25519")
    path.write_bytes(b"first line\n" + secret)
    said = bed.refuses(15, "pack", str(bed.folder))
    assert f"  /{where}, line 2: a private key\n" in said
    assert secret.split()[5].decode() not in said
    assert not bed.image().exists()
    assert bed.refuses(15, "pack", str(bed.folder)) == said, "a second run looks again"


@pytest.mark.parametrize(
    ("options", "binary"),
    [
        (("-t", "rsa", "-b", "1024"), False),
        (("-t", "rsa", "-b", "1024", "-m", "PEM"), False),
        (("-t", "rsa", "-b", "1024", "-m", "PKCS8"), False),
        (("-t", "ecdsa", "-m", "PEM"), False),
        (("-t", "ed25519", "-N", "a passphrase"), False),
        (("-t", "rsa", "-b", "1024", "-m", "PEM"), True),
        (("-t", "rsa", "-b", "1024", "-m", "PKCS8"), True),
        (("-t", "ecdsa", "-m", "PEM"), True),
    ],
    ids=str,
)
def test_private_keys_of_every_form(bed: Bed, tmp_path: Path, options: tuple[str, ...], binary: bool) -> None:
    made = key(tmp_path / "k", *options)
    (bed.tree / "etc/some-file").write_bytes(body(made) if binary else made)
    assert "  /etc/some-file" in bed.refuses(15, "pack", str(bed.folder))


def test_a_key_in_json_and_one_beyond_the_first_mebibyte(bed: Bed, tmp_path: Path) -> None:
    made = key(tmp_path / "k", "-t", "ecdsa", "-m", "PKCS8").decode()
    (bed.tree / "etc/account.json").write_text('{"private_key": "' + made.replace("\n", "\\n") + '"}\n')
    (bed.tree / "usr/share/big").write_text("x" * (3 << 20) + "\n" + made)
    said = bed.refuses(15, "pack", str(bed.folder))
    assert "error: the tree holds 2 secrets" in said
    assert "  /etc/account.json, line 1: a private key\n  /usr/share/big, line 2: a private key\n" in said


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("root/.bash_history", "ls\n", "a history of commands"),
        ("home/a/.zsh_history", "ls\n", "a history of commands"),
        ("root/.python_history", "1\n", "a history of commands"),
        ("home/a/.lesshst", ".less\n", "a history of commands"),
        ("root/.netrc", "machine a\n", "a file of passwords or tokens"),
        ("home/a/.pgpass", "a\n", "a file of passwords or tokens"),
        ("root/.aws/credentials", "a\n", "a file of passwords or tokens"),
        ("etc/munge/munge.key", "random", "a secret key"),
        ("etc/slurm/slurm.key", "random", "a secret key"),
        ("etc/krb5.keytab", "\x05\x02", "a secret key"),
        ("home/a/.gnupg/private-keys-v1.d/AB.key", "x", "a secret key"),
        ("home/a/key.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n", "a private key"),
        ("etc/shadow", f"root:{HASH}:1::::::\n", "a password hash"),
        ("etc/shadow-", f"daemon:*:1::::::\nroot:!{HASH}:1::::::\n", "a password hash"),
        ("etc/passwd", f"root:{WORD[:13]}:0:0::/root:/bin/sh\n", "a password hash"),
        ("etc/nginx/htpasswd", "a:$" + "apr1$abcdefgh$" + WORD[:22] + "\n", "a password hash"),
        ("etc/gitlab.conf", "token = gl" + "pat-" + WORD[:20] + "\n", "a token of GitLab"),
        ("etc/github.conf", "gh" + "p_" + WORD[:36] + "\n", "a token of GitHub"),
        ("opt/app/env", "SLURM_JWT=ey" + f"J{WORD[:20]}.eyJ{WORD[:20]}.{WORD}\n", "a token (JWT)"),
        ("root/.npmrc", f"//host/:_authToken={WORD}\n", "a token of npm"),
        ("srv/aws.ini", f"aws_secret_access_key = {WORD}\n", "a key of AWS"),
        ("root/.docker/config.json", '{"h": {"auth": "' + WORD + '"}}\n', "a password of a registry"),
        ("etc/slurm/slurmdbd.conf", "# x\nStoragePass=example\n", "a password of a database"),
        ("etc/wireguard/wg0.conf", f"PrivateKey = {WORD}abc=\n", "a private key of WireGuard"),
        ("etc/pip.conf", "index = https://me:" + "pass@host/simple\n", "a password in a URL"),
        ("usr/local/etc/env", "gl" + "pat-" + WORD[:20] + "\n", "a token of GitLab"),
    ],
)  # fmt: skip
def test_other_secrets(bed: Bed, path: str, text: str, what: str) -> None:
    file = bed.tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    said = bed.refuses(15, "pack", str(bed.folder))
    assert re.search(rf"^  /{re.escape(path)}(?:, line \d)?: {re.escape(what)}$", said, re.MULTILINE), said
    assert WORD[:20] not in said


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("root/.ssh/authorized_keys", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB builder\n"),
        ("root/.bash_history", b""),
        ("usr/bin/ssh", b"\x7fELF\0-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"),
        ("usr/bin/script", b'print("-----BEGIN OPENSSH PRIVATE KEY-----\\n" + text)\n'),
        ("usr/share/doc/example", ("gl" + "pat-" + WORD[:20]).encode()),
        ("var/lib/dpkg/info/x.postinst", ("a:$" + "apr1$abcdefgh$" + WORD[:22] + "\n").encode()),
        ("etc/ssl/certs/java/cacerts", b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\2rest"),
        ("etc/ssl/one.der", bytes.fromhex("3010300e020100300d06092a864886f70d01")),
        ("etc/apt/sources.list", b"# deb http://user:secret@host/ x y\ndeb http://host/ x y\n"),
        ("etc/slurm/slurmdbd.conf.example", b"#StoragePass=example\n"),
        ("etc/postfix.cf", b"smtpd_auth = required\n"),
        ("etc/gshadow", b"wheel:!::\nusers:*::\n"),
    ],
)
def test_what_is_no_secret_passes(bed: Bed, path: str, data: bytes) -> None:
    file = bed.tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    bed.pack()


def test_the_role_may_allow_a_path(bed: Bed, tmp_path: Path) -> None:
    (bed.tree / "usr/share/tests").mkdir()
    (bed.tree / "usr/share/tests/key.pem").write_bytes(key(tmp_path / "k", "-t", "ed25519"))
    bed.refuses(15, "pack", str(bed.folder))
    bed.commit(f'{TOML}\n[image]\nallow = ["/usr/share/tests"]\n')
    bed.pack()
    assert (unpacked(bed.image(), tmp_path / "node") / "usr/share/tests/key.pem").exists()
    bed.commit(TOML)
    bed.refuses(15, "pack", str(bed.folder))


def test_a_secret_that_comes_later_is_found_among_cached_files(bed: Bed) -> None:
    bed.pack()
    (bed.tree / "etc/late").write_text("gl" + "pat-" + WORD[:20] + "\n")
    assert "/etc/late" in bed.refuses(15, "pack", str(bed.folder))


def test_keys_that_no_rule_takes_for_der() -> None:
    assert (
        secret_rules.key_file(b"x", b"0\x82\x01\x00\x02\x01\x00\x02" + bytes(8), 260) == "a private key (DER)"
    )
    assert not secret_rules.key_file(b"x", b"0\x82\x01\x00\x02\x01\x00\x02" + bytes(8), 261), (
        "not the whole file"
    )
    assert not secret_rules.key_file(b"x", b"0", 1)

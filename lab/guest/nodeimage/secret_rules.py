"""What counts as a secret in a tree: by the name of a file, and by its content. Pure data and patterns.

Every node and everybody who reaches the boot server can read an image, so keys come at boot instead.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass

VERSION = 1
"""Counts the changes of these rules: what older rules let pass is looked at again."""


@dataclass(frozen=True)
class Rule:
    """A kind of secret: a text that is quick to look for, and the pattern that decides."""

    what: str
    needle: bytes
    pattern: bytes

    def search(self, data: bytes | mmap.mmap) -> re.Match[bytes] | None:
        """The first place. The pattern is compiled when a file holds the text at all: most runs see none."""
        return re.search(self.pattern, data, re.MULTILINE) if data.find(self.needle) >= 0 else None


NAMES = re.compile(
    rb"(?P<history>\.[a-z0-9]+_history|\.history|\.lesshst|\.viminfo|fish_history)"
    rb"|(?P<password>\.netrc|\.pgpass|\.my\.cnf|\.mylogin\.cnf|\.git-credentials|\.vault[-_](?:pass|token).*"
    rb"|\.cifscredentials|\.smbcredentials|\.s3cfg)"
    rb"|(?P<key>munge\.key|slurm\.key|slurm\.jwks|jwt_hs256\.key|secring\.gpg|.*\.keytab|.*\.kdbx)"
)
"""Matched with the last part of a path; FOLDERS with the last two."""
FOLDERS = re.compile(
    rb"(?P<password>\.aws/credentials|apt/auth\.conf|gcloud/credentials\.db)"
    rb"|(?P<key>private-keys-v1\.d/.*|corosync/authkey|pacemaker/authkey)"
)
NAMED = {
    "history": "a history of commands",
    "password": "a file of passwords or tokens",
    "key": "a secret key",
}
PASSWORD_FILES = re.compile(rb"etc/(?:shadow|gshadow|passwd|group|opasswd)-?$|etc/security/opasswd$")

KEYS = (
    # The line's end may be written as \n, as in JSON. Programs that know this line hold nothing that follows.
    Rule(
        "a private key",
        b"PRIVATE KEY",
        rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----[ \t]*(?:\r?\n|\\r\\n|\\n)"
        rb"(?:[!-9;-~]+: [^\n]*\n|[ \t]*\r?\n)*[ \t\"']*[A-Za-z0-9+/=]{16}",
    ),
    Rule("a private key of age", b"AGE-SECRET-KEY-1", rb"AGE-SECRET-KEY-1[0-9A-Z]{20}"),
)
"""Looked for in every file that is not a program."""

OTHERS = (
    Rule(
        "a private key of WireGuard", b"PrivateKey", rb"^[ \t]*PrivateKey[ \t]*=[ \t]*[A-Za-z0-9+/]{42,43}="
    ),
    Rule("a shared key", b"secret", rb"^[^#\n]*\bsecret[ \t]+\"?[A-Za-z0-9+/]{16,}={0,2}\"?[ \t]*;"),
    Rule("a token of GitLab", b"gl", rb"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20}"),
    Rule("a token of GitHub", b"gh", rb"\bgh[pousr]_[A-Za-z0-9]{36}"),
    Rule("a token of GitHub", b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9_]{22}"),
    Rule("a token of Slack", b"xox", rb"\bxox[abeoprs]-[A-Za-z0-9-]{10}"),
    Rule("a token of Vault", b"hvs.", rb"\bhvs\.[A-Za-z0-9_-]{24}"),
    Rule("a token of npm", b"_auth", rb"^(?:[^#\n]*:)?_auth(?:Token)?[ \t]*=[ \t]*[^$\s{][^\s]{7}"),
    Rule("a token (JWT)", b"eyJ", rb"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16}"),
    Rule("a key of AWS", b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b"),
    Rule(
        "a key of AWS",
        b"aws_secret_access_key",
        rb"^[^#\n]*aws_secret_access_key[ \t]*=[ \t]*[A-Za-z0-9/+]{20}",
    ),
    Rule("a password of a registry", b'"auth"', rb'"auth"[ \t]*:[ \t]*"[A-Za-z0-9+/]{8}'),
    Rule("a key of Kubernetes", b"client-key-data", rb"client-key-data:[ \t]*[A-Za-z0-9+/]{16}"),
    Rule("a password of a database", b"Pass", rb"^[ \t]*(?:Storage|JobComp)Pass[ \t]*=[ \t]*[^\s#]"),
    Rule("a password of a network", b"psk", rb"^[ \t]*psk[ \t]*=[ \t]*[^\s#]"),
    Rule(
        "a password in a URL",
        b"://",
        rb"^[^#\n]*\b[a-z][a-z0-9+.-]*://[^\s/:@\"'<>{}$]+:[^\s/:@\"'<>{}$]{3,}@",
    ),
    Rule(
        "a password hash",
        b"$",
        rb"\$(?:1|5|6|7|y|gy|2[aby]|apr1|sha1|argon2i?d?)\$[./A-Za-z0-9$,=+-]{20}",
    ),
    Rule("a password hash", b"grub.pbkdf2", rb"grub\.pbkdf2\.sha512\.[0-9]+\.[0-9A-F]{16}"),
)
"""Looked for in texts, except below /usr: what packages bring there holds examples of all of these."""

HEADS = re.compile(
    rb"PuTTY-User-Key-File-[0-9]+: |SSH PRIVATE KEY FILE FORMAT 1\.1\n|Private-key-format: v1"
    rb"|untrusted comment: [^\n]*secret key"
)
"""How files of private keys begin: PuTTY's, those of SSH 1 and DNSSEC, and minisign's or signify's."""
DES_HASH = re.compile(rb"^[^:\n]+:[!*]*[./0-9A-Za-z]{13}:", re.MULTILINE)
"""crypt(5): the oldest hash has no prefix."""


def key_file(path: bytes, head: bytes, size: int) -> str:
    """The kind of a key that is a whole file, or an empty string; `head` is how the file begins."""
    if HEADS.match(head):
        return "a private key"
    if head[:4] == b"\xfe\xed\xfe\xed" and head[12:16] == b"\0\0\0\1":  # its first entry is a private key
        return "a private key in a Java key store"
    if head[:2] == b"\x05\x02" and b"keytab" in path:
        return "a Kerberos keytab"
    body = _der_body(head, size)
    if body[:4] == b"\x02\x01\x03\x30" and not path.endswith(b"/cacerts"):
        return "a key store (PKCS#12)"
    # RFC 8017 A.1.2 and RFC 5958: a version of 0, then a number or an algorithm; RFC 5915: 1, then octets.
    if body[:4] in (b"\x02\x01\x00\x02", b"\x02\x01\x00\x30", b"\x02\x01\x01\x04"):
        return "a private key (DER)"
    return ""


def _der_body(head: bytes, size: int) -> bytes:
    """What follows the header of a DER sequence that is as long as the file; empty for anything else."""
    if head[:1] != b"\x30" or len(head) < 16:
        return b""
    count = head[1] & 0x7F if head[1] & 0x80 else 0
    if count > 4:
        return b""
    length = int.from_bytes(head[2 : 2 + count], "big") if count else head[1]
    return head[2 + count :] if length + 2 + count == size else b""

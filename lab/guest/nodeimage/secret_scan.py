"""Looks for secrets in the files that are to be packed (P6: an image is served to everybody who asks)."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lab.guest.archive.tree import Item, Rules
from lab.guest.nodeimage import secret_rules
from lab.guest.nodeimage.errors import SECRET, NodeImageError

MAPPED = 1 << 20
"""A file larger than this, in bytes, is mapped, not read."""
TEXTS = 4 << 20
"""Tokens and passwords are looked for in files up to this size."""
HEAD = 4096
PACKAGED = (b"usr/", b"var/lib/dpkg/", b"var/lib/apt/")
"""Where files of packages lie: private keys alone are looked for there."""
SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """A secret: the path in the tree, the line (0 if it has none) and what it is. Never the secret itself."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"/{self.path}{where}: {self.what}"


def refuse(findings: Sequence[Finding]) -> None:
    """Raises NodeImageError if there are findings."""
    if not findings:
        return
    rows = [str(one) for one in findings[:SHOWN]]
    if len(findings) > SHOWN:
        rows.append(f"and {len(findings) - SHOWN} more")
    count = f"{len(findings)} secret{'s' * (len(findings) > 1)}"
    path = findings[0].path
    raise NodeImageError(
        SECRET,
        f"the tree holds {count}, which everybody who can load the image could read",
        evidence="\n".join(rows),
        hint=f"remove them, and give nodes keys at boot; is /{path} no secret? [image] allow in image.toml",
    )


def search(items: Iterable[Item], allow: Sequence[str]) -> list[Finding]:
    """All secrets in these files, but for paths that match `allow`, and what lies below them."""
    allowed = Rules(allow)
    return [
        finding
        for item in items
        if stat.S_ISREG(item.entry.mode) and item.entry.size and item.source
        and not (allow and _allowed(allowed, item.entry.path))
        for finding in _file(item)
    ]  # fmt: skip


def _allowed(rules: Rules, path: bytes) -> bool:
    while path:
        if rules.excluded(path):
            return True
        path = os.path.dirname(path)
    return False


def _file(item: Item) -> Iterator[Finding]:
    path = item.entry.path
    name = os.fsdecode(path)
    parts = path.rsplit(b"/", 2)
    named = secret_rules.NAMES.fullmatch(parts[-1]) or secret_rules.FOLDERS.fullmatch(b"/".join(parts[-2:]))
    if named is not None and named.lastgroup is not None:
        yield Finding(name, 0, secret_rules.NAMED[named.lastgroup])
        return
    with open(item.source, "rb", buffering=0) as file:
        head = file.read(HEAD)
        if head[:4] == b"\x7fELF":
            return  # libraries hold keys that they test themselves with
        size = item.entry.size
        whole = secret_rules.key_file(path, head, size)
        if whole:
            yield Finding(name, 0, whole)
            return
        if size <= HEAD:
            yield from _content(path, head)
        elif size <= MAPPED:
            yield from _content(path, head + file.read())
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield from _content(path, mapped)


def _content(path: bytes, data: bytes | mmap.mmap) -> Iterator[Finding]:
    name = os.fsdecode(path)
    for rule in _rules(path, data):
        found = rule.search(data)
        if found is not None:
            yield Finding(name, data[: found.start()].count(b"\n") + 1, rule.what)
    if secret_rules.PASSWORD_FILES.search(path):
        found = secret_rules.DES_HASH.search(data)
        if found is not None:
            yield Finding(name, data[: found.start()].count(b"\n") + 1, "a password hash")


def _rules(path: bytes, data: bytes | mmap.mmap) -> tuple[secret_rules.Rule, ...]:
    packaged = path.startswith(PACKAGED) and not path.startswith(b"usr/local/")
    if packaged or len(data) > TEXTS or data.find(b"\0", 0, HEAD) >= 0:
        return secret_rules.KEYS
    return (*secret_rules.KEYS, *secret_rules.OTHERS)

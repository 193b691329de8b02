"""Finds what a set of files lacks: missing Includes, missing scripts, contents cut at a NUL byte.

Slurm's commands wait up to a minute for each missing Include, so siphon reports it before they hang.
"""

from __future__ import annotations

from lab.siphon import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.siphon.protocol.messages import ConfigFile

LARGE = 1 << 20
"""Bytes. Larger files are searched in a cheaper way."""

BINARY_MARKS = (b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"MZ\x90")


def missing_parts(
    files: tuple[ConfigFile, ...], elsewhere: Callable[[str], bool], *, scripts: bool
) -> tuple[str, ...]:
    """One sentence for each missing part. `elsewhere` tells whether a path exists on this machine."""
    sent = {file.name for file in files if file.exists}
    found: list[str] = []
    cluster = b""
    for file in files:
        if file.name == b"slurm.conf":
            cluster = _value(file.content, b"clustername")
    for file in files:
        shown = errors.printable(file.name)
        if not file.exists:
            if file.execute and scripts:
                pattern = any(char in file.name for char in b"*?[")
                why = "a pattern, which slurmctld never sends" if pattern else "missing on the controller"
                found.append(f"script {shown} is named in slurm.conf but is {why}")
            continue
        if not file.execute:
            found.extend(_lost_includes(file, shown, sent, cluster, elsewhere))
        if file.content.startswith(BINARY_MARKS):
            found.append(f"{shown} is a program and was cut at its first NUL byte, so it cannot run")
        elif file.execute and file.content and not file.content.endswith(b"\n"):
            found.append(f"script {shown} has no end of line at its end; it may have been cut at a NUL byte")
    return tuple(dict.fromkeys(found))


def _lost_includes(
    file: ConfigFile, shown: str, sent: set[bytes], cluster: bytes, elsewhere: Callable[[str], bool]
) -> list[str]:
    found = []
    for written in includes(file.content):
        name = written.replace(b"%c", cluster) if cluster else written
        if name in sent or elsewhere(name.decode("utf-8", "surrogateescape")):
            continue
        why = "slurmctld never sends names with a slash" if b"/" in name else "the file was not sent"
        found.append(f"{shown} contains Include {errors.printable(written)}: {why}")
    return found


def includes(content: bytes) -> tuple[bytes, ...]:
    """The names in a file's Include lines, found as in `_include_file` of src/common/parse_config.c."""
    # A large file is searched for the usual spellings only: lower() on 30 MB takes longer than fetching them.
    folded = content.lower() if len(content) < LARGE else content
    found = []
    at = folded.find(b"nclude")
    while at >= 0:
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        start = content.rfind(b"\n", 0, at) + 1
        rest = content[at + 6 : end]
        if content[start:at].strip().lower() == b"i" and rest[:1].isspace():
            words = rest.split(b"#")[0].split()
            found.extend(words[:1])
        at = folded.find(b"nclude", end)
    return tuple(found)


def _value(content: bytes, key: bytes) -> bytes:
    """The value of a setting at the beginning of a line; empty if there is none."""
    folded = content[:LARGE].lower()
    at = folded.find(key)
    while at >= 0:
        start = content.rfind(b"\n", 0, at) + 1
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        name, equals, rest = content[at:end].partition(b"=")
        if equals and not content[start:at].strip() and name.strip().lower() == key and rest.split():
            return rest.split()[0]
        at = folded.find(key, end)
    return b""

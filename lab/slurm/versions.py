"""The one table of protocol versions, 20.02 to 26.11, and what each changed in this exchange.

Sources in Slurm: src/common/slurm_protocol_common.h (numbers), slurm_protocol_pack.c (`pack_header`,
`_pack_config_request_msg`, `_pack_config_response_msg`).
"""

from __future__ import annotations

from lab.slurm.record import dataclass


@dataclass(frozen=True)
class Version:
    """One protocol version and the layouts that go with it."""

    number: int
    release: str
    message_index: bool
    """The header carries a message index (up to 21.08)."""
    origin_family: bool
    """The origin address starts with its family (20.11 on); 20.02 has a bare IPv4 address and port."""
    listed: bool
    """The reply is a list of named files (21.08 on) and not twelve strings."""
    execute: bool
    """Entries say whether the file is a script (23.11 on)."""
    port: bool
    """The request ends with sackd's port (25.05 on)."""
    hashed: bool
    """Credentials are bound to the body by KangarooTwelve (22.05 on)."""


def _version(major: int, release: str) -> Version:
    return Version(
        number=major << 8,
        release=release,
        message_index=major <= 37,
        origin_family=major >= 36,
        listed=major >= 37,
        execute=major >= 40,
        port=major >= 43,
        hashed=major >= 38,
    )


V20_02 = _version(35, "20.02")
V20_11 = _version(36, "20.11")
V21_08 = _version(37, "21.08")
V22_05 = _version(38, "22.05")
V23_02 = _version(39, "23.02")
V23_11 = _version(40, "23.11")
V24_05 = _version(41, "24.05")
V24_11 = _version(42, "24.11")
V25_05 = _version(43, "25.05")
V25_11 = _version(44, "25.11")
V26_05 = _version(45, "26.05")
V26_11 = _version(46, "26.11")

VERSIONS = (
    V20_02,
    V20_11,
    V21_08,
    V22_05,
    V23_02,
    V23_11,
    V24_05,
    V24_11,
    V25_05,
    V25_11,
    V26_05,
    V26_11,
)
"""Every version that has the configuration request, oldest first."""

OLDEST = VERSIONS[0]
NEWEST = VERSIONS[-1]


def by_number(number: int) -> Version | None:
    """The version with this number on the wire, if we speak it."""
    for version in VERSIONS:
        if version.number == number:
            return version
    return None


def by_release(release: str) -> Version | None:
    """The version of a release named as Slurm names it (`24.11`, or `24.11.5`), if we speak it."""
    short = ".".join(release.split(".")[:2])
    for version in VERSIONS:
        if version.release == short:
            return version
    return None


def layout(number: int) -> Version | None:
    """How to read a header of this version: its own layout, or the newest for a release after ours."""
    if number > NEWEST.number and not number & 0xFF:
        return NEWEST
    return by_number(number)


def release_name(number: int) -> str:
    """What to call a version number in a sentence."""
    version = by_number(number)
    if version is not None:
        return version.release
    return f"newer than {NEWEST.release}" if number > NEWEST.number else f"number {number:#06x}"

"""The table of protocol versions, 20.02 to 26.11, and the layouts of each.

Sources in Slurm: src/common/slurm_protocol_common.h (numbers), src/common/slurm_protocol_pack.c
(`pack_header`, `_pack_config_request_msg`, `_pack_config_response_msg`).
"""

from __future__ import annotations


class Version:
    """One protocol version and its layouts; `major` is the high byte of its number."""

    __slots__ = ("execute", "hashed", "listed", "message_index", "number", "origin_family", "port", "release")

    def __init__(self, major: int, release: str) -> None:
        self.number = major << 8
        self.release = release
        # The header has a message index up to 21.08.
        self.message_index = major <= 37
        # The origin address starts with its family from 20.11 on. In 20.02 it is an IPv4 address and a port.
        self.origin_family = major >= 36
        # The reply is a list of named files from 21.08 on, before that twelve strings.
        self.listed = major >= 37
        # Credentials contain the KangarooTwelve hash of the body from 22.05 on.
        self.hashed = major >= 38
        # File entries have an execute flag from 23.11 on.
        self.execute = major >= 40
        # The request ends with the port of a sackd from 25.05 on.
        self.port = major >= 43


V20_02 = Version(35, "20.02")
V20_11 = Version(36, "20.11")
V21_08 = Version(37, "21.08")
V22_05 = Version(38, "22.05")
V23_02 = Version(39, "23.02")
V23_11 = Version(40, "23.11")
V24_05 = Version(41, "24.05")
V24_11 = Version(42, "24.11")
V25_05 = Version(43, "25.05")
V25_11 = Version(44, "25.11")
V26_05 = Version(45, "26.05")
V26_11 = Version(46, "26.11")

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
"""All versions with the configuration request, oldest first."""

OLDEST = VERSIONS[0]
NEWEST = VERSIONS[-1]


def by_number(number: int) -> Version | None:
    """The supported version with this number, or None."""
    for version in VERSIONS:
        if version.number == number:
            return version
    return None


def by_release(release: str) -> Version | None:
    """The supported version of a release (`24.11` or `24.11.5`), or None."""
    short = ".".join(release.split(".")[:2])
    for version in VERSIONS:
        if version.release == short:
            return version
    return None


def layout(number: int) -> Version | None:
    """The layout of a header with this number: its own, or the newest one for an unknown later release."""
    if number > NEWEST.number and not number & 0xFF:
        return NEWEST
    return by_number(number)


def release_name(number: int) -> str:
    """The name of a version number in messages."""
    version = by_number(number)
    if version is not None:
        return version.release
    return f"newer than {NEWEST.release}" if number > NEWEST.number else f"number {number:#06x}"

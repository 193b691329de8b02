"""What a controller's refusal means and what to do about it. Error numbers: src/common/slurm_errno.h."""

from __future__ import annotations

from lab.siphon import errors
from lab.siphon.errors import Kind, SiphonError
from lab.siphon.fetch.negotiation import HTTP, REPORTED, SILENT
from lab.siphon.protocol import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.siphon.auth.credentials import Credentials
    from lab.siphon.fetch.negotiation import Attempt
    from lab.siphon.fetch.servers import Server
    from lab.siphon.protocol.messages import ErrorReply
    from lab.siphon.protocol.versions import Version

AUTHENTICATION = 1007
RATE_LIMIT = 1804
OVERLOADED = 1805
NOT_PERMITTED = 2010
STANDBY_20_11 = 2027
CONFIGLESS_OFF = 2126
STANDBY = 2131
TLS_REQUIRED = 13000


_STANDBY = (
    errors.STANDBY,
    "{server} is a backup controller in standby",
    "give the other controllers too: siphon HOST1 HOST2",
)
_BUSY = (errors.REFUSED, "{server} is busy", "try again later, or with a longer --timeout")
MEANINGS: dict[int, tuple[Kind, str, str]] = {
    NOT_PERMITTED: (
        errors.PERMISSION,
        "{server} gives the slurmd set to root and SlurmUser only",
        "omit --set slurmd: every user may fetch the client set",
    ),
    STANDBY: _STANDBY,
    STANDBY_20_11: _STANDBY,
    CONFIGLESS_OFF: (
        errors.CONFIGLESS,
        "{server} does not serve its configuration",
        "set SlurmctldParameters=enable_configless in its slurm.conf, then restart slurmctld",
    ),
    TLS_REQUIRED: (
        errors.NOT_SLURM,
        "{server} requires TLS, which siphon does not support",
        "use sackd of the controller's release, or a controller with TLSType=tls/none",
    ),
    RATE_LIMIT: _BUSY,
    OVERLOADED: _BUSY,
}
"""Kind, message and hint for each error code. `{server}` in the message is replaced."""

UNKNOWN = (
    errors.REFUSED,
    "{server} refused the request",
    "slurmctld's log has the reason, at the time of this request",
)


def refused(server: Server, reply: ErrorReply, credentials: Credentials) -> SiphonError:
    """The error for a reply with an error code."""
    code = reply.code
    evidence = f"{server} answered with error {code}"
    if reply.text:
        evidence += f": {errors.printable(reply.text)}"
    kind, message, hint = MEANINGS.get(code, UNKNOWN)
    if code == AUTHENTICATION:
        kind, message, hint = (errors.AUTH, "{server} refused the credential", _auth_hint(credentials))
    if kind in (errors.AUTH, errors.PERMISSION):
        evidence += f"; the request had {credentials.describe()}"
    return SiphonError(kind, message.format(server=server), evidence=evidence, hint=hint)


def _auth_hint(credentials: Credentials) -> str:
    if credentials.name == "jwt":
        return "make a token on this cluster: scontrol token lifespan=600"
    if credentials.name == "slurm":
        return "compare slurm.key and the clock with the controller's"
    return "compare munge.key and the clock with the controller's: munge -n | ssh CONTROLLER unmunge"


def no_version(
    server: Server, history: tuple[Attempt, ...], credentials: Credentials, fixed: Version | None
) -> SiphonError:
    """The error for a controller that accepted no version; `fixed` is the version set by the user."""
    reported = next((attempt.reported_version for attempt in history if attempt.outcome == REPORTED), 0)
    tried = ", ".join(attempt.version.release for attempt in history)
    if reported:
        return SiphonError(
            errors.VERSION,
            f"{server} uses version {versions.release_name(reported)} and refused version {tried}",
            evidence=f"its answers have protocol number {reported:#06x}",
            hint=_FIND_VERSION if fixed else "install a newer siphon",
        )
    if history[-1].outcome == HTTP:
        return _only_http(server, tried, fixed)
    if fixed is not None:
        return SiphonError(
            errors.VERSION,
            f"{server} closed the connection without an answer to version {tried}",
            evidence=f"it refused the version or {credentials.describe()}; up to 24.05 both look the same",
            hint=_FIND_VERSION,
        )
    silent = all(attempt.outcome == SILENT for attempt in history)
    return SiphonError(
        errors.AUTH,
        f"{server} closed the connection without an answer; most likely it refused the credential",
        evidence=f"the requests in versions {tried} had {credentials.describe()}"
        + ("; a controller up to 24.05 refuses a version and a credential in the same way" if silent else ""),
        hint=_auth_hint(credentials),
    )


_FIND_VERSION = "omit --protocol; siphon then finds the version"


def _only_http(server: Server, tried: str, fixed: Version | None) -> SiphonError:
    if fixed is not None:
        return SiphonError(
            errors.VERSION,
            f"{server} refused version {tried}",
            evidence="it answered in HTTP, as slurmctld 25.11 and later and web servers do",
            hint=_FIND_VERSION,
        )
    return SiphonError(
        errors.NOT_SLURM,
        f"{server} is not a Slurm controller, or it is newer than siphon",
        evidence=f"it answered in HTTP to versions {tried}",
        hint="slurmctld's port is 6817 by default; slurmrestd does not serve the configuration",
    )


def malformed(server: Server, evidence: str) -> SiphonError:
    """The error for a reply that cannot be decoded."""
    return SiphonError(
        errors.MALFORMED,
        f"{server} sent a reply that is not a valid message",
        evidence=evidence,
        hint="check the port; siphon -v shows the requests",
    )


def no_time_left(server: Server, kind: Kind, why: str) -> SiphonError:
    """The error where the timeout leaves no time for another request."""
    return SiphonError(
        kind, f"no time left to ask {server} again", evidence=why, hint="--timeout SECONDS waits longer"
    )


def summarize(failures: list[SiphonError]) -> SiphonError:
    """One error for several controllers: the most informative one, with a line of evidence for each."""
    if len(failures) == 1:
        return failures[0]
    worst = min(failures, key=lambda error: _MOST_INFORMATIVE.index(error.kind))
    lines = [f"{error.message}: {error.evidence}" for error in failures]
    sentence = f"none of {len(failures)} controllers sent its configuration"
    if all(error.kind is errors.STANDBY for error in failures):
        sentence = f"all {len(failures)} controllers are in standby"
    return SiphonError(worst.kind, sentence, evidence="\n".join(lines), hint=worst.hint)


_MOST_INFORMATIVE = (
    errors.MALFORMED,
    errors.VERSION,
    errors.REFUSED,
    errors.NOT_SLURM,
    errors.TIMEOUT,
    errors.CONNECT,
    errors.STANDBY,
)
"""Standby last: it is normal for a backup, so the failure of the other controller explains more."""

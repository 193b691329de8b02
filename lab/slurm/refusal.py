"""What a controller's refusal means, and what to do about it (src/common/slurm_errno.h has the numbers)."""

from __future__ import annotations

from lab.slurm import failure, versions
from lab.slurm.failure import SiphonError
from lab.slurm.search import HTTP, SILENT, TOLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lab.slurm.auth import Credentials
    from lab.slurm.messages import ErrorReply
    from lab.slurm.search import Try
    from lab.slurm.servers import Server
    from lab.slurm.versions import Version

AUTHENTICATION = 1007
RATE_LIMIT = 1804
OVERLOADED = 1805
NOT_PERMITTED = 2010
STANDBY_20_11 = 2027
CONFIGLESS_OFF = 2126
STANDBY = 2131
TLS_REQUIRED = 13000


def of_code(server: Server, reply: ErrorReply, credentials: Credentials) -> SiphonError:
    """The error for a code that the controller means."""
    code = reply.code
    said = f"{server} answered error {code}"
    if reply.text:
        said += f": {failure.printable(reply.text)}"
    if code == AUTHENTICATION:
        return SiphonError(
            failure.AUTH,
            f"{server} refuses the credential",
            evidence=f"{said}; sent was {credentials.describe()}",
            hint=_auth_hint(credentials),
        )
    for codes, kind, sentence, hint in _MEANINGS:
        if code in codes:
            return SiphonError(
                kind,
                sentence.format(server=server),
                evidence=f"{said}; sent was {credentials.describe()}" if kind is failure.PERMISSION else said,
                hint=hint,
            )
    return SiphonError(
        failure.REFUSED,
        f"{server} refuses",
        evidence=said,
        hint="slurmctld's log says more, at the time of this request",
    )


_MEANINGS = (
    (
        (NOT_PERMITTED,),
        failure.PERMISSION,
        "{server} gives the slurmd set to root and SlurmUser only",
        "leave out --set slurmd: the client set is for every user",
    ),
    (
        (STANDBY, STANDBY_20_11),
        failure.STANDBY,
        "{server} is a backup controller in standby",
        "name the other controllers too: siphon HOST1 HOST2",
    ),
    (
        (CONFIGLESS_OFF,),
        failure.CONFIGLESS,
        "{server} gives out no configuration",
        "SlurmctldParameters=enable_configless in its slurm.conf, then restart slurmctld",
    ),
    (
        (TLS_REQUIRED,),
        failure.NOT_SLURM,
        "{server} wants TLS, which siphon does not speak",
        "use sackd of the controller's release, or a controller with TLSType=tls/none",
    ),
    (
        (RATE_LIMIT, OVERLOADED),
        failure.REFUSED,
        "{server} is busy",
        "try again later, or with a longer --timeout",
    ),
)


def _auth_hint(credentials: Credentials) -> str:
    if credentials.name == "jwt":
        return "is the token from this cluster? scontrol token lifespan=600 makes one"
    if credentials.name == "slurm":
        return "compare slurm.key and the clock with the controller's"
    return "compare munge.key and the clock with the controller's: munge -n | ssh CONTROLLER unmunge"


def no_version(
    server: Server, history: tuple[Try, ...], credentials: Credentials, fixed: Version | None
) -> SiphonError:
    """No version was accepted: what the answers say about why."""
    told = next((entry.told for entry in history if entry.outcome == TOLD), 0)
    asked = ", ".join(entry.version.release for entry in history)
    if told:
        return SiphonError(
            failure.VERSION,
            f"{server} speaks {versions.release_name(told)} and refuses version {asked}",
            evidence=f"its answers carry protocol number {told:#06x}",
            hint="leave out --protocol to let siphon find the version"
            if fixed
            else "is there a newer siphon?",
        )
    if history[-1].outcome == HTTP:
        return _only_http(server, asked, fixed)
    if fixed is not None:
        return SiphonError(
            failure.VERSION,
            f"{server} closed the connection without an answer to version {asked}",
            evidence=f"it refuses the version, or {credentials.describe()}; up to 24.05 both look the same",
            hint="leave out --protocol to let siphon find the version",
        )
    silent = all(entry.outcome == SILENT for entry in history)
    return SiphonError(
        failure.AUTH,
        f"{server} closes the connection without an answer: the credential, most likely",
        evidence=f"asked in {asked}; sent was {credentials.describe()}"
        + ("; a controller up to 24.05 refuses a version and a credential alike" if silent else ""),
        hint=_auth_hint(credentials),
    )


def _only_http(server: Server, asked: str, fixed: Version | None) -> SiphonError:
    if fixed is not None:
        return SiphonError(
            failure.VERSION,
            f"{server} refuses version {asked}",
            evidence="it answers in HTTP: slurmctld 25.11 or later does so, and so does a web server",
            hint="leave out --protocol to let siphon find the version",
        )
    return SiphonError(
        failure.NOT_SLURM,
        f"{server} is no Slurm controller, or one newer than siphon",
        evidence=f"it answers in HTTP to versions {asked}",
        hint="slurmctld's port is 6817 by default; slurmrestd is something else",
    )


def malformed(server: Server, evidence: str) -> SiphonError:
    """The reply cannot be read."""
    return SiphonError(
        failure.MALFORMED,
        f"{server} sent a reply that is no valid message",
        evidence=evidence,
        hint="is this slurmctld's port? -v shows what was asked",
    )


def busy(server: Server, why: str) -> SiphonError:
    """There was no time left to try again."""
    kind = failure.MALFORMED if "broke" in why else failure.REFUSED
    return SiphonError(
        kind, f"no time left to ask {server} again", evidence=why, hint="--timeout SECONDS waits longer"
    )


def verdict(failures: list[SiphonError]) -> SiphonError:
    """One error for several controllers: the most telling, with a line for each."""
    if len(failures) == 1:
        return failures[0]
    worst = min(failures, key=lambda error: _TELLING.index(error.kind))
    lines = [f"{error.message}: {error.evidence}" for error in failures]
    sentence = f"none of {len(failures)} controllers gave its configuration"
    if all(error.kind is failure.STANDBY for error in failures):
        sentence = f"all {len(failures)} controllers are in standby"
    return SiphonError(worst.kind, sentence, evidence="\n".join(lines), hint=worst.hint)


_TELLING = (
    failure.MALFORMED,
    failure.VERSION,
    failure.REFUSED,
    failure.NOT_SLURM,
    failure.TIMEOUT,
    failure.CONNECT,
    failure.STANDBY,
)
"""Standby last: where one controller stands by, the news is what the other one does."""

"""A closed site: whose signature counts, which release is active, and that no other one was admitted.

Everything here lies on the SMS's disk, so no boot and no restart takes back what was done: there is no wrong
way that holds only until then.
"""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, failed
from lab.facts import releases

ROLE, GOOD = "rescue", "may"
SIGNERS = "/etc/nodeimage/allowed_signers"
NOTE = "/srv/by_phone.txt"
KEYS = rf"grep -oE '(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+.*' {SIGNERS} | ssh-keygen -lf -"
FINGERPRINT = re.compile(r"SHA256:\S+")


@check(step="trust")
def only_the_builder_is_trusted(cluster: ClusterView) -> None:
    """The key that the builder has read out is the only one whose signatures count."""
    told = FINGERPRINT.search(cluster.sms.run(f"cat {NOTE}").output)
    rows = [row.strip() for row in cluster.sms.run(KEYS).output.splitlines() if FINGERPRINT.search(row)]
    others = [row for row in rows if told is None or told[0] not in row]
    if others or not rows:
        raise failed(
            expected="the builder's key in allowed_signers, and no other",
            actual=others or "there is none",
            hint="Which of the fingerprints came by telephone, and not with the delivery?",
            node="sms",
            look=f"cat {NOTE}; {KEYS}",
        )


@check(step="admit", needs=[only_the_builder_is_trusted])
def may_is_active(cluster: ClusterView) -> None:
    """The release that passes, may, is active, and lies there as it was signed."""
    active = cluster.sms.fact(releases.active(ROLE))
    if active is None or active.name != GOOD:
        raise failed(
            expected=f"{GOOD} is active",
            actual=active.name if active else "none that nodeimage has made active",
            hint=f"Copy it to /srv/nodeimage/{ROLE}, then: nodeimage activate {ROLE} {GOOD}.",
            node="sms",
            look="nodeimage list; nodeimage verify ./delivered/may",
        )
    wrong = cluster.sms.fact(releases.flaw(ROLE, GOOD))
    if wrong:
        raise failed(
            expected=f"{GOOD} as it was signed",
            actual=wrong,
            hint="Copy it anew from what was delivered.",
            node="sms",
            look=f"nodeimage verify {ROLE} {GOOD}",
        )


@check(step="admit", needs=[may_is_active])
def nothing_else_was_admitted(cluster: ClusterView) -> None:
    """There is no other release of rescue on this site."""
    others = [name for name in cluster.sms.fact(releases.names(ROLE)) if name != GOOD]
    if others:
        raise failed(
            expected=f"only {GOOD} in /srv/nodeimage/{ROLE}",
            actual=others,
            hint="What has failed its test does not belong where one command makes it active.",
            node="sms",
            look=f"nodeimage list {ROLE}",
        )

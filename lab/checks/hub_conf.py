"""The portal's Hub after the login node's next boot: what its coming configuration has it do."""

from __future__ import annotations

from lab.checks.api import failed
from lab.checks.cluster_view import ClusterView
from lab.checks.lasting import coming
from lab.facts import portal


def coming_hub(cluster: ClusterView) -> tuple[portal.HubSettings, str]:
    """What the Hub does then, and where its configuration comes from; fails if it would not start."""
    brought = coming(cluster, "login", portal.CONF)[portal.CONF]
    settings = cluster.login.fact(portal.next_start(brought.text), timeout=60)
    if settings.problem:
        raise failed(
            expected=f"a configuration that the Hub can read: {brought.source}",
            actual=settings.problem,
            hint="The file is Python. What does the Hub itself say about it?",
            node="login",
            look="journalctl -u jupyterhub -n 20",
        )
    return settings, brought.source

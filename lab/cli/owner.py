"""Labs of other accounts: whoever may use the engine may change them, but not without being told."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.account import account_name
from lab.cli.output import note
from lab.errors import UsageError
from lab.printable import escaped

MEANT = "LAB_OWNER"
"""Names the account whose labs are meant, so that nobody need be asked."""


def stranger(owner: str, environ: Mapping[str, str]) -> str:
    """The owner of a lab if that is neither this account nor the one that is meant; else ""."""
    return "" if owner in {"", account_name(), environ.get(MEANT)} else escaped(owner)


def agree(lab: str, owner: str, ask: Callable[[str], None] | None, *, yes: bool) -> None:
    """Asks before a lab of this other account is changed; raises a UsageError if that is not agreed to.

    `ask` is None where nobody can answer. With `yes`, the user has agreed already and is only told.
    """
    if yes:
        tell(lab, owner)
    elif ask is not None:
        ask(f"Lab {lab} belongs to {owner}. Change it all the same?")
    else:
        raise UsageError(
            f"lab {lab} belongs to {owner}",
            evidence="lab ls lists whose labs there are",
            hint=f"-l NAME for a lab of your own; to change labs of {owner}: export {MEANT}={owner}",
        )


def tell(lab: str, owner: str) -> None:
    """Says on stderr that a lab is another account's."""
    note(f"lab {lab} belongs to {owner}")

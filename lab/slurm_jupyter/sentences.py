"""What Slurm's commands print when they fail, as one sentence with the cause in it."""

from __future__ import annotations

import re

CAUSES = (
    ("protocol authentication error", "Slurm refuses the token: renew it"),
    ("invalid authentication credential", "Slurm refuses the token: renew it"),
    ("incompatible versions", "the controller is of another Slurm release than this image"),
    ("protocol version has changed", "the controller is of another Slurm release than this image"),
    ("unable to contact slurm controller", "Slurm's controller does not answer"),
    ("slurmctld is not responding", "Slurm's controller does not answer"),
    ("problem talking to the database", "Slurm's database daemon does not answer"),
    ("unable to connect to database", "Slurm's database daemon does not answer"),
    ("connection refused", "Slurm does not answer"),
    ("could not establish a configuration source", "Slurm's configuration is not here yet"),
)
"""Words of Slurm's messages, small, and what they mean to the user; the first that fits counts."""
_PREFIX = re.compile(r"^(?:\w+: )?(?:error|fatal): ")


def sentence(text: str) -> str:
    """One sentence for what a command printed to standard error; "" for nothing."""
    lines = [_PREFIX.sub("", line.strip()) for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    small = text.lower()
    for words, meaning in CAUSES:
        if words in small:
            evidence = next((line for line in lines if words in line.lower()), lines[0])
            return f"{meaning} ({clean(evidence)[:200]})"
    return clean(lines[0])[:300]


def clean(text: str, also: str = "") -> str:
    """Text of strangers for one line: what is not printable, and what `also` has, becomes an underscore."""
    return "".join(one if one.isprintable() and one not in also else "_" for one in text)


def word(text: str) -> str:
    """Text of strangers as one word: no white space either; never empty."""
    return "".join("_" if one.isspace() else one for one in clean(text)) or "-"

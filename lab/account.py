"""Names the account that runs this program, as the kernel knows it and not as an environment claims."""

from __future__ import annotations

import os
import pwd


def account_name() -> str:
    """Returns the account's name; its number if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())

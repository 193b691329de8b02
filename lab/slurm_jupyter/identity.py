"""JupyterLab's sign-in: the user is the cluster's, and an address with a code works once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User

from lab.slurm_jupyter import visit
from lab.slurm_jupyter.places import FOLDER, Places


class ClusterUser(IdentityProvider):  # type: ignore[misc]  # jupyter_server is in the image, not here
    """Signs in by the server's token, or by a code that is then used up; the rest is a cookie."""

    def generate_anonymous_user(self, handler: Any) -> Any:
        """The one user that there is."""
        del handler
        name = os.environ["USER"]
        return User(username=name, name=name, display_name=name, initials=name[:2])

    async def get_user_token(self, handler: Any) -> Any:
        """The user of a request that brings a token or an unused code, else None."""
        found = await super().get_user_token(handler)
        if found is None and visit.use(Places(Path(os.environ[FOLDER])), self.get_token(handler) or ""):
            return self.generate_anonymous_user(handler)
        return found

"""Files of the container, all below one folder that only the notebook's user may enter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = Path("/run/slurm/conf")
"""Slurm's commands look here when nothing names another place."""
PROGRAMS = Path("/usr/bin")
LIBRARY = Path("/usr/lib/slurm-jupyter")
ENVIRONMENT = Path("/opt/jupyter")
RELEASES = {"trixie": "24.11", "forky": "26.05"}
"""Slurm in the images, by the release of Debian."""
FOLDER = "SLURM_JUPYTER_FOLDER"
"""The variable that names the folder for the programs of the page."""


@dataclass(frozen=True)
class Places:
    """The container's own files."""

    folder: Path = Path("/run/slurm/jupyter")

    @property
    def token(self) -> Path:
        """The user's token, where the container itself gets it."""
        return self.folder / "slurm-token"

    @property
    def api_token(self) -> Path:
        """What programs show to JupyterLab instead of signing in; of a Hub if there is one."""
        return self.folder / "api-token"

    @property
    def address(self) -> Path:
        """HOST:PORT of the page in the container, and behind it the path that a Hub gave it."""
        return self.folder / "address"

    @property
    def once(self) -> Path:
        """A file for each address that works once."""
        return self.folder / "once"

    @property
    def refused(self) -> Path:
        """There when Slurm has refused a token that looked good: its key was dropped."""
        return self.folder / "refused"

    @property
    def failed(self) -> Path:
        """Touched when the page's squeue has failed."""
        return self.folder / "failed"

    def trouble(self, what: str) -> Path:
        """Why the token or the configuration could not be fetched; absent when all is well."""
        return self.folder / f"trouble-{what}"

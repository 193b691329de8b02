"""Starts a user's server as a Slurm job of that user, with two sudo rules (sudoers.d/jupyterhub).

batchspawner 1.3.0 (batchspawner/api.py) takes more from a server than its port. Its handler is replaced.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

import batchspawner
from batchspawner.api import BatchSpawnerAPIHandler
from jupyterhub.apihandlers import APIHandler, default_handlers
from tornado import web

from lab.slurm_hub.callback import CallbackError, port_of

PATH = r"/api/batchspawner"


class PortHandler(APIHandler):  # type: ignore[misc]  # it carries no types
    """Takes the port of a server that is just starting, from that server alone."""

    @web.authenticated  # type: ignore[untyped-decorator]
    def post(self) -> None:
        """Sets the port of the server whose token came with the request; once in its start."""
        spawner = self._asking()
        if spawner is None or spawner.pending != "spawn" or spawner.port != 0:
            raise web.HTTPError(403, "no server with this token waits for its port")
        try:
            spawner.port = port_of(self.request.body)
        except CallbackError as problem:
            raise web.HTTPError(400, str(problem)) from problem
        self.set_status(201)
        self.finish("{}")

    def _asking(self) -> Any:
        """The spawner of the server that asks; None for anybody else."""
        token = self.get_auth_token() or ""
        for spawner in getattr(self.current_user, "spawners", {}).values():
            if spawner.api_token and hmac.compare_digest(spawner.api_token, token):
                return spawner
        return None


default_handlers[:] = [one for one in default_handlers if one[1] is not BatchSpawnerAPIHandler]
default_handlers.append((PATH, PortHandler))


class PortalSpawner(batchspawner.SlurmSpawner):  # type: ignore[misc]  # it carries no types
    """SlurmSpawner whose Hub may only submit a script and cancel a number in the names of others."""

    exec_prefix = ""
    batch_submit_cmd = "/usr/bin/sudo -n -u {username} /usr/bin/sbatch --parsable"
    batch_query_cmd = "/usr/bin/squeue -h -j {job_id} -o '%T %B'"
    batch_cancel_cmd = "/usr/bin/sudo -n -u {username} /usr/bin/scancel {job_id}"

    async def submit_batch_script(self) -> str:
        """Submits the job as the configuration says: users' own words would become part of its script."""
        self.user_options: dict[str, Any] = {}
        job: str = await super().submit_batch_script()
        return job

    async def cancel_batch_job(self) -> None:
        """Cancels the job, if there is one."""
        if self.job_id:
            await super().cancel_batch_job()

    async def start(self) -> tuple[str, int]:
        """Starts the server; fails at once when its job ends before it told its port."""
        starting = asyncio.ensure_future(super().start())
        try:
            await self._watch(starting)
            place: tuple[str, int] = starting.result()
        except RuntimeError as problem:  # of batchspawner, too: with what sbatch said
            raise web.HTTPError(500, f"no server: {problem}") from problem
        finally:
            starting.cancel()
        return place

    async def _watch(self, starting: asyncio.Future[Any]) -> None:
        """Waits for the end of a start; batchspawner waits for the port of a job that is gone, too."""
        while not (await asyncio.wait([starting], timeout=1))[0]:
            if self.job_id and self.port == 0 and await self.poll() is not None:
                raise RuntimeError("the job ended before its server told the Hub a port")

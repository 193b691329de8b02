"""The error by which a hook has a Hub show a sentence."""

from __future__ import annotations


class HTTPError(Exception):
    """As tornado.web's; a hook adds `jupyterhub_message`, which the Hub's page shows."""

    jupyterhub_message: str

    def __init__(self, status: int, text: str, *words: object) -> None:
        super().__init__(f"{status}: {text % words}")
        self.status = status

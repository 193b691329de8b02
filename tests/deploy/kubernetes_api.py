"""Of the Kubernetes API only TokenReview (authentication.k8s.io/v1), in a container: what slurm-token asks.

A program of its own: `python3 kubernetes_api.py CERT KEY SECRET REVIEWER…`. A token is signed with SECRET, a
stand-in for the API's key, and names its service account and audience. Only the accounts REVIEWER may ask.
"""

import base64
import hashlib
import hmac
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

OWN = "https://kubernetes.default.svc"


def make(secret: str, account: str, audience: str) -> str:
    """A token of a service account; the API's own audience if none is named."""
    claims = json.dumps({"sub": account, "aud": audience or OWN}).encode()
    body = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    return f"{body}.{_signed(secret, body)}"


def _signed(secret: str, body: str) -> str:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def claims(secret: str, token: str) -> dict[str, str]:
    """What a token says, if it is the API's; else nothing."""
    body, _, signature = token.partition(".")
    if not hmac.compare_digest(signature, _signed(secret, body)):
        return {}
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


class Api(BaseHTTPRequestHandler):
    """Answers POST /apis/authentication.k8s.io/v1/tokenreviews."""

    secret = ""
    reviewers: tuple[str, ...] = ()

    def do_POST(self) -> None:
        """Reviews one token."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        who = claims(self.secret, self.headers.get("Authorization", "").removeprefix("Bearer "))
        if self.path != "/apis/authentication.k8s.io/v1/tokenreviews" or who.get("aud") != OWN:
            self._answer(401, {"kind": "Status", "code": 401})
        elif who["sub"] not in self.reviewers:
            self._answer(403, {"kind": "Status", "code": 403})
        else:
            self._answer(201, {**asked, "status": self._review(asked["spec"])})

    def _review(self, spec: dict[str, Any]) -> dict[str, Any]:
        found = claims(self.secret, spec["token"])
        if found.get("aud") not in spec["audiences"]:
            return {"authenticated": False, "error": "token audiences are invalid"}
        return {"authenticated": True, "user": {"username": found["sub"]}, "audiences": [found["aud"]]}

    def _answer(self, status: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serves until it is killed."""
    certificate, key, Api.secret, *reviewers = sys.argv[1:]
    Api.reviewers = tuple(reviewers)
    server = HTTPServer(("0.0.0.0", 443), Api)  # noqa: S104 - of the container
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

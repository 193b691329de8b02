"""Signs manifests and verifies their signatures with ssh-keygen (ssh-keygen(1), -Y sign and -Y verify)."""

from __future__ import annotations

import os

from lab.guest.nodeimage.errors import FAILED, INVALID, KEY, NodeImageError, missing_program
from lab.guest.system import Outcome, System

NAMESPACE = "nodeimage"
"""Keeps signatures of images apart from those that the same key makes of mail or commits."""
KEY_FILE = "/etc/nodeimage/signing_key"
SIGNERS_FILE = "/etc/nodeimage/allowed_signers"
SUFFIX = ".sig"


def sign(system: System, key: str, path: str) -> None:
    """Writes the signature of a file beside it."""
    if not os.path.isfile(key):
        raise NodeImageError(
            KEY, f"there is no key {key} to sign the release with",
            hint=f"ssh-keygen -t ed25519 -N '' -f {key}, or name one: --key FILE",
        )  # fmt: skip
    done = _ran(system, "sign", "-q", "-f", key, "-n", NAMESPACE, path)
    if done.status or not os.path.isfile(f"{path}{SUFFIX}"):
        raise NodeImageError(
            FAILED, f"ssh-keygen cannot sign with {key}", evidence=_told(done), hint=f"ssh-keygen -y -f {key}"
        )


def verify(system: System, signers: str, path: str, data: bytes) -> str:
    """Who of the allowed signers signed these data, the content of `path`. Raises NodeImageError."""
    if not os.path.isfile(signers):
        raise NodeImageError(
            KEY, f"there is no list of signers {signers}, so nobody's signature counts",
            hint=f"echo builder $(cat KEY.pub) >>{signers}, or name one: --signers FILE",
        )  # fmt: skip
    signature = f"{path}{SUFFIX}"
    found = _ran(system, "find-principals", "-s", signature, "-f", signers)
    who = found.out.decode(errors="replace").splitlines()
    if found.status or not who:
        raise NodeImageError(
            INVALID, f"{path} is not signed by anybody whom {signers} names",
            evidence=_told(found), hint=f"ask who published it, then add the public key to {signers}",
        )  # fmt: skip
    done = _ran(system, "verify", "-f", signers, "-I", who[0], "-n", NAMESPACE, "-s", signature, data=data)
    if done.status:
        raise NodeImageError(
            INVALID, f"the signature of {path} is wrong: it was changed, or signed for something else",
            evidence=_told(done), hint="copy the release anew from where it was published",
        )  # fmt: skip
    return who[0]


def _ran(system: System, *words: str, data: bytes = b"") -> Outcome:
    done = system.run(["ssh-keygen", "-Y", *words], data)
    if done.status == 127:
        raise missing_program("ssh-keygen", "apt install openssh-client")
    return done


def _told(done: Outcome) -> str:
    text = (done.err + done.out).decode(errors="replace")
    return "\n".join(line for line in text.splitlines() if line.strip() and line.isprintable())

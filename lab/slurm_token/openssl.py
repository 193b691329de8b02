"""The one door to another program: openssl makes RSA keys and signs. No secret is in its arguments."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab.slurm_token.errors import TokenError

SECONDS = 30
BITS = 2048
EXPONENT = 65537  # openssl's own choice for new keys


def make_key(target: Path) -> None:
    """Writes a new private key into a new file, which only its owner may read."""
    made = _run("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{BITS}")
    target.touch(mode=0o600, exist_ok=False)
    target.write_bytes(made)


def modulus(key: Path) -> int:
    """The modulus of a key."""
    text = _run("rsa", "-in", str(key), "-noout", "-modulus").decode("ascii", "replace")
    found = re.match(r"Modulus=([0-9A-F]+)\s*\Z", text)
    if found is None:
        raise TokenError(f"{key} is not an RSA key")
    return int(found.group(1), 16)


def sign(key: Path, data: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3)."""
    return _run("dgst", "-sha256", "-sign", str(key), data=data)


def _run(*words: str, data: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["openssl", *words],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
    except FileNotFoundError:
        raise TokenError("openssl is not installed", hint="apt-get install openssl") from None
    except subprocess.TimeoutExpired:
        raise TokenError(f"openssl {words[0]} did not end within {SECONDS} s") from None
    if done.returncode:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no words"])[-1]
        raise TokenError(f"openssl {words[0]} failed: {last}")
    return done.stdout

"""Certificates of services that tests make."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def certify(folder: Path, host: str) -> Path:
    """Makes a key (`key`) and a certificate (`crt`) of its own for a host; returns the certificate."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
         "-keyout", "key", "-out", "crt"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "crt"


def context(certificate: Path) -> ssl.SSLContext:
    """What a service with that certificate answers with."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, certificate.parent / "key")
    return made

"""The command `slurm-token`: output and exit status. Only this module prints."""

from __future__ import annotations

import argparse
import json
import signal
import ssl
import sys
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Optional

from lab.slurm_token import errors, fetch, options
from lab.slurm_token.accounts import Accounts
from lab.slurm_token.audit import Audit
from lab.slurm_token.callers import Hub, Kubernetes, Verifier
from lab.slurm_token.errors import TokenError
from lab.slurm_token.keys import KeyFolder, Keys
from lab.slurm_token.listen import Door, tcp_socket, unix_socket
from lab.slurm_token.service import Rules, serve
from lab.slurm_token.upstream import Service

VERSION = "0.1.0"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main(words: Optional[list[str]] = None) -> int:
    """Runs the command and returns its exit status. Never shows a traceback, which could contain a token."""
    try:
        arguments = options.make_parser(VERSION).parse_args(sys.argv[1:] if words is None else words)
        {"serve": _serve, "key": _key, "get": _get}[arguments.command](arguments)
    except TokenError as problem:
        complain(problem)
        return problem.status
    except SystemExit:  # --help and --version
        sys.stdout.flush()
        return errors.OK
    except KeyboardInterrupt:
        return errors.INTERRUPTED
    except Exception as problem:
        sys.stderr.write(f"error: slurm-token itself failed: {type(problem).__name__} at {_where(problem)}\n")
        return errors.BUG
    return errors.OK


def complain(problem: TokenError) -> None:
    """Writes an error to standard error."""
    hint = f"hint: {problem.hint}\n" if problem.hint else ""
    sys.stderr.write(f"error: {problem.message}\n{hint}")
    sys.stderr.flush()


def _where(error: BaseException) -> str:
    """File and line of a bug, without the values in its message and traceback."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return "an unknown place" if step is None else f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


def _serve(given: argparse.Namespace) -> None:
    keys = KeyFolder(given.keys)
    keys.make()
    keys.private(keys.read().signing)
    accounts = Accounts(least_uid=given.least_uid, barred=tuple(given.bar))
    rules = Rules(keys, accounts, given.lifespan, _verifiers(given, accounts), Audit(given.audit))
    tls = _tls(given)
    sockets = [unix_socket(given.socket, given.socket_mode)] if given.socket else []
    try:
        sockets += [tcp_socket(*given.listen)] if given.listen else []
        if not sockets:
            raise TokenError(
                "nobody could ask", hint="--socket PATH, --listen HOST:PORT", status=errors.USAGE
            )
        door = Door(sockets, partial(serve, rules=rules), tls)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: door.stop())
        rules.audit.write("ready", key=keys.read().signing, lifespan=given.lifespan)
        door.run()
    finally:
        for one in sockets:
            one.close()
        if given.socket and sockets:
            given.socket.unlink(missing_ok=True)


def _verifiers(given: argparse.Namespace, accounts: Accounts) -> dict[str, Verifier]:
    found: dict[str, Verifier] = {}
    if given.hub:
        service = Service(given.hub, "the Hub", given.upstream_ca, plain=given.plain_http)
        found["hub"] = Hub(service, accounts)
    if given.kubernetes:
        if not given.own_token or not given.accounts:
            raise TokenError("--kubernetes needs --own-token and --accounts", status=errors.USAGE)
        service = Service(given.kubernetes, "the Kubernetes API", given.upstream_ca, plain=given.plain_http)
        found["kubernetes"] = Kubernetes(service, given.own_token, given.accounts, accounts)
    if bool(found) != bool(given.listen):
        told = "--listen needs --hub or --kubernetes, and they need --listen"
        raise TokenError(told, hint="processes of this machine need --socket only", status=errors.USAGE)
    return found


def _tls(given: argparse.Namespace) -> Optional[ssl.SSLContext]:
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(*map(str, given.tls))
        except OSError as problem:
            raise TokenError(f"the certificate cannot be used: {problem.strerror or problem}") from None
        return context
    if given.listen and given.listen[0] not in LOOPBACK and not given.plain_http:
        hint = "--tls CERT KEY, or --plain-http on a network that nobody else reads"
        raise TokenError("tokens would cross the network in clear", hint=hint, status=errors.USAGE)
    return None


def _key(given: argparse.Namespace) -> None:
    folder = KeyFolder(given.keys)
    if given.act == "add":
        sys.stdout.write(f"{folder.add().kid}\n")
    elif given.act == "use":
        folder.use(given.kid)
    elif given.act == "drop":
        folder.drop(given.kid, force=given.force)
    else:
        _show(folder.read(), as_json=given.json)
    sys.stdout.flush()


def _show(keys: Keys, *, as_json: bool) -> None:
    """Shows the keys, oldest first; `retired` is 0 where no other key signs now. In seconds since 1970."""
    if as_json:
        found = [{**asdict(key), "signs": key.kid == keys.signing} for key in keys.keys]
        sys.stdout.write(json.dumps({"keys": found}, indent=2) + "\n")
        return
    for key in keys.keys:
        sys.stdout.write(f"{key.kid} {'signs' if key.kid == keys.signing else 'valid'}\n")


def _get(given: argparse.Namespace) -> None:
    place = fetch.Place(given.url, given.bearer, given.ca)
    output: Path = given.output
    if not given.keep:
        fetch.write(output, place.ask().token)
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    fetch.keep(place, output, stop, complain)

"""What stands between root in a machine and this host: asked of libvirt, which need not start one for it."""

from __future__ import annotations

import os
import pwd
import re
import stat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from lab.backends.base import Protection
from lab.backends.libvirt import engine, wire_guard
from lab.backends.libvirt.storage import ROOT
from lab.errors import LabError

SETTINGS = Path("/etc/libvirt")
CONTROLLERS = Path("/sys/fs/cgroup")
LOG_BYTES = 2 << 20
"""What virtlogd keeps of a log before it begins another, unless told (virtlogd.conf, max_size)."""
PASS = 0o007
TRIAL = """<domain type='qemu'><name>rackling-probe</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"""
CONFINED = re.compile(r"-sandbox (on[^ ]*)")
NUMBERS = re.compile(r"\+(\d+):\+\d+")
ROOTS_LIBVIRT = "sudo lab …: root's libvirt does it"


def examine(connection: Any, kvm: tuple[bool, str]) -> tuple[Protection, ...]:
    """The rows of libvirt's table; `kvm` is the verdict on KVM and why."""
    models = _security_models(connection)
    return (
        _processor(*kvm),
        _account(models),
        _system_calls(connection),
        _profile(models),
        _namespace(),
        _cgroup(),
        _networks(),
        _files(),
        _logs(),
    )


def _security_models(connection: Any) -> dict[str, str]:
    """How libvirt tells machines apart from the host: name of each model, and its label of a machine."""
    with engine.translate_errors("asking for its capabilities"):
        described = ET.fromstring(connection.getCapabilities())  # noqa: S314 (libvirt's own)
    return {
        model.findtext("model", ""): model.findtext("baselabel", "")
        for model in described.iterfind("host/secmodel")
    }


def setting(name: str, default: str, file: str = "qemu.conf") -> str | None:
    """One of the daemon's settings, without quotation marks; None when its file may not be read."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "libvirt"
    path = (home if engine.is_session() else SETTINGS) / file
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return default
    except OSError:
        return None
    found = re.findall(rf"^[ \t]*{name}[ \t]*=[ \t]*(\[[^\]]*\]|[^#\n]*)", text, re.MULTILINE)
    return str(found[-1]).strip().replace('"', "").replace("'", "") if found else default


def _processor(usable: bool, why: str) -> Protection:  # noqa: FBT001 (a verdict and its reason)
    emulated = f"emulated ({why}); QEMU's authors promise isolation with KVM only"
    return Protection(
        "processors of KVM",
        "this host from a flaw in what runs a machine",
        usable,
        "KVM runs ordinary guests" if usable else emulated,
        "for strangers, a host with KVM",
    )


def _account(models: dict[str, str]) -> Protection:
    """Which account machines run as; libvirt's own model of security says it, whatever made it so."""
    found = NUMBERS.search(models.get("dac", ""))
    number = int(found[1]) if found else os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    given = number not in (0, os.geteuid())
    told = f"machines run as {name}" + (", those of all labs" if given else "")
    advice = ROOTS_LIBVIRT if engine.is_session() else 'no user = "root" in /etc/libvirt/qemu.conf'
    return Protection("account of machines", "files of other accounts", given, told, advice)


def _system_calls(connection: Any) -> Protection:
    """What libvirt would give QEMU on its command line: nothing is started."""
    given: bool | None
    try:
        with engine.translate_errors("telling how it would start a machine"):
            words = connection.domainXMLToNative("qemu-argv", TRIAL)
    except LabError as problem:
        given, told = None, problem.evidence
    else:
        found = CONFINED.search(words)
        given, told = found is not None, f"QEMU starts with -sandbox {found[1] if found else 'off'}"
    advice = "no seccomp_sandbox = 0 in qemu.conf, and a QEMU that was built with seccomp"
    return Protection("QEMU's system calls", "new programs, other rights", given, told, advice)


def _profile(models: dict[str, str]) -> Protection:
    found = [name for name in models if name in ("apparmor", "selinux")]
    return Protection(
        "AppArmor or SELinux",
        "files of other labs and of this host",
        bool(found),
        f"libvirt confines each machine by {found[0]}" if found else "libvirt found neither",
        "a host with AppArmor (Debian has it), and the package apparmor",
    )


def _namespace() -> Protection:
    kept = setting("namespaces", "[ mount ]")
    given = False if engine.is_session() else None if kept is None else "mount" in kept
    told = "libvirt of an account makes none" if engine.is_session() else f"namespaces = {kept or 'unknown'}"
    return Protection("/dev of its own", "devices of this host", given, told, ROOTS_LIBVIRT)


def _cgroup() -> Protection:
    version = "v2" if (CONTROLLERS / "cgroup.controllers").exists() else "v1"
    known = version == "v2" or (CONTROLLERS / "devices").is_dir()
    kept = setting("cgroup_controllers", "its default")
    by_default = kept == "its default"
    given = None if kept is None else known and not engine.is_session() and (by_default or "devices" in kept)
    told = "libvirt of an account has none" if engine.is_session() else f"{version}, controllers: {kept}"
    return Protection("cgroup", "devices of this host, by a list", given, told, ROOTS_LIBVIRT)


def _networks() -> Protection:
    """A session has sockets in closed folders; a bridge is a card of this host's and must be closed."""
    name, protects = "closed networks", "this host's own network"
    if engine.is_session():
        return Protection(name, protects, given=True, evidence="each lab has a switch of its own, no bridge")
    unguarded = wire_guard.open_cards()
    told = f"open: {' '.join(unguarded)}" if unguarded else "no bridge of a lab, and no card on one, is open"
    advice = "lab down, then lab up; the kernel needs sch_ingress and cls_bpf"
    return Protection(name, protects, not unguarded, told, advice)


def _files() -> Protection:
    """Every folder of a lab, and of checkpoints, is closed to all other accounts."""
    folders = [path for kind in ("labs", "golden") for path in (ROOT / kind).glob("*/")]
    try:
        unguarded = [path for path in folders if stat.S_IMODE(path.stat().st_mode) & PASS]
    except OSError as problem:
        return Protection("closed files", "disks, memory and keys of labs", None, str(problem))
    told = f"open: {unguarded[0]}" if unguarded else f"folders of labs: {len(folders)}, none open"
    advice = f"sudo chmod o= {unguarded[0]}" if unguarded else ""
    return Protection("closed files", "disks, memory and keys of labs", not unguarded, told, advice)


def _logs() -> Protection:
    handler = setting("stdio_handler", "logd")
    most = setting("max_size", str(LOG_BYTES), "virtlogd.conf")
    given = None if handler is None or most is None else handler == "logd" and most != "0"
    told = f"stdio_handler {handler or 'unknown'}, at most {most or 'unknown'} bytes a file"
    return Protection(
        "bounded consoles",
        "disk of this host",
        given,
        told,
        'stdio_handler = "logd" in qemu.conf, max_size of virtlogd.conf not 0',
    )

"""Every developer task, one session each; `nox -l` lists them.

The sessions use the environment nox itself runs in (`./quickstart test` makes it): nothing is fetched twice.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).resolve().parent
PYTHON = sys.executable
OLDEST_PYTHON = "3.11"
GUEST_PYTHON = "3.9"
LOCKS = ROOT / "requirements"
LOCKED = {
    "lab": ("pyproject.toml",),
    "class": ("pyproject.toml", "--extra=class"),
    "dev": ("pyproject.toml", "--extra=dev"),
    "dns": ("pyproject.toml", "--extra=dns"),
    "libvirt": ("pyproject.toml", "--extra=libvirt"),
    "build": ("--group=build",),
    "guest": ("--group=guest",),
    "hub": ("--group=hub",),
    "jupyter": ("--group=jupyter",),
    "dockerspawner": ("--group=dockerspawner",),
    "browser": ("pyproject.toml", "--group=browser"),
    "pipeline": ("--group=pipeline",),
}
"""The files in requirements/, and what in pyproject.toml each of them pins."""
STRICT = bool(os.environ.get("LAB_TEST_NO_SKIP"))
"""Set by `ci`: what cannot be run is then an error, never a skip."""

FLAWED = ("exercises/rolling_reboot/files/rolling-check",)
"""Scripts with faults that learners are to find."""

QUICK = ("--quick",)
CI_STEPS: dict[str, tuple[str, ...]] = {
    "lint": (),
    "slurm_zipapp": (),
    "nodeimage_zipapp": (),
    "images": (),
    "tests": (),
    "guest": (),
    "slurm": QUICK,
    "portal": QUICK,
    "web": QUICK,
    "pipeline": QUICK,
    "backends": (),
    "integration": (),
    "cases": QUICK,
    "isolation": QUICK,
    "smoke": (),
    "bench": QUICK,
    "record": QUICK,
    "firstrun": (),
    "machines": QUICK,
    "machines_contract": QUICK,
}
"""What `ci` runs, in this order, and the arguments for a session that takes long otherwise."""
COMPUTING, WAITING = ("tests", "guest"), ("slurm", "portal", "web", "pipeline")
"""`ci` runs the sessions that mostly wait for Slurm, one after the other, beside those that only compute."""
NOT_IN_CI = {
    "docs": "it writes the references, and a test of `tests` compares them",
    "lock": "it renews what CI installs from, and a test of `tests` compares it with pyproject.toml",
    "exercises": "all of them take hours; smoke proves some of each chapter",
    "ci": "it is what runs the others",
}
"""The sessions that `ci` leaves out, and why; a test holds that every session is in one of the two."""
ON_MACHINES = ("tests/backends/test_libvirt_contract.py", "tests/backends/test_libvirt_isolation.py")
BROWSER_TESTS = "tests/portal/browser"
GATE = "tests/pipeline/test_gate.py"
"""It needs root and all of Ansible, in an environment of its own."""
COURSE = ("tests/exercises", "--durations=10")
EACH_CORE = ("-n", "auto", "--dist", "worksteal")
TWO_LABS = ("-n", "2")
"""At once: each worker takes whole chains of exercises, so that states are made once."""


def pytest(session: nox.Session, *arguments: str) -> None:
    """Runs pytest; its closing lines stay in the output."""
    session.run(PYTHON, "-m", "pytest", *arguments, *session.posargs)


def missing(session: nox.Session, what: str, remedy: str) -> NoReturn:
    """Names what is missing: an error in `ci`, a skip elsewhere."""
    text = f"{what}; {remedy}"
    if STRICT:
        session.error(text)
    session.skip(text)


def need_engine(session: nox.Session) -> None:
    """Skips, saying so, where no container engine answers."""
    docker = shutil.which("docker")
    if docker is None:
        missing(session, "no docker command here", "./quickstart installs it")
    asked = subprocess.run([docker, "version"], capture_output=True, text=True, check=False)
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["no words"])[-1]
        missing(session, f"the container engine does not answer ({last})", "./quickstart starts it")


def need_images(session: nox.Session, *names: str) -> None:
    """Brings the images that labs need, or those named, up to date: a second when nothing has changed."""
    need_engine(session)
    session.run(PYTHON, "-m", "lab.cli.main", "images", "build", *names)


def need_machines(session: nox.Session) -> None:
    """Skips, saying so, where there are no virtual machines; brings their disks up to date."""
    doctor = [PYTHON, "-m", "lab.cli.main", "--backend", "libvirt", "doctor", "--json"]
    asked = subprocess.run(doctor, capture_output=True, text=True, check=False)
    found = json.loads(asked.stdout)["findings"]
    wrong = [one for one in found if one["ok"] is False and one["subject"] != "images"]
    if wrong:
        words = "\n".join(f"{one['subject']}: {one['evidence']}" for one in wrong)
        missing(session, f"no virtual machines here:\n{words}", "./quickstart --backend libvirt")
    session.run(PYTHON, "-m", "lab.cli.main", "--backend", "libvirt", "images", "build")


def need_browser(session: nox.Session, *more: str) -> None:
    """Skips, saying so, where there is no browser that a program can lead, or not `more`."""
    wanted = ("chromium", "chromedriver", *more)
    if lacking := [name for name in wanted if shutil.which(name) is None]:
        remedy = " ".join(("sudo apt-get install chromium chromium-driver", *more))
        missing(session, f"no {' and no '.join(lacking)} here", remedy)


def prove(session: nox.Session, *options: str) -> None:
    """Proves exercises on the backend that was asked for."""
    if "libvirt" in " ".join(session.posargs).replace("=", " ").split():
        need_machines(session)
        pytest(session, *COURSE, *options)  # one lab: its emulated processors are all that this computer has
    else:
        need_images(session, "sms", *(() if "--smoke" in options else ("runner", "sms-jupyter")))
        pytest(session, *COURSE, *TWO_LABS, *options)


def shell_scripts() -> list[str]:
    """Tracked files that are POSIX shell or bash by their first line; files to be sourced name it there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    found = []
    for raw in listed.split(b"\0"):
        path = ROOT / os.fsdecode(raw)
        if not raw or path.is_symlink() or not path.is_file() or os.fsdecode(raw) in FLAWED:
            continue
        with path.open("rb") as file:
            first = file.readline(64)
        shell = first.startswith(b"#!") and any(word in first for word in (b"/sh", b"bash", b"busybox sh"))
        if shell or first.startswith(b"# shellcheck shell="):
            found.append(os.fsdecode(raw))
    return found


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, import rules, the guest's oldest Python, shell scripts; every one, then the verdict."""
    tools = Path(PYTHON).parent
    scripts = shell_scripts()
    commands = [
        (PYTHON, "-m", "ruff", "check", "--output-format=concise", "."),
        (PYTHON, "-m", "ruff", "format", "--check", "."),
        (PYTHON, "-m", "mypy"),
        (str(tools / "lint-imports"), "--no-logo"),
        (
            str(tools / "vermin"),
            "--quiet",
            "--no-tips",
            "--violations",
            "-t=3.9-",
            "lab/guest",
            "lab/siphon",
            "lab/rollout",
            "lab/slurm_token",
            "lab/standalone.py",
            "lab/facts/provisioned.py",
            "lab/printable.py",
        ),
        (str(tools / "shellcheck"), "--severity=warning", *scripts),
    ]
    failed = []
    for command in commands:
        try:
            session.run(*command, external=True)
        except nox.command.CommandFailed:
            failed.append(Path(command[0]).name if command[0] != PYTHON else command[2])
    if failed:
        session.error(f"not clean: {', '.join(failed)}")


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that needs no engine and no network; the guest's tests only where `guest` cannot run."""
    left_out = ("--ignore-glob=tests/guest/*",) if guest_python() else ()
    pytest(session, *EACH_CORE, *left_out)


@nox.session
def guest(session: nox.Session) -> None:
    """The tests of the guest, of siphon, rollout and slurm-token on their oldest Python."""
    python = guest_python()
    if python is None:
        # Not an error in `ci`: Debian 12 and 13 carry no 3.9, and `lint` holds the line there.
        session.skip(f"no Python {GUEST_PYTHON} here; install one, e.g. with pyenv install {GUEST_PYTHON}")
    runner = locked_python(session, python, "guest")
    # The fixtures one folder up belong to the harness, which needs a newer Python.
    for folder in ("tests/guest", "tests/unit/siphon", "tests/unit/rollout", "tests/unit/slurm_token"):
        command = (
            runner,
            "-m",
            "pytest",
            folder,
            f"--confcutdir={folder}",
            "-p",
            "no:cacheprovider",
            *EACH_CORE,
        )
        session.run(*command, *session.posargs, external=True)


def locked_python(session: nox.Session, python: str, name: str) -> str:
    """The Python of an environment of its own, made of requirements/NAME.txt; made anew when that changes."""
    home, pins = ROOT / ".nox" / name, LOCKS / f"{name}.txt"
    runner, made_of = home / "bin" / "python", home / "made-of.txt"
    if not runner.exists() or not made_of.exists() or made_of.read_bytes() != pins.read_bytes():
        session.run(python, "-m", "venv", "--clear", str(home), external=True)
        install = (str(runner), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(pins))
        session.run(*install, external=True)
        shutil.copyfile(pins, made_of)
    return str(runner)


def guest_python() -> str | None:
    """A Python of the guest's oldest version that runs, or None."""
    pyenv = sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{GUEST_PYTHON}.*/bin")
    )
    for python in (shutil.which(f"python{GUEST_PYTHON}"), *(str(folder / "python") for folder in pyenv)):
        if (
            python
            and subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode
            == 0
        ):
            return python
    return None


@nox.session
def images(session: nox.Session) -> None:
    """Builds the image of every recipe in containers/; only what has changed. Disks are for `machines`."""
    need_images(session, "--all")


@nox.session
def backends(session: nox.Session) -> None:
    """The backend contract, against the container engine; `machines_contract` is the other."""
    need_images(session)
    pytest(session, "tests/backends", *(f"--ignore={file}" for file in ON_MACHINES), "--timeout=600")


@nox.session
def integration(session: nox.Session) -> None:
    """Real labs: nodes idle, jobs, reboots, isolation, crashes, leaks."""
    need_images(session)
    pytest(session, "tests/integration", "--timeout=900", "--durations=10")


@nox.session
def isolation(session: nox.Session) -> None:
    """What root in a node must not reach: its chassis, the host, other labs; `-- --quick` runs some of it."""
    need_images(session)
    pytest(session, "tests/isolation", "--timeout=600", "--durations=5")


@nox.session
def cases(session: nox.Session) -> None:
    """Faults that users met in public reports, each on a real lab; `-- --quick` runs what needs no lab."""
    if QUICK[0] not in session.posargs:
        need_images(session)
    pytest(session, "tests/cases", "--timeout=900", "--durations=5")


@nox.session
def exercises(session: nox.Session) -> None:
    """Proves each exercise: unsolved fails, solved passes, reset fails again; `-- --chapter NAME`."""
    prove(session)


@nox.session
def smoke(session: nox.Session) -> None:
    """Proves some exercises of each chapter: what `ci` has time for."""
    prove(session, "--smoke")


@nox.session
def machines(session: nox.Session) -> None:
    """Boots a small lab of virtual machines and proves two exercises there; the rest is `exercises`'s.

    `-- --quick` proves one of the two, in turn by day (LAB_TEST_DAY repeats a day's).
    """
    need_machines(session)
    pytest(session, "tests/machines", "--durations=0")


@nox.session
def machines_contract(session: nox.Session) -> None:
    """The backend contract, faults and hostile machines; half an hour where processors are emulated.

    `-- --quick` runs what boots no machine.
    """
    need_machines(session)
    pytest(session, *ON_MACHINES, "--durations=10")


@nox.session
def lock(session: nox.Session) -> None:
    """Renews requirements/: the newest releases that pyproject.toml allows, and the hashes of their files."""
    everything = ("pyproject.toml", "--all-extras", "--group=build")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "everything.txt"
        compile_lock(session, everything, constraints)
        for name, sources in LOCKED.items():
            # The guest's Python is so old that it needs older releases.
            options = ("--python-version", GUEST_PYTHON) if name == "guest" else ("-c", str(constraints))
            compile_lock(session, (*sources, *options), LOCKS / f"{name}.txt")


def compile_lock(session: nox.Session, arguments: Sequence[str], target: Path) -> None:
    """Writes a file of pins for every platform. It names no index, so that pip uses the user's."""
    python = () if "--python-version" in arguments else ("--python-version", OLDEST_PYTHON)
    shape = ("--universal", "--generate-hashes", "--no-annotate", "--no-header", "--upgrade", "--quiet")
    compiled = ("pip", "compile", *arguments, *python, *shape, "--output-file", str(target))
    session.run(PYTHON, "-m", "uv", *compiled, silent=True)
    pins = target.read_text(encoding="utf-8")
    target.write_text(f"# Written by `nox -s lock`.\n{pins}", encoding="utf-8")


@nox.session
def slurm_zipapp(session: nox.Session) -> None:
    """Builds dist/siphon.pyz, rollout.pyz and slurm-token.pyz, compiled for every Python from 3.9 on."""
    found = [sys.executable, *(path for minor in range(9, 20) if (path := python3(minor)) is not None)]
    for program in ("siphon", "rollout", "slurm_token"):
        target = ROOT / "dist" / f"{program.replace('_', '-')}.pyz"
        session.run(PYTHON, "-m", "lab.standalone", program, str(target), *found)
        for python in found:
            session.run(python, "-I", "-S", str(target), "--version", external=True)


@nox.session
def pipeline(session: nox.Session) -> None:
    """A runner, faults of a rollout, what nodeimage refuses to pack (as root); `-- --quick` pushes once."""
    need_images(session, "sms", "runner")
    pytest(session, "tests/pipeline", f"--ignore={GATE}", "--timeout=900", "--durations=10")
    if QUICK[0] in session.posargs:
        return
    if os.geteuid() != 0:
        session.skip("it works in chroots, which needs root: sudo .venv/bin/nox -s pipeline")
    runner = locked_python(session, PYTHON, "pipeline")
    path = f"{Path(runner).parent}{os.pathsep}{os.environ['PATH']}"
    command = (
        runner,
        "-m",
        "pytest",
        GATE,
        "--confcutdir=tests/pipeline",
        "-p",
        "no:cacheprovider",
    )
    session.run(*command, *session.posargs, env={"PATH": path}, external=True)


@nox.session
def nodeimage_zipapp(session: nox.Session) -> None:
    """Builds dist/nodeimage.pyz, and starts it with every Python from 3.9 on that is here."""
    target = ROOT / "dist" / "nodeimage.pyz"
    target.parent.mkdir(exist_ok=True)
    code = (
        "import sys, pathlib; from lab.images.bundle import write_program; "
        "write_program(pathlib.Path(sys.argv[1]), 'nodeimage')"
    )
    session.run(PYTHON, "-c", code, str(target))
    for python in (sys.executable, *(path for minor in range(9, 20) if (path := python3(minor)) is not None)):
        session.run(python, "-I", "-S", str(target), "list", "--releases", "/nonexistent", external=True)


def python3(minor: int) -> str | None:
    """A Python 3 of this minor version that runs: one of the machine's, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
        f"versions/3.{minor}.*/bin/python"
    )
    for python in (shutil.which(f"python3.{minor}"), *(str(path) for path in sorted(pyenv))):
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None


@nox.session
def slurm(session: nox.Session) -> None:
    """Real Slurm of four releases, what siphon fetches from each, jobs of clients; `-- --quick` meets two."""
    kinds = ("slurm-single-node", "slurm-client")
    names = [f"{kind}-{release}" for kind in kinds for release in ("bullseye", "bookworm", "trixie", "forky")]
    need_images(session, *names)
    pytest(session, "tests/slurm", "--timeout=300", "--durations=10")


@nox.session
def portal(session: nox.Session) -> None:
    """A notebook without a key beside real Slurm of two releases, then by a browser, a Hub, and as pods.

    `-- --quick` runs some of the first on one release; `-- --write` keeps the browser's pictures for docs/.
    """
    quick = QUICK[0] in session.posargs
    kinds, releases = ("slurm-single-node", "slurm-jupyter"), ("trixie",) if quick else ("trixie", "forky")
    need_images(session, *(f"{kind}-{release}" for kind in kinds for release in releases))
    chosen = ("-k", "trixie") if quick else ()
    limits = ("--timeout=300", "--durations=10")
    pytest(session, "tests/portal", f"--ignore={BROWSER_TESTS}", *limits, *chosen)
    if not quick:
        need_browser(session)
        hub = Path(locked_python(session, PYTHON, "dockerspawner")).parent
        runner = locked_python(session, PYTHON, "browser")
        alone = ("--confcutdir=tests/portal", "-p", "no:cacheprovider")
        command = (runner, "-m", "pytest", BROWSER_TESTS, *alone, *limits, *session.posargs)
        session.run(*command, env={"LAB_TEST_HUB": str(hub)}, external=True)


@nox.session
def web(session: nox.Session) -> None:
    """The learner's page in Debian's chromium on a real lab; `-- --quick`: without an engine."""
    need_browser(session, "npm")
    if QUICK[0] not in session.posargs:
        need_images(session)
    pytest(session, "tests/web", "--timeout=1200", "--durations=5")


@nox.session
def docs(session: nox.Session) -> None:
    """Writes the generated parts of docs/: commands from their help, lab.toml from its schema."""
    session.run(PYTHON, "-m", "tests.reference")


@nox.session
def bench(session: nox.Session) -> None:
    """Measures the promises of docs/figures.md; prints a table; `-- --quick` takes a few figures once."""
    session.run(PYTHON, "-m", "tests.bench", *session.posargs)


@nox.session
def record(session: nox.Session) -> None:
    """Records the first exercise from a real run into docs/first-run.svg and .cast; `-- --quick` tries it."""
    need_images(session)
    session.run(PYTHON, "-m", "tests.record", *session.posargs)


@nox.session
def firstrun(session: nox.Session) -> None:
    """Follows README.md as a newcomer does: ./quickstart twice, then takes the lab down."""
    need_engine(session)
    env = {"LAB_NAME": "first-run"}
    try:
        session.run("./quickstart", "-y", "--no-link", external=True, env=env)
        session.run("./quickstart", "-y", "--no-link", "--no-proof", external=True, env=env)
    finally:
        session.run(PYTHON, "-m", "lab.cli.main", "down", "-y", env=env)


@dataclass(frozen=True)
class Step:
    """One line of the table `ci` closes with."""

    name: str
    outcome: str
    seconds: float


@nox.session
def ci(session: nox.Session) -> None:
    """What `./quickstart test` runs: the sessions that take minutes, then a table."""
    done = run_steps((*session.posargs,) or tuple(CI_STEPS))
    width = max(len(step.name) for step in done)
    print(f"\n{'session'.ljust(width)}  outcome     seconds")
    for step in done:
        print(f"{step.name.ljust(width)}  {step.outcome:<8}  {step.seconds:9.1f}")
    print(f"{'all'.ljust(width)}  {'':<8}  {sum(step.seconds for step in done):9.1f}", flush=True)
    failed = [step.name for step in done if step.outcome == "failed"]
    for name in failed:
        print(f"\n=== {name} failed; its closing lines once more ===\n{closing_lines(name)}", flush=True)
    if failed:
        session.error(f"{', '.join(failed)} failed; run one again with: .venv/bin/nox -s {failed[0]}")


def run_steps(names: Sequence[str]) -> list[Step]:
    """Runs the sessions, and tells how each ended in the order of their names."""
    beside = [name for name in names if name in WAITING] if {*COMPUTING} <= {*names} else []
    done: list[Step] = []
    with ThreadPoolExecutor(max_workers=1) as lane:
        waiting: list[Future[Step]] = []
        for name in names:
            if name == COMPUTING[0]:
                waiting = [lane.submit(run_step, one, live=False) for one in beside]
            if name not in beside:
                done.append(run_step(name))
            if name == COMPUTING[-1]:
                done += [one.result() for one in waiting]
    return done


def run_step(name: str, *, live: bool = True) -> Step:
    """Runs one session in a process of its own, so that the next ones run whatever happens.

    What it says is shown at once, or, if not `live`, whole at its end.
    """
    if live:
        print(f"\n=== {name} ===", flush=True)
    start = time.monotonic()
    env = {**os.environ, "LAB_TEST_NO_SKIP": "1"}
    report = ROOT / ".nox" / f"{name}.json"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    with (
        output_of(name).open("wb") as copy,
        subprocess.Popen(
            command_of(name, report), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as running,
    ):
        assert running.stdout is not None
        while piece := os.read(running.stdout.fileno(), 1 << 16):
            if live:
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
            copy.write(piece)
    if not live:
        print(f"\n=== {name} ===\n{output_of(name).read_text(errors='replace')}", flush=True)
    code = running.returncode
    skipped = report.exists() and '"skipped"' in report.read_text(encoding="utf-8")
    outcome = "failed" if code else "skipped" if skipped else "passed"
    return Step(name, outcome, time.monotonic() - start)


def command_of(name: str, report: Path) -> list[str]:
    """What runs a session as `ci` wants it: in whole, or its quick part."""
    return [PYTHON, "-m", "nox", "-s", name, "--report", str(report), "--", *CI_STEPS.get(name, ())]


def output_of(name: str) -> Path:
    """Where everything is kept that a session said when `ci` last ran it."""
    return ROOT / ".nox" / f"{name}.log"


def closing_lines(name: str, count: int = 80) -> str:
    """The last lines of a session: pytest's report of what failed ends there. A log may show its end only."""
    return "\n".join(output_of(name).read_text(errors="replace").splitlines()[-count:])

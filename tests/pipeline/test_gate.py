"""The gate of nodeimage with the real Ansible and testinfra, on an overlay of this machine's own file system.

Needs root, ansible with community.general, and pytest-testinfra on the PATH. Without them the tests fail: who
runs this file wants them run.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOML = """\
name = "compute"
[image]
exclude = {exclude}
allow = ["/etc"]
"""
LEFT_OUT = [
    f"/{path.name}/*" for path in sorted(Path("/").iterdir()) if path.name not in ("etc", "sbin", "tmp")
]
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: No passwords for root
      ansible.builtin.copy:
        content: "PermitRootLogin no\\n"
        dest: /etc/lab-ssh.conf
        mode: "0600"
"""
SERVICE = """\
    - name: A unit
      ansible.builtin.copy:
        content: "[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n"
        dest: /etc/systemd/system/lab.service
    - name: The service runs
      ansible.builtin.systemd:
        name: lab
        state: started
"""
TESTS = """\
def test_root_login(host):
    assert host.file("/etc/lab-ssh.conf").mode == 0o600
"""


@dataclass(frozen=True)
class Pipeline:
    """A role, and a mount namespace in which its tree is an overlay of this machine."""

    root: Path

    def write(self, name: str, text: str) -> None:
        path = self.root / "role" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *scripts: str) -> subprocess.CompletedProcess[str]:
        """Runs verbs in turn, until one fails."""
        code = "import sys; from lab.guest.main import main; sys.exit(main(sys.argv))"
        program = shlex.join([sys.executable, "-c", code, "nodeimage"])
        commit = "--commit 0123456789abcdef --ref main --date 1700000000"
        script = f"""
            set -eu; cd {self.root}; mkdir -p m; mount -t tmpfs none m; mkdir m/upper m/work m/tree
            mount -t overlay overlay -o lowerdir=/,upperdir=m/upper,workdir=m/work m/tree
            mkdir -p m/tree/sbin; : >m/vmlinuz
            verb() {{ v=$1; shift; {program} $v role --tree m/tree {commit} "$@"; }}
            {"; ".join(scripts)}
        """
        env = {
            **os.environ, "PYTHONPATH": str(ROOT),
            "NODEIMAGE_STATE": str(self.root / "state"), "NODEIMAGE_RELEASES": str(self.root / "served"),
        }  # fmt: skip
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script], env=env, capture_output=True, text=True, check=False
        )

    def artefact(self, name: str) -> Path:
        return self.root / "state/roles/compute/artefacts" / name


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A role whose playbook and tests pass."""
    assert os.geteuid() == 0, "run this as root"
    for program in ("ansible-playbook", "pytest"):
        assert shutil.which(program), f"{program} is not installed"
    made = Pipeline(tmp_path)
    made.write("image.toml", TOML.format(exclude=json.dumps(LEFT_OUT)))
    made.write("playbook.yml", PLAYBOOK)
    made.write("tests/test_ssh.py", TESTS)
    return made


def test_what_passes_is_packed_and_what_changes_afterwards_is_not(pipeline: Pipeline) -> None:
    pack = "verb pack --kernel m/vmlinuz --json"
    done = pipeline.run("verb configure", "verb test", pack, "echo x >m/tree/etc/lab-ssh.conf", pack)
    assert done.returncode == 12, done.stderr
    packed, refused = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert packed["tests"] == {
        "passed": 1, "failed": 0, "skipped": 0, "controls": ["tests.test_ssh.test_root_login"]
    }  # fmt: skip
    assert refused["error"]["evidence"] == ["files of the tree have changed since"]
    assert "TASK [No passwords for root]" in done.stderr
    assert "configured: 1 tasks, 1 changed" in done.stdout
    assert pipeline.artefact("testinfra.xml").exists()
    assert json.loads(pipeline.artefact("tests.json").read_text())[0]["outcome"] == "passed"
    assert list(pipeline.artefact("configure").glob("*.xml"))


def test_a_failed_task_is_named_and_there_is_no_image(pipeline: Pipeline) -> None:
    pipeline.write("playbook.yml", PLAYBOOK.replace("/etc/lab-ssh.conf", "/nosuch/folder/lab-ssh.conf"))
    done = pipeline.run(
        "verb configure || status=$?", "verb test || :", "verb pack --kernel m/vmlinuz || :", "exit $status"
    )
    assert done.returncode == 10, done.stderr
    assert "error: the task 'No passwords for root' failed\n" in done.stderr
    assert f"  {pipeline.root}/role/playbook.yml, line 4\n  found: " in done.stderr
    assert "there is no image of compute: configure has not passed" in done.stderr


def test_a_failed_control_is_named_with_what_was_expected_and_found(pipeline: Pipeline) -> None:
    pipeline.write("playbook.yml", PLAYBOOK.replace("0600", "0644"))
    done = pipeline.run(
        "verb configure", "verb test || status=$?", "verb pack --kernel m/vmlinuz || :", "exit $status"
    )
    assert done.returncode == 11, done.stderr
    assert (
        "error: 1 of 1 controls of compute failed, so there is no image\n"
        "  tests.test_ssh.test_root_login (tests/test_ssh.py, line 2)\n"
        '    expected: host.file("/etc/lab-ssh.conf").mode == 0o600\n'
        "    found:    420 == 384\n"
    ) in done.stderr
    assert "there is no image of compute: test has not passed" in done.stderr
    assert json.loads(pipeline.artefact("tests.json").read_text())[0]["found"] == "420 == 384"


@pytest.mark.parametrize("more", ["", "        enabled: true\n"])
def test_a_service_that_only_seems_started_is_a_failure(pipeline: Pipeline, more: str) -> None:
    pipeline.write("playbook.yml", PLAYBOOK + SERVICE + more)
    done = pipeline.run("verb configure")
    if more:
        assert done.returncode == 0, done.stderr
        assert "configured: 3 tasks, 3 changed" in done.stdout
    else:
        assert done.returncode == 10, done.stderr
        assert (
            "error: the task 'The service runs' says that it started a service, and nothing starts in a tree"
            in done.stderr
        )
        assert "playbook.yml, line 13\n" in done.stderr


@pytest.mark.parametrize(
    ("playbook", "said"),
    [
        (PLAYBOOK.replace("builtin.copy", "builtin.copyy"), "copyy"),
        (PLAYBOOK.replace("hosts: all", "hosts: compute"), "ran no task in the tree"),
        ("- hosts: all\n  tasks: [\n", "before any task failed"),
    ],
)
def test_a_playbook_that_cannot_run_is_one_error(pipeline: Pipeline, playbook: str, said: str) -> None:
    pipeline.write("playbook.yml", playbook)
    done = pipeline.run("verb configure")
    assert done.returncode == 10, done.stderr
    assert said in done.stderr
    assert done.stderr.count("error: ") == 1


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("import nosuch\n", "E   ModuleNotFoundError: No module named 'nosuch'"),
        ("import pytest\n\n\n@pytest.mark.skip\ndef test_x():\n    pass\n", "all were skipped"),
        ("x = 1\n", "did not run"),
    ],
)
def test_tests_that_prove_nothing_are_no_proof(pipeline: Pipeline, tests: str, said: str) -> None:
    pipeline.write("tests/test_ssh.py", tests)
    done = pipeline.run("verb test")
    assert done.returncode == 11, done.stderr
    assert said in done.stderr

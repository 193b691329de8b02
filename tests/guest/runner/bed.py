"""A runner on a temporary root: real git repositories, and a script in the place of gitlab-ci-local."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from lab.guest.runner import checkout, containers, pipeline, places
from lab.guest.runner.results import Result, read
from lab.guest.system import System

INTERPRETER = """\
#!/bin/sh
sh ./pipeline.sh "$@"
"""
"""In the place of gitlab-ci-local: a commit's `pipeline.sh` is what the pipeline does."""


class Bed:
    """A repository `compute`, a working tree that pushes to it, and the runner that receives."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.work = tmp_path / "root", tmp_path / "work"
        self.system = System(str(self.root), uid=0)
        program = tmp_path / "interpreter"
        program.write_text(INTERPRETER)
        program.chmod(0o755)
        # Nobody's settings of git: neither this machine's nor the tester's.
        settings = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}
        (tmp_path / ".gitconfig").write_text("[user]\nname = a\nemail = a@b\n[init]\ndefaultBranch = main\n")
        self.environment = {**places.ENVIRONMENT, **settings, "PATH": os.environ["PATH"]}
        for module in (checkout, pipeline):
            monkeypatch.setattr(module, "ENVIRONMENT", self.environment)
        monkeypatch.setattr(pipeline, "ISOLATED", ())
        monkeypatch.setattr(pipeline, "INTERPRETER", (str(program),))
        monkeypatch.setattr(containers, "stop_all", lambda system: None)
        self.bare = self.root / "srv/git/compute.git"
        self.bare.mkdir(parents=True)
        self.git(self.bare, "init", "--quiet", "--bare")
        self.work.mkdir()
        self.git(self.work, "init", "--quiet")
        self.git(self.work, "remote", "add", "origin", str(self.bare))

    def git(self, folder: Path, *words: str) -> str:
        """Runs git and returns what it printed."""
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, script: str, **files: str) -> str:
        """Commits a pipeline that is a script, with more files; returns the commit."""
        for name, text in {"pipeline.sh": script, ".gitlab-ci.yml": "{}\n", **files}.items():
            (self.work / name).write_text(text)
        self.git(self.work, "add", "--all")
        self.git(self.work, "commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.git(self.work, "rev-parse", "HEAD")

    def push(self, *refs: str) -> str:
        """Pushes refs (`SOURCE:refs/…`), by default the branch main; returns what the pusher sees."""
        wanted = refs or ("HEAD:refs/heads/main",)
        self.git(self.work, "push", "--quiet", "origin", *(f"+{ref}" for ref in wanted))
        lines = []
        for ref in wanted:
            source, _, target = ref.partition(":")
            lines.append(f"{'0' * 40} {self.git(self.work, 'rev-parse', source)} {target}")
        out = io.StringIO()
        assert pipeline.receive(self.system, str(self.bare), lines, out) == 0
        return out.getvalue()

    def result(self, number: int) -> Result:
        """The record of a pipeline."""
        found = read(self.system, number)
        assert found is not None
        return found

    def kept(self, number: int, name: str) -> Path:
        """A file of a pipeline's results."""
        return self.root / "var/lib/runner/results" / str(number) / name

"""image.toml and the command line: what is read, and how mistakes are told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lab.guest.nodeimage import options, role, toml
from lab.guest.nodeimage.errors import KINDS
from tests.guest.nodeimage.bed import ROOT, Bed

FULL = """\
name = "login"          # the name of its releases
[tree]
installer = 'mmdebstrap'
release = "trixie"
packages = [
    "systemd-sysv",  # init
    "openssh-server",
]
sources = ["deb [trusted=yes] file:/srv/packages ./"]

[image]
compress = "gzip"
memory = "1.5 GiB"
exclude = ["/usr/share/doc/*"]
"""


def test_a_role_is_read(bed: Bed) -> None:
    bed.commit(FULL)
    found = role.load(str(bed.folder))
    assert (found.name, found.compress, found.memory) == ("login", "gzip", 3 << 29)
    assert found.tree.packages == ("systemd-sysv", "openssh-server")
    assert found.tree.sources == ("deb [trusted=yes] file:/srv/packages ./",)
    assert found.exclude == ("/usr/share/doc/*",)
    assert (found.tests, found.untested) == (f"{bed.folder}/tests", False)


def test_every_problem_is_told_at_once_with_its_line(bed: Bed) -> None:
    bed.commit(
        'name = "a b"\n[tree]\ninstaller = "yum"\npackages = "systemd"\n[image]\nmemory = 600\n'
        'exclude = ["usr"]\nkernal = "x"\n[configure]\nplaybook = "../other.yml"\n[test]\nuntested = "yes"\n'
    )
    said = bed.refuses(2, "pack", str(bed.folder))
    assert said.splitlines() == [
        f"error: {bed.folder}/image.toml has 8 problems",
        "  line 1: name must be letters, digits, dots, dashes and underscores",
        "  line 3: tree.installer must be mmdebstrap or dnf",
        "  line 4: tree.packages must be an array of strings",
        '  line 6: image.memory must be a size such as "600 MiB" or "1.2 GiB"',
        "  line 7: image.exclude must be paths that begin with /",
        "  line 8: unknown key image.kernal; did you mean image.kernel?",
        "  line 10: configure.playbook must be a path within the role's folder",
        "  line 12: test.untested must be true or false",
        f"hint: edit {bed.folder}/image.toml",
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\na = 2\n", 2, "a is there twice"),
        ("[a]\n[b]\n[a]\n", 3, "a is there twice"),
        ("a = 1\n[a.b]\n", 2, "a.b is there twice"),
        ('a = "x\n', 1, "a string does not end on its line"),
        ('a = """x"""\n', 1, "strings over several lines"),
        ("a = 1.5\n", 1, "expected a string in quotes"),
        ("a = 1979-05-27\n", 1, "expected a string in quotes"),
        ("a = [1, 'x']\n", 1, "must be of one kind"),
        ("a = [[1]]\n", 1, "expected a string in quotes"),
        ("a = {b = 1}\n", 1, "expected a string in quotes"),
        ("a.b = 1\n", 1, "expected = after a"),
        ("[[a]]\n", 1, "not a table"),
        ("a = 1 b = 2\n", 1, "only a comment may follow"),
        ("\n\n= 1\n", 3, "expected a key"),
        ("a = [1\n", 2, "expected , or ]"),
        ('a = "\\ud800"\n', 1, "is no character"),
        ("a = 012\n", 1, "expected a string in quotes"),
    ],
)
def test_what_is_outside_the_subset_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(toml.TomlError, match=said) as caught:
        toml.parse(text)
    assert caught.value.line == line


def test_the_example_of_the_documents_is_a_role(bed: Bed) -> None:
    page = (ROOT / "docs/nodeimage.md").read_text(encoding="utf-8")
    bed.commit(page.split("```toml\n")[1].split("```")[0])
    found = role.load(str(bed.folder))
    assert (found.name, found.memory, found.untested) == ("compute", 900 << 20, False)


def test_the_documents_list_every_verb_and_every_exit_status() -> None:
    page = (ROOT / "docs/nodeimage.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"\n| {kind.status} | {kind.meaning} |\n" in page
    for verb in options.VERBS:
        assert f"`{verb} " in page or f"`{verb}`" in page


def test_a_folder_without_a_role(bed: Bed) -> None:
    assert "holds no image.toml" in bed.refuses(19, "pack", "/nonexistent")


@pytest.mark.parametrize(
    "words",
    [["pakc", "x"], ["pack"], ["pack", "x", "--nonsense"], ["prune", "x", "--keep", "-1"], ["activate", "x"]],
)
def test_wrong_usage_is_one_error(bed: Bed, words: list[str]) -> None:
    done = bed.run(*words)
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert done.err.splitlines()[-1].startswith("hint: nodeimage")


def test_the_help_lists_every_verb_and_every_exit_status(bed: Bed) -> None:
    text = bed.run("--help").out
    for verb in options.VERBS:
        assert f"\n    {verb}" in text
        assert f"usage: nodeimage {verb}" in bed.run(verb, "--help").out
    for kind in KINDS:
        assert f"\n  {kind.status:<4} {kind.meaning}\n" in text + "\n"


def test_with_quiet_only_errors_are_printed(bed: Bed) -> None:
    done = bed.run("pack", str(bed.folder), "-q")
    assert (done.status, done.out, done.err) == (0, "", "")
    progress = bed.run("pack", str(bed.folder), "--full", "--json")
    assert "looking for secrets in " in progress.err
    assert json.loads(progress.out)["changed"]


def test_a_role_by_its_folder_or_its_name(bed: Bed) -> None:
    bed.pack()
    bed.must("publish", str(bed.folder), "--release", "one")
    assert not bed.must("publish", "compute", "--release", "one")["changed"]


def test_it_runs_as_a_program(bed: Bed) -> None:
    code = "import sys; from lab.guest.main import main; sys.exit(main(sys.argv))"
    words = [sys.executable, "-c", code, "nodeimage", "list", "--json"]
    done = subprocess.run(words, env=bed.environment(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"status": 0, "releases": []}

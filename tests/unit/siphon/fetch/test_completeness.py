"""What a set of files lacks."""

from __future__ import annotations

import pytest

from lab.siphon.fetch.completeness import includes, missing_parts
from lab.siphon.protocol import messages
from lab.siphon.protocol.messages import ConfigFile
from tests.unit.siphon import recordings


def test_includes_are_found_as_slurm_finds_them() -> None:
    content = b"# Include no\n  INCLUDE a.conf # why\nIncludes=3\ninclude\tb.conf\nX=1 Include c\nInclude d"
    assert includes(content) == (b"a.conf", b"b.conf", b"d")
    assert includes(b"include") == ()
    assert includes(b"x\n" * 600_000 + b"Include far.conf\n" + b"# include no\n") == (b"far.conf",)


AWKWARD = [r for r in recordings.load() if r.case == "awkward-slurmd-set"]


@pytest.mark.parametrize("recording", AWKWARD, ids=lambda r: r.name)
def test_what_real_controllers_left_out_is_told(recording: recordings.Recording) -> None:
    reply = messages.decode_reply(recording.reply[4:])
    assert isinstance(reply, messages.ConfigReply)
    told = missing_parts(reply.files, lambda _: False, scripts=True)
    lost = [line.split("Include ")[1].split(":")[0] for line in told if "Include " in line]
    if recording.controller == "20.11":  # sends none at all
        assert {"nodes.conf", "sub/inc.conf", "/etc/abs.conf", "outer.conf"} < set(lost)
    else:
        assert lost == ["sub/inc.conf", "/etc/abs.conf"]
    scripts = [line.split()[1] for line in told if line.startswith("script ")]
    assert scripts == (["nul.sh", "missing.sh"] if recording.controller in ("24.11", "26.05") else [])


def test_a_pattern_of_scripts_is_never_sent() -> None:
    (line,) = missing_parts(
        (ConfigFile(b"prolog.d/*", exists=False, execute=True),), lambda _: False, scripts=True
    )
    assert "a pattern" in line


def test_an_include_may_be_here_or_have_come() -> None:
    slurm = ConfigFile(
        b"slurm.conf", exists=True, content=b"ClusterName = red \nInclude %c.conf\nInclude /x\n"
    )
    red = ConfigFile(b"red.conf", exists=True, content=b"a\n")
    assert missing_parts((slurm, red), lambda path: path == "/x", scripts=True) == ()
    assert len(missing_parts((slurm,), lambda _: False, scripts=True)) == 2
    script = ConfigFile(b"s", exists=False, execute=True)
    assert missing_parts((script,), lambda _: False, scripts=False) == ()

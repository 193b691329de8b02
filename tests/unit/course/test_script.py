"""Solutions and hints as data."""

from __future__ import annotations

from lab.course.script import (
    Asked,
    Block,
    Expect,
    Typed,
    Wait,
    parse_fences,
    parse_hints,
    parse_script,
    split_commands,
)
from lab.course.variables import fill_shell, fill_text
from tests.unit.checks_world import LOGIN_MAC, small_spec

SCRIPT = r"""# What follows is typed.
#: step one on sms as user1
first

#: expect-fail
second --option \
  continued
# a remark
#: wait test -e /there within 20
cat <<'END' | tee file
#: not a directive
text
END
#: may-fail
third
#: step two on login as root
fourth
"""


def test_blocks_hold_commands_waits_and_expectations() -> None:
    blocks, flaws = parse_script(SCRIPT)
    assert flaws == ()
    assert blocks == (
        Block(
            "one",
            "sms",
            "user1",
            (
                Typed("first", 3),
                Typed("second --option \\\n  continued", 6, Expect.FAILURE),
                Wait("test -e /there", 20, 9),
                Typed("cat <<'END' | tee file\n#: not a directive\ntext\nEND", 10),
                Typed("third", 15, Expect.ANY),
            ),
        ),
        Block("two", "login", "root", (Typed("fourth", 17),)),
    )
    assert blocks[0].commands[0] == "first"


def test_flaws_carry_their_lines() -> None:
    text = "early\n#: step one on sms\n#: step one on sms as u\ncat <<E\nx\n#: expect-fail\n"
    _, flaws = parse_script(text)
    assert [(flaw.line, flaw.message.split(" ")[0]) for flaw in flaws] == [
        (1, "a"),
        (2, "unknown"),
        (4, "here-document"),
    ]


def test_an_expectation_without_command_is_a_flaw() -> None:
    _, flaws = parse_script("#: step one on sms as u\ntrue\n#: expect-fail\n")
    assert [(flaw.line, flaw.message[-24:]) for flaw in flaws] == [(3, "without a command after it"[-24:])]


def test_answers_belong_to_the_next_command() -> None:
    answers = "#: answer y to commit changes\n#: answer no to Really sure?\n"
    text = f"#: step one on sms as u\n{answers}first\nsecond\n"
    (block,), flaws = parse_script(text)
    assert flaws == ()
    asked = (Asked("commit changes", "y"), Asked("Really sure?", "no"))
    assert block.actions == (Typed("first", 4, asked=asked), Typed("second", 5))
    assert parse_script("#: step one on sms as u\ntrue\n#: answer y to it\n")[1] != ()


def test_commands_keep_their_continued_lines_and_here_documents() -> None:
    text = "one\n\ntwo \\\n  more\nthree <<'E'\n\nfour\nE\nfive\n"
    assert split_commands(text) == ("one", "two \\\n  more", "three <<'E'\n\nfour\nE", "five")


def test_hints_come_per_step_in_order() -> None:
    text = "# Hints\n\n## one\n\nNudge.\n\n---\n\nAnswer:\n\n    command\n\n## two\n\nOnly.\n\n---\n"
    assert parse_hints(text) == {"one": ("Nudge.", "Answer:\n\n    command"), "two": ("Only.",)}


def test_fences_carry_what_stands_behind_them() -> None:
    fences = parse_fences("a\n```sh sms\none\ntwo\n```\nb\n```output\nx\n```\n")
    assert [(fence.info, fence.body, fence.line) for fence in fences] == [
        ("sh sms", "one\ntwo", 2),
        ("output", "x", 7),
    ]


def test_the_handout_fills_texts_and_commands() -> None:
    spec = small_spec()
    assert fill_text("is `{{login.mac}}` at {{ login.ip }}", spec) == f"is `{LOGIN_MAC}` at 172.16.0.2"
    assert fill_shell("a=$LOGIN_MAC b=${SMS_IP}x c=$C1_MAC", spec) == (
        f"a={LOGIN_MAC} b=172.16.0.1x c=52:54:00:00:01:01"
    )
    assert fill_text("{{internal.netmask}} is /{{internal.prefix}}", spec) == "255.255.0.0 is /16"
    assert fill_shell("$INTERNAL_NETMASK ${INTERNAL_PREFIX}", spec) == "255.255.0.0 16"


def test_other_names_stay_as_they_are() -> None:
    spec = small_spec()
    assert fill_text("{{login.colour}} {{x}}", spec) == "{{login.colour}} {{x}}"
    assert fill_shell("$CHROOT $(uname -r) ${LOGIN_MAC%?} $LOGIN_MACRO $MY_IP $1", spec) == (
        "$CHROOT $(uname -r) ${LOGIN_MAC%?} $LOGIN_MACRO $MY_IP $1"
    )

"""The command line: an argparse parser, and the settings that its words mean."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from lab.rollout.errors import KINDS, USAGE, RolloutError, printable
from lab.rollout.planning.policy import Amount, Floor, Policy, Window
from lab.rollout.planning.waves import ORDERS
from lab.rollout.probing import check_template
from lab.rollout.settings import Settings

STATE = "/var/lib/rollout"
DESCRIPTION = """\
Takes the nodes of a Slurm cluster to a wanted image by rolling reboots that drop no job.

A node counts as done with a new boot id, the wanted /etc/image-release and a passed health check.
Which image a node boots is not rollout's business: activate it first."""
EXAMPLES = """\
examples:
  rollout plan  --image role=compute,commit=4f1c2aa --max-unavailable 10%
  rollout start --image role=compute,commit=4f1c2aa --max-unavailable 10% --floor partition:*=50%
  rollout status --watch
"""
LONGEST = 60
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_FLOOR = re.compile(r"(partition|switch):([^=\s]+)=(.+)")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


class Parser(argparse.ArgumentParser):
    """A parser that raises `RolloutError` for wrong usage, where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises the error for wrong usage."""
        raise RolloutError(USAGE, printable(message, 400), hint=f"{self.prog} --help")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help in a fixed width, so that it is the same everywhere."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def make_parser() -> Parser:
    """The parser, which also prints the help."""
    statuses = "exit status:\n" + "\n".join(f"  {kind.status:<4} {kind.meaning}" for kind in KINDS)
    parser = Parser(
        prog="rollout",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\n{statuses}",
        formatter_class=Formatter,
    )
    parser.add_argument("--version", "-V", action="store_true", help="print rollout's version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for verb, text in (
        ("plan", "show the waves, the floors and what would be left alone; changes nothing"),
        ("start", "begin a rollout and run it until it ends; continues the same one if it was cut off"),
        ("status", "show how far the rollout is"),
        ("pause", "begin nothing new; nodes on their way are finished"),
        ("resume", "continue a paused rollout, or one whose process has died"),
        ("abort", "withdraw what has not begun, wait for what has, and end"),
    ):
        _add_verb(verbs.add_parser(verb, help=text, description=text, formatter_class=Formatter), verb)
    return parser


def _add_verb(parser: argparse.ArgumentParser, verb: str) -> None:
    parser.add_argument(
        "--state", metavar="DIR", default=STATE, help=f"where the rollout is kept (default: {STATE})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: one line for each event or result")
    if verb in ("start", "resume", "abort"):
        parser.add_argument("--quiet", "-q", action="store_true", help="print the end only")
    if verb in ("plan", "start"):
        _add_choice(parser)
        _add_policy(parser)
        _add_limits(parser)
        _add_outside(parser)
    if verb == "status":
        parser.add_argument("--watch", action="store_true", help="show it again and again until it ends")
        parser.add_argument("--svg", metavar="FILE", help="draw the waves over time there; - is the output")
    if verb == "resume":
        parser.add_argument(
            "--retry", action="store_true", help="give nodes that failed or were left alone another turn"
        )
        parser.add_argument(
            "--unattended",
            action="store_true",
            help="as a service at boot: a paused rollout stays paused; nothing to continue is no error",
        )


def _add_choice(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("which image, which nodes").add_argument
    add(
        "--image",
        metavar="KEY=VALUE,...",
        action="append",
        default=[],
        help="what /etc/image-release must hold; a word without = must stand in it (required)",
    )
    add("--nodes", metavar="LIST", default="", help="hostlist, such as c[1-40]; all nodes by default")
    add("--partition", metavar="NAME", action="append", default=[], help="only nodes of this partition")
    add("--exclude", metavar="LIST", default="", help="hostlist of nodes to leave out")


def _add_policy(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how many, in which order").add_argument
    policy = Policy(())
    add(
        "--max-unavailable",
        metavar="N|P%",
        type=_amount,
        default=policy.max_unavailable,
        help="nodes that rollout has out of service at once, failed ones included (default: 10%%)",
    )
    add(
        "--floor",
        metavar="GROUP=N|P%",
        type=_floor,
        action="append",
        default=[],
        help="nodes that stay in service of partition:NAME or switch:NAME; * is each of them",
    )
    add(
        "--canary",
        metavar="N",
        type=_count,
        default=policy.canary,
        help="so many nodes go first; at least one must pass (default: 1)",
    )
    add(
        "--wave-size",
        metavar="N|P%",
        type=_amount,
        help="a wave begins when the one before has ended (default: all after the canary are one wave)",
    )
    add("--order", choices=ORDERS, default=policy.order, help="within a wave (default: idle nodes first)")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("limits; times are seconds, or such as 90s, 15m, 12h").add_argument
    policy = Policy(())
    add(
        "--deadline",
        metavar="TIME",
        type=_duration,
        default=policy.deadline,
        help="from the start of a node's reboot until it has passed (default: 15m)",
    )
    add(
        "--max-failures",
        metavar="K",
        type=_positive,
        default=policy.max_failures,
        help="stop after so many failed nodes (default: 1)",
    )
    add(
        "--patience",
        metavar="TIME",
        type=_duration,
        default=policy.patience,
        help="end if floors leave no room for so long (default: 1h)",
    )
    add(
        "--window",
        metavar="HH:MM-HH:MM",
        type=_window,
        help="request reboots at this time of day only; waiting requests are withdrawn at its end",
    )
    add(
        "--kill-jobs-after",
        metavar="TIME",
        type=_duration,
        help="cancel the jobs of a node that still waits for them then (default: never)",
    )


def _add_outside(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("nodes, Slurm and hooks").add_argument
    usual = Settings(Policy(()))
    add("--prove-first", action="store_true", help="nodes return to service only when they have passed")
    add("--reboot-current", action="store_true", help="reboot nodes that run the wanted image, too")
    add("--before-wave", metavar="COMMAND", default="", help="run this in a shell before each wave")
    add(
        "--before-wave-timeout",
        metavar="TIME",
        type=_duration,
        default=usual.before_wave_timeout,
        help="how long that command may take; nothing else is done meanwhile (default: 1h)",
    )
    add(
        "--probe",
        metavar="COMMAND",
        default=usual.probe,
        help="how a node is asked; {node}, {script} and {argv} are replaced (default: ssh)",
    )
    add("--probe-timeout", metavar="TIME", type=_short, default=usual.probe_timeout, help="default: 20s")
    add(
        "--health",
        metavar="COMMAND",
        default=usual.health,
        help=f"health check, run on the node (default: {usual.health})",
    )
    add(
        "--interval",
        metavar="TIME",
        type=_short,
        default=usual.interval,
        help="between two looks at Slurm (default: 3s)",
    )
    add(
        "--slurm-patience",
        metavar="TIME",
        type=_duration,
        default=usual.slurm_patience,
        help="how long Slurm may not answer before rollout gives up, to be resumed (default: 15m)",
    )


def parse(words: list[str]) -> argparse.Namespace:
    """Parses the arguments after the program's name. Raises `RolloutError` for wrong usage."""
    parser = make_parser()
    found = parser.parse_args(words)
    if found.verb is None and not found.version:
        parser.error("a verb is missing: plan, start, status, pause, resume or abort")
    return found


def settings(found: argparse.Namespace) -> Settings:
    """The settings that the words after `plan` or `start` mean. Raises `RolloutError`."""
    wanted = tuple(item.strip() for word in found.image for item in word.split(",") if item.strip())
    if not wanted:
        raise RolloutError(
            USAGE,
            "--image is missing: what must /etc/image-release of a node hold?",
            hint="rollout start --image role=compute,commit=4f1c2aa",
        )
    check_template(found.probe)
    policy = Policy(
        wanted=wanted,
        max_unavailable=found.max_unavailable,
        floors=tuple(found.floor),
        canary=found.canary,
        wave_size=found.wave_size,
        order=found.order,
        deadline=found.deadline,
        max_failures=found.max_failures,
        patience=found.patience,
        window=found.window,
        kill_jobs_after=found.kill_jobs_after,
        prove_first=found.prove_first,
        reboot_current=found.reboot_current,
        before_wave=bool(found.before_wave),
    )
    return Settings(
        policy=policy,
        probe=found.probe,
        probe_timeout=found.probe_timeout,
        health=found.health,
        before_wave=found.before_wave,
        before_wave_timeout=found.before_wave_timeout,
        nodes=found.nodes,
        exclude=found.exclude,
        partitions=tuple(found.partition),
        interval=found.interval,
        slurm_patience=found.slurm_patience,
    )


def _amount(text: str) -> Amount:
    number, percent = text.removesuffix("%"), text.endswith("%")
    if not number.isdigit() or int(number) < 1 or (percent and int(number) > 100):
        raise argparse.ArgumentTypeError(f"{text} is neither a number of nodes nor a percentage")
    return Amount(int(number), percent)


def _floor(text: str) -> Floor:
    found = _FLOOR.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is not such as partition:batch=80% or switch:*=2")
    return Floor(found[1], found[2], _amount(found[3]))


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not a number of nodes")
    return int(text)


def _positive(text: str) -> int:
    number = _count(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no time: seconds above 0, or such as 90s, 15m, 12h")
    return value


def _short(text: str) -> float:
    """A time that a step may take: deadlines are looked at between steps."""
    value = _duration(text)
    if value > LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is more than {LONGEST} s")
    return value


def _window(text: str) -> Window:
    start, _, end = text.partition("-")
    found = [_CLOCK.fullmatch(part) for part in (start, end)]
    minutes = [int(match[1]) * 60 + int(match[2]) for match in found if match]
    if len(minutes) != 2 or minutes[0] == minutes[1]:
        raise argparse.ArgumentTypeError(f"{text} is not such as 22:00-06:00")
    return Window(*minutes)

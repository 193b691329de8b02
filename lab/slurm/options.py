"""siphon's command line: one table makes the parser and the help. straw's options mean what they mean there.

`argparse` would cost 10 ms of the 18 that the whole process may take beyond a bare interpreter.
"""

from __future__ import annotations

from lab.slurm import failure, versions
from lab.slurm.failure import KINDS, SiphonError
from lab.slurm.record import dataclass

DEFAULT_TIMEOUT = 10.0


@dataclass(frozen=True)
class Option:
    """One option: its names, the name of its value if it takes one, what it does."""

    name: str
    short: str
    value: str
    text: str
    choices: tuple[str, ...] = ()


OPTIONS = (
    Option("output-dir", "o", "DIR", "put the files there (default: the current directory)"),
    Option("set", "", "SET", "client, for every user (default), or slurmd, for root and SlurmUser",
           ("client", "slurmd")),
    Option("auth", "", "HOW", "jwt, munge or slurm (default: what is there, in this order)",
           ("jwt", "munge", "slurm")),
    Option("token-file", "", "FILE", "read the token there instead of SLURM_JWT"),
    Option("munge-socket", "", "PATH", "ask this munged (default: /run/munge/munge.socket.2)"),
    Option("munge-key", "", "FILE", "make munge credentials with this key; no munged needed"),
    Option("slurm-key", "", "FILE", "auth/slurm by a slurm.key or slurm.jwks (23.11 and later)"),
    Option("protocol", "", "RELEASE", "speak this release's protocol instead of asking for it"),
    Option("timeout", "", "SECONDS", "for everything together (default: 10)"),
    Option("wait", "", "", "go on until the timeout while controllers are away or in standby"),
    Option("dry-run", "", "", "show what would be written and removed"),
    Option("check", "", "", "write nothing; exit 1 if the directory differs"),
    Option("strict", "", "", "an incomplete set is an error, and nothing is written"),
    Option("private", "", "", "files 0640 and 0750 instead of 0644 and 0755"),
    Option("sync", "", "", "wait until the disk has the files: safe from power cuts, too"),
    Option("watch", "", "SECONDS", "fetch again and again, write what changes; ends on SIGTERM"),
    Option("on-change", "", "COMMAND", "with --watch: run this in a shell after each change"),
    Option("json", "", "", "describe the result as one line of JSON"),
    Option("quiet", "q", "", "say nothing unless something fails"),
    Option("verbose", "v", "", "tell what is asked and answered"),
    Option("list", "l", "", "list the releases whose protocol siphon speaks"),
    Option("version", "V", "", "print siphon's version"),
    Option("help", "h", "", "print this"),
)  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """A command line, taken apart but not yet judged."""

    values: dict[str, str]
    servers: tuple[str, ...]
    release: str | None

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return name in self.values

    def number(self, name: str, default: float | None = None) -> float | None:
        """An option's value as a positive number of seconds."""
        text = self.values.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < 1e9:
            raise usage(f"--{name} {failure.printable(text)}: wanted a number of seconds above 0")
        return value


def usage(message: str) -> SiphonError:
    """Wrong usage."""
    return SiphonError(failure.USAGE, message, hint="siphon --help")


def parse(words: list[str]) -> Arguments:
    """The arguments after the program's name."""
    values: dict[str, str] = {}
    plain: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            plain.extend(rest)
            break
        if word.startswith("--"):
            _long(word, rest, values)
        elif word.startswith("-") and len(word) > 1:
            _short(word, rest, values)
        else:
            plain.append(word)
    release = plain.pop() if plain and _is_release(plain[-1]) else None
    if release is not None and "protocol" in values:
        raise usage("the release is given twice: as --protocol and as last argument")
    return Arguments(values, tuple(plain), values.get("protocol", release))


def _is_release(word: str) -> bool:
    """Straw's last argument: two digits, a dot, digits."""
    major, dot, minor = word.partition(".")
    return (
        bool(dot) and len(major) == 2 and f"{major}{minor}".isascii() and major.isdigit() and minor.isdigit()
    )


def _long(word: str, rest: list[str], values: dict[str, str]) -> None:
    name, equals, value = word[2:].partition("=")
    matches = [option for option in OPTIONS if option.name == name]
    if not matches and name:
        matches = [option for option in OPTIONS if option.name.startswith(name)]
    if len(matches) != 1:
        raise usage(f"--{failure.printable(name)}: {'which one?' if matches else 'no such option'}")
    _take(matches[0], value if equals else None, rest, values)


def _short(word: str, rest: list[str], values: dict[str, str]) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        option = next((option for option in OPTIONS if option.short == letter), None)
        if option is None:
            raise usage(f"-{failure.printable(letter)}: no such option")
        if option.value:
            _take(option, letters or None, rest, values)
            return
        _take(option, None, rest, values)


def _take(option: Option, value: str | None, rest: list[str], values: dict[str, str]) -> None:
    if not option.value:
        if value is not None:
            raise usage(f"--{option.name} takes no value")
        values[option.name] = "yes"
        return
    if value is None:
        if not rest:
            raise usage(f"--{option.name} wants a value: {option.value}")
        value = rest.pop(0)
    if option.choices and value not in option.choices:
        raise usage(f"--{option.name} {failure.printable(value)}: wanted {', '.join(option.choices)}")
    values[option.name] = value


def release(arguments: Arguments) -> versions.Version | None:
    """The version to speak, if one is prescribed."""
    if arguments.release is None:
        return None
    found = versions.by_release(arguments.release)
    if found is None:
        known = f"{versions.OLDEST.release} to {versions.NEWEST.release}"
        raise usage(f"release {failure.printable(arguments.release)} is unknown: siphon speaks {known}")
    return found


def help_text() -> str:
    """All of `--help`."""
    lines = [
        "usage: siphon [options] [server ...] [release]",
        "",
        "Fetches Slurm's configuration from slurmctld into a directory, all or nothing.",
        "",
        "A server is host[:port], [IPv6]:port, host:6817-6820 or ctl[1-2]; several are asked in turn.",
        "Without one SLURM_CONF_SERVER is used, then DNS (_slurmctld._tcp, needs dnspython).",
        "SLURM_JWT holds the token. The release (24.11) is found by asking if it is not given.",
        "",
    ]
    for option in OPTIONS:
        names = (f"-{option.short}, " if option.short else "    ") + f"--{option.name}"
        lines.append(f"  {f'{names} {option.value}':<26}{option.text}")
    lines += ["", "exit status:", *(f"  {kind.status:<4} {kind.meaning}" for kind in KINDS), ""]
    return "\n".join(lines)

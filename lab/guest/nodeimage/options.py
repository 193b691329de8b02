"""The command line of nodeimage: one parser, one sub-parser a verb."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import NoReturn

from lab.guest.nodeimage import boot, places, signature
from lab.guest.nodeimage.errors import KINDS, USAGE, NodeImageError

DESCRIPTION = """\
Takes a node's image from packages and a commit to a signed release that a link activates.

A role is a folder with image.toml, a playbook and tests. tree, configure, test and pack take that folder;
the other verbs take the role's name, too. Every verb may be repeated: what is done already stays as it is."""
VERBS: Mapping[str, str] = {
    "tree": "install the role's packages as a base tree, and make a working copy of it",
    "configure": "run the role's playbook in the working copy",
    "test": "run the role's tests on the working copy",
    "pack": "make a reproducible, stamped image of what was configured and tested",
    "publish": "make a signed release of the packed image",
    "verify": "show that a release is complete, unchanged and signed",
    "try": "boot a release on one node, whichever is active, and see that the node comes up with it",
    "activate": "make a release the one that nodes boot",
    "rollback": "make the release before it active again",
    "import": "make the active release a VNFS and a bootstrap of Warewulf 3, and what the role's nodes boot",
    "boot": "have nodes boot the active release as their initial file system",
    "list": "list the releases",
    "show": "show one release, by default the active one",
    "prune": "remove old releases, never the active one or the one before",
}


class Arguments(argparse.Namespace):
    """A parsed command line; which values there are depends on the verb."""

    verb: str
    role: str
    release: str
    state: str
    releases: str
    json: bool
    quiet: bool
    tree: str
    kernel: str
    full: bool
    commit: str
    ref: str
    date: str
    allow_dirty: bool
    key: str
    signers: str
    keep: int
    seconds: int
    nodes: list[str]
    loader: str
    off: bool
    server: str
    tftp: str
    source: list[str]
    refresh: bool
    copy: bool


class Parser(argparse.ArgumentParser):
    """A parser that raises NodeImageError for wrong usage, where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises the error for wrong usage."""
        shown = "".join(letter if letter.isprintable() else "?" for letter in message)
        raise NodeImageError(USAGE, shown, hint=f"{self.prog} --help")


def make_parser(environment: Mapping[str, str]) -> Parser:
    """The parser; the environment may name the two folders."""
    epilog = "exit status:\n" + "\n".join(f"  {kind.status:<4} {kind.meaning}" for kind in KINDS)
    parser = Parser(
        prog="nodeimage", description=DESCRIPTION, epilog=epilog, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=f"nodeimage {name}: {text}.", allow_abbrev=False)
        _add_places(verb, environment)
        _add_words(verb, name)
        if name in ("configure", "test", "pack"):
            _add_tree(verb)
        if name in ("verify", "try", "activate", "rollback", "import"):
            verb.add_argument(
                "--signers", metavar="FILE", default=signature.SIGNERS_FILE,
                help="whose signatures count: ALLOWED SIGNERS of ssh-keygen(1) (default: %(default)s)",
            )  # fmt: skip
    _add_others(verbs.choices)
    return parser


def _add_places(verb: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    state = environment.get("NODEIMAGE_STATE") or places.STATE
    releases = environment.get("NODEIMAGE_RELEASES") or places.RELEASES
    add = verb.add_argument
    add("--state", metavar="DIR", default=state, help="trees, proofs and images (default: %(default)s)")
    add("--releases", metavar="DIR", default=releases, help="releases (default: %(default)s)")
    add("--json", action="store_true", help="print the result as one line of JSON")
    add("-q", "--quiet", action="store_true", help="print nothing unless something fails")


def _add_words(verb: argparse.ArgumentParser, name: str) -> None:
    if name in ("tree", "configure", "test", "pack"):
        verb.add_argument("role", metavar="FOLDER", help="the role's folder, with image.toml")
    elif name == "list":
        verb.add_argument("role", metavar="ROLE", nargs="?", default="", help="one role only")
    else:
        more = ", or the folder of a release" if name == "verify" else ""
        verb.add_argument("role", metavar="ROLE", help=f"the role's name or folder{more}")
    if name in ("activate", "try"):
        verb.add_argument("release", metavar="RELEASE")
    if name == "try":
        verb.add_argument("nodes", metavar="NODE", nargs=1, help="without jobs: it is rebooted")
    elif name in ("import", "boot"):
        some = "*" if name == "import" else "+"
        verb.add_argument("nodes", metavar="NODE", nargs=some, help="as wwsh names them: c1, 'c*', 'c[1-4]'")
    elif name in ("verify", "show"):
        verb.add_argument(
            "release", metavar="RELEASE", nargs="?", default="", help="by default the active one"
        )


def _add_tree(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("--tree", metavar="DIR", default="", help="another tree than the role's working copy")
    add(
        "--commit",
        metavar="SHA",
        default="",
        help="the commit, where git cannot tell; needs --ref and --date",
    )
    add("--ref", metavar="NAME", default="", help="the branch or tag of --commit")
    add("--date", metavar="SECONDS", default="", help="the time of --commit, in seconds since 1970")
    add("--allow-dirty", action="store_true", help="build changes that are not committed; the stamp says so")


def _add_others(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    add = verbs["tree"].add_argument
    add(
        "--source",
        metavar="PATH|LINE",
        action="append",
        default=[],
        help="install from here, not from [tree] sources",
    )
    add("--refresh", action="store_true", help="install again, though the inputs are the same")
    add("--copy", action="store_true", help="copy the base tree, do not mount an overlay of it")
    verbs["pack"].add_argument("--kernel", metavar="FILE", default="", help="a kernel from outside the tree")
    verbs["pack"].add_argument("--full", action="store_true", help="pack everything again")
    verbs["publish"].add_argument("--release", metavar="NAME", default="", help="default: the commit")
    verbs["publish"].add_argument(
        "--key",
        metavar="FILE",
        default=signature.KEY_FILE,
        help="the key to sign with (default: %(default)s)",
    )
    for name in ("boot", "try"):
        add = verbs[name].add_argument
        add("--loader", choices=boot.LOADERS, default=boot.LOADERS[0], help="default: %(default)s")
        add("--server", metavar="ADDRESS", default="", help="this head node, as the nodes reach it")
        add("--tftp", metavar="DIR", default=boot.TFTP, help="of the TFTP server (default: %(default)s)")
    verbs["boot"].add_argument("--off", action="store_true", help="boot again what wwsh provision names")
    verbs["try"].add_argument(
        "--seconds",
        metavar="N",
        type=_count,
        default=600,
        help="how long the node may take (default: %(default)s)",
    )
    verbs["prune"].add_argument(
        "--keep",
        metavar="N",
        type=_count,
        default=5,
        help="how many of the newest stay (default: %(default)s)",
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)

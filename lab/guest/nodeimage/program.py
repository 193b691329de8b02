"""The program nodeimage: the verbs, their output, and the exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from lab.guest.nodeimage import (
    active,
    base_tree,
    boot,
    commit,
    configure,
    controls,
    inventory,
    options,
    pack,
    publish,
    role,
    trial,
    verify,
    vnfs,
)
from lab.guest.nodeimage.commit import Commit
from lab.guest.nodeimage.errors import BUG, FAILED, INTERRUPTED, UNKNOWN, WRITE, NodeImageError
from lab.guest.nodeimage.options import Arguments
from lab.guest.nodeimage.output import Output, Result
from lab.guest.nodeimage.places import Places, checked, role_name
from lab.guest.nodeimage.role import Role
from lab.guest.system import System

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class Context:
    """What every verb needs: the node, the output, the two folders and the command line."""

    def __init__(self, system: System, output: Output, arguments: Arguments) -> None:
        self.system = system
        self.output = output
        self.arguments = arguments
        self.places = Places(os.path.abspath(arguments.state), os.path.abspath(arguments.releases))

    def role(self) -> Role:
        """The role whose folder the command line names."""
        return role.load(self.arguments.role)

    def name(self) -> str:
        """The name of the role that the command line names."""
        return role_name(self.arguments.role)

    def commit(self, folder: str) -> Commit:
        """The commit of a role's folder, or the one that the command line names."""
        given = self.arguments
        if given.commit:
            return commit.given(given.commit, given.ref, given.date)
        return commit.of_folder(self.system, folder, allow_dirty=given.allow_dirty)

    def tree(self, chosen: Role) -> str:
        """The tree to work on: by default the role's working copy."""
        given = self.arguments.tree
        return os.path.abspath(given) if given else self.places.role(chosen.name, "work", "root")


Verb = Callable[[Context], Result]


def _tree(context: Context) -> Result:
    given = context.arguments
    chosen = context.role()
    return base_tree.run(
        base_tree.Job(
            context.system, context.output, context.places, chosen,
            sources=given.source, refresh=given.refresh, copy=given.copy,
        )
    )  # fmt: skip


def _job(context: Context) -> configure.Job:
    chosen = context.role()
    return configure.Job(
        context.system,
        context.output,
        context.places,
        chosen,
        context.commit(chosen.folder),
        context.tree(chosen),
    )


def _configure(context: Context) -> Result:
    return configure.run(_job(context))


def _test(context: Context) -> Result:
    return controls.run(_job(context))


def _pack(context: Context) -> Result:
    chosen = context.role()
    return pack.run(
        pack.Job(
            context.system, context.output, context.places, chosen,
            commit=context.commit(chosen.folder),
            tree=context.tree(chosen),
            kernel=pack.kernel_file(context.arguments.kernel),
            full=context.arguments.full,
        )
    )  # fmt: skip


def _publish(context: Context) -> Result:
    given = context.arguments
    return publish.run(
        publish.Job(context.system, context.output, context.places, context.name(), given.release, given.key)
    )


def _verify(context: Context) -> Result:
    given = context.arguments
    if os.path.sep in given.role and not os.path.isfile(os.path.join(given.role, role.FILE)):
        if given.release:
            raise NodeImageError(UNKNOWN, f"{given.role} is the folder of a release", hint=f"ls {given.role}")
        return verify.run(context.system, os.path.abspath(given.role), given.signers)
    name = context.name()
    release = given.release
    if not release:
        known = active.now(context.places.served(name))
        if known is None:
            raise NodeImageError(UNKNOWN, f"no release of {name} is active", hint=f"nodeimage list {name}")
        release = known.release
    checked(release, "release")
    return verify.run(
        context.system, context.places.served(name, release), given.signers, role=name, release=release
    )


def _activate(context: Context) -> Result:
    given = context.arguments
    release = checked(given.release, "release")
    return active.activate(context.system, context.places, context.name(), release, given.signers)


def _rollback(context: Context) -> Result:
    return active.rollback(context.system, context.places, context.name(), context.arguments.signers)


def _import(context: Context) -> Result:
    given = context.arguments
    return vnfs.run(
        vnfs.Job(
            context.system, context.output, context.places, context.name(), given.nodes, given.signers
        )
    )  # fmt: skip


def _boot(context: Context) -> Result:
    return boot.run(_entries(context, "" if context.arguments.off else context.arguments.loader))


def _try(context: Context) -> Result:
    given = context.arguments
    release = checked(given.release, "release")
    entries = _entries(context, given.loader)
    return trial.run(trial.Job(entries, context.output, release, given.signers, given.seconds))


def _entries(context: Context, loader: str) -> boot.Job:
    given = context.arguments
    return boot.Job(
        context.system, context.places, context.name(), given.nodes,
        loader=loader, server=given.server, tftp=os.path.abspath(given.tftp),
    )  # fmt: skip


def _list(context: Context) -> Result:
    return inventory.listed(context.places, context.name() if context.arguments.role else "")


def _show(context: Context) -> Result:
    given = context.arguments
    release = checked(given.release, "release") if given.release else ""
    return inventory.shown(context.places, context.name(), release)


def _prune(context: Context) -> Result:
    return inventory.prune(context.output, context.places, context.name(), context.arguments.keep)


HANDLERS: Mapping[str, Verb] = {
    "tree": _tree,
    "configure": _configure,
    "test": _test,
    "pack": _pack,
    "publish": _publish,
    "verify": _verify,
    "try": _try,
    "activate": _activate,
    "rollback": _rollback,
    "import": _import,
    "boot": _boot,
    "list": _list,
    "show": _show,
    "prune": _prune,
}


def main(arguments: Sequence[str], system: System) -> int:
    """Runs a verb and returns its exit status; every failure is one error."""
    output = Output(as_json="--json" in arguments)
    try:
        parsed = options.make_parser(os.environ).parse_args(list(arguments), Arguments())
        output = Output(as_json=parsed.json, quiet=parsed.quiet)
        output.result(HANDLERS[parsed.verb](Context(system, output, parsed)))
    except SystemExit as end:  # argparse has printed its help
        return int(end.code or 0)
    except BrokenPipeError:
        raise
    except NodeImageError as error:
        return _failed(output, error)
    except OSError as error:
        return _failed(output, _explained(error))
    except KeyboardInterrupt:
        text = "interrupted; releases are as they were or complete"
        return _failed(output, NodeImageError(INTERRUPTED, text, hint="run it again"))
    except Exception as error:
        step = error.__traceback__
        while step is not None and step.tb_next is not None:
            step = step.tb_next
        where = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step else "an unknown place"
        text = f"nodeimage itself failed: {type(error).__name__}: {error}"
        return _failed(output, NodeImageError(BUG, text, evidence=f"at {where}", hint="report this"))
    return 0


def _failed(output: Output, error: NodeImageError) -> int:
    sys.stdout.flush()
    output.error(error)
    return error.kind.status


def _explained(error: OSError) -> NodeImageError:
    """An error of the operating system, with the file it is about."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    kind = WRITE if error.errno in FULL else FAILED
    hint = "df -h; findmnt" if kind is WRITE else f"ls -ld {where.rstrip(': ') or '.'}; id"
    return NodeImageError(kind, f"{where}{error.strerror or error}", hint=hint)

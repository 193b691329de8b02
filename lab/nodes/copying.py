"""Copies files into a node and out of it: one archive, streamed in constant memory, complete or not at all.

What cp -a and `docker cp` do is the measure. A link that is named itself is followed; links inside folders
are kept.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lab.errors import LabError, UsageError
from lab.foreground import Guard
from lab.nodes.archive import Archive, Damaged
from lab.nodes.placing import folder_of, own_name, place_of, put, staged, stream_of
from lab.nodes.room import NoRoom, Room
from lab.nodes.told import Told
from lab.nodes.unpacking import LeftOut, fill
from lab.process import not_started

REFUSED = 65  # EX_DATAERR of sysexits.h: the scripts' own refusals
CHANGED = 1  # a file grew or shrank while tar read it, as logs do (GNU tar's manual, 3.1 "Synopsis")
INCOMPLETE = 2  # some files could not be read
PIPE = 1 << 20
SHOWN = 5
LONGEST_LINE = 300  # characters of a node's message
END_SECONDS = 1.0
LAST_SECONDS = 60.0  # that the node's command may take to end after its archive
SOCKET = re.compile(r"^tar: (.*): socket ignored$")
TAR = ("tar", "-c", "-S", "-b", "128", "--format=gnu", "--no-unquote", "-f", "-")

# Records of 64 KiB fit the pipes. Sizes in /proc are not known before the files are read.
PACK = r"""
path=${1:-.}
refuse() { printf '%s\n' "$1" >&2; exit 65; }
[ -e "$path" ] || [ -L "$path" ] || refuse "there is no $path"
pack() { TAR "$@"; }
[ ! -d "$path" ] || { cd -- "$path" && pack . ; exit; }
[ -f "$path" ] || [ ! -e "$path" ] || refuse "$path is neither a file nor a folder"
case $path in */*) folder=${path%/*}/ ;; *) folder=./ ;; esac
base=${path##*/}
[ -e "$path" ] || { pack -C "$folder" -- "./$base"; exit; }
if [ ! -s "$path" ]; then
    copy=$(mktemp -d) || exit
    trap 'rm -rf "$copy"' EXIT
    trap 'exit 129' HUP INT TERM
    cp --preserve=mode,timestamps -- "$path" "$copy/$base" || exit
    folder=$copy
fi
pack -h -C "$folder" -- "./$base"
""".replace("TAR", shlex.join(TAR))

# Unpacks beside the place, and moves what is complete. The last member of the archive says that it is.
UNPACK = r"""
target=${1:-.} name=$2 kind=$3 base=$4
refuse() { printf '%s\n' "$1" >&2; exit 65; }
bare=$target
while [ "${bare%/}" != "$bare" ] && [ "$bare" != / ]; do bare=${bare%/}; done
if [ -d "$target" ]; then
    place=$target
    [ -z "$name" ] || place=${bare%/}/$name
elif [ "$bare" != "$target" ] && { [ -e "$bare" ] || [ -L "$bare" ]; }; then refuse "$bare is not a folder"
elif [ "$bare" != "$target" ] && [ $kind = file ]; then refuse "there is no folder $bare"
else place=$bare
fi
if [ $kind = file ]; then
    [ ! -d "$place" ] || refuse "$place is a folder, and a file cannot replace it"
    if [ -L "$place" ] && [ -e "$place" ]; then
        place=$(readlink -f -- "$place"; echo .)
        place=${place%??}
    fi
    if [ -e "$place" ] && [ ! -f "$place" ]; then tar -x -O -f - >"$place"; exit; fi
elif [ ! -d "$place" ]; then
    [ ! -e "$place" ] && [ ! -L "$place" ] || refuse "$place is no folder, and a folder cannot replace it"
fi
case $place in */*) folder=${place%/*}/ ;; *) folder=./ ;; esac
[ ! -d "$place" ] || folder=$place/
[ -d "$folder" ] || refuse "there is no folder ${folder%/}"
for stage in "$folder".lab-cp-??????; do   # what killed copies left behind: nobody has locked it
    [ ! -d "$stage" ] || [ -L "$stage" ] || flock -n "$stage" rm -rf "$stage" 2>/dev/null
done
until
    stage=$(mktemp -d "${folder}.lab-cp-XXXXXX" 2>&1) || {
        printf '%s\n' "cannot write to ${folder%/}: ${stage##*: }" >&2
        exit 1
    }
    ! command exec 9<"$stage" || { flock 9 2>/dev/null; [ -d "$stage" ]; }
do :; done
trap 'rm -rf "$stage"' EXIT
trap 'exit 129' HUP INT TERM PIPE
tar -x -p --no-unquote -f - -C "$stage" || {
    status=$?
    [ "$(stat -f -c %a "$stage")" -gt 64 ] || echo "no space is left in ${folder%/}" >&2
    exit $status
}
[ -e "$stage/complete" ] || refuse "the copy was interrupted"
new=$stage/new
[ $kind = folder ] || new=$new/$base
if [ ! -d "$place" ]; then mv -fT -- "$new" "$place"; exit; fi
merge() { find "$new" -mindepth 1 -maxdepth 1 -exec cp -a --remove-destination "$@" -t "$place" -- {} +; }
merge --link 2>/dev/null || merge
"""


@dataclass(frozen=True)
class Way:
    """A command in a node: what runs it, and what ends it there (`Guard`)."""

    argv: Sequence[str]
    hang_up: Sequence[str]


def pack_command(path: str) -> list[str]:
    """What a node runs to write a file or folder to its standard output."""
    return ["/bin/sh", "-c", PACK, "sh", path]


def unpack_command(source: str, target: str) -> list[str]:
    """What a node runs to put what `send` writes to its place."""
    kind = "folder" if os.path.isdir(source) else "file"
    return ["/bin/sh", "-c", UNPACK, "sh", target, own_name(source), kind, os.path.basename(source)]


def send(source: str, to: Way, shown: str) -> list[str]:
    """Copies a file or folder of the host into a node; returns what people should know.

    `to` runs `unpack_command`. LabError in one sentence, `shown` being the target as the user wrote it.
    """
    with ExitStack() as stack:
        argv = stack.enter_context(_packer(source))
        guard = stack.enter_context(Guard(to.hang_up))
        tar, told_here = stack.enter_context(_started(argv, stdout=subprocess.PIPE))
        packed = _output(tar)
        node, told_there = stack.enter_context(_started(to.argv, stdin=packed, stdout=subprocess.DEVNULL))
        packed.close()
        status = node.wait()
        here = tar.wait() if status == 0 else 0
        guard.dismiss()
        if status != 0:
            raise _failure(f"cannot copy {source} to {shown}", status, _lines(told_there))
        notes = [SOCKET.sub(r"not copied: \1 (a socket)", line) for line in _lines(told_here)]
        if here == INCOMPLETE:
            raise LabError(f"not all of {source} could be read; the rest was copied", evidence=_brief(notes))
        return notes


@contextmanager
def _packer(source: str) -> Iterator[list[str]]:
    """The argument list of a tar that packs a source as `new`, and after it an empty file `complete`."""
    follow, folder, name = _what_to_pack(source)
    with tempfile.TemporaryDirectory() as own:
        (Path(own) / "complete").touch()
        if name != "." and follow and os.stat(source).st_size == 0:
            folder = _really_read(source, own)
        yield [
            *TAR,
            *(["-h"] if follow and name != "." else []),
            "--owner=root:0",
            "--group=root:0",
            "--transform=flags=rhS;s,^\\.,new,",
            "-C",
            folder,
            name,
            "-C",
            own,
            "complete",
        ]


def _what_to_pack(source: str) -> tuple[bool, str, str]:
    """Whether a link is followed, and what tar packs: a name in a folder; UsageError where nothing is."""
    try:
        mode = os.stat(source).st_mode
    except NotADirectoryError:
        raise UsageError(f"{source} is not a folder") from None
    except OSError as problem:
        if not os.path.islink(source):
            missing = isinstance(problem, FileNotFoundError)
            why = "does not exist on this host" if missing else f"cannot be read: {problem.strerror}"
            raise UsageError(f"{source} {why}") from None
        return False, os.path.dirname(source) or ".", f"./{os.path.basename(source)}"
    if stat.S_ISDIR(mode):
        return True, source, "."
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise UsageError(f"{source} is neither a file nor a folder")
    return True, os.path.dirname(source) or ".", f"./{os.path.basename(source)}"


def _really_read(source: str, own: str) -> str:
    """Copies a file whose size is not known beforehand: one of /proc, or a pipe."""
    folder = Path(own) / "read"
    folder.mkdir()
    try:
        with open(source, "rb") as file, (folder / os.path.basename(source)).open("wb") as copy:
            shutil.copyfileobj(file, copy)
        shutil.copystat(source, folder / os.path.basename(source))
    except OSError as problem:
        raise UsageError(f"{source} cannot be read: {problem.strerror}") from problem
    return str(folder)


def receive(source: str, target: str, way: Way, shown: str) -> list[LeftOut]:
    """Copies a file or folder of a node to the host; returns what was left out.

    `way` runs `pack_command`. LabError in one sentence, `shown` being the source as the user wrote it.
    """
    what = f"cannot copy {shown} to {target}"
    with ExitStack() as stack:
        guard = stack.enter_context(Guard(way.hang_up))
        node, told = stack.enter_context(_started(way.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE))
        try:
            left_out = _unpack(node, own_name(source), target)
        except Damaged as problem:
            raise _failure(what, _end(node, guard), _lines(told) or [str(problem)]) from problem
        except NoRoom as problem:
            hint = f"df -h {shlex.quote(folder_of(target))}"
            raise LabError(what, evidence=str(problem), hint=hint) from problem
        except OSError as problem:
            raise LabError(what, evidence=str(problem.strerror or problem)) from problem
        guard.dismiss()
        if node.returncode == INCOMPLETE:
            raise LabError(
                f"not all of {shown} could be read; the rest was copied", evidence=_brief(_lines(told))
            )
        return left_out


def _unpack(node: subprocess.Popen[bytes], name: str, target: str) -> list[LeftOut]:
    """Reads an archive to its end, and then puts what came to its place."""
    archive = Archive(_output(node))
    first = archive.next()
    if first is None:
        raise Damaged("the node sent an empty archive")
    if first.is_file and (stream := stream_of(target)) is not None:
        with open(stream, "wb", buffering=0) as file:
            archive.pour(first, file.fileno(), _taken_by(file.fileno()))
        return []
    place = place_of(target, name, folder=first.is_folder)
    with staged(place) as stage:
        new = os.path.join(stage, b"new")
        left_out = fill(archive, first, new, Room(stage))
        _finish(archive, node)
        if os.path.lexists(new):
            put(new, os.fsencode(place))
    return left_out


def _finish(archive: Archive, node: subprocess.Popen[bytes]) -> None:
    """Waits until the node's command has ended well after its archive; Damaged where it does not."""
    archive.finish()
    try:
        status = node.wait(LAST_SECONDS)
    except subprocess.TimeoutExpired:
        raise Damaged("the command in the node does not end after its archive") from None
    if status not in (0, CHANGED, INCOMPLETE):
        raise Damaged("what the node sent ends too early")


def _taken_by(file: int) -> Callable[[int], None]:
    """What counts the bytes that are poured into a file: an ordinary one is bounded as any copy is."""
    return Room(file).pour if stat.S_ISREG(os.fstat(file).st_mode) else lambda _: None


def _end(node: subprocess.Popen[bytes], guard: Guard) -> int:
    """The status of a node's command that has ended, or is ended now."""
    _output(node).close()
    with suppress(subprocess.TimeoutExpired):
        return node.wait(END_SECONDS)
    guard.hang_up()
    node.kill()
    return node.wait()


@contextmanager
def _started(
    argv: Sequence[str], **streams: IO[bytes] | int
) -> Iterator[tuple[subprocess.Popen[bytes], Told]]:
    """A process with a group of its own, so that Ctrl-C reaches us alone; it is gone at the end."""
    environ = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(  # type: ignore[call-overload]
            list(argv), env=environ, process_group=0, bufsize=PIPE, stderr=subprocess.PIPE, **streams
        )
    except OSError as problem:
        raise not_started(argv, problem) from problem
    try:
        yield process, Told(process.stderr)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """What a process writes, with more room in the pipe: fewer turns between the processes."""
    pipe = cast("IO[bytes]", process.stdout)
    with suppress(OSError, ValueError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
    return pipe


def _failure(what: str, status: int, lines: list[str]) -> LabError:
    evidence = _brief(lines) or f"the command in the node ended with status {status}"
    return UsageError(what, evidence=evidence) if status == REFUSED else LabError(what, evidence=evidence)


def _lines(told: Told) -> list[str]:
    """What a program wrote to its standard error, without what says only that there was more above."""
    return [line for line in told.lines() if "Exiting with failure status" not in line]


def _brief(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*(line[:LONGEST_LINE] for line in lines[:SHOWN]), *more])

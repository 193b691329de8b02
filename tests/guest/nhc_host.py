"""A host for nhc: its programs and scripts with another /proc, and stand-ins for commands that checks ask.

RACKLING_NHC=FOLDER, a checkout of LBNL's NHC 1.4 (github mej/nhc), runs the same tables against the original.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

NODE = Path(__file__).resolve().parents[2] / "lab/guest/files/node"
ORIGINAL = os.environ.get("RACKLING_NHC", "")
FILES = {
    "proc/sys/kernel/hostname": "c1\n",
    "proc/mounts": (
        "rootfs / rootfs rw 0 0\n"
        "tmpfs / tmpfs rw,relatime 0 0\n"
        "sms:/home /home nfs rw,vers=4.2,addr=172.16.0.1 0 0\n"
        "sms:/opt/ohpc/pub /opt/ohpc/pub nfs ro,vers=4.2 0 0\n"
    ),
    "proc/cpuinfo": "".join(
        f"processor\t: {number}\nphysical id\t: {number // 4}\nsiblings\t: 4\ncpu cores\t: 2\n\n"
        for number in range(8)
    ),
    "proc/meminfo": (
        "MemTotal:        2097152 kB\nMemFree:          524288 kB\nBuffers:           1024 kB\n"
        "Cached:          523264 kB\nSwapTotal:        1048576 kB\nSwapFree:        1048576 kB\n"
    ),
    "proc/modules": "virtio_net 1 0 - Live 0x0\ngm 1 0 - Live 0x0\n",
    "proc/net/dev": ("Inter-|   Receive\n face |bytes\n    lo: 1 2 3\n  eth0: 1 2 3\n myri0: 1 2 3\n"),
    "proc/loadavg": "3.50 1.25 0.75 2/130 4711\n",
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\nmunge:x:110:110::/:/bin/false\n"
        "user1:x:1001:1001::/home/user1:/bin/bash\nuser2:x:1002:1002::/home/user2:/bin/bash\n"
    ),
    "etc/login.defs": "UID_MIN 1000\n#SYS_UID_MAX 999\n",
}
DF = """\
Filesystem Type 1K-blocks Used Available Use% Mounted on
tmpfs tmpfs 1048576 419430 629146 40% /
sms:/a/very/long/name/of/a/share
 nfs 4194304 1048576 3145728 25% /home
proc proc 0 0 0 - /proc
"""
DFI = """\
Filesystem Type Inodes IUsed IFree IUse% Mounted on
tmpfs tmpfs 262144 26214 235930 10% /
proc proc 0 0 0 - /proc
"""
PS = """\
USER UID PID PPID %CPU %MEM RSS VSZ TIME COMMAND
root 0 1 0 0.0 0.1 9000 20000 0:01 /sbin/init splash
root 0 300 1 0.0 0.1 5000 9000 0:00 sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups
root 0 301 1 0.5 0.2 8000 90000 1:30 /usr/sbin/slurmd -D
munge 110 302 1 0.0 0.1 3000 70000 0:02 /usr/sbin/munged
root 0 400 301 0.1 0.1 4000 60000 0:00 slurmstepd: [7.0]
user1 1001 401 400 99.5 50.3 1048576 2097152 75:10 ./solve --fast
user2 1002 402 1 1.0 0.1 2048 4096 0:05 /usr/bin/sleeper 60
root 0 500 2 0.0 0.0 0 0 1:00 [kswapd0]
root 0 501 2 0.0 0.0 0 0 9:00 [kswapd1]
"""
SOCKETS = """\
Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address Foreign Address State User Inode PID/Program name
tcp 0 0 0.0.0.0:22 0.0.0.0:* LISTEN 0 1234 300/sshd: /usr/sbin
tcp 0 0 172.16.1.1:22 172.16.0.1:50000 ESTABLISHED 0 1235 310/sshd
udp 0 0 0.0.0.0:123 0.0.0.0:* 110 1236 320/ntpd
Active UNIX domain sockets (servers and established)
Proto RefCnt Flags Type State I-Node PID/Program name Path
unix 2 [ ACC ] STREAM LISTENING 1300 302/munged /run/munge/munge.socket.2
unix 3 [ ] DGRAM 1301 1/init /run/systemd/notify
"""
if ORIGINAL:  # which takes the program's name for its first word, and is used to Enterprise Linux
    SOCKETS = SOCKETS.replace("sshd: /usr/sbin", "sshd")
COMMANDS = {
    "df": f"case $1 in *i*) cat <<'E'\n{DFI}E\n;; *) cat <<'E'\n{DF}E\n;; esac",
    "ps": f"cat <<'E'\n{PS}E",
    # Debian's knows -W, Enterprise Linux's -T.
    "netstat": f"case $1 in -{'T' if ORIGINAL else 'W'}anpee) cat <<'E'\n{SOCKETS}E\n;; *) exit 4 ;; esac",
    "logger": 'cat >>"$NHC_TEST/syslog"',
    "sinfo": 'echo "${SINFO:-idle none}"',
    "scontrol": 'for word; do printf "<%s>" "$word"; done >>"$NHC_TEST/slurm"; echo >>"$NHC_TEST/slurm"',
    "squeue": "printf 'user1\\n'",
    "service": 'echo "$@" >>"$NHC_TEST/services"; [ "$2" != status ] || exit "${SERVICE_STATUS:-0}"',
    "mount": 'echo "$@" >>"$NHC_TEST/mounts"',
    "ping": 'echo "$@" >>"$NHC_TEST/pings"; case "$*" in *gone*) exit 1 ;; esac',
    "mcelog": 'printf "%s\\n" "$MCELOG_SAYS"',
    "munge": "echo credential",
    "unmunge": 'cat >/dev/null; exit "${UNMUNGE:-0}"',
    "dmesg": "printf 'Linux version 6.12\\neth0: link up\\n'",
}


class Host:
    """One host; `run` runs its nhc with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.log = folder / "var/log/nhc.log"
        for name in ("bin", "etc/nhc", "etc/default", "var/log", "var/run", "helpers", "tmp"):
            (folder / name).mkdir(parents=True)
        for name, text in FILES.items():
            self.write(name, text)
        for name, body in COMMANDS.items():
            self.command(name, body)
        self._install()

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the host."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def command(self, name: str, body: str) -> None:
        """Gives the host a command."""
        self.write(f"bin/{name}", f"#!/bin/sh\n{body}\n").chmod(0o755)

    def _install(self) -> None:
        original = Path(ORIGINAL)
        folders = (original, original / "scripts", original / "helpers") if ORIGINAL else PLACES
        copied = [(folders[0] / name, self.bin / name) for name in ("nhc", "nhc-genconf")]
        copied += [(path, self.folder / "etc/nhc/scripts" / path.name) for path in folders[1].glob("*.nhc")]
        copied += [(path, self.folder / "helpers" / path.name) for path in folders[2].iterdir()]
        for source, target in copied:
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text()
            for place in (
                "/proc/",
                "/sys/class/",
                "/etc/passwd",
                "/etc/login.defs",
                "/var/log/",
                "/var/run/",
            ):
                text = text.replace(place, f"{self.folder}{place}")
            # An original that finds no Debian here looks for its settings elsewhere.
            text = text.replace("/sbin/service", f"{self.bin}/service").replace(
                "PATH=/sbin:", f"PATH={self.bin}:/sbin:"
            )
            text = text.replace('PATH="/sbin:', f'PATH="{self.bin}:/sbin:').replace(
                "/usr/bin/squeue", "squeue"
            )
            target.write_text(text)
            target.chmod(0o755)

    def run(
        self, conf: str = "", *options: str, env: Mapping[str, str] | None = None, leader: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs nhc; its own configuration is `conf`."""
        self.write("etc/nhc/nhc.conf", conf)
        return self.start(*options, env=env, leader=leader)

    def start(
        self, *options: str, env: Mapping[str, str] | None = None, leader: bool = True, program: str = "nhc"
    ) -> subprocess.CompletedProcess[str]:
        """Runs nhc with the configuration that is there."""
        return subprocess.run(
            self.words(*options, program=program),
            env={**self.environment(), **(env or {})},
            cwd=self.folder / "tmp",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=leader,
        )

    def words(self, *options: str, program: str = "nhc") -> list[str]:
        """A command line of nhc, with the places that this host has."""
        places = [f"CONFDIR={self.folder}/etc/nhc", f"HELPERDIR={self.folder}/helpers"]
        places.append(f"SYSCONFIGDIR={self.folder}/etc/default")
        return [shutil.which("bash") or "bash", str(self.bin / program), *options, *places]

    def environment(self) -> dict[str, str]:
        """What nhc and the stand-ins are given."""
        return {"PATH": os.environ["PATH"], "NHC_TEST": str(self.folder), "LC_ALL": "C"}

    @staticmethod
    def said(done: subprocess.CompletedProcess[str]) -> list[str]:
        """The lines on standard output, but for those of the helpers."""
        return [line for line in done.stdout.splitlines() if "/helpers/node-mark-" not in line]

    def asked(self, name: str) -> list[str]:
        """What a stand-in wrote down."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


PLACES = (NODE / "usr/sbin", NODE / "etc/nhc/scripts", NODE / "usr/lib/nhc")

"""SLURM-1: a database, slurmdbd, a controller that uses it, and a recorded job.

Three daemons must come up like this at the next boot, too. So what the running ones have is compared with
what they will read then: MariaDB's option files, slurmdbd.conf, and slurm.conf.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from lab.checks import CheckFailedError, ClusterView, check, failed, require_settings
from lab.facts import accounting, slurm, systemd

SETTINGS = "/etc/slurm/slurmdbd.conf"
USERS = ("user1", "user2")
WANTED = frozenset({"associations", "limits", "qos", "safe"})
NEEDED = frozenset({"ALTER", "CREATE", "DELETE", "DROP", "INDEX", "INSERT", "SELECT", "UPDATE"})
RIGHTS = (
    "select grantee, table_schema, privilege_type from information_schema.schema_privileges"
    " union select grantee, '%', privilege_type from information_schema.user_privileges"
)
STORAGE = "accounting_storage/slurmdbd"
PATIENCE = 900  # seconds


def setting(cluster: ClusterView, name: str, default: str) -> str:
    """A value of slurmdbd.conf, whatever its permissions."""
    answer = cluster.sms.run(f"grep -i '^ *{name} *=' {SETTINGS}")
    value = answer.output.strip().splitlines()[-1:] if answer.exit_status == 0 else []
    return value[0].partition("=")[2].split("#")[0].strip() if value else default


def ask_database(cluster: ClusterView, question: str) -> str:
    """MariaDB's answer to root; a failed check if it does not answer."""
    answer = cluster.sms.run(f"mariadb -Nse {shlex.quote(question)}", timeout=20)
    if answer.exit_status != 0:
        raise failed(
            expected="MariaDB answers",
            actual=answer.output.strip() or f"status {answer.exit_status}",
            hint="What does its journal say? `sudo journalctl -u mariadb`",
            node="sms",
            look="systemctl --no-pager status mariadb",
        )
    return answer.output.strip()


@check(step="database")
def database_is_there(cluster: ClusterView) -> None:
    """MariaDB has a database for Slurm."""
    name = setting(cluster, "StorageLoc", "slurm_acct_db")
    # A query would start MariaDB, so look on the disk.
    if cluster.sms.run(f"test -d /var/lib/mysql/{shlex.quote(name)}").exit_status != 0:
        raise failed(
            expected=f"a database {name}",
            actual="no such database",
            hint="`mysqladmin create` creates one.",
            node="sms",
            look="sudo mysql -e 'show databases'",
        )


@check(step="database", needs=[database_is_there], timeout=40)
def slurm_may_use_it(cluster: ClusterView) -> None:
    """Slurm's database user has all privileges on it."""
    user = setting(cluster, "StorageUser", "slurm")
    database = setting(cluster, "StorageLoc", "slurm_acct_db")
    rows = [line.split("\t") for line in ask_database(cluster, RIGHTS).splitlines()]
    rights = {
        right
        for whose, place, right in (row for row in rows if len(row) == 3)
        if whose.startswith(f"'{user}'@") and place.replace("\\_", "_") in (database, "%")
    }
    if not rights >= NEEDED:
        raise failed(
            expected=f"a user {user}@localhost with all privileges on {database}",
            actual=f"only {', '.join(sorted(rights))}" if rights else "no such user, or no privileges",
            hint="`create user …` creates the user, and `grant all privileges on …` gives it access.",
            node="sms",
            look="sudo mysql -e \"show grants for 'slurm'@'localhost'\"",
        )


@check(step="database", needs=[database_is_there], timeout=40)
def database_waits_for_locks(cluster: ClusterView) -> None:
    """MariaDB lets a transaction wait for a lock for 15 minutes, now and after its next start."""
    seconds = ask_database(cluster, "select @@innodb_lock_wait_timeout")
    options = cluster.sms.run("mariadbd --print-defaults").output
    written = re.findall(r"innodb[-_]lock[-_]wait[-_]timeout=(\d+)", options)[-1:]
    lasts = bool(written) and int(written[0]) >= PATIENCE
    if seconds.isdecimal() and int(seconds) >= PATIENCE and lasts:
        return
    if lasts:
        hint = "The files in `/etc/my.cnf.d` are as they should be; MariaDB reads them when it starts."
    elif seconds.isdecimal() and int(seconds) >= PATIENCE:
        seconds = f"only the running MariaDB has it; in its option files: {(*written, 'no such line')[0]}"
        hint = "`set global` is forgotten at the next start. MariaDB then reads `/etc/my.cnf.d/*.cnf`."
    else:
        hint = "MariaDB reads the section `[mysqld]` of `/etc/my.cnf.d/*.cnf` when it starts."
    raise failed(
        expected=f"innodb_lock_wait_timeout of {PATIENCE} or more",
        actual=seconds,
        hint=hint,
        node="sms",
        look="sudo mysql -e 'select @@innodb_lock_wait_timeout'; mariadbd --print-defaults",
    )


def file_at_fault(cluster: ClusterView) -> CheckFailedError | None:
    """What is wrong with the file slurmdbd.conf, if anything."""
    answer = cluster.sms.run(f"stat -c '%U %a' {SETTINGS}")
    look = f"ls -l {SETTINGS}"
    if answer.exit_status != 0:
        return failed(
            expected=f"a file {SETTINGS}",
            actual="no such file",
            hint="Copy the example in the same directory.",
            node="sms",
            look="ls -l /etc/slurm",
            final=True,
        )
    owner, mode = answer.output.split()[:2]
    user = setting(cluster, "SlurmUser", "root")
    if (owner, mode) == (user, "600"):
        return None
    return failed(
        expected=f"{SETTINGS} is owned by {user} and has mode 600",
        actual=f"it is owned by {owner} and has mode {mode}",
        hint="It contains a password: only slurmdbd may read it. Use `chown` and `chmod`.",
        node="sms",
        look=look,
        final=True,
    )


def silence(cluster: ClusterView) -> CheckFailedError:
    """What slurmdbd reports, if its configuration file is correct."""
    unit = cluster.sms.fact(systemd.unit("slurmdbd.service"))
    lines = cluster.sms.run(
        "journalctl -q --no-pager -o cat -u slurmdbd --invocation=0 | grep -Ei 'error|fatal'"
    )
    told = [line.removeprefix("slurmdbd: ") for line in lines.output.splitlines()]
    told = [line for line in told if "database must be up" not in line and unit.active != "inactive"]
    hint = "Its journal, or /var/log/slurm/slurmdbd.log, shows the reason."
    if any("Access denied" in line for line in told):
        hint = "Are StorageUser and StoragePass the same as in MariaDB? slurmdbd reads them when it starts."
    elif unit.active in ("failed", "inactive"):
        hint = "`sudo systemctl restart slurmdbd` starts it again."
    return failed(
        expected="slurmdbd listens on its port",
        actual=f"it is {unit.active}" + (f": {told[-1]}" if told else ""),
        hint=hint,
        node="sms",
        look="sudo journalctl --no-pager -u slurmdbd -n 10",
        final=unit.active in ("failed", "inactive"),
    )


@check(step="daemon", needs=[slurm_may_use_it], settle=20)
def slurmdbd_answers(cluster: ClusterView) -> None:
    """The daemon slurmdbd runs and listens on its port."""
    port = setting(cluster, "DbdPort", "6819")
    if cluster.sms.run(f"ss -Hltn 'sport = :{shlex.quote(port)}' | grep -q .").exit_status != 0:
        raise file_at_fault(cluster) or silence(cluster)


@check(step="daemon", needs=[slurmdbd_answers], timeout=40)
def its_file_is_still_right(cluster: ClusterView) -> None:
    """If slurmdbd started again, its file would do: owner, mode, and the password that MariaDB knows."""
    if fault := file_at_fault(cluster):
        raise fault
    user, database = setting(cluster, "StorageUser", "slurm"), setting(cluster, "StorageLoc", "slurm_acct_db")
    password = setting(cluster, "StoragePass", "")
    words = [f"MYSQL_PWD={password}", "mariadb", f"--user={user}", "-e", "select 1", database]
    answer = cluster.sms.run(shlex.join(["env", *words]), timeout=20)
    if answer.exit_status != 0:
        raise failed(
            expected=f"MariaDB accepts StorageUser and StoragePass of {SETTINGS}",
            actual=answer.output.strip() or f"status {answer.exit_status}",
            hint="slurmdbd has what it read when it started. Which has changed since: the file, or MariaDB?",
            node="sms",
            look=f"sudo grep ^Storage {SETTINGS}",
        )


@check(step="daemon", needs=[slurmdbd_answers])
def slurmdbd_starts_at_boot(cluster: ClusterView) -> None:
    """The daemon slurmdbd starts when the SMS boots."""
    unit = cluster.sms.fact(systemd.unit("slurmdbd.service"))
    if unit.enabled != "enabled":
        raise failed(
            expected="slurmdbd.service enabled",
            actual=f"{unit.enabled}: only the running daemon is there",
            hint="`systemctl start` starts a service now; another command starts it at each boot.",
            node="sms",
            look="systemctl is-enabled slurmdbd",
        )


def storage_at_fault(setting: Callable[[str], str]) -> CheckFailedError | None:
    """What is wrong with the place where the controller records jobs, if anything."""
    kind = setting("AccountingStorageType")
    if kind == STORAGE:
        return None
    return failed(
        expected=f"AccountingStorageType={STORAGE}",
        actual=kind or "no accounting",
        hint="A line in `/etc/slurm/slurm.conf` sets this.",
        node="sms",
        look="scontrol show config | grep AccountingStorageType",
    )


@check(step="controller", needs=[slurmdbd_answers], settle=10)
def controller_uses_slurmdbd(cluster: ClusterView) -> None:
    """The controller uses slurmdbd for accounting, now and after its next start."""
    require_settings(cluster, storage_at_fault, key="AccountingStorage")


def enforcement_at_fault(setting: Callable[[str], str]) -> CheckFailedError | None:
    """What the controller does not enforce, if anything."""
    text = setting("AccountingStorageEnforce")
    found = set(text.lower().split(","))
    if "safe" in found:
        found.add("limits")
    if found & {"limits", "qos", "wckeys"}:
        found.add("associations")  # as in src/common/read_config.c
    missing = WANTED - found
    if not missing or "all" in found:
        return None
    return failed(
        expected=f"AccountingStorageEnforce with {', '.join(sorted(WANTED))}",
        actual=text or "none",
        hint="Set `AccountingStorageEnforce=qos,limits,safe` in slurm.conf.",
        node="sms",
        look="scontrol show config | grep AccountingStorageEnforce",
    )


@check(step="controller", needs=[controller_uses_slurmdbd])
def limits_are_enforced(cluster: ClusterView) -> None:
    """The controller enforces limits and QOS."""
    require_settings(cluster, enforcement_at_fault, key="AccountingStorage")


@check(step="controller", needs=[controller_uses_slurmdbd], settle=10)
def cluster_is_registered(cluster: ClusterView) -> None:
    """The accounting database contains the cluster."""
    name = cluster.sms.fact(slurm.config).get("ClusterName", "")
    known = cluster.sms.fact(accounting.clusters)
    if name not in known:
        raise failed(
            expected=name,
            actual=known,
            hint="`sacctmgr add cluster` adds it.",
            node="sms",
            look="sacctmgr show cluster",
        )


@check(step="count", needs=[cluster_is_registered], settle=5)
def a_user_has_an_account(cluster: ClusterView) -> None:
    """At least one user belongs to an account."""
    book = cluster.sms.fact(accounting.book)
    if not any(book.accounts_of(user) for user in USERS):
        raise failed(
            expected=f"an association of {' or '.join(USERS)} with an account",
            actual=f"accounts: {', '.join(sorted(book.accounts))}; no user in them except root",
            hint="Add an account first, then a user: `sacctmgr add account …`, `sacctmgr add user …`.",
            node="sms",
            look="sacctmgr show assoc format=account,user",
        )


@check(step="count", needs=[a_user_has_an_account], settle=15)
def a_job_was_counted(cluster: ClusterView) -> None:
    """A job of such a user has completed and is recorded."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user in USERS]
    if not any(job.state == "COMPLETED" and job.account for job in jobs):
        raise failed(
            expected="a job in state COMPLETED, with an account",
            actual={job.job_id: f"{job.name} {job.state}" for job in jobs} or "no job",
            hint="`srun hostname` is sufficient.",
            node="sms",
            look="sacct",
        )

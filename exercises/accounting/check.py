"""SLURM-1: a database, slurmdbd, a controller that uses it, and a recorded job."""

from __future__ import annotations

import shlex

from lab.checks import CheckFailedError, ClusterView, check, failed
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
    """MariaDB lets a transaction wait for a lock for 15 minutes."""
    seconds = ask_database(cluster, "select @@innodb_lock_wait_timeout")
    if not seconds.isdecimal() or int(seconds) < 900:
        raise failed(
            expected="innodb_lock_wait_timeout of 900 or more",
            actual=seconds,
            hint="MariaDB reads the section `[mysqld]` of `/etc/my.cnf.d/*.cnf` when it starts.",
            node="sms",
            look="sudo mysql -e 'select @@innodb_lock_wait_timeout'",
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


@check(step="daemon", needs=[slurmdbd_answers])
def slurmdbd_starts_at_boot(cluster: ClusterView) -> None:
    """The daemon slurmdbd starts when the SMS boots."""
    unit = cluster.sms.fact(systemd.unit("slurmdbd.service"))
    if unit.enabled != "enabled":
        raise failed(
            expected="slurmdbd.service enabled",
            actual=unit.enabled,
            hint="`systemctl start` starts a service now; another command starts it at each boot.",
            node="sms",
            look="systemctl is-enabled slurmdbd",
        )


def why_without(cluster: ClusterView) -> str:
    """Why the controller may not use accounting."""
    if cluster.sms.run(
        f"grep -Eqi '^ *AccountingStorageType *= *{STORAGE}' /etc/slurm/slurm.conf"
    ).exit_status:
        return "A line in `/etc/slurm/slurm.conf` sets this."
    if cluster.sms.run("tail -n 200 /var/log/slurm/slurmctld.log | grep -q 'ID MISMATCH'").exit_status == 0:
        return "The last `fatal:` in /var/log/slurm/slurmctld.log says why it failed, and what to do."
    return "slurm.conf has the line, but the controller has not read it: `sudo scontrol reconfigure`."


@check(step="controller", needs=[slurmdbd_answers], settle=10)
def controller_uses_slurmdbd(cluster: ClusterView) -> None:
    """The running controller uses slurmdbd for accounting."""
    kind = cluster.sms.fact(slurm.config).get("AccountingStorageType", "")
    if kind != STORAGE:
        raise failed(
            expected=f"AccountingStorageType={STORAGE}",
            actual=kind or "no accounting",
            hint=why_without(cluster),
            node="sms",
            look="scontrol show config | grep AccountingStorageType",
        )


@check(step="controller", needs=[controller_uses_slurmdbd])
def limits_are_enforced(cluster: ClusterView) -> None:
    """The controller enforces limits and QOS."""
    text = cluster.sms.fact(slurm.config).get("AccountingStorageEnforce", "")
    missing = WANTED - set(text.lower().split(","))
    if missing:
        raise failed(
            expected=f"AccountingStorageEnforce with {', '.join(sorted(WANTED))}",
            actual=text or "none",
            hint="Set `AccountingStorageEnforce=qos,limits,safe` in slurm.conf.",
            node="sms",
            look="scontrol show config | grep AccountingStorageEnforce",
        )


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

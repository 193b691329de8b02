"""SLURM-1: a database, slurmdbd, a controller that uses it, and a job that is counted."""

from __future__ import annotations

import shlex

from lab.checks import CheckFailedError, Cluster, check, failed
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


def setting(cluster: Cluster, name: str, default: str) -> str:
    """A value of slurmdbd.conf, whoever may read it."""
    answer = cluster.sms.run(f"grep -i '^ *{name} *=' {SETTINGS}")
    value = answer.output.strip().splitlines()[-1:] if answer.exit_status == 0 else []
    return value[0].partition("=")[2].split("#")[0].strip() if value else default


def ask_database(cluster: Cluster, question: str) -> str:
    """What MariaDB answers root; a failed check when it does not."""
    answer = cluster.sms.run(f"mariadb -Nse {shlex.quote(question)}", timeout=20)
    if answer.exit_status != 0:
        raise failed(
            expected="MariaDB answers",
            actual=answer.output.strip() or f"status {answer.exit_status}",
            hint="What does its journal say: `sudo journalctl -u mariadb`?",
            node="sms",
            look="systemctl --no-pager status mariadb",
        )
    return answer.output.strip()


@check(step="database")
def database_is_there(cluster: Cluster) -> None:
    """MariaDB has a database for Slurm."""
    name = setting(cluster, "StorageLoc", "slurm_acct_db")
    # Looked for on the disk: asking MariaDB would start it.
    if cluster.sms.run(f"test -d /var/lib/mysql/{shlex.quote(name)}").exit_status != 0:
        raise failed(
            expected=f"a database {name}",
            actual="no such database",
            hint="`mysqladmin create` makes one.",
            node="sms",
            look="sudo mysql -e 'show databases'",
        )


@check(step="database", needs=[database_is_there], timeout=40)
def slurm_may_use_it(cluster: Cluster) -> None:
    """Slurm's database user has all rights in it."""
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
            actual=f"only {', '.join(sorted(rights))}" if rights else "no such user, or one without rights",
            hint="`create user …` makes it, and `grant all privileges on …` lets it in.",
            node="sms",
            look="sudo mysql -e \"show grants for 'slurm'@'localhost'\"",
        )


@check(step="database", needs=[database_is_there], timeout=40)
def database_waits_for_locks(cluster: Cluster) -> None:
    """MariaDB lets a transaction wait 15 minutes for a lock."""
    seconds = ask_database(cluster, "select @@innodb_lock_wait_timeout")
    if not seconds.isdecimal() or int(seconds) < 900:
        raise failed(
            expected="innodb_lock_wait_timeout of 900 or more",
            actual=seconds,
            hint="MariaDB reads `/etc/my.cnf.d/*.cnf`, below the line `[mysqld]`, when it starts.",
            node="sms",
            look="sudo mysql -e 'select @@innodb_lock_wait_timeout'",
        )


def file_at_fault(cluster: Cluster) -> CheckFailedError | None:
    """What is wrong with slurmdbd.conf as a file, if anything."""
    answer = cluster.sms.run(f"stat -c '%U %a' {SETTINGS}")
    look = f"ls -l {SETTINGS}"
    if answer.exit_status != 0:
        return failed(
            expected=f"a file {SETTINGS}",
            actual="no such file",
            hint="The example beside it is a beginning.",
            node="sms",
            look="ls -l /etc/slurm",
            final=True,
        )
    owner, mode = answer.output.split()[:2]
    user = setting(cluster, "SlurmUser", "root")
    if (owner, mode) == (user, "600"):
        return None
    return failed(
        expected=f"{SETTINGS} belongs to {user} and has mode 600",
        actual=f"it belongs to {owner} and has mode {mode}",
        hint="There is a password in it: `chown` and `chmod` keep it to slurmdbd alone.",
        node="sms",
        look=look,
        final=True,
    )


def silence(cluster: Cluster) -> CheckFailedError:
    """What slurmdbd, whose file is in order, says of itself."""
    unit = cluster.sms.fact(systemd.unit("slurmdbd.service"))
    lines = cluster.sms.run(
        "journalctl -q --no-pager -o cat -u slurmdbd --invocation=0 | grep -Ei 'error|fatal'"
    )
    told = [line.removeprefix("slurmdbd: ") for line in lines.output.splitlines()]
    told = [line for line in told if "database must be up" not in line and unit.active != "inactive"]
    hint = "Its journal, or /var/log/slurm/slurmdbd.log, tells more."
    if any("Access denied" in line for line in told):
        hint = "Are StorageUser and StoragePass what MariaDB was told? They are read when slurmdbd starts."
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
def slurmdbd_answers(cluster: Cluster) -> None:
    """The daemon slurmdbd runs and listens for controllers."""
    port = setting(cluster, "DbdPort", "6819")
    if cluster.sms.run(f"ss -Hltn 'sport = :{shlex.quote(port)}' | grep -q .").exit_status != 0:
        raise file_at_fault(cluster) or silence(cluster)


@check(step="daemon", needs=[slurmdbd_answers])
def slurmdbd_starts_at_boot(cluster: Cluster) -> None:
    """The daemon will be there again after the SMS's next boot."""
    unit = cluster.sms.fact(systemd.unit("slurmdbd.service"))
    if unit.enabled != "enabled":
        raise failed(
            expected="slurmdbd.service enabled",
            actual=unit.enabled,
            hint="Running now and starting at boot are two things; systemctl has a word for each.",
            node="sms",
            look="systemctl is-enabled slurmdbd",
        )


def why_without(cluster: Cluster) -> str:
    """Why the controller may not have taken up accounting."""
    if cluster.sms.run(
        f"grep -Eqi '^ *AccountingStorageType *= *{STORAGE}' /etc/slurm/slurm.conf"
    ).exit_status:
        return "The controller's own file, `/etc/slurm/slurm.conf`, has a line for this."
    if cluster.sms.run("tail -n 200 /var/log/slurm/slurmctld.log | grep -q 'ID MISMATCH'").exit_status == 0:
        return "It was refused: the last `fatal:` in /var/log/slurm/slurmctld.log says why, and what to do."
    return "slurm.conf says so, and the controller has not read it: `sudo scontrol reconfigure`."


@check(step="controller", needs=[slurmdbd_answers], settle=10)
def controller_uses_slurmdbd(cluster: Cluster) -> None:
    """The running controller keeps its accounts with slurmdbd."""
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
def limits_are_enforced(cluster: Cluster) -> None:
    """The controller holds jobs to limits and QOS."""
    text = cluster.sms.fact(slurm.config).get("AccountingStorageEnforce", "")
    missing = WANTED - set(text.lower().split(","))
    if missing:
        raise failed(
            expected=f"AccountingStorageEnforce with {', '.join(sorted(WANTED))}",
            actual=text or "none",
            hint="`AccountingStorageEnforce=qos,limits,safe` in slurm.conf; associations come with limits.",
            node="sms",
            look="scontrol show config | grep AccountingStorageEnforce",
        )


@check(step="controller", needs=[controller_uses_slurmdbd], settle=10)
def cluster_is_registered(cluster: Cluster) -> None:
    """The accounting knows the cluster."""
    name = cluster.sms.fact(slurm.config).get("ClusterName", "")
    known = cluster.sms.fact(accounting.clusters)
    if name not in known:
        raise failed(
            expected=name,
            actual=known,
            hint="`sacctmgr add cluster` writes it down.",
            node="sms",
            look="sacctmgr show cluster",
        )


@check(step="count", needs=[cluster_is_registered], settle=5)
def a_user_has_an_account(cluster: Cluster) -> None:
    """At least one user belongs to an account."""
    book = cluster.sms.fact(accounting.book)
    if not any(book.accounts_of(user) for user in USERS):
        raise failed(
            expected=f"an association of {' or '.join(USERS)} with an account",
            actual=f"accounts: {', '.join(sorted(book.accounts))}; no users in them but root",
            hint="First an account, then a user in it: `sacctmgr add account …`, `sacctmgr add user …`.",
            node="sms",
            look="sacctmgr show assoc format=account,user",
        )


@check(step="count", needs=[a_user_has_an_account], settle=15)
def a_job_was_counted(cluster: Cluster) -> None:
    """A job of such a user ran to its end and is in the books."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user in USERS]
    if not any(job.state == "COMPLETED" and job.account for job in jobs):
        raise failed(
            expected="a job in state COMPLETED, with an account",
            actual={job.job_id: f"{job.name} {job.state}" for job in jobs} or "no job",
            hint="`srun hostname` is enough of a job.",
            node="sms",
            look="sacct",
        )

"""The checks of the chapter on policies against a scripted SMS: right, wrong, and broken in many ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.checks.api import Outcome, Verdict
from lab.checks.runner import Runner
from lab.course.catalog import load
from lab.paths import data_folder
from tests.unit.checks_world import World

CATALOG = load(data_folder("exercises"))
DATA = Path(__file__).resolve().parents[2] / "data" / "facts"
REFUSED = "allocation failure: Invalid account or account/partition combination specified\n"
RIGHTS = "ALTER CREATE DELETE DROP INDEX INSERT SELECT UPDATE EXECUTE"
CONFIG = {
    "AccountingStorageEnforce": "associations,limits,qos,safe",
    "AccountingStorageType": "accounting_storage/slurmdbd",
    "ClusterName": "cluster",
    "PriorityDecayHalfLife": "3-00:00:00",
    "PriorityMaxAge": "1-00:00:00",
    "PriorityType": "priority/multifactor",
    "PriorityWeightAge": "1000",
    "PriorityWeightFairShare": "100000",
    "PriorityWeightJobSize": "1000",
    "PriorityWeightPartition": "10000",
    "SchedulerParameters": "bf_window=10080,bf_resolution=504,bf_continue",
    "SchedulerType": "sched/backfill",
}
CONF = """\
accountingstorageenforce=qos,limits,safe
AccountingStorageType = accounting_storage/slurmdbd  # was none
#PartitionName=normal Nodes=c[1-2] Default=YES
PartitionName=DEFAULT DefMemPerCPU=400 Nodes=c[1-2]
PartitionName=short DefaultTime=02:00:00 MaxTime=02:00:00 AllowAccounts=ALL PriorityTier=3
PartitionName=medium Default=YES DefaultTime=06:00:00 MaxTime=48:00:00 PriorityTier=2
PartitionName=long DefaultTime=24:00:00 MaxTime=168:00:00 DenyAccounts=gratis PriorityTier=1
PriorityDecayHalfLife=3-0
PriorityMaxAge=1-0
PriorityWeightAge=1000
PriorityWeightFairshare=100000
PriorityWeightJobSize=1000
PriorityWeightPartition=10000
SchedulerParameters=bf_window=10080,bf_resolution=504,bf_continue
"""


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def config(**other: str) -> str:
    return "".join(f"{key:<24}= {value}\n" for key, value in (CONFIG | other).items())


def unit(active: str = "active", enabled: str = "enabled") -> str:
    return f"Id=slurmdbd.service\nLoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n"


def job(number: int, user: str, account: str, partition: str, **other: object) -> str:
    """One line of sacct."""
    values = {"qos": "normal", "state": "COMPLETED", "submitted": 100, "started": 100, "priority": 9}
    values |= {"used": 1, "flags": "SchedMain", "name": "hostname"} | other
    return (
        f"{number}|{user}|{account}|{values['qos']}|{partition}|{values['state']}|{values['submitted']}|"
        f"{values['started']}|{values['priority']}|{values['used']}|{values['flags']}|{values['name']}\n"
    )


GAP = job(70, "user1", "gratis", "medium", started=1795290020, priority=50) + job(
    71, "user1", "gratis", "medium", flags="SchedBackfill", started=1795290010, priority=40
)


def solved() -> World:
    """An SMS on which the whole chapter has been done."""
    world = World()
    world.says("sms", "^grep -i '.*slurmdbd.conf", status=1)
    world.says("sms", "^grep -i '.*SlurmUser", "SlurmUser=slurm\n")
    world.says("sms", "^test -d /var/lib/mysql/slurm_acct_db")
    world.says("sms", "^mariadb .*grantee", grants())
    world.says("sms", "^mariadb .*lock_wait", "900\n")
    world.says(
        "sms", "^mariadbd --print-defaults", "mariadbd would have been …:\n--innodb-lock_wait_timeout=900 \n"
    )
    world.says("sms", "^env MYSQL_PWD=", "1\n1\n")
    world.says("sms", "^ss ")
    world.says("sms", "^stat -c", "slurm 600\n")
    world.says("sms", "^systemctl show slurmdbd", unit())
    world.says("sms", "^scontrol show config", config())
    world.says("sms", "^cat /etc/slurm/slurm.conf", CONF)
    world.says("sms", "show cluster", "cluster\n")
    world.says("sms", "show assoc", recorded("accounting-book"))
    world.says("sms", "show user", recorded("accounting-defaults"))
    world.says("sms", "show qos", recorded("accounting-qos"))
    world.says("sms", "sacct ", recorded("accounting-jobs") + GAP)
    world.says("sms", "show partition", recorded("queues"))
    world.says("sms", "^sbatch --test-only")
    for refused in ("time=11", "time=3:", "partition=long --wrap", "partition=long --account=gratis"):
        world.says("sms", f"^sbatch --test-only .*{refused}", REFUSED, 1)
    world.says("sms", "^sbatch --test-only --account=(member1|paygo-project1) --time=1 --wrap", REFUSED, 1)
    return world


def grants(user: str = "slurm", place: str = "slurm_acct_db", rights: str = RIGHTS) -> str:
    return "".join(f"'{user}'@'localhost'\t{place}\t{right}\n" for right in rights.split())


def judge(name: str, world: World) -> dict[str, Verdict]:
    runner = Runner(CATALOG.get(name).checks(), world.room(), patience=0.001, pause=0.001, grace=30)
    found = {verdict.check: verdict for verdict in runner.run()}
    broken = {v.check: v.actual for v in found.values() if v.outcome is Outcome.BROKEN}
    assert broken == {}
    return found


def the_failure(name: str, world: World) -> Verdict:
    """The one check that fails; all others pass or are blocked by it."""
    found = judge(name, world)
    failures = [verdict for verdict in found.values() if verdict.outcome is Outcome.FAILED]
    assert len(failures) == 1, failures
    return failures[0]


CHAPTER = ["accounting", "associations", "partitions", "priorities", "policies_in_use"]


@pytest.mark.parametrize("name", CHAPTER)
def test_the_solved_exercise_passes(name: str) -> None:
    found = judge(name, solved())
    assert {verdict.outcome for verdict in found.values()} == {Outcome.PASSED}


@pytest.mark.parametrize("name", CHAPTER)
def test_no_check_changes_anything(name: str) -> None:
    world = solved()
    judge(name, world)
    asked = [command for _, _, command in world.ran]
    assert not [c for c in asked if c.startswith("sbatch") and "--test-only" not in c]
    assert not [c for c in asked if "sacctmgr" in c and " show " not in c]


DEAD = "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)\n"
GONE = "sacctmgr: error: _open_persist_conn: failed to open persistent connection to host:localhost:6819\n"


@pytest.mark.parametrize("name", CHAPTER)
@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("^scontrol|^sbatch|^sinfo", DEAD),
        ("sacctmgr|sacct ", GONE),
        (".", "bash: fork: Cannot allocate memory\n"),
    ],
    ids=["controller", "slurmdbd", "everything"],
)
def test_a_daemon_that_is_down_is_a_failure_that_shows_what_was_said(
    name: str, pattern: str, said: str
) -> None:
    world = solved()
    world.says("sms", pattern, said, 1)
    found = judge(name, world)
    failures = [verdict for verdict in found.values() if verdict.outcome is Outcome.FAILED]
    assert failures
    assert all(verdict.actual for verdict in failures)
    assert all(verdict.look for verdict in failures)


# accounting


def test_without_a_database_mariadb_is_not_woken() -> None:
    world = solved().says("sms", "^test -d", status=1)
    assert the_failure("accounting", world).check == "database_is_there"
    assert not [command for _, _, command in world.ran if command.startswith("mariadb")]


@pytest.mark.parametrize(
    "said",
    ["", grants(user="slurmdbd"), grants(place="test"), grants(rights="SELECT")],
    ids=["nobody", "another", "elsewhere", "read only"],
)
def test_rights_that_are_not_enough(said: str) -> None:
    failure = the_failure_of(
        "accounting", "slurm_may_use_it", solved().says("sms", "^mariadb .*grantee", said)
    )
    assert "grant all" in failure.hint


def the_failure_of(name: str, check: str, world: World) -> Verdict:
    found = judge(name, world)
    assert found[check].outcome is Outcome.FAILED, found
    return found[check]


@pytest.mark.parametrize("place", ["slurm\\_acct\\_db", "%"])
def test_rights_written_in_another_way_are_fine(place: str) -> None:
    found = judge("accounting", solved().says("sms", "^mariadb .*grantee", grants(place=place)))
    assert found["slurm_may_use_it"].outcome is Outcome.PASSED


def silent(**service: str) -> World:
    """Slurmdbd does not listen."""
    world = solved()
    world.says("sms", "^ss ", status=1)
    return world.says("sms", "^systemctl show slurmdbd", unit(**service))


@pytest.mark.parametrize(
    ("said", "status", "actual"),
    [
        ("root 644\n", 0, "owned by root and has mode 644"),
        ("slurm 640\n", 0, "mode 640"),
        ("stat: cannot statx\n", 1, "no such file"),
    ],
)
def test_the_file_is_looked_at_before_the_daemon(said: str, status: int, actual: str) -> None:
    failure = the_failure("accounting", silent(active="failed").says("sms", "^stat -c", said, status))
    assert failure.check == "slurmdbd_answers"
    assert actual in failure.actual


def test_a_wrong_password_is_told_from_a_dead_daemon() -> None:
    world = silent().says(
        "sms",
        "^journalctl",
        "slurmdbd: error: mysql_real_connect failed: 1045 Access denied for user 'slurm'@'localhost'\n"
        "slurmdbd: error: The database must be up when starting the MYSQL plugin.  Trying again …\n",
    )
    failure = the_failure("accounting", world)
    assert failure.actual.startswith("it is active: error: mysql_real_connect failed: 1045 Access denied")
    assert "StoragePass" in failure.hint
    dead = the_failure("accounting", silent(active="inactive").says("sms", "^journalctl", "", 1))
    assert (dead.actual, "restart" in dead.hint) == ("it is inactive", True)


def test_a_daemon_that_will_not_be_there_tomorrow() -> None:
    world = solved().says("sms", "^systemctl show slurmdbd", unit(enabled="disabled"))
    assert the_failure("accounting", world).check == "slurmdbd_starts_at_boot"


@pytest.mark.parametrize(
    ("seconds", "options", "told"),
    [
        ("50", "", "reads the section `[mysqld]`"),
        ("50", "--innodb_lock_wait_timeout=50 --innodb_lock_wait_timeout=900", "when it starts"),
        (
            "900",
            "--innodb_log_file_size=8M",
            "only the running MariaDB has it; in its option files: no such line",
        ),
        ("900", "--innodb-lock-wait-timeout=900 --innodb_lock_wait_timeout=60", "in its option files: 60"),
    ],
    ids=["nothing done", "not restarted", "set global", "another file wins"],
)
def test_a_lock_is_waited_for_after_the_next_start_too(seconds: str, options: str, told: str) -> None:
    world = solved().says("sms", "^mariadb .*lock_wait", f"{seconds}\n")
    failure = the_failure("accounting", world.says("sms", "^mariadbd --print-defaults", f"{options}\n"))
    assert failure.check == "database_waits_for_locks"
    assert told in failure.actual + failure.hint


def test_a_file_that_was_spoilt_since_the_daemon_started() -> None:
    failure = the_failure("accounting", solved().says("sms", "^stat -c", "root 644\n"))
    assert (failure.check, "mode 644" in failure.actual) == ("its_file_is_still_right", True)
    world = solved().says("sms", "^env MYSQL_PWD=", "ERROR 1045 (28000): Access denied for user 'slurm'\n", 1)
    failure = the_failure("accounting", world)
    assert (failure.check, "Access denied" in failure.actual) == ("its_file_is_still_right", True)


@pytest.mark.parametrize(
    ("running", "written", "hint"),
    [
        ("(null)", "accounting_storage/none", "A line in"),
        ("(null)", "accounting_storage/slurmdbd", "scontrol reconfigure"),
        ("accounting_storage/slurmdbd", "accounting_storage/none", "reads slurm.conf when it starts"),
    ],
)
def test_why_the_controller_has_no_accounting(running: str, written: str, hint: str) -> None:
    world = solved().says("sms", "^scontrol show config", config(AccountingStorageType=running))
    text = CONF.replace("accounting_storage/slurmdbd", written)
    failure = the_failure("accounting", world.says("sms", "^cat /etc/slurm/slurm.conf", text))
    assert failure.check == "controller_uses_slurmdbd"
    assert hint in failure.hint


@pytest.mark.parametrize("written", ["limits,QOS,safe", "qos,safe", "associations,all", "all"])
def test_enforcement_in_other_words(written: str) -> None:
    text = CONF.replace("qos,limits,safe", written)
    found = judge("accounting", solved().says("sms", "^cat /etc/slurm/slurm.conf", text))
    assert found["limits_are_enforced"].outcome is Outcome.PASSED


def test_enforcing_nothing_or_too_little() -> None:
    world = solved().says("sms", "^scontrol show config", config(AccountingStorageEnforce="associations"))
    assert "qos" in the_failure("accounting", world).expected


def test_jobs_of_root_do_not_count() -> None:
    world = solved().says("sms", "sacct ", job(1, "root", "root", "normal"))
    assert the_failure("accounting", world).actual == "no job"


# associations


def book(*rows: str) -> str:
    return "\n".join(["root||||1|normal", *rows]) + "\n"


PAYGO = ("paygo|||root|1000|normal,paygo-project1", "paygo-project1|||paygo|1|normal,paygo-project1")
FREE = ("gratis|||root|1|normal", "gratis|user1|||1|normal", "gratis|user2|||1|normal")
MEMBER = ("member1|||root|10|normal", "member1|user1|||1|normal")


def test_the_quota_without_the_account_is_not_enough() -> None:
    rows = book(*FREE, *MEMBER, *PAYGO)
    failure = the_failure("associations", solved().says("sms", "show assoc", rows))
    assert failure.check == "user2_may_use_the_quota"
    assert failure.actual == "user2 is in gratis"


def test_the_account_without_the_quota_is_not_enough() -> None:
    rows = book(*FREE, *MEMBER, *PAYGO, "paygo-project1|user2|||1|normal")
    failure = the_failure("associations", solved().says("sms", "show assoc", rows))
    assert "set qos+" in failure.hint


@pytest.mark.parametrize("shares", ["1", "parent"])
def test_a_members_share_is_larger(shares: str) -> None:
    rows = book(
        *FREE, f"member1|||root|{shares}|normal", MEMBER[1], *PAYGO, "paygo-project1|user2|||1|paygo-project1"
    )
    failure = the_failure("associations", solved().says("sms", "show assoc", rows))
    assert failure.check == "member_has_a_larger_share"


@pytest.mark.parametrize(
    ("row", "actual"),
    [("normal||", "normal"), ("paygo-project1|NoDecay|cpu=10", "NoDecay"), ("paygo-project1||", "no limit")],
)
def test_a_quota_is_a_number_and_two_flags(row: str, actual: str) -> None:
    failure = the_failure_of(
        "associations", "quota_is_ten_minutes", solved().says("sms", "show qos", row + "\n")
    )
    assert failure.actual == actual


def test_limits_that_are_not_enforced_are_found_out() -> None:
    world = solved().says("sms", "^sbatch --test-only")
    failure = the_failure_of("associations", "more_than_the_quota_is_refused", world)
    assert failure.actual == "the controller accepts the job"
    assert judge("associations", world)["accounts_of_others_are_refused"].outcome is Outcome.FAILED


# partitions


def rules(old: str, new: str) -> World:
    """An SMS whose running controller has another rule than slurm.conf."""
    text = recorded("queues")
    assert old in text
    return solved().says("sms", "show partition", text.replace(old, new))


RULES = [
    ("PartitionName=long", "PartitionName=normal", "", "three_partitions_instead_of_one"),
    ("Default=YES", "Default=NO", "", "medium_takes_jobs_that_name_none"),
    ("MaxTime=7-00:00:00", "MaxTime=UNLIMITED", "MaxTime=168:00:00", "times_are_limited"),
    ("DefaultTime=06:00:00", "DefaultTime=NONE", "", "times_are_limited"),
    ("PriorityTier=3", "PriorityTier=2", "", "short_jobs_come_first"),
    ("Nodes=c[1-2]", "Nodes=(null)", " Nodes=c[1-2]", "they_have_nodes"),
    ("DenyAccounts=gratis", "AllowAccounts=ALL", "", "long_is_closed_to_gratis"),
    ("DefMemPerCPU=400", "DefMemPerNode=UNLIMITED", "", "ordinary_jobs_fit"),
]


@pytest.mark.parametrize(("old", "new", "written", "check"), RULES)
def test_each_rule_has_its_check(old: str, new: str, written: str, check: str) -> None:
    blank = "" if new == "Nodes=(null)" else new  # Slurm prints this, nobody writes it
    world = rules(old, new)
    world.says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace(written or old, blank))
    failure = the_failure("partitions", world)
    assert failure.check == check
    assert "reconfigure" not in failure.hint


@pytest.mark.parametrize(("old", "new", "written", "check"), RULES)
def test_a_rule_that_the_controller_has_not_read_is_told_from_one_nobody_wrote(
    old: str, new: str, written: str, check: str
) -> None:
    del written
    failure = the_failure("partitions", rules(old, new))
    assert failure.check == check
    assert "scontrol reconfigure" in failure.hint


@pytest.mark.parametrize(("old", "new", "written", "check"), RULES)
def test_a_rule_that_only_the_running_controller_has_does_not_last(
    old: str, new: str, written: str, check: str
) -> None:
    blank = "" if new == "Nodes=(null)" else new
    world = solved().says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace(written or old, blank))
    failure = the_failure("partitions", world)
    assert failure.check == check
    assert "in slurm.conf: " in failure.actual
    assert "when it starts" in failure.hint
    assert failure.look.endswith("/etc/slurm/slurm.conf")


def test_allowing_the_others_closes_a_door_as_well() -> None:
    world = rules("DenyAccounts=gratis", "AllowAccounts=member1,paygo-project1")
    text = CONF.replace("DenyAccounts=gratis", "AllowAccounts=paygo-project1,member1")
    found = judge("partitions", world.says("sms", "^cat /etc/slurm/slurm.conf", text))
    assert found["long_is_closed_to_gratis"].outcome is Outcome.PASSED


def test_a_day_is_a_good_limit_for_medium_too() -> None:
    world = rules("MaxTime=2-00:00:00", "MaxTime=1-00:00:00")
    world.says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace("MaxTime=48:00:00", "MaxTime=1-0"))
    assert judge("partitions", world)["times_are_limited"].outcome is Outcome.PASSED


def test_one_default_for_the_memory_of_all_partitions_will_do() -> None:
    world = rules("DefMemPerCPU=400", "DefMemPerNode=UNLIMITED")
    world.says("sms", "^scontrol show config", config(DefMemPerCPU="400"))
    text = "DefMemPerCPU=400\n" + CONF.replace("DEFAULT DefMemPerCPU=400", "DEFAULT")
    found = judge("partitions", world.says("sms", "^cat /etc/slurm/slurm.conf", text))
    assert found["ordinary_jobs_fit"].outcome is Outcome.PASSED


def test_partitions_in_a_file_of_their_own_are_found() -> None:
    rest = CONF.partition("PartitionName=DEFAULT")
    world = solved().says("sms", "^cat /etc/slurm/slurm.conf", rest[0] + "include queues.conf\n")
    world.says("sms", "^cat /etc/slurm/queues.conf", rest[1] + rest[2])
    assert {verdict.outcome for verdict in judge("partitions", world).values()} == {Outcome.PASSED}


SAID = "sbatch: error: Memory specification can not be satisfied\n"


def test_more_memory_than_there_is() -> None:
    text = recorded("queues").replace("DefMemPerCPU=400", "DefMemPerCPU=2000")
    world = solved().says("sms", "^sbatch --test-only", SAID, 1).says("sms", "show partition", text)
    failure = the_failure("partitions", world)
    assert failure.check == "ordinary_jobs_fit"
    assert "Memory specification" in failure.actual
    assert "has not read" in failure.hint
    world.says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace("=400", "=2000"))
    assert "How much memory" in the_failure("partitions", world).hint


def test_a_file_without_any_limit_is_not_as_it_should_be() -> None:
    world = rules("DefMemPerCPU=400", "DefMemPerCPU=2000").says("sms", "^sbatch --test-only", SAID, 1)
    world.says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace("DefMemPerCPU=400 ", ""))
    failure = the_failure("partitions", world)
    assert "Memory specification" in failure.actual
    assert "How much memory" in failure.hint


def test_memory_that_was_mended_in_the_running_controller_only() -> None:
    world = solved().says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace("=400", "=2000"))
    failure = the_failure("partitions", world)
    assert failure.check == "ordinary_jobs_fit"
    assert "medium: 2000 MiB for each CPU" in failure.actual
    assert "in slurm.conf: " in failure.actual


# priorities


def test_weights_that_are_in_the_file_only() -> None:
    world = solved().says("sms", "^scontrol show config", config(PriorityWeightFairShare="0"))
    failure = the_failure("priorities", world)
    assert "scontrol reconfigure" in failure.hint
    world.says("sms", "^cat /etc/slurm/slurm.conf", CONF.replace("Fairshare=100000", "Fairshare=0"))
    assert "a line priorityweight" in the_failure("priorities", world).hint.lower()


def test_weights_that_the_next_start_takes_away() -> None:
    world = solved().says("sms", "^cat /etc/slurm/slurm.conf", CONF.partition("PriorityDecay")[0])
    found = judge("priorities", world)
    for name in ("fairshare_weighs_most", "use_is_forgotten_in_days"):
        assert found[name].outcome is Outcome.FAILED
        assert "in slurm.conf: " in found[name].actual


def test_a_time_may_be_written_in_minutes() -> None:
    text = CONF.replace("HalfLife=3-0", "HalfLife=4320").replace("MaxAge=1-0", "MaxAge = 1-00:00:00")
    found = judge("priorities", solved().says("sms", "^cat /etc/slurm/slurm.conf", text))
    assert found["use_is_forgotten_in_days"].outcome is Outcome.PASSED


def test_a_share_that_others_outweigh() -> None:
    world = solved().says("sms", "^scontrol show config", config(PriorityWeightFairShare="12000"))
    assert "outweighs" in the_failure("priorities", world).expected


WAITED = job(1, "user1", "gratis", "medium", started=140, priority=44083)


@pytest.mark.parametrize(
    "other",
    [
        job(2, "user1", "member1", "medium", started=150, priority=77416),  # in order of arrival
        job(2, "user1", "member1", "long", started=130, priority=77416),  # another queue
        job(2, "user1", "gratis", "medium", started=130, priority=77416),  # not funded
        job(2, "user1", "member1", "medium", started="None", priority=77416, state="CANCELLED"),
        job(2, "user1", "member1", "medium", started=130, priority=1),  # before there were weights
        "",
    ],
)
def test_what_is_no_overtaking(other: str) -> None:
    failure = the_failure("priorities", solved().says("sms", "sacct ", WAITED + other))
    assert failure.check == "a_funded_job_overtook"


def test_a_paying_guest_overtakes_as_well() -> None:
    paid = job(2, "user2", "paygo-project1", "medium", started=130, priority=99000)
    found = judge("priorities", solved().says("sms", "sacct ", WAITED + paid))
    assert found["a_funded_job_overtook"].outcome is Outcome.PASSED


# policies in use


def paid(number: int, **other: object) -> str:
    return job(number, "user2", "paygo-project1", "medium", qos="paygo-project1", **other)


def with_jobs(*lines: str) -> World:
    rest = recorded("accounting-jobs").splitlines(keepends=True)
    kept = [line for line in rest if "user2" not in line or "normal|COMPLETED" in line]
    return solved().says("sms", "sacct ", "".join([*kept, *lines, GAP]))


def test_a_quota_that_nobody_asked_for_is_not_used() -> None:
    without = job(50, "user2", "paygo-project1", "medium", used=60)
    failure = the_failure("policies_in_use", with_jobs(without))
    assert (failure.check, failure.actual) == ("a_minute_of_the_quota_is_used", "0 CPU-seconds")


def test_several_small_jobs_use_it_up_too() -> None:
    world = with_jobs(
        paid(50, used=30), paid(51, used=30), paid(52, started="Unknown", state="PENDING", used=0)
    )
    assert {verdict.outcome for verdict in judge("policies_in_use", world).values()} == {Outcome.PASSED}


def test_a_job_that_was_cancelled_before_anything_was_used_proves_nothing() -> None:
    world = with_jobs(paid(49, started="None", state="CANCELLED", used=0), paid(50, used=60))
    failure = the_failure("policies_in_use", world)
    assert (failure.check, failure.actual) == ("the_rest_is_not_enough_for_ten", "no later job")


@pytest.mark.parametrize("said", ["(null)", "bf_continue", "bf_window=1440,bf_continue", "bf_window=10080"])
def test_backfill_that_plans_too_little(said: str) -> None:
    world = solved().says("sms", "^scontrol show config", config(SchedulerParameters=said))
    failure = the_failure("policies_in_use", world)
    assert failure.check == "backfill_looks_a_week_ahead"
    assert "scontrol reconfigure" in failure.hint  # since slurm.conf says what it should
    world.says("sms", "^cat /etc/slurm/slurm.conf", "SchedulerType=sched/builtin\n")
    assert "Two lines in slurm.conf" in the_failure("policies_in_use", world).hint
    lasting = solved().says("sms", "^cat /etc/slurm/slurm.conf", f"SchedulerParameters={said}\n")
    failure = the_failure("policies_in_use", lasting)
    assert "in slurm.conf: " in failure.actual
    assert failure.look == "grep -i ^Scheduler /etc/slurm/slurm.conf"


@pytest.mark.parametrize("other", ["", job(60, "user1", "gratis", "long", started="None", priority=99)])
def test_a_job_that_backfill_started_when_nobody_waited_used_no_gap(other: str) -> None:
    lines = recorded("accounting-jobs").replace("SchedBackfill", "SchedMain")
    alone = job(61, "user1", "gratis", "medium", flags="SchedBackfill", started=1795289999, priority=50)
    failure = the_failure("policies_in_use", solved().says("sms", "sacct ", lines + other + alone))
    assert failure.check == "a_small_job_used_a_gap"

"""SLURM-2: gratis, member and pay-as-you-go accounts, and what their users may do.

No wrong way holds until a restart only: `sacctmgr` writes to slurmdbd's database, which these checks read. No
command changes an association in the controller's memory alone. That limits are enforced is a setting of
slurm.conf, which the exercise before this one checks.
"""

from __future__ import annotations

from lab.checks import ClusterView, check, failed
from lab.facts import accounting, partitions

PROJECT = "paygo-project1"
ACCOUNTS = "sacctmgr show assoc format=account,user,parentname,share,qos"
FLAGS = frozenset({"NoDecay", "DenyOnLimit"})


def require_account(cluster: ClusterView, name: str) -> accounting.Account:
    """The account of that name, or a failed check."""
    accounts = cluster.sms.fact(accounting.book).accounts
    if name not in accounts:
        raise failed(
            expected=f"an account {name}",
            actual=sorted(accounts),
            hint="`sacctmgr add account` adds one; confirm with y.",
            node="sms",
            look=ACCOUNTS,
        )
    return accounts[name]


def require_more_than_gratis(cluster: ClusterView, name: str) -> None:
    """Fails unless the share of an account is larger than that of gratis."""
    shares = {key: require_account(cluster, key).shares for key in (name, "gratis")}
    mine, theirs = (int(text) if text.isdecimal() else 0 for text in (shares[name], shares["gratis"]))
    if mine <= theirs:
        raise failed(
            expected=f"a larger share for {name} than for gratis",
            actual=shares,
            hint="`sacctmgr modify account … set FairShare=…` changes a share.",
            node="sms",
            look=ACCOUNTS,
        )


@check(step="gratis", settle=3)
def gratis_account_exists(cluster: ClusterView) -> None:
    """The account gratis exists."""
    require_account(cluster, "gratis")


@check(step="gratis", needs=[gratis_account_exists], settle=3)
def everybody_works_under_gratis(cluster: ClusterView) -> None:
    """Jobs of user1 and user2 that name no account are charged to gratis."""
    found = cluster.sms.fact(accounting.default_accounts)
    mine = {user: found.get(user, "no account at all") for user in ("user1", "user2")}
    if set(mine.values()) != {"gratis"}:
        raise failed(
            expected="gratis as the default account of both users",
            actual=mine,
            hint="`sacctmgr add user NAME DefaultAccount=…` also works for existing users.",
            node="sms",
            look="sacctmgr show user format=user,defaultaccount",
        )


@check(step="member", needs=[gratis_account_exists], settle=3)
def member_has_a_larger_share(cluster: ClusterView) -> None:
    """The account member1 has a larger share than gratis."""
    require_more_than_gratis(cluster, "member1")


@check(step="member", needs=[member_has_a_larger_share], settle=3)
def only_user1_works_for_the_member(cluster: ClusterView) -> None:
    """user1 belongs to the account member1, and user2 does not."""
    book = cluster.sms.fact(accounting.book)
    found = [user for user in ("user1", "user2") if "member1" in book.accounts_of(user)]
    if found != ["user1"]:
        raise failed(
            expected="user1 in member1, user2 not",
            actual=f"in member1: {', '.join(found) or 'nobody'}",
            hint="`sacctmgr add user …` adds; `sacctmgr remove user where user=… and account=…` removes.",
            node="sms",
            look="sacctmgr show assoc account=member1 format=account,user",
        )


@check(step="paygo", needs=[gratis_account_exists], settle=3)
def project_stands_below_paygo(cluster: ClusterView) -> None:
    """The account paygo has a larger share than gratis, and is the parent of paygo-project1."""
    require_more_than_gratis(cluster, "paygo")
    parent = require_account(cluster, PROJECT).parent
    if parent != "paygo":
        raise failed(
            expected=f"{PROJECT} with the parent paygo",
            actual=f"its parent is {parent}",
            hint="`add account` and `modify account … set` take the option `parent=`.",
            node="sms",
            look=ACCOUNTS,
        )


@check(step="paygo", settle=3)
def quota_is_ten_minutes(cluster: ClusterView) -> None:
    """The QOS paygo-project1 allows ten CPU-minutes in total, without decay, and denies larger jobs."""
    known = cluster.sms.fact(accounting.qos)
    look = "sacctmgr show qos format=name,flags%30,grptresmins"
    if PROJECT not in known:
        raise failed(expected=f"a QOS {PROJECT}", actual=sorted(known), node="sms", look=look)
    found = known[PROJECT]
    if found.minutes.get("cpu") != 10:
        raise failed(
            expected="GrpTRESMins=cpu=10",
            actual={key: f"{value:g}" for key, value in found.minutes.items()} or "no limit",
            hint="`sacctmgr modify qos … set grptresmins=…`",
            node="sms",
            look=look,
        )
    if not found.flags >= FLAGS:
        raise failed(
            expected=f"the flags {', '.join(sorted(FLAGS))}",
            actual=sorted(found.flags) or "no flags",
            hint="`sacctmgr modify qos … set flags=…` takes the complete list of flags.",
            node="sms",
            look=look,
        )


@check(step="paygo", needs=[project_stands_below_paygo, quota_is_ten_minutes], settle=3)
def user2_may_use_the_quota(cluster: ClusterView) -> None:
    """user2 may use the QOS paygo-project1 in the account paygo-project1."""
    book = cluster.sms.fact(accounting.book)
    mine = book.accounts_of("user2")
    if PROJECT not in mine:
        raise failed(
            expected=f"user2 in the account {PROJECT}",
            actual=f"user2 is in {', '.join(sorted(mine)) or 'no account'}",
            hint="An account and a QOS are different things, even with the same name: user2 needs both.",
            node="sms",
            look="sacctmgr show assoc user=user2 format=account,user,qos",
        )
    if PROJECT not in book.qos_of("user2", PROJECT):
        raise failed(
            expected=f"the QOS {PROJECT} for user2 there",
            actual=sorted(book.qos_of("user2", PROJECT)),
            hint="`set qos+=…` adds it to one user, or to an account and everything below it.",
            node="sms",
            look="sacctmgr show assoc user=user2 format=account,user,qos",
        )


@check(step="jobs", needs=[only_user1_works_for_the_member], settle=5)
def a_member_job_ran(cluster: ClusterView) -> None:
    """A job of user1 has completed under member1."""
    require_job(cluster, "user1", "member1")


def require_job(cluster: ClusterView, user: str, account: str, qos: str = "") -> None:
    """Fails unless a job of a user has completed under an account, and with a QOS if one is given."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user == user]
    if any(job.state == "COMPLETED" and job.account == account and qos in ("", job.qos) for job in jobs):
        return
    told = [f"{job.job_id} under {job.account} with QOS {job.qos}: {job.state}" for job in jobs[-3:]]
    raise failed(
        expected=f"a COMPLETED job of {user} with --account={account}" + (f" --qos={qos}" if qos else ""),
        actual=told or f"no job of {user}",
        hint=f"As {user}, `srun --account=… hostname` is sufficient.",
        node="sms",
        look=f"sacct -X -u {user} --format=jobid,account%15,qos%15,state",
    )


@check(step="jobs", needs=[user2_may_use_the_quota], settle=5)
def a_paid_job_ran(cluster: ClusterView) -> None:
    """A job of user2 has completed under paygo-project1, with that QOS."""
    require_job(cluster, "user2", PROJECT, PROJECT)


@check(step="jobs", needs=[user2_may_use_the_quota], settle=5)
def more_than_the_quota_is_refused(cluster: ClusterView) -> None:
    """For user2, the controller accepts a job of one CPU-minute on the quota, and rejects one of eleven."""
    paid = f"--account={PROJECT} --qos={PROJECT} --ntasks=1"
    small, large = partitions.refusal(f"{paid} --time=1"), partitions.refusal(f"{paid} --time=11")
    against = cluster.sms.fact(small, user="user2")
    if against:
        raise failed(expected="one minute is accepted", actual=against, node="sms", look=small.command)
    if not cluster.sms.fact(large, user="user2"):
        raise failed(
            expected="eleven minutes are rejected at submission",
            actual="the controller accepts the job",
            hint="Does the controller enforce limits? `scontrol show config | grep Enforce`",
            node="sms",
            look=large.command,
        )


@check(step="jobs", needs=[only_user1_works_for_the_member, user2_may_use_the_quota])
def accounts_of_others_are_refused(cluster: ClusterView) -> None:
    """The controller rejects jobs of user2 under member1, and of user1 under paygo-project1."""
    for user, account in (("user2", "member1"), ("user1", PROJECT)):
        if not cluster.sms.fact(partitions.refusal(f"--account={account} --time=1"), user=user):
            raise failed(
                expected=f"the controller rejects a job of {user} under {account}",
                actual="the controller accepts the job",
                hint="Does the controller enforce associations, and who belongs to that account?",
                node="sms",
                look=f"sacctmgr show assoc account={account} format=account,user",
            )

"""A notebook without a key: jobs through the panel, whatever they are called; tokens, and their keys."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest

from tests.portal.conftest import lab
from tests.portal.page import NAME, PAGE, SLURM, Page, docker, inside, token, until

JOB = "#!/bin/bash\n#SBATCH -o out.%j\nsrun hostname\nsrun id -un\necho token:${SLURM_JWT-none}\nsleep {}\n"


@pytest.mark.quick
def test_a_job_with_srun_is_seen_ends_and_another_is_cancelled(page: Page) -> None:
    number = page.submit(JOB.replace("{}", "3"))
    row = until(lambda: page.queue().get(number), 20, f"job {number} in the table")
    assert (row[2], row[3]) == ("job.sh", "user1")
    other = page.submit("#!/bin/bash\nsleep 600\n")
    assert other in page.queue()
    done = page.ask("DELETE", "scancel", {"job_ids": [other]})
    assert (done.status, done.content["success"]) == (200, True)
    until(lambda: not {number, other} & {*page.queue()}, 60, "both jobs have left the table")
    told = inside(PAGE, "cat", f"/home/user1/out.{number}", user="1001").split("\n")
    assert told == ["slurm", "user1", "token:none"]


def history(page: Page, number: str) -> list[str]:
    rows = page.ask("GET", "sacct?user=user1").content["data"]["rows"]
    return next(([str(cell) for cell in row] for row in rows if row[0] == number), [])


@pytest.mark.quick
def test_the_history_and_the_details_are_there(page: Page) -> None:
    number = page.submit('#!/bin/bash\n#SBATCH -J "a | b  c"\ntrue\n')
    row = until(lambda: history(page, number), 60, f"job {number} in the history")
    assert (row[2], row[3], row[4]) == ("a _ b  c", "user1", "COMPLETED")
    details = page.ask("GET", f"job/{number}").content["data"]["fields"]
    assert details["JobName"] == "a | b  c"
    assert page.ask("GET", "user").content["data"]["user"] == "user1"


def test_no_name_of_a_job_moves_a_column(page: Page) -> None:
    names = ["x\n99 normal y root R 1:00 1 n", "a b", "p|q", "\u2028z\x1c", "\x1b[31mred"]
    made = {}
    for name in names:
        words = ("sbatch", "--parsable", "-D", "/tmp", "-o", "/dev/null", "-J", name, "--wrap", "sleep 60")
        made[inside(SLURM, *words, user="user2")] = name
    array = inside(
        SLURM, "sbatch", "--parsable", "-D", "/tmp", "-o", "/dev/null", "--array=1-8%1", "--wrap", "sleep 60",
        user="1001",
    )  # fmt: skip
    found = page.queue()
    for number in made:
        row = found[number]
        assert (row[1], row[4] in ("R", "PD"), row[6], " " in row[2]) == ("normal", True, "1", False), row
    assert "99" not in found
    shown = next(number for number in found if number.startswith(f"{array}_["))
    held = page.ask("PATCH", "scontrol/hold", {"job_ids": [shown]})
    assert held.content["success"], held
    gone = page.ask("DELETE", "scancel", {"job_ids": [array, shown]})
    assert gone.content["success"], gone
    for number in made:
        inside(SLURM, "scancel", number)
    until(lambda: not page.queue(), 60, "an empty table")


def test_the_page_has_no_more_of_scontrol_than_buttons(page: Page) -> None:
    for action in ("update", "shutdown", "reconfigure", "token", "show"):
        done = page.ask("PATCH", f"scontrol/{action}", {"job_ids": ["1"]})
        assert f"the page may not run scontrol {action}" in done.content["errorMessage"], done
    assert "UP" in inside(SLURM, "scontrol", "ping")


@pytest.mark.quick
def test_the_users_token_is_in_no_file_of_the_controller(page: Page) -> None:
    number = page.submit("#!/bin/bash\nsleep 30\n")
    held = inside(PAGE, "cat", "/run/slurm/jupyter/slurm-token", user="1001")
    script = (
        f"f=$(find /var/lib/slurm-single-node/slurmctld -path '*job.{number}/environment') && cat $f && "
        'grep -raqF "$(cat)" /var/lib/slurm-single-node/slurmctld && echo FOUND; true'
    )
    kept = docker("exec", "-i", SLURM, "sh", "-c", script.replace("$(cat)", held.rpartition(".")[2])).stdout
    assert "USER=user1\0" in kept, kept
    assert "SLURM_JWT=ey" not in kept
    assert "FOUND" not in kept
    page.ask("DELETE", "scancel", {"job_ids": [number]})


def test_no_key_and_no_token_can_be_seen_from_outside(page: Page) -> None:
    del page
    told = docker("inspect", PAGE, SLURM).stdout + docker("logs", SLURM).stdout
    assert "eyJ" not in told
    assert "SLURM_JWT" not in told
    found = json.loads(docker("inspect", PAGE).stdout)[0]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostIp"] == "127.0.0.1"
    keys = "find / -xdev -name '*.key' -o -xdev -name 'jwks*' -o -xdev -perm /6000 -type f"
    assert docker("exec", PAGE, "sh", "-c", f"{keys} 2>/dev/null", check=False).stdout == ""
    status = inside(PAGE, "cat", "/proc/1/status", user="1001")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


@pytest.mark.quick
def test_the_address_works_once_and_a_stranger_signs_in_nowhere(page: Page) -> None:
    address = lab("portal", "up", NAME, "--release", page.release).stdout.strip()
    Page(address, page.release)
    with pytest.raises((AssertionError, urllib.error.HTTPError)):
        Page(address, page.release)
    for path in (
        "/jupyterlab_slurm/squeue",
        "/api/terminals",
        "/api/contents",
        "/jupyterlab_slurm/squeue?token=",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(page.base + path, timeout=20)  # noqa: S310 - of loopback
        assert refused.value.code == 403
        refused.value.close()


def test_another_user_of_the_socket_is_another_account(page: Page) -> None:
    del page
    get = ("slurm-token", "get", "unix:/run/slurm-token/socket", "-o")
    assert inside(SLURM, *get, "/tmp/two", user="1002") == ""
    script = "cut -d. -f2 /tmp/two | tr -d '\\n' | base64 -d 2>/dev/null; true"
    assert '"sun": "user2"' in inside(SLURM, "sh", "-c", script)
    for user in ("0", "slurm", "slurmrestd", "nobody"):
        refused = docker("exec", "-u", user, SLURM, *get, "/tmp/none", check=False)
        assert (refused.returncode, "this account gets no token here" in refused.stderr) == (12, True)


def test_a_new_signing_key_is_no_outage(page: Page) -> None:
    """The table answers at each moment of a rotation, with tokens of both keys; a stolen key ends at once."""
    key = ("slurm-token", "key")

    def as_service(*words: str) -> str:
        return inside(SLURM, *key, *words, user="slurm-token")

    def accepted(jwt: str) -> bool:
        done = docker("exec", "-u", "1001", "-e", "SLURM_JWT", SLURM, "squeue", "-h", check=False,
                      secrets={"SLURM_JWT": jwt})  # fmt: skip
        return done.returncode == 0

    def fetched(path: str) -> str:
        inside(SLURM, "slurm-token", "get", "unix:/run/slurm-token/socket", "-o", path, user="1001")
        return inside(SLURM, "cat", path)

    old = as_service("list").split()[0]
    before = fetched("/tmp/before")
    new = as_service("add")
    inside(SLURM, "scontrol", "reconfigure")
    inside(SLURM, "sh", "-c", "kill $(cat /run/slurm-single-node/slurmdbd.pid)")
    until(lambda: accepted(before), 20, "the old key after the reconfiguration")
    as_service("use", new)
    after = fetched("/tmp/after")
    assert before.split(".")[0] != after.split(".")[0]
    assert accepted(before)
    assert accepted(after)
    assert page.queue() is not None
    words = ("exec", "-u", "1001", "-e", "SLURM_JWT", SLURM, "sacct", "-n")
    until(
        lambda: docker(*words, check=False, secrets={"SLURM_JWT": after}).returncode == 0,
        30, "slurmdbd takes the new key",
    )  # fmt: skip
    assert docker("exec", "-u", "slurm-token", SLURM, *key, "drop", old, check=False).returncode == 10
    as_service("drop", "--force", old)
    inside(SLURM, "scontrol", "reconfigure")
    until(lambda: accepted(after), 20, "the new key after the reconfiguration")
    assert not accepted(before)
    renewed = until(
        lambda: page.ask("GET", "squeue").status == 200, 30, "the page has got a new token by itself"
    )
    assert renewed
    assert token("user1")["SLURM_JWT"].count(".") == 2, "scontrol token goes on with its own key"


@pytest.mark.quick
def test_a_thousand_jobs_are_shown(page: Page) -> None:
    script = "for i in $(seq 250); do sbatch -H -D /tmp -o /dev/null --wrap true >/dev/null; done"
    four = " & ".join([f"({script})"] * 4)
    inside(SLURM, "sh", "-c", f"{four}; wait", user="1001")
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        rows = page.queue()
        seconds.append(time.monotonic() - begin)
        assert len(rows) >= 1000
    print(f"table of {len(rows)} jobs: {min(seconds):.2f} s")
    inside(SLURM, "scancel", "-u", "user1")


@pytest.mark.quick
def test_idle_it_takes_little_memory(page: Page) -> None:
    del page
    told = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", PAGE).stdout.split()[0]
    print(f"idle memory of the page: {told}")
    assert told.endswith("MiB")
    assert float(told.removesuffix("MiB")) <= 130, "100 alone, and what the tests before left in its caches"

"""siphon against real controllers: every release, every credential, both sets, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.slurm import awkward, engine
from tests.slurm.conftest import beside
from tests.slurm.engine import (
    RELEASES,
    SLURM_UID,
    USER_UID,
    Container,
    folder,
    start,
    told,
    until,
    wait_ready,
)

OUT = "/tmp/out"
MUNGE_KEY = b"proof" * 200
JWT_KEY = b"0123456789abcdef0123456789abcdef"
SLURM_KEY = b"slurm" * 200
PLAIN, UNSAFE, PERMISSION, AUTH, INCOMPLETE, CONFIGLESS = 0, 19, 15, 14, 21, 16
PAIRS = [
    (name, auth)
    for name in RELEASES
    for auth in ("munge", "slurm")
    if auth == "munge" or RELEASES[name] >= "23.11"
]


@dataclass(frozen=True)
class Pair:
    """A controller and a client that has its network and its munged's socket."""

    controller: Container
    client: Container
    auth: str

    @property
    def release(self) -> str:
        return RELEASES[self.controller.release]

    def siphon(self, credential: str, uid: int, *words: str) -> tuple[int, str]:
        """Runs siphon in the client with a credential, as a user; gives status and all that it said."""
        user = "slurm" if uid == SLURM_UID else "user1"
        secrets = {"SLURM_JWT": self.controller.token(user)} if credential == "jwt" else {}
        done = self.client.run(
            "siphon",
            *CREDENTIALS[credential].format(uid=uid).split(),
            *words,
            "localhost",
            user=uid,
            secrets=secrets,
            check=False,
        )
        said = told(done)
        assert "eyJ" not in said
        return done.returncode, said

    def fetched(self, folder: str = OUT) -> dict[str, str]:
        """Digests of what siphon wrote; its own manifest is not the controller's."""
        return {
            name: digest
            for name, digest in self.client.files(folder).items()
            if not name.startswith(".siphon")
        }

    def own(self) -> dict[str, str]:
        """Digests of the controller's files."""
        return self.controller.files("/etc/slurm")

    def change(self, name: str, content: bytes, mode: str = "644") -> None:
        """Changes a file of the controller's; it counts from the next reconfigure on."""
        self.controller.put(f"/etc/slurm/{name}", content, mode)

    def reconfigure(self) -> None:
        until(
            lambda: self.controller.run("scontrol", "reconfigure", check=False).returncode == 0,
            20,
            "reconfigured",
            self.controller.log,
        )


CREDENTIALS = {
    "jwt": "--auth jwt",
    "munged": "--auth munge",
    "munge-key": "--auth munge --munge-socket /nonexistent --munge-key /keys/munge.{uid}",
    "slurm-key": "--auth slurm --slurm-key /keys/slurm.{uid}",
}
WITH = {"munge": ("jwt", "munged", "munge-key"), "slurm": ("jwt", "slurm-key")}


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(
    request: pytest.FixtureRequest, network: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """slurmctld with the awkward configuration, and a client beside it."""
    release, auth = request.param
    files = awkward.files(RELEASES[release], auth)
    files |= {"munge.key": MUNGE_KEY, "jwt.key": JWT_KEY, "slurm.key": SLURM_KEY}
    config = folder(tmp_path_factory.mktemp(f"{release}-{auth}"), files)
    socket = engine.volume(f"slurm-munged-{release}-{auth}")
    controller = start(
        f"awkward-{auth}", release, "slurm-single-node", "--network", network, "--hostname", awkward.HOST,
        "-v", f"{config}:/config:ro", "-v", f"{socket}:/run/munge", command=["munged", "slurmctld"],
    )  # fmt: skip
    made = [controller]
    try:
        wait_ready(controller)
        client = beside(controller, "-v", f"{socket}:/run/munge:ro")
        made.append(client)
        for uid in (SLURM_UID, USER_UID):
            client.run("install", "-d", "-m", "755", "/keys")
            for name, key in (("munge", MUNGE_KEY), ("slurm", SLURM_KEY)):
                client.put(f"/keys/{name}.{uid}", key, "400")
                client.run("chown", str(uid), f"/keys/{name}.{uid}")
        yield Pair(controller, client, auth)
    finally:
        for container in reversed(made):
            engine.remove(container)
        engine.docker("volume", "rm", socket, check=False)


@pytest.fixture(autouse=True)
def fresh(pair: Pair) -> None:
    """Each test writes its own folder, and its versions are found anew."""
    pair.client.run("sh", "-c", f"rm -rf {OUT} /tmp/siphon-cache /root/.cache /home/*/.cache")


def each_credential(pair: Pair) -> tuple[str, ...]:
    return WITH[pair.auth]


def test_client_set_is_the_controllers_own(pair: Pair) -> None:
    """An ordinary user and SlurmUser, with each credential, the version unsaid."""
    own = pair.own()
    for credential in each_credential(pair):
        for uid in (USER_UID, SLURM_UID):
            pair.client.run("rm", "-rf", OUT)
            status, said = pair.siphon(credential, uid, "--set", "client", "-o", OUT)
            assert status == PLAIN, f"{credential} as {uid}: {said}"
            got = pair.fetched()
            assert got.keys() == awkward.expected(pair.release).client, f"{credential} as {uid}"
            assert got == {name: own[name] for name in got}, f"{credential} as {uid}"


def test_slurmd_set_is_the_controllers_own_and_slurmusers_only(pair: Pair) -> None:
    own = pair.own()
    for credential in each_credential(pair):
        pair.client.run("rm", "-rf", OUT)
        status, said = pair.siphon(credential, USER_UID, "--set", "slurmd", "-o", OUT)
        assert status == PERMISSION, f"{credential}: {said}"
        assert pair.client.run("test", "-e", f"{OUT}/slurm.conf", check=False).returncode == 1
        status, said = pair.siphon(credential, SLURM_UID, "--set", "slurmd", "-o", OUT)
        assert status == PLAIN, f"{credential}: {said}"
        got = pair.fetched()
        assert got.keys() == awkward.expected(pair.release).slurmd, credential
        assert got == {name: own[name] for name in got}, credential


def test_it_finds_the_version_and_says_it(pair: Pair) -> None:
    for credential in each_credential(pair):
        status, said = pair.siphon(credential, USER_UID, "--json", "--dry-run", "-o", OUT)
        assert status == PLAIN, said
        report = json.loads(said[said.index("{") : said.rindex("}") + 1])
        assert report["release"] == pair.release, report
        assert pair.client.run("test", "-e", OUT, check=False).returncode == 1


def test_modes(pair: Pair) -> None:
    """Scripts may be run, nothing else may; a name that is sent twice is written once."""
    status, said = pair.siphon("jwt", SLURM_UID, "--set", "slurmd", "-o", OUT)
    assert status == PLAIN, said
    modes = pair.client.out(
        "find", OUT, "-type", "f", "-not", "-name", ".siphon*", "-printf", "%P %m\n"
    ).splitlines()
    scripts = {"sub/twice.sh"} if pair.release >= "23.11" else set()
    assert {line.rsplit(" ", 1)[0] for line in modes if line.endswith(" 755")} == scripts
    assert {line.rsplit(" ", 1)[1] for line in modes} <= {"644", "755"}


def test_what_cannot_come_is_told(pair: Pair) -> None:
    """Includes in folders are never sent, and by 20.11 no Include at all."""
    status, said = pair.siphon("jwt", USER_UID, "-o", OUT)
    assert status == PLAIN
    assert "sub/far.conf" in said
    assert ("nodes.conf" in said) == (pair.release < "21.08")
    status, said = pair.siphon("jwt", USER_UID, "--strict", "-o", f"{OUT}-strict")
    assert status == INCOMPLETE, said


def test_second_fetch_changes_nothing_and_check_tells(pair: Pair) -> None:
    pair.siphon("jwt", USER_UID, "-o", OUT)
    stamp = pair.client.out("stat", "-c", "%Y %i", f"{OUT}/slurm.conf")
    assert pair.siphon("jwt", USER_UID, "-o", OUT, "--check")[0] == PLAIN
    assert pair.siphon("jwt", USER_UID, "-o", OUT)[0] == PLAIN
    assert pair.client.out("stat", "-c", "%Y %i", f"{OUT}/slurm.conf") == stamp
    pair.client.put(f"{OUT}/slurm.conf", b"not what the controller says\n")
    assert pair.siphon("jwt", USER_UID, "-o", OUT, "--check")[0] == 1


def test_bad_credentials_are_refused_in_words(pair: Pair) -> None:
    expired = pair.controller.token("user1", lifespan=1)
    done = pair.client.run(
        "sh",
        "-c",
        "sleep 2; exec siphon --auth jwt -o /tmp/out localhost",
        user=USER_UID,
        secrets={"SLURM_JWT": expired},
        check=False,
    )
    assert (done.returncode, "expired" in told(done)) == (AUTH, True), told(done)
    header, claims, signature = pair.controller.token("user1").split(".")
    forged = ".".join([header, claims, signature[::-1]])
    done = pair.client.run(
        "siphon",
        "--auth",
        "jwt",
        "-o",
        OUT,
        "localhost",
        user=USER_UID,
        secrets={"SLURM_JWT": forged},
        check=False,
    )
    assert done.returncode == AUTH, told(done)
    assert forged not in told(done)


def test_thirty_megabytes_arrive(pair: Pair) -> None:
    name = awkward.large(pair.release)
    line = b"# 30 MB of this, and \xe9\n"
    pair.change(name, line * (30_000_000 // len(line)))
    try:
        pair.reconfigure()
        status, said = pair.siphon("jwt", SLURM_UID, "--set", "slurmd", "-o", OUT)
        assert status == PLAIN, said
        assert pair.fetched()[name] == pair.own()[name]
    finally:
        pair.controller.run("rm", f"/etc/slurm/{name}")
        pair.reconfigure()
    status, said = pair.siphon("jwt", SLURM_UID, "--set", "slurmd", "-o", OUT)
    assert status == PLAIN, said
    assert name not in pair.fetched()


def test_a_name_that_leads_outside_is_refused_and_writes_nothing(pair: Pair) -> None:
    """From 23.11 on slurmctld sends a relative script's name as it is written, `../up.sh` too."""
    conf = awkward.files(pair.release, pair.auth)["slurm.conf"]
    sent = pair.release >= "23.11"
    leads_out = (
        conf.replace(b"Prolog=sub/twice.sh", b"Prolog=../up.sh") if sent else conf + b"\nProlog=../up.sh"
    )
    pair.siphon("jwt", SLURM_UID, "--set", "slurmd", "-o", OUT)
    before = pair.client.files("/tmp")
    pair.change("../up.sh", awkward.SCRIPT, "755")
    pair.change("slurm.conf", leads_out)
    try:
        pair.reconfigure()
        status, said = pair.siphon("jwt", SLURM_UID, "--set", "slurmd", "-o", OUT)
        assert status == (UNSAFE if sent else PLAIN), said
        assert ("../up.sh" in said) or not sent, said
        after = pair.client.files("/tmp")
        assert after == before if sent else not any("up.sh" in name for name in after)
        assert pair.siphon("jwt", USER_UID, "-o", f"{OUT}-client")[0] == PLAIN
    finally:
        pair.change("slurm.conf", conf)
        pair.reconfigure()

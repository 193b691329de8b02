"""The checks about a driver for GPU nodes against scripted nodes: half-done states, and what is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.checks.api import Outcome
from lab.model import ClusterSpec
from tests.unit.checks_world import World, small_spec
from tests.unit.exercises.test_disk import NODE, provision
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.next_boot_world import with_bootstrap, with_image, without_image

BASE, OWN = "/opt/ohpc/admin/images/debian13", "/opt/ohpc/admin/images/gpu"
SMI = "usr/bin/nvidia-smi"
MODULE = "usr/lib/modules/6.12.0/kernel/drivers/video/emulated-gpu.ko"
DRIVER = {SMI: ("smi", "smi"), MODULE: ("ko", "ko")}
SPECIAL = "etc/munge munge:munge 700\nusr/bin/sudo root:root 4755\n"


def spec() -> ClusterSpec:
    """c2 has a GPU."""
    small = small_spec()
    return replace(small, nodes=tuple(replace(node, gpus=int(node.name == "c2")) for node in small.nodes))


def solved() -> World:
    world = World(spec=spec())
    world.says("sms", "^test -e", "", 1).says("sms", f"^test -e {OWN}/", "")
    world.says("sms", "^cd /opt/ohpc/admin/images &&", "debian13/usr/sbin/slurmd\ngpu/usr/sbin/slurmd\n")
    world.says("sms", f"^cd {BASE} && for d", SPECIAL).says("sms", f"^cd {OWN} && for d", SPECIAL)
    world.says("sms", f"^cd {OWN}/lib/modules", "6.12.0\n")
    world.says("sms", "^findmnt").says("sms", "^find /opt/ohpc/admin/images")
    rows = f"debian13 60.0 x86_64 {BASE}\ngpu 61.0 x86_64 {OWN}\n"
    world.says("sms", "^wwsh vnfs list", f"VNFS NAME SIZE ARCH CHROOT\n{rows}")
    ruler = "=" * 80
    rows = "c1 debian13 6.12.0 passwd\nc2 gpu 6.12.0 passwd\n"
    world.says("sms", "^wwsh provision list", f"NODE VNFS BOOTSTRAP FILES\n{ruler}\n{rows}")
    world.says("sms", "^wwsh provision print c1", provision("", "c1"))
    world.says("sms", "^wwsh provision print c2", provision("", "c2").replace("debian13", "gpu"))
    world.says("sms", "scontrol -o show nodes", NODE.format("c1") + NODE.format("c2"))
    world.says("sms", "srun --immediate", "mine=0\nGPU 0\n")
    world.says("c2", "^nvidia-smi", "GPU 0: emulated\n").says("c2", "^find / ", "")
    world.says("c2", "uptime -s", "1000\n").says("c2", "is-system-running", "running\n")
    with_image(world, {}, name="debian13")
    return with_image(with_bootstrap(world), DRIVER, name="gpu")


def test_a_driver_in_tree_image_and_node_passes() -> None:
    found = judge("gpu_driver", solved())
    assert len(outcomes(found, Outcome.PASSED)) == len(found), found


@pytest.mark.parametrize(("kind", "path"), [("command", SMI), ("module", MODULE)])
def test_an_image_older_than_its_tree_is_told_at_once(kind: str, path: str) -> None:
    """Also when the installer was run by hand on the nodes, so that everything works until they boot."""
    held = {**DRIVER, path: (None, kind)}
    found = judge("gpu_driver", with_image(solved(), held, name="gpu"))
    assert outcomes(found, Outcome.FAILED) == ["image_has_the_driver"]
    verdict = found["image_has_the_driver"]
    assert f"older than the chroot: it has no such /{path}" in verdict.actual
    assert "wwvnfs" in verdict.hint


def test_a_module_for_another_kernel_is_none() -> None:
    other = {SMI: ("smi", "smi"), MODULE.replace("6.12.0", "5.14.0"): ("ko", "ko")}
    found = judge("gpu_driver", with_image(solved(), other, name="gpu"))
    assert outcomes(found, Outcome.FAILED) == ["image_has_the_driver"]


@pytest.mark.parametrize(
    ("packed", "hint"), [(1001, "booted before it was packed"), (900, "which VNFS it unpacked")]
)
def test_a_node_that_did_not_boot_the_image_is_told(packed: int, hint: str) -> None:
    world = with_image(solved(), DRIVER, name="gpu", packed=packed)
    found = judge("gpu_driver", world.says("c2", "^nvidia-smi", "nvidia-smi: command not found\n", 127))
    assert outcomes(found, Outcome.FAILED) == ["gpus_answer"]
    assert hint in found["gpus_answer"].hint


def test_an_installer_in_the_image_is_told() -> None:
    held = {**DRIVER, "root/x.run": ("run", None)}
    found = judge("gpu_driver", with_image(solved(), held, name="gpu"))
    assert outcomes(found, Outcome.FAILED) == ["image_has_no_installer"]
    assert found["image_has_no_installer"].actual == "/root/x.run"


def test_a_driver_that_is_left_in_the_image_of_the_others_is_told() -> None:
    found = judge("gpu_driver", with_image(solved(), {SMI: ("smi", None)}, name="debian13"))
    assert outcomes(found, Outcome.FAILED) == ["their_image_has_no_driver"]


def test_an_image_that_cannot_be_read_is_told() -> None:
    found = judge("gpu_driver", with_bootstrap(without_image(solved(), "the image of gpu is gone")))
    assert found["image_has_the_driver"].actual == "the image of gpu is gone"


def test_a_copy_that_lost_its_owners_is_told() -> None:
    lost = "usr/bin/sudo root:root 4755\n"
    found = judge("gpu_driver", solved().says("sms", f"^cd {OWN} && for d", lost))
    assert outcomes(found, Outcome.FAILED) == ["copy_keeps_its_owners"]
    verdict = found["copy_keeps_its_owners"]
    assert verdict.expected == f"{BASE}/etc/munge: munge:munge 700, in the copy as well"


def test_a_file_that_the_copy_does_not_need_may_be_missing() -> None:
    world = solved().says("sms", f"^cd {OWN} && for d", "etc/munge munge:munge 700\n")
    world.says("sms", f"^test -e {OWN}/usr/bin/sudo", "", 1)
    assert judge("gpu_driver", world)["copy_keeps_its_owners"].outcome is Outcome.PASSED

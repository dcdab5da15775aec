"""GPUs of one machine: what nvidia-smi prints, and which of them are ours."""

import stat

import pytest

from resweep.errors import ConfigError
from resweep.machine.gpus import Gpu, LeaseFolder, pool, read_listing, restrict

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-7ff5b8a5-6b3a-4d0a-8b3a-0a5c0d9f2f11)
"""


def test_listing_of_nvidia_smi():
    found = read_listing(LISTING)
    assert [gpu.name for gpu in found] == ["0.0", "0.1", "1"]
    assert found[1].visible == "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb"
    assert found[2].visible == "GPU-7ff5b8a5-6b3a-4d0a-8b3a-0a5c0d9f2f11"
    assert read_listing("NVIDIA-SMI has failed because it couldn't communicate") == []


@pytest.mark.parametrize(
    "visible, chosen",
    [
        *[("", []), ("-1", []), ("0", ["0"]), ("2, 0", ["2", "0"]), ("1,1", ["1"])],
        *[("GPU-b", ["1"]), ("GPU-c,GPU-a", ["2", "0"]), ("0,7,1", ["0"]), ("GPU-x", [])],
    ],
)
def test_cuda_visible_devices(visible, chosen):
    machine = [Gpu("0", "GPU-aa"), Gpu("1", "GPU-bb"), Gpu("2", "GPU-cc")]
    assert [gpu.name for gpu in restrict(machine, visible)] == chosen


def test_parts_of_a_gpu():
    found = read_listing(LISTING)
    assert [gpu.name for gpu in restrict(found, "0")] == ["0.0"]
    assert [gpu.name for gpu in restrict(found, "MIG-cba663e8,1")] == ["0.1", "1"]


def test_pretended_gpus():
    assert pool({"RESWEEP_GPUS": "0, 1"}) == [Gpu("0", "0"), Gpu("1", "1")]
    assert pool({"RESWEEP_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "1"}) == [Gpu("1", "1")]
    assert pool({"RESWEEP_GPUS": ""}) == pool({"RESWEEP_GPUS": "0", "SLURM_JOB_ID": "5"}) == []
    for wrong in ("0,0", "../0", "0;1"):
        with pytest.raises(ConfigError, match="RESWEEP_GPUS"):
            pool({"RESWEEP_GPUS": wrong})


def test_folder_of_leases_is_ours_alone(tmp_path):
    LeaseFolder(tmp_path / "made").close()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "made")
    (tmp_path / "file").touch()
    for name in ("open", "link", "file"):
        with pytest.raises(ConfigError, match=name):
            LeaseFolder(tmp_path / name)


@pytest.mark.parametrize("text", ["", "5", "[]", "{}", '{"work": 1, "process": 2}', "\0"])
def test_a_damaged_lease_is_of_another_training(text, tmp_path):
    folder = LeaseFolder(tmp_path / "leases")
    (folder.path / "0.lock").write_text(text)
    assert folder.holders([Gpu("0", "0")]) == "GPU 0 runs another training"
    folder.lock("0", {"work": "s/p/t", "process": 7})
    assert folder.holders([Gpu("0", "0")]) == "GPU 0 runs s/p/t (process 7)"
    folder.close()

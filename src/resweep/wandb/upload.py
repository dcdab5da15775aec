"""Upload of one version of an artifact, in a child process."""

import json
import shutil
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resweep.locks import FileLock
from resweep.paths import RunFolder
from resweep.wandb import process as wandb_process
from resweep.wandb.follow import wait_for_new_name


def main(order: dict[str, Any]) -> None:
    """Upload one version, and write where it went.

    Args:
        order: `folder` with the version's files, whose path W&B records, so relative to the
            working directory; `artifact` and `init`, the arguments of `wandb.Artifact` and of the
            run that logs it; `aliases`; `run_folder`, the run in the store that made it, which logs
            it instead unless a process follows it, with its `summary`; `uses`, artifacts that it
            was made from; `lock`, held meanwhile; `answer`, the JSON file to write; `seconds` after
            which to give up.
    """
    wandb_process.leave_after(order["seconds"])
    lock = FileLock(Path(order["lock"]))
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    lock.take()  # from a process of a publication that was killed
    try:
        _upload(order, order["init"])
    finally:
        lock.release()


def _upload(order: dict[str, Any], init: dict[str, Any]) -> None:
    maker = None if order["run_folder"] is None else RunFolder(Path(order["run_folder"]))
    followed = None if maker is None else FileLock(maker.wandb_lock)
    if maker is None or followed is None or not followed.take(0.0):
        drop_unsent(Path(init["dir"]), init["id"])
        _log_artifact(order, init, {})
        return
    try:
        kept = ("mode", "project", "entity", "dir", "resume")
        its = {"id": maker.path.name, **{name: init[name] for name in kept}}
        _log_artifact(order, its, order["summary"])
    finally:
        followed.release()


def _log_artifact(order: dict[str, Any], init: dict[str, Any], summary: Mapping[str, Any]) -> None:
    wait_for_new_name(Path(init["dir"]), init["id"])
    run = wandb_process.init(**init)
    try:
        run.summary.update(summary)  # else the run ends without one
        went = _log_to(run, order)
    finally:
        run.finish(exit_code=0)  # a failure is of this publication, not of the training
    Path(order["answer"]).write_text(json.dumps(went))


def _log_to(run: Any, order: dict[str, Any]) -> dict[str, Any]:
    """Log the version by a W&B run; returns where it went."""
    import wandb

    artifact = wandb.Artifact(**order["artifact"])
    # immutable: `wandb sync` uploads from the version's folder, maybe days later.
    artifact.add_dir(order["folder"], policy="immutable")
    used = [name for name in order["uses"] if _use(run, name)]
    logged = run.log_artifact(artifact, aliases=order["aliases"])
    if order["init"]["mode"] == "online":
        logged.wait(timeout=int(order["seconds"]))
        return {"artifact": logged.qualified_name, "url": run.url, "uses": used}
    return {"run": str(Path(run.dir).parent)}


def _use(run: Any, name: str) -> bool:
    """Name an artifact as used by a run; it may have been deleted."""
    try:
        run.use_artifact(name)
    except Exception:
        traceback.print_exc()
        return False
    return True


def drop_unsent(directory: Path, run_id: str) -> None:
    """Remove what a publication that was killed recorded offline: it is recorded again."""
    for folder in directory.glob(f"wandb/offline-run-*-{run_id}"):
        if not any(folder.glob("*.wandb.synced")):
            shutil.rmtree(folder)


if __name__ == "__main__":
    wandb_process.run_child(main)

"""Upload of one version of an artifact, in a child process."""

import json
from pathlib import Path
from typing import Any

from resweep.wandb import process as wandb_process


def main(order: dict[str, Any]) -> None:
    """Upload one version, and write where it went.

    Args:
        order: `folder` with the version's files, whose path is sent too, so relative to the working
            directory; `artifact` and `init`, the arguments of `wandb.Artifact` and of the run that
            logs it; `answer`, the JSON file to write; `seconds` after which to give up.
    """
    import wandb

    wandb_process.leave_after(order["seconds"])
    run = wandb_process.init(**order["init"])
    artifact = wandb.Artifact(**order["artifact"])
    # immutable: `wandb sync` uploads from the version's folder, maybe days later.
    artifact.add_dir(order["folder"], policy="immutable")
    logged = run.log_artifact(artifact)
    if order["init"]["mode"] == "online":
        logged.wait(timeout=int(order["seconds"]))
        went = {"artifact": logged.qualified_name, "url": run.url}
    else:
        went = {"run": str(Path(run.dir).parent)}
    run.finish()
    Path(order["answer"]).write_text(json.dumps(went))


if __name__ == "__main__":
    wandb_process.run_child(main)

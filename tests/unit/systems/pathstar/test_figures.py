"""The accuracy of each token in the report, beside chance at the token that has to be planned."""

from pathlib import Path

from resweep.systems.pathstar.figures import accuracy_by_token
from resweep.systems.values import TrainedRun
from resweep.training.metrics import MetricLog


def trained(folder: Path, *lines: dict[str, float]) -> TrainedRun:
    log = MetricLog(folder / "metrics.jsonl")
    for at, line in enumerate(lines, 1):
        log.write(10 * at, line)
    log.close()
    config = {"data": {"graph_d": 8}}
    return TrainedRun(
        trial="best", asked={}, config=config, folder=folder, step=10 * len(lines), metrics={}
    )


def test_the_hard_token_stands_beside_chance(tmp_path: Path) -> None:
    names = [f"val/accuracy/token_{token}" for token in (1, 2)]
    run = trained(tmp_path, *({names[0]: 1.0, names[1]: share} for share in (0.1, 0.5)))
    (figure,) = accuracy_by_token([run])
    assert figure.series == {"token 1": [(10, 1.0), (20, 1.0)], "token 2": [(10, 0.1), (20, 0.5)]}
    assert "At step 20, token 2" in figure.caption
    assert "right in 50.0% of them (by chance: 12.5%)" in figure.caption


def test_without_generated_paths_there_is_no_figure(tmp_path: Path) -> None:
    assert accuracy_by_token([trained(tmp_path, {"val/loss/overall": 2.0})]) == []
    assert accuracy_by_token([]) == []

"""The summary says what came out, fits a terminal, and its last line loads the model."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.ranking.keep_bests import claim_best
from resweep.report.first_screen import first_screen
from resweep.report.report import render_report
from resweep.report.results import read_study, shown
from resweep.report.summary import WIDTH, conclude, summarize
from resweep.report.trained_by import TrainedBy
from resweep.store.run import Run
from resweep.study.metric import choose_metric
from resweep.study.schema import Score
from resweep.systems.registry import find_system
from resweep.trials.record import read_record, write_record
from resweep.trials.trial import Trial
from resweep.watch.ending import message
from tests.support.rankings import read_frame, write_frame
from tests.support.study import (
    PART,
    RATE,
    RERUN,
    SEED,
    SWEEP,
    Made,
    make_adaptive_study,
    make_study,
    run_id,
    write_config,
)


def summary(layout: Layout) -> list[str]:
    return summarize(read_study("made", layout), layout).splitlines()


def line(lines: list[str], start: str) -> str:
    found = [text for text in lines if text.strip().startswith(start)]
    assert len(found) == 1, (start, found)
    return found[0]


def test_everything_is_said(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    lines = summary(layout)
    sweep = lines[lines.index("sweep (sweep, 4 trials)") : lines.index("rerun (rerun, 5 trials)")]
    trained_by = ("gpt, 1.25M parameters", "bytes (vocabulary 257)", "random", "cpu (made)")
    told = " ".join(text.strip() for text in sweep[1:3])
    assert all(part in told for part in trained_by)
    assert [text.split()[:2] for text in sweep[4:8]] == [
        ["1", "bbb"],
        ["2", "ccc"],
        ["3", "aaa"],
        ["4", "ddd"],
    ]
    assert sweep[7].endswith("diverged")
    assert sweep[8].split(": ", 1) == ["  diverged", "ddd: the loss was <nan>"]
    rerun = lines[lines.index("rerun (rerun, 5 trials)") :]
    assert "1.5000 ± 0.0283" in line(rerun, "1  02, 01")
    assert line(rerun, "3  05").endswith("empty")
    assert str(RERUN[4].reason) in line(rerun, "empty: 05")
    best = line(rerun, "best: ")
    assert "val/loss 1.5000 ± 0.0283" in best and "2 seeds" in best
    for trial, there, here in (
        ("bbb", "2.1000", "1.5000 ± 0.0283"),
        ("ccc", "2.4000", "1.8000 ± 0.1414"),
    ):
        compared = line(rerun, f"sweep trial {trial}")
        assert compared.index(there) < compared.index(here)
    winner = line(lines, "winner: ")
    assert "rank 1 of rerun, val/loss 1.5000 ± 0.0283" in winner and "clear winner" in winner
    assert line(lines, "0.1000 below the bigram baseline of 1.6000")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"bigram_floor": "low"}', None])
def test_a_damaged_stamp_of_data_only_costs_the_floor(content, tmp_path, caplog) -> None:
    layout = make_study(tmp_path)
    (stamp,) = layout.study("made").data_stamps()
    if content is None:
        stamp.unlink()
        stamp.mkdir()
    else:
        stamp.write_text(content)
    lines = summary(layout)
    assert "sweep (sweep, 4 trials)" in lines and not any("1.6000" in text for text in lines)
    assert {str(stamp) in record.message for record in caplog.records} == {True}


def test_a_loss_above_the_floor_is_called_so(tmp_path: Path) -> None:
    lines = summary(make_study(tmp_path, floor=1.2))
    assert "which is worse" in line(lines, "0.3000 above the bigram baseline of 1.2000")


def test_best_is_the_highest_where_more_is_better(tmp_path: Path) -> None:
    score = Score(goal="maximize", metric="val/loss")
    lines = summary(make_study(tmp_path, rerun=[], score=score))
    assert line(lines, "1  ").split()[1] == "aaa"


def test_model_line_names_the_best_trial_of_the_last_phase(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    lines = summary(layout)
    model = layout.phase("made", "rerun").models / "02"
    assert model.is_dir()
    assert f"model: {model}" in lines
    assert lines[-1].endswith(f'model = AutoModelForCausalLM.from_pretrained("{model}")')
    compile(lines[-1], "summary", "exec")


def test_what_a_monitor_stopped_is_kept_shown_and_explained(tmp_path: Path) -> None:
    reason = "train/loss is flat: 2, 2, 2, 2"
    stopped = Made(
        "eee", {RATE: 3e-3}, 1.9, status="stopped", reason=reason, rule="loss-flat", steps=20
    )
    cut = Made("fff", {RATE: 4e-3}, 1.0, status="stopped", reason="the trial stops here", steps=20)
    layout = make_study(tmp_path, sweep=[*SWEEP, stopped, cut], rerun=[])
    lines = summary(layout)
    assert line(lines, "1  eee").endswith("stopped")
    assert line(lines, "stopped: eee: ") == f"  stopped: eee: {reason}"
    assert line(lines, "5  fff").endswith("stopped")
    model = layout.phase("made", "sweep").models / "eee"
    assert lines[-1].count(str(model)) == 1 and model.resolve().name == "checkpoint_20"
    html = render_report(read_study("made", layout), layout)
    for count in ("6 trials", "3 finished", "1 stopped"):
        assert count in html
    ranking = re.findall(r'<tr class="(\w*)"[^>]*>.*?(aaa|bbb|ccc|ddd|eee|fff)<', html)
    assert ("first", "eee") in ranking and ("lost", "fff") in ranking
    assert f"stopped: {reason}" in html


def test_what_ties_with_rank_1_is_not_beaten_by_it(tmp_path: Path) -> None:
    """Here the best value is a seed of rank 2."""
    spread = {(1e-3, 1): 1.50, (1e-3, 2): 1.52, (1e-2, 1): 1.40, (1e-2, 2): 1.63, (1.0, 1): 3.0}
    spread[1.0, 2] = 3.01
    rerun = [
        Made(f"{n:02}", {RATE: rate, SEED: seed}, value)
        for n, ((rate, seed), value) in enumerate(spread.items(), 1)
    ]
    layout = make_study(tmp_path, sweep=[Made("aaa", {RATE: 1e-3}, 2.1)], rerun=rerun)
    lines = summary(layout)
    below = lines[lines.index("rerun (rerun, 6 trials)") :]
    assert line(below, "rank  trial").split()[-2:] == ["tie", "status"]
    ties = [line(below, f"{rank}  ").split()[-2] for rank in (1, 2, 3)]
    assert ties == ["0.0141", "yes", "no"]
    assert "1.5100" in line(below, "rank 1: ") and "best: " not in " ".join(below)
    assert "rank 2 (03)" in line(below, "cannot be told apart from rank 1")
    winner = line(below, "winner: ")
    assert "rank 1 of rerun, val/loss 1.5100" in winner and "tie with 1 other" in winner
    assert "1.5000" in line(below, "(its own val/loss") and below[-3].endswith("models/01")
    html = render_report(read_study("made", layout), layout)
    assert html.count('<tr class="first"') == 1 + 2 * 2
    assert line(below, "cannot be").strip().removeprefix("c") in html
    alone = summary(make_study(tmp_path / "alone", rerun=rerun[:2] + rerun[4:]))
    assert "1.5100" in line(alone, "best: ") and line(alone, "2  05").split()[-2] == "no"


def test_one_seed_and_few_evaluations_say_nothing_of_a_difference(tmp_path: Path) -> None:
    lines = summary(make_study(tmp_path, rerun=[]))
    assert line(lines, "rank 1: ") and "2 others" in line(lines, "unknown (one seed)")
    assert "tie" not in line(lines, "rank  trial").split()


def test_a_score_with_slopes_is_explained(tmp_path: Path) -> None:
    rule = Score(slope_weight=-100.0)  # the slower one leads
    layout = make_study(tmp_path, rerun=[], score=rule)
    lines = summary(layout)
    assert "score" in line(lines, "rank  trial").split()
    assert "100 * early slope of train/loss" in line(lines, "score = ")
    assert "trial bbb" in line(lines, "by the final val/loss alone")
    html = render_report(read_study("made", layout), layout)
    assert "ranked by score = 100 * early slope" in html and "y the final val/loss alone" in html
    values = {(1e-3, 1): 1.50, (1e-3, 2): 1.52, (1.0, 1): 3.0, (1.0, 2): 3.01}
    rerun = [
        Made(f"{n:02}", {RATE: rate, SEED: seed}, value)
        for n, ((rate, seed), value) in enumerate(values.items(), 1)
    ]
    lines = summary(make_study(tmp_path / "rerun", rerun=rerun, score=rule))
    below = lines[lines.index("rerun (rerun, 4 trials)") :]
    assert line(below, "2  01").split()[-2] == "no"
    assert "3.0050" in line(below, "rank 1: ") and "best: " not in " ".join(below)
    plain = render_report(read_study("made", made := make_study(tmp_path / "plain")), made)
    assert "ranked by final val/loss<" in plain and "by the final val/loss alone" not in plain


def test_a_ranking_of_an_older_version_has_no_ties(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    for phase in ("sweep", "rerun"):
        table = layout.phase("made", phase).scores
        scores = read_frame(table).drop(columns=["standard_error", "tie"])
        write_frame(table, scores)
    lines = summary(layout)
    assert "1.5000 ± 0.0283" in line(lines, "1  02, 01")
    assert not any(word in text for text in lines for word in ("tie", "told apart", "unknown"))
    assert "<h3>Ranking" in render_report(read_study("made", layout), layout)


def test_rungs_have_a_line_each_and_their_stops_no_reason(tmp_path: Path) -> None:
    lines = summary(make_adaptive_study(tmp_path))
    title = line(lines, "rung ")
    assert lines[lines.index(title) + 1].split() == [
        "1", "20", "6", "4", "1", "3.3", "to", "3.2", "0.40", "(4", "trials)",
    ]  # fmt: skip
    assert "survivors only" in lines[lines.index(title) + 2]
    assert not any(text.startswith("  stopped: ") for text in lines)
    assert line(lines, "diverged: r02-03")
    without = summary(make_study(tmp_path / "without"))
    assert not any(text.strip().startswith("rung ") for text in without)


def test_a_pruned_model_is_not_promised(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    folder = layout.phase("made", "rerun").path
    for link in (folder / "models").iterdir():
        link.resolve().rmdir()
    last = summary(layout)[-1]
    assert last.startswith(f"model: none in {folder}/models: ") and " 02" in last
    assert f"--trial {folder}/trials/02.yaml --record {folder}/records/02.json`" in last
    weights = layout.run(run_id(layout, "rerun", "02")) / "checkpoint_40"
    weights.mkdir()
    (folder / "models/02").unlink()
    assert f"model: {weights}" in summary(layout)


def test_a_phase_that_keeps_no_weights_has_no_model(tmp_path: Path) -> None:
    layout = make_study(tmp_path, rerun=[])
    for link in layout.phase("made", "sweep").models.iterdir():
        link.unlink()
    described = layout.study("made").described
    described.write_text(described.read_text().replace("keep: best", "keep: none"))
    last = summary(layout)[-1]
    assert last.startswith("model: none in ") and "keep" in last


def test_a_better_run_is_named_with_its_size_and_what_publishes_it(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    assert not any(text.startswith(("older bests: ", "warning: ")) for text in summary(layout))
    name = run_id(layout, "sweep", "bbb")
    file = layout.run(name) / "checkpoint_40/model.safetensors"
    file.write_bytes(bytes(12_000_000))
    now = layout.phase("made", "rerun").scores
    scores = read_frame(now)
    before = tmp_path / now.name
    scores = scores[scores["rank"] == 2].assign(rank=1, run_id=name, final_mean=1.4)
    scores.to_csv(before, index=False)
    score = choose_metric(Score(), None, "made.yaml", find_system("language"))
    for ranking in (before, now):
        claim_best("made", "rerun", ranking, score, layout)
    better = line(summary(layout), "warning: ")
    named = ("val/loss 1.4000", "1.5000", "learning_rate 0.01", f"runs/{name}/checkpoint_40")
    assert all(part in better for part in named)
    assert f"--run {name}" in better and "--artifact-name rerun-model" in better
    assert "top: 2 in phase rerun" in better
    kept = line(summary(layout), "older bests: ")
    assert "MB" in kept and "(0 published)" in kept
    html = render_report(read_study("made", layout), layout)
    assert all(part in html for part in named)


def test_what_trained_is_shown_by_its_differences(tmp_path: Path) -> None:
    weights = {
        "run.checkpoint": "0123456789ab/40",
        "data.tokens": "bpe",
        "data.bpe_vocab_size": 300,
    }
    layout = make_study(tmp_path, [*SWEEP[:2], Made("lll", weights, 2.0)], rerun=[])
    run = Run(layout.run(run_id(layout, "sweep", "lll")))
    model = {"kind": "hf", "config": {"model_type": "llama"}, "vocab_size": 320, "lora_rank": 4}
    write_config(run, {"model": model})
    together = PART | {"device": "GPU", "processes": 2, "engine": "ddp"}
    run.update(segments=[PART, together, together | {"from_step": 40, "device": "another"}])
    by = read_study("made", layout).phases[0].trained_by
    assert by == TrainedBy(
        {
            "model": "llama (hf) / gpt, 1.25M parameters",
            "tokens": "BPE (vocabulary 320) / bytes (vocabulary 257)",
            "initial weights": "0123456789ab/40 + LoRA of rank 4 / random",
            "trained on": "cpu (made) / GPU, 2 processes (ddp)",
        }
    )


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ([7_680, 11_008], "7,680 to 11,008 parameters"),
        ([10_560, 110_080], "10,560 to 110,080 parameters"),
        ([110_560, 478_080], "0.111 to 0.478M parameters"),
        ([1_250_000, 1_250_300], "1.2500 to 1.2503M parameters"),
        ([123_456_789, 123_456_789], "123M parameters"),
    ],
)
def test_sizes_of_models_are_in_one_unit(sizes: list[int], text: str, tmp_path: Path) -> None:
    layout = make_study(tmp_path, SWEEP[: len(sizes)], rerun=[])
    for made, size in zip(SWEEP, sizes, strict=False):
        record = layout.record("made", "sweep", made.name).resolve()
        write_record(record, replace(read_record(record), parameters=size))
    by = read_study("made", layout).phases[0].trained_by
    assert by is not None and by.facts["model"] == f"gpt, {text}"


def test_nodes_are_those_that_the_trial_asked_for(tmp_path: Path) -> None:
    asked = {"training.distributed": "zero1", "training.processes": 6, "training.nodes": 3}
    layout = make_study(tmp_path, [Made("aaa", asked, 2.0)], rerun=[])
    Run(layout.run(run_id(layout, "sweep", "aaa"))).update(
        segments=[PART | {"processes": 6, "engine": "zero1"}]
    )
    by = read_study("made", layout).phases[0].trained_by
    assert by is not None
    assert by.facts["trained on"] == "cpu (made), 6 processes on 3 nodes (zero1)"


def test_report_is_named_and_said_to_be_missing(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    report = layout.study("made").report
    assert line(summary(layout), "report: ").startswith(f"report: {report} (not ")
    report.touch()
    assert line(summary(layout), "report: ") == f"report: {report}"


def test_lines_fit_a_terminal(tmp_path: Path) -> None:
    many = {f"a_rather_long_hyperparameter_{n}": "x" * 40 for n in range(8)}
    sweep = [Made(f"trial{n:02}", {RATE: 1e-3 * 1.1**n, **many}, 2 + n / 9) for n in range(30)]
    sweep.append(Made("lost", {RATE: 9.0, **many}, None, status="failed", reason="because " * 40))
    lines = summary(make_study(tmp_path, sweep=sweep, rerun=[]))
    paths = ("report: ", "model: ", "from transformers")
    assert max(len(text) for text in lines if not text.startswith(paths)) <= WIDTH
    assert any("19 more configurations" in text for text in lines)
    assert "2.0000" in line(lines, "1  trial00")


def test_nothing_finished(tmp_path: Path) -> None:
    lines = summary(make_study(tmp_path, sweep=[SWEEP[3]], rerun=[RERUN[4]]))
    (nothing,) = {text for text in lines if "no configuration" in text and text.startswith("  ")}
    assert lines.count(nothing) == 2
    assert lines[-1].endswith(f"rerun/models: {nothing.strip()}")
    assert not any(text.startswith("winner") for text in lines)


def test_all_name_one_winner_where_the_last_phase_has_no_result(tmp_path: Path) -> None:
    layout = make_study(tmp_path, rerun=[RERUN[4]])
    results = read_study("made", layout)
    assert results.deciding is results.phases[0]
    model = layout.phase("made", "sweep").models / "bbb"
    for text in (summarize(results, layout), conclude(results, layout)):
        assert f"model: {model}\n" in text and "0.5000 above the bigram baseline" in text
    assert conclude(results, layout).startswith("study made, phase sweep:\n  rank 1: val/loss 2.1")
    sent = message("made", layout, results, failed=False, log=None)
    assert sent["value"] == 2.1 and sent["model"] == str(model) and "sweep: rank 1" in sent["text"]
    assert str(model) in first_screen(results, {}, layout)


def test_damaged_files_are_named_and_the_rest_is_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = make_study(tmp_path)
    before = summary(layout)
    files = [
        layout.trial("made", "sweep", "aaa"),
        layout.record("made", "sweep", "bbb").resolve(),
        Run(layout.run(run_id(layout, "rerun", "01"))).folder.state,
        layout.study("made").data_stamps()[0],
    ]
    for file in files:
        file.write_text("[")
    shown = summary(layout)
    assert [line for line in shown if line.startswith("  1 ")] == [
        line for line in before if line.startswith("  1 ")
    ]
    for name in ("trials/aaa.yaml", "records/bbb.json", "record.json", "data/0123.json"):
        assert any(name in line for line in caplog.messages), name


def test_values_cannot_move_the_cursor_or_begin_a_line() -> None:
    text = "\x1b[2Jred\nnext \u202eleft \x9b1m"
    assert shown(text) == r"\x1b[2Jred\nnext \u202eleft \x9b1m"
    line = Trial("mine", "sweep", "a", assignments={"tag": text}).line
    assert line.isprintable() and r"\x1b[2Jred next" in line

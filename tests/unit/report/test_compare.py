"""What summary and report say of how a ranking held."""

from dataclasses import replace
from pathlib import Path

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.report.compare import compare_rerun, held_lines, trained_with
from resweep.report.report import render_report
from resweep.report.results import StudyResults, read_study
from resweep.report.summary import summarize
from resweep.sweep import Parameter
from tests.support.study import RATE, SEED, Made, make_study, run_id
from tests.support.tiny import LANGUAGE

RATES = (1e-3, 2e-3, 4e-3)
SWEEP = [Made(f"s{n}", {RATE: rate}, 2 + n / 10) for n, rate in enumerate(RATES)]


def again(rates=RATES, seeds=(8, 9), **more) -> list[Made]:
    """A rerun whose values are 0.2 above those of the sweep, and 0.2 apart for two seeds."""
    return [
        Made(f"{rates.index(rate)}{seed}", {RATE: rate, SEED: seed, **more}, 2.2 + n / 10 + side)
        for n, rate in enumerate(rates)
        for seed, side in zip(seeds, (-0.1, 0.1), strict=False)
    ]


def lines_of(layout: Layout) -> list[str]:
    results = read_study("made", layout)
    return held_lines(compare_rerun(results, results.phases[1]), results.phases[1])


def both(layout: Layout) -> tuple[str, str]:
    """Return the summary in one line, and the report."""
    results: StudyResults = read_study("made", layout)
    return " ".join(summarize(results, layout).split()), render_report(results, layout)


def test_summary_and_report_say_how_the_ranking_held(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=SWEEP, rerun=again())
    order, curse = lines_of(layout)
    assert all(part in order for part in ("sweep trial s0", "rank 1 of 3", "tau 1.00"))
    assert curse.startswith("winner's curse: 0.2000 ± 0.0000 worse") and "3 conf" in curse
    for text in both(layout):
        # The report begins its sentences with a capital.
        said = text.replace("&#x27;", "'")
        assert order[1:] in said and curse[1:] in said


def test_one_configuration_has_a_curse_with_the_error_of_its_seeds_and_no_order(
    tmp_path: Path,
) -> None:
    order, curse = lines_of(make_study(tmp_path, sweep=SWEEP, rerun=again(RATES[:1])))
    assert "1 configuration" in order and "tau" not in order and "rank" not in order
    assert "0.2000 ± 0.1000 worse" in curse


def test_other_settings_are_named_instead_of_a_curse(tmp_path: Path) -> None:
    rerun = [
        Made(made.name, made.assignments, made.final, steps=80)
        for made in again(**{"model.dropout": 0.25, "training.max_steps": 80})
    ]
    layout = make_study(tmp_path, sweep=SWEEP, rerun=rerun)
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    described["phases"][1]["overrides"] = {"model.dropout": 0.25, "training.max_steps": 80}
    file.write_text(yaml12.dump(described))
    order, other = lines_of(layout)
    assert "tau 1.00" in order
    assert "80 steps instead of 40, dropout 0.25 instead of 0," in other.replace(";", ",")
    assert "max_steps" not in other


def test_a_setting_that_changes_from_several_values_is_named_alone(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=SWEEP, rerun=again(RATES[:2]))
    results = read_study("made", layout)
    changes = {"training.weight_decay": (0.5, 0.1)}
    held = compare_rerun(results, results.phases[1])
    pairs = [
        replace(pair, changes=changes | {RATE: (1e-5, rate)})
        for pair, rate in zip(held.pairs, RATES, strict=False)
    ]
    held = replace(held, pairs=tuple(pairs), curse=None, repeats=0)
    other = held_lines(held, results.phases[1])[1]
    assert "another learning_rate" in other and "weight_decay 0.5 instead of 0.1" in other


def test_reruns_that_are_runs_of_the_sweep_are_counted_out(tmp_path: Path) -> None:
    rerun = [Made("01", {RATE: RATES[0]}, 2.0), *again(RATES[1:])]
    layout = make_study(tmp_path, sweep=SWEEP, rerun=rerun)
    order, _, same = lines_of(layout)
    assert "s0" in order and "same run" in order
    assert "1 trial" in same
    (row,) = [row for row in both(layout)[1].split("<tr") if 'number">same run' in row]
    assert "s0" in row


def test_several_sources_are_named_with_each_configuration(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=SWEEP, rerun=again())
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    described["phases"][1]["of"] = ["sweep", "gone"]
    file.write_text(yaml12.dump(described))
    summary, html = both(layout)
    assert "order: sweep trial s0" in summary
    assert "<h3>Rerun of sweep, gone</h3>" in html
    described["phases"][1]["of"] = "best.yaml"
    file.write_text(yaml12.dump(described))
    assert "order:" not in both(layout)[0]


def test_settings_are_what_determines_numbers_but_the_seed() -> None:
    def of(**training: object) -> dict[str, object]:
        given = {"max_steps": 40, "log_steps": 10, "eval_steps": 10, **training}
        return trained_with(LANGUAGE.dump(LANGUAGE.validate({"training": given})))

    plain = of()
    assert of(seed=7) == plain
    assert of(batch_size=8, gradient_accumulation_steps=2) == of(batch_size=16)
    assert of(max_steps=80) != plain
    assert SEED not in plain and "run.name" not in plain


def test_reruns_that_come_out_better_are_no_curse(tmp_path: Path) -> None:
    better = [Made(one.name, one.assignments, (one.final or 0) - 0.5) for one in again()]
    curse = lines_of(make_study(tmp_path, sweep=SWEEP, rerun=better))[1]
    assert curse.startswith("no winner's curse: 0.3000 ± 0.0000 better")


@pytest.mark.parametrize(
    ("width", "changes", "warned"),
    [
        (1e40, {"distinct": None}, True),
        (1e3, {"distinct": None}, False),
        (1e40, {"distinct": 0.01}, False),
        (1e40, {}, False),
        (1e40, {"distinct": None, "overrides": {RATE: 1e-3}}, False),
    ],
)
def test_a_rerun_of_near_copies_is_warned_of(width, changes, warned, tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=SWEEP, rerun=again())
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    space = Parameter(RATE, "log_uniform_values", low=1e-3 / width, high=1e-3 * width)
    described["phases"][0]["space"] = [space.content]
    del described["phases"][1]["distinct"]
    described["phases"][1] |= changes
    file.write_text(yaml12.dump(described))
    for text in both(layout):
        assert ("distinct: 0.05" in text) == warned


def fine_tuned(folder: Path, *starts: str) -> Layout:
    """A study whose second phase fine-tunes runs of the sweep, each at two rates."""
    made = [
        Made(f"{n}{side}", {"run.checkpoint": start, RATE: rate}, 5 + n + side)
        for n, start in enumerate(starts)
        for side, rate in enumerate((0.01, 0.02))
    ]
    layout = make_study(folder, sweep=SWEEP, rerun=made)
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    described["phases"][1]["forgetting"] = True
    file.write_text(yaml12.dump(described))
    return layout


def test_values_of_a_fine_tuning_are_not_beside_those_of_its_source(tmp_path: Path) -> None:
    sweep = make_study(tmp_path / "sweep", sweep=SWEEP, rerun=[])
    runs = [run_id(sweep, "sweep", made.name) for made in SWEEP]
    one = fine_tuned(tmp_path / "one", f"{runs[0]}/40")
    assert lines_of(one) == []
    (order,) = lines_of(fine_tuned(tmp_path / "all", *(f"{run}/40" for run in runs)))
    assert "sweep trial s0" in order and "tau 1.00 over 3" in order

"""The screen of a study: what is on it, and that it fits."""

from typing import Any

import pytest
from rich.console import Console

from docs.make_watch_picture import ENDED, RUNNING, TRIALS, make_results, make_study
from resweep.paths import Layout
from resweep.watch.lines import Lines, text
from resweep.watch.progress import Best, PhaseProgress, StudyProgress, StudyWatch, Training
from resweep.watch.screen import rough, screen
from resweep.watch.work import Left


def drawn(studies: list[StudyProgress], width: int, height: int, note: str = "") -> list[str]:
    console = Console(width=width, markup=False, highlight=False, emoji=False, record=True)
    with console.capture() as captured:
        console.print(screen(studies, width, height, note))
    return captured.get().splitlines()


def phase(name: str = "sweep", **changes: Any) -> PhaseProgress:
    given: dict[str, Any] = {
        "kind": "sweep",
        "name": name,
        "states": {"finished": 1, "running": 1, "waiting": 2},
        "rungs": {},
        "packs": (0, 0),
        "best": None,
        "left": Left(30, 60.0),
        "is_ranked": False,
    }
    return PhaseProgress(**given | changes)


def study(*phases: PhaseProgress, **changes: Any) -> StudyProgress:
    given: dict[str, Any] = {
        "name": "made",
        "phases": phases,
        "training": (),
        "steps": 30,
        "seconds": 60.0,
        "is_complete": False,
    }
    return StudyProgress(**given | changes)


def training(trial: str, **settings: Any) -> Training:
    return Training(
        phase="sweep", trial=trial, step=5, until=20, speed=2.0, value=3.0, settings=settings
    )


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> StudyProgress:
    folder = tmp_path_factory.mktemp("thousand")
    made, layout = make_study(folder), Layout(folder / "results")
    make_results(made, layout)
    return StudyWatch(made, layout).look()


def test_a_thousand_trials_are_counted(thousand: StudyProgress) -> None:
    sweep, rerun = thousand.phases
    assert (sweep.trials, sweep.ended, rerun.ended) == (TRIALS, ENDED, 0)
    assert sweep.states["running"] == len(thousand.training) == RUNNING
    assert sweep.states["waiting"] == TRIALS - ENDED - RUNNING
    first = thousand.training[0]
    assert first.speed == pytest.approx(12.5) and first.until == 500 and first.settings
    trained = sum(one.until - one.step for one in thousand.training)
    assert sweep.left.steps == 500 * sweep.states["waiting"] + trained
    assert rerun.left.steps == 15 * 500
    # 40 seconds for 500 steps, by their records, so many at once; then 15 of them at once.
    assert thousand.seconds is not None
    assert sweep.left.seconds == pytest.approx(sweep.left.steps * 40 / 500 / RUNNING)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (110, 24), (200, 60), (80, 12)])
def test_they_fit_on_one_screen(thousand: StudyProgress, width: int, height: int) -> None:
    lines = drawn([thousand], width, height, "a note")
    assert len(lines) <= height and max(map(len, lines)) <= width
    assert lines[0].startswith("study thousand  640 of 1,015 trials") and lines[-1] == "a note"
    rows = [line for line in lines if line.startswith("sweep ") and "500" in line]
    more = [int(line.split()[2]) for line in lines if "more being trained" in line]
    assert len(rows) + sum(more) == RUNNING
    assert any(line.startswith("best trial so far: sweep trial") for line in lines)


def test_many_phases_are_folded() -> None:
    phases = [phase(f"p{n}", states={"finished": 3}) for n in range(30)] + [phase("last")]
    lines = drawn([study(*phases, training=(training("a"),))], 100, 12)
    assert len(lines) <= 12 and any("30 of all 31" in line for line in lines)
    assert any(line.startswith("last") for line in lines)


def test_two_studies_share_the_screen() -> None:
    lines = drawn([study(phase()), study(phase(), name="other")], 100, 20)
    assert [line.split()[1] for line in lines if line.startswith("study ")] == ["made", "other"]


@pytest.mark.parametrize("count", [4, 7, 15, 40])
def test_many_studies_fit_on_one_screen(count: int) -> None:
    studies = [study(phase(), name=f"s{number}") for number in range(count - 1)]
    studies.append(study(phase(), name="now", training=(training("a"),)))
    lines = drawn(studies, 60, 20, "a note")
    assert len(lines) <= 20 and lines[-1] == "a note"
    assert any(line.startswith("study now  ") for line in lines)
    named = [line for line in lines if line.startswith("study ")]
    more = [int(line.split()[2]) for line in lines if "more stud" in line]
    assert len(named) + sum(more) == count


@pytest.mark.parametrize("width", [70, 100])
def test_counts_and_the_best_are_whole(width: int) -> None:
    states = {"finished": 1234, "stopped": 1, "infeasible": 1, "waiting": 1}
    best = Best(phase="sweep", trial="a", metric="val/loss", value=5.305, settings={})
    lines = drawn([study(phase(states=states, packs=(100, 200), best=best))], width, 12)
    (title,) = [line for line in lines if line.startswith("phase ")]
    (row,) = [line for line in lines if line.startswith("sweep ")]
    assert {*states, "packs", "best"} <= set(title.split())
    assert row.split()[-2:] == ["100/200", "5.305"] and "1,234" in row.split()


def test_a_small_screen_has_no_bar_but_whole_counts() -> None:
    states = {"finished": 20, "stopped": 30, "diverged": 12, "running": 7}
    best = Best(phase="sweep", trial="a", metric="loss", value=0.6463, settings={})
    shown = drawn([study(phase(states=states, packs=(1, 2), best=best))], 52, 12)
    title, row = shown[1:3]
    assert title.split() == ["phase", *states, "best"]
    assert row.split() == ["sweep", "20", "30", "12", "7", "0.6463"]


def test_the_bar_has_the_room_that_is_left() -> None:
    row = drawn([study(phase(states={"finished": 2}))], 60, 12)[2]
    assert row.count("█") == 24


def test_the_time_left_is_seen_on_a_narrow_terminal(thousand: StudyProgress) -> None:
    assert "min" in drawn([thousand], 70, 20)[0]


def test_text_of_others_is_shown_as_text() -> None:
    hostile = "[red]x[/]\x1b[2J\n:smile:"
    best = Best(phase="sweep", trial="a", metric="m", value=1.0, settings={"own": hostile})
    lines = drawn([study(phase(best=best), training=(training("b", own=hostile),))], 120, 20)
    assert "\x1b" not in "".join(lines)
    assert any(r"[red]x[/]\x1b[2J\n:smile:" in line for line in lines)


def test_each_state_is_seen_in_the_bar() -> None:
    (row,) = [
        line
        for line in drawn([study(phase(states={"finished": 999, "running": 1}))], 120, 20)
        if line.startswith("sweep")
    ]
    assert "▒" in row and "█" in row


def test_time_is_rough() -> None:
    given = {45: "45 s", 600: "10 min", 7200: "2.0 h", 200_000: "2.3 days"}
    assert {seconds: rough(seconds) for seconds in given} == given


def test_lines_come_with_what_changed() -> None:
    lines = Lines()
    waiting = study(phase(states={"waiting": 4}))
    first = lines.line(waiting)
    assert first is not None and first.startswith("made: 0 of 4 trials; sweep: 4 waiting")
    assert lines.line(waiting) is None
    assert lines.line(study(phase(states={"waiting": 3, "running": 1}))) is not None
    assert lines.line(study(phase(states={"waiting": 2, "running": 2}))) is None  # within a minute
    failed = lines.line(study(phase(states={"waiting": 3, "failed": 1})))
    assert failed is not None and "1 failed" in failed
    over = study(phase(states={"finished": 3, "failed": 1}), is_complete=True)
    assert lines.line(over) is not None and text(over).endswith("complete")

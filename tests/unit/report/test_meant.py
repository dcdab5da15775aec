"""A run or a trial is found by any of its names."""

import pytest

from resweep.errors import ConfigError
from resweep.paths import Layout
from resweep.report.meant import Place, find_meant
from tests.support.study import make_study, run_id


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A made-up study."""
    return make_study(tmp_path_factory.mktemp("meant"))


@pytest.mark.parametrize(
    "name",
    [
        "made/sweep/bbb",
        "bbb",
        "{results}/made/sweep/records/bbb.json",
        "{results}/made/sweep/trials/bbb.yaml",
        "{results}/made/../made/sweep/records/bbb.json",
    ],
)
def test_a_trial_by_its_names(layout: Layout, name: str) -> None:
    found = find_meant(name.format(results=layout.root), layout)
    assert found.place == Place(study="made", phase="sweep", slot="bbb")
    assert found.run_id == run_id(layout, "sweep", "bbb")


def test_a_run_by_its_id_its_beginning_and_its_folder(layout: Layout) -> None:
    known = run_id(layout, "sweep", "bbb")
    for name in (known, known[:9], str(layout.run(known)), str(layout.run(known) / "config.yaml")):
        assert (find_meant(name, layout).run_id, find_meant(name, layout).place) == (known, None)


def test_a_trial_without_a_run(layout: Layout) -> None:
    assert find_meant("made/rerun/05", layout).run_id is None
    assert find_meant("made/rerun/77", layout).run_id is None


def test_names_of_nothing_and_of_several(layout: Layout) -> None:
    first = {path.name[0] for path in layout.all_runs()}
    several = next(
        one for one in first if sum(p.name.startswith(one) for p in layout.all_runs()) > 1
    )
    for name, hint in ((several, "several runs"), ("zzz", "STUDY/PHASE/TRIAL")):
        with pytest.raises(ConfigError, match=hint):
            find_meant(name, layout)

"""Sources of data that change or go away between two calls."""

import pytest

from tests.conftest import Checkout
from tests.support.corpus import DOCUMENTS
from tests.workflow.test_rebuild import jobs, planned


@pytest.fixture
def texts(checkout: Checkout) -> Checkout:
    """A checkout whose study trains on two texts, without any results."""
    for name in ("a", "b"):
        file = checkout.path / f"corpus/{name}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"\n\n{name} ".join(DOCUMENTS))
    source = {"source": "text", "paths": ["corpus/*.txt"], "documents": "blank_line"}
    checkout.write("config/data/python-docs.yaml", source)
    return checkout


def test_data_is_prepared_again_if_a_source_is_removed_but_not_if_all_are_gone(texts) -> None:
    (rule,) = (job for job in planned(texts) if job.startswith("prepare_data"))
    texts.snakemake("--until", rule)
    (data,) = (path.stem for path in texts.path.glob("results/tiny/data/*.json"))

    corpus = texts.path / "corpus"
    moved = corpus.rename(texts.path / "not mounted")
    output = texts.snakemake("--dry-run").stdout
    assert f"warning: results/data/{data}: " in output
    assert rule not in jobs(output)
    moved.rename(corpus)
    assert rule not in planned(texts)

    (corpus / "b.txt").unlink()
    assert planned(texts)[rule] == 1

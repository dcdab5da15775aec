"""Prepared graphs."""

import itertools
import json

import numpy as np
import pytest

from resweep.errors import DamagedFile
from resweep.systems.pathstar.graph_data import GraphData, prepare_graph
from tests.support.pathstar import configure, graph, prepare


def parts(tmp_path, **changes):
    config = configure(**changes)
    data = GraphData(prepare(config, tmp_path), graph(**config["data"]))
    return data, {part: data.rows(part) for part in ("edges", "paths", "val")}


@pytest.mark.parametrize(("vocabulary", "size"), [(65_525, 2), (65_526, 4), (200_000, 4)])
def test_large_vocabularies_have_tokens_of_32_bits(vocabulary, size, tmp_path):
    changes = {"graph_d": 5, "graph_l": 3, "graph_vocab_size": vocabulary}
    data, rows = parts(tmp_path, **{f"data__{name}": value for name, value in changes.items()})
    assert (data.folder / "edges.bin").stat().st_size == 5 * 2 * 2 * 4 * size
    assert rows["edges"].max() == data.format.token("EDGE") == vocabulary + 10


def test_held_out_paths_are_only_in_validation_but_their_edges_are_in_training(tmp_path):
    data, rows = parts(tmp_path)
    known = data.format
    trained, held_out = (
        {tuple(row[known.prompt :]) for row in rows[part]} for part in ("paths", "val")
    )
    assert len(trained) == 9 and len(held_out) == 3 and not trained & held_out
    edges = {tuple(row[2:4]) for row in rows["edges"]}
    for path in held_out | trained:
        for pair in itertools.pairwise(path):
            assert pair in edges and pair[::-1] in edges
    assert {row[1] for row in rows["val"]} == {path[-1] for path in held_out}


def test_without_held_out_paths_validation_is_on_those_of_training(tmp_path):
    _, rows = parts(tmp_path, data__graph_holdout_percentage=0.0)
    assert sorted(map(tuple, rows["val"])) == sorted(map(tuple, rows["paths"]))


def test_without_edges_only_paths_are_trained(tmp_path):
    _, rows = parts(tmp_path, data__train_on_edges=False)
    assert len(rows["edges"]) == 0 and len(rows["paths"]) == 9


def test_equal_settings_are_one_folder_and_others_another(tmp_path):
    one, again = (prepare(configure(), tmp_path) for _ in range(2))
    other = prepare(configure(data__num_pause_tokens=2), tmp_path)
    assert one.folder == again.folder != other.folder
    assert one.digest == again.digest != other.digest


def test_the_digest_is_of_what_trainings_read(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    same = {"graph_d": 4, "graph_l": 3}
    implied, given = (
        prepare_graph(graph(**same, graph_vocab_size=size).model_dump(), folder)
        for size, folder in zip((None, 9), folders, strict=True)
    )
    assert implied["digest"] == given["digest"]
    assert json.loads(json.dumps(implied)) == implied  # plain values


def test_a_shorter_file_is_damage(tmp_path):
    data, _ = parts(tmp_path)
    file = data.folder / "paths.bin"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(DamagedFile, match="paths"):
        data.rows("paths")


def test_rows_are_tokens(tmp_path):
    data, rows = parts(tmp_path)
    for part in rows.values():
        assert part.shape[1] == data.format.length and part.dtype == np.dtype("<u2")
        assert part.max() < data.format.vocab_size

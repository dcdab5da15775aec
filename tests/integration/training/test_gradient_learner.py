"""The training loop: the same numbers however it is cut, and nothing half-written."""

import itertools
import json
import logging
import math
from pathlib import Path

import pytest
import torch

from resweep.paths import Layout
from resweep.store import checkpoints as checkpoint
from resweep.systems.language.data_section import Data
from resweep.systems.language.token_data import TokenData
from resweep.training.clock import duration
from resweep.training.gradient_learner import GradientLearner
from resweep.training.loop import LoopEnd
from resweep.training.metrics import MetricLog, parse, read_metrics
from resweep.training.seeds import derive_seed
from tests.support import tiny
from tests.support.language import ensure
from tests.support.learners import make_learner, train_to


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.prepare(tmp_path_factory.mktemp("data"))


def make(data, **changes) -> GradientLearner:
    return make_learner(tiny.configure(data, **changes), data)


def tensors(learner: GradientLearner) -> dict[str, torch.Tensor]:
    return dict(learner.objective.model.state_dict()) | learner.engine.state()[1]


def assert_equal(left: GradientLearner, right: GradientLearner) -> None:
    mine, theirs = tensors(left), tensors(right)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    assert (left.step, left.engine.optimizer_steps) == (right.step, right.engine.optimizer_steps)


def assert_close(left: GradientLearner, right: GradientLearner, tolerance: float = 1e-5) -> None:
    for name, tensor in left.objective.model.state_dict().items():
        other = right.objective.model.state_dict()[name]
        torch.testing.assert_close(tensor, other, atol=tolerance, rtol=tolerance, msg=name)


# Steps


@pytest.mark.parametrize(
    "changes",
    [
        {"training__max_gpu_batch_size": 1},
        {"training__max_gpu_batch_size": 4},
        {"training__batch_size": 3, "training__gradient_accumulation_steps": 2},
        {
            "training__batch_size": 2,
            "training__gradient_accumulation_steps": 3,
            "training__max_gpu_batch_size": 1,
        },
    ],
    ids=str,
)
def test_micro_batches_give_the_same_step(changes, data):
    whole, parts = (
        make(data, training__adam_eps=1e-4),
        make(data, training__adam_eps=1e-4, **changes),
    )
    for _ in range(3):
        whole.train_step()
        parts.train_step()
    assert_close(whole, parts)
    a, b = whole.interval_metrics(), parts.interval_metrics()
    assert a == pytest.approx(b, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"training__max_gpu_batch_size": 4}, {"training__max_gpu_batch_size": 1,
      "training__batch_size": 3, "training__gradient_accumulation_steps": 2}],
    ids=str,
)  # fmt: skip
def test_masks_do_not_depend_on_how_a_batch_is_cut(changes, data):
    common = {"model__dropout": 0.3, "training__adam_eps": 1e-4}
    whole, parts = make(data, **common), make(data, **common, **changes)
    for _ in range(3):
        whole.train_step()
        parts.train_step()
    assert_close(whole, parts)
    a, b = whole.interval_metrics(), parts.interval_metrics()
    assert a == pytest.approx(b, rel=1e-5)


def test_masks_are_others_at_each_step_and_for_each_seed(data):
    learner, other = (make(data, model__dropout=0.3, training__seed=seed) for seed in (3, 4))
    seen = []
    for each in (learner, learner, other):
        each.train_step()
        seen += each.objective.model.sample_keys.words.tolist()
    assert len(set(map(tuple, seen))) == 18


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_blocks_train_bit_for_bit_the_same(dropout, data):
    kept, recomputed = (
        make(data, model__dropout=dropout, training__gradient_checkpointing=on)
        for on in (False, True)
    )
    for _ in range(3):
        kept.train_step()
        recomputed.train_step()
    assert_equal(kept, recomputed)


def test_the_initial_weights_may_have_a_seed_of_their_own(data):
    same = make(data, training__seed=4, initialization__weight_seed=3)
    assert_equal(make(data), same)
    others = [make(data, training__seed=4), make(data, initialization__weight_seed=9)]
    weights = [learner.objective.model.transformer.wte.weight for learner in (same, *others)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert (same.objective.batches.at(0) == others[0].objective.batches.at(0)).all()


def test_a_uneven_last_micro_batch_counts_by_its_sequences(data):
    learner = make(data, training__max_gpu_batch_size=4)
    learner.train_step()
    whole = make(data)
    sequences = torch.from_numpy(whole.objective.batches.at(0))
    expected = whole.objective.model.loss(sequences).item()
    assert learner.interval_metrics()["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_equal_configurations_train_bit_for_bit_the_same(data):
    first, second = make(data, model__dropout=0.2), make(data, model__dropout=0.2)
    for _ in range(3):
        first.train_step()
        torch.rand(7)  # what others draw from torch's generator does not matter
        second.train_step()
    assert_equal(first, second)


@pytest.mark.parametrize("changes", [{"training__seed": 4}, {"training__learning_rate": 2e-2}])
def test_other_configurations_train_otherwise(changes, data):
    first, second = make(data), make(data, **changes)
    first.train_step()
    second.train_step()
    weights = [one.objective.model.transformer.wte.weight for one in (first, second)]
    assert not torch.equal(*weights)


def test_training_learns(data, tmp_path):
    learner = make(data, training__max_steps=40)
    before = learner.evaluate()["val/loss"]
    train_to(learner, 40, tmp_path)
    assert learner.evaluate()["val/loss"] < before - 0.5


def test_half_precision_trains_to_about_the_same(data):
    half, full = make(data, training__precision="bf16"), make(data)
    for _ in range(4):
        half.train_step()
        full.train_step()
    assert {p.dtype for p in half.objective.model.parameters()} == {torch.float32}
    a, b = half.interval_metrics()["train/loss"], full.interval_metrics()["train/loss"]
    assert a == pytest.approx(b, abs=0.02)
    assert a != b


def test_derived_seeds_differ_and_last():
    assert derive_seed(3, "dropout", 1, 0) == derive_seed(3, "dropout", 1, 0)
    seeds = {derive_seed(seed, what, step) for seed, what, step in
             itertools.product((0, 1), ("dropout", "initialization"), (0, 1))}  # fmt: skip
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)


# Evaluation


def test_evaluation_changes_nothing(data):
    watched, plain = make(data, model__dropout=0.2), make(data, model__dropout=0.2)
    for _ in range(3):
        watched.evaluate()
        watched.train_step()
        watched.conclude()
        plain.train_step()
    assert_equal(watched, plain)
    assert watched.interval_metrics() == plain.interval_metrics()


def test_evaluation_is_the_mean_over_tokens_without_dropout(data):
    learner = make(data, model__dropout=0.5, training__eval_sequences=None)
    same = make(
        data, model__dropout=0.0, training__eval_sequences=None, training__eval_batch_size=5
    )
    values = learner.evaluate()
    assert values["val/loss"] == pytest.approx(same.evaluate()["val/loss"], rel=1e-6)
    assert values["val/perplexity"] == pytest.approx(math.exp(values["val/loss"]))
    assert values["val/loss"] == pytest.approx(math.log(257), abs=0.2)


def test_evaluation_reads_as_many_sequences_as_asked(data):
    few, more = make(data, training__eval_sequences=2), make(data, training__eval_sequences=40)
    assert few.evaluate() != more.evaluate()


# The loop and its files


def test_metrics_have_the_names_and_steps_that_are_documented(data, tmp_path):
    assert train_to(make(data, training__max_steps=14), 14, tmp_path) is LoopEnd.REACHED
    lines = read_metrics(tmp_path / "metrics.jsonl")
    trained = {"train/loss", "lr", "grad_norm", "tokens"}
    evaluated = {"val/loss", "val/perplexity"}
    assert [(line["step"], set(line) - {"step"}) for line in lines] == [
        (0, evaluated),
        (4, trained),
        (6, evaluated),
        (8, trained),
        (12, trained | evaluated),
        (14, trained | evaluated),
    ]
    assert [line["tokens"] for line in lines if "tokens" in line] == [
        step * 6 * 16 for step in (4, 8, 12, 14)
    ]
    timing = read_metrics(tmp_path / "timing.jsonl")
    assert [line["step"] for line in timing] == [4, 8, 12, 14]
    speed = {"tokens_per_second", "mfu", "memory_mb", "cpu_seconds"}
    assert all(set(line) == {"step"} | speed for line in timing)


def test_the_logged_loss_is_the_mean_since_the_line_before(data, tmp_path):
    often, seldom = tmp_path / "often", tmp_path / "seldom"
    train_to(make(data, training__log_steps=1), 12, often)
    train_to(make(data, training__log_steps=4), 12, seldom)
    losses = [line["train/loss"] for line in read_metrics(often / "metrics.jsonl") if "lr" in line]
    means = [line["train/loss"] for line in read_metrics(seldom / "metrics.jsonl") if "lr" in line]
    assert means == pytest.approx([sum(losses[i : i + 4]) / 4 for i in (0, 4, 8)])


@pytest.mark.parametrize("changes", [{}, {"model__dropout": 0.3}, {"training__precision": "bf16"},
                                     {"model__bias": False, "training__max_gpu_batch_size": 4}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("cut", [3, 4, 6, 7])
def test_a_training_that_was_cut_ends_bit_for_bit_the_same(cut, changes, data, tmp_path):
    whole, first, rest = (make(data, **changes) for _ in range(3))
    train_to(whole, 12, tmp_path / "whole")
    saved = tmp_path / "saved"
    saved.mkdir()
    asked = itertools.count(1)
    interrupted = lambda: next(asked) == cut  # noqa: E731
    outcome = train_to(
        first, 12, tmp_path / "cut", lambda: first.snapshot().write(saved), interrupted
    )
    assert (outcome, first.step) == (LoopEnd.INTERRUPTED, cut)
    rest.load(saved)
    torch.manual_seed(99)
    assert train_to(rest, 12, tmp_path / "cut") is LoopEnd.REACHED
    assert_equal(whole, rest)
    files = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]


def test_a_training_continues_from_a_checkpoint_older_than_its_metrics(data, tmp_path):
    whole, first, rest = make(data), make(data), make(data)
    train_to(whole, 12, tmp_path / "whole")
    train_to(first, 6, tmp_path / "cut")
    (tmp_path / "saved").mkdir()
    first.snapshot().write(tmp_path / "saved")
    train_to(first, 9, tmp_path / "cut")
    rest.load(tmp_path / "saved")
    train_to(rest, 12, tmp_path / "cut")
    assert_equal(whole, rest)
    assert (tmp_path / "cut" / "metrics.jsonl").read_bytes() == (
        tmp_path / "whole" / "metrics.jsonl"
    ).read_bytes()


def test_checkpoints_are_saved_when_asked_and_not_at_the_end(data, tmp_path):
    learner, saved = make(data, training__save_steps=4), []
    train_to(learner, 12, tmp_path, lambda: saved.append(learner.step))
    assert saved == [4, 8]


@pytest.mark.parametrize("save_steps", [None, 1, 5])
def test_saving_changes_no_numbers(save_steps, data, tmp_path):
    learner, plain = make(data, training__save_steps=save_steps), make(data)
    (tmp_path / "saved").mkdir()
    train_to(learner, 12, tmp_path / "a", lambda: learner.snapshot().write(tmp_path / "saved"))
    train_to(plain, 12, tmp_path / "b")
    assert_equal(learner, plain)


def test_a_checkpoint_is_what_transformers_and_the_learner_need(data, tmp_path):
    make(data).snapshot().write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.safetensors",
        "config.json",
        "optimizer.safetensors",
        "trainer.json",
    }
    assert json.loads((tmp_path / "trainer.json").read_text())["step"] == 0


# Divergence


def test_a_huge_learning_rate_diverges(data, tmp_path, caplog):
    learner = make(data, training__learning_rate=1e30, training__pct_warmup=0.0)
    assert train_to(learner, 12, tmp_path) is LoopEnd.DIVERGED
    assert learner.step == 4
    assert "diverged" in caplog.text and "train/loss is nan at step 4" in caplog.text
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [0]


def test_a_weight_that_is_no_number_is_noticed(data, tmp_path):
    learner = make(data)
    train_to(learner, 4, tmp_path)
    with torch.no_grad():
        learner.objective.model.transformer.wte.weight[40, 0] = math.nan
    assert train_to(learner, 12, tmp_path) is LoopEnd.DIVERGED
    steps = [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert steps == [0, 4]


def test_a_last_update_that_breaks_the_weights_is_noticed(data, tmp_path, caplog):
    learner = make(data)
    step = learner.engine.optimizer.step

    def break_at_the_end(rate):
        step(rate)
        if learner.step == 11:
            learner.objective.model.transformer.wte.weight.data.fill_(math.nan)

    learner.engine.optimizer.step = break_at_the_end
    assert train_to(learner, 12, tmp_path) is LoopEnd.DIVERGED
    assert "diverged" in caplog.text and "val/loss is nan at step 12" in caplog.text
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


# Metric files


def write_lines(path: Path, *steps: int) -> None:
    path.write_text("".join(json.dumps({"step": step, "x": 1}) + "\n" for step in steps))


def steps_in(path: Path) -> list[int]:
    return [line["step"] for line in read_metrics(path)]


def test_a_metric_file_is_cut_back_to_the_step_that_is_continued(tmp_path):
    path = tmp_path / "m.jsonl"
    write_lines(path, 0, 4, 8, 12)
    log = MetricLog(path, parse(path.read_bytes()).content_up_to(8))
    log.write(9, {"x": 2.5})
    assert steps_in(path) == [0, 4, 8, 9]  # readers see it at once
    log.close()


@pytest.mark.parametrize("rest", ['{"step": 9, "x', '{"step": 9}', "\x00\x00"])
def test_a_half_written_last_line_is_dropped(rest, tmp_path):
    path = tmp_path / "m.jsonl"
    write_lines(path, 0, 4, 8)
    path.write_text(path.read_text() + rest)
    assert steps_in(path) == [0, 4, 8]
    log = MetricLog(path, parse(path.read_bytes()).content_up_to(8))
    log.write(10, {})
    log.close()
    assert steps_in(path) == [0, 4, 8, 10]


def test_a_training_from_the_start_keeps_no_lines(tmp_path):
    write_lines(tmp_path / "m.jsonl", 0, 4)
    MetricLog(tmp_path / "m.jsonl").close()
    assert steps_in(tmp_path / "m.jsonl") == []


def test_metrics_are_read_up_to_a_step(tmp_path):
    write_lines(tmp_path / "m.jsonl", 0, 4, 8)
    assert [line["step"] for line in read_metrics(tmp_path / "m.jsonl", 5)] == [0, 4]
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_numbers_survive_the_file_bit_for_bit(tmp_path):
    values = {"a": 0.1 + 0.2, "b": 1e-310, "c": 2**60 + 1}
    log = MetricLog(tmp_path / "m.jsonl")
    log.write(1, values)
    log.flush_to_disk()
    log.close()
    assert read_metrics(tmp_path / "m.jsonl") == [{"step": 1, **values}]


# Checkpoints


def write_two(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights" * 10)
    (folder / "trainer.json").write_text("{}")


def publish(folder: Path, step: int) -> Path:
    path = folder / checkpoint.folder_name(step)
    checkpoint.write_checkpoint(path, write_two, lambda: None)
    return path


def test_a_published_checkpoint_is_whole(tmp_path):
    path = publish(tmp_path, 4)
    assert {file.name for file in path.iterdir()} == {
        "model.safetensors", "trainer.json", "digests.json", "run_id",
    }  # fmt: skip
    assert checkpoint.find_damage(path) is None
    assert len(checkpoint.weights_digest(path)) == 64


@pytest.mark.parametrize("who", ["writer", "confirm"])
def test_a_checkpoint_that_fails_leaves_nothing(who, tmp_path):
    def write(folder):
        write_two(folder)
        if who == "writer":
            raise OSError("disk full")

    def confirm():
        if who == "confirm":
            raise OSError("taken over")

    with pytest.raises(OSError, match=r"disk full|taken over"):
        checkpoint.write_checkpoint(tmp_path / "checkpoint_4", write, confirm)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_has_no_name_before_it_is_whole(tmp_path):
    seen = []
    checkpoint.write_checkpoint(
        tmp_path / "checkpoint_4",
        write_two,
        lambda: seen.extend(checkpoint.steps_of(tmp_path)),
    )
    assert seen == []
    assert checkpoint.steps_of(tmp_path) == [4]


def test_a_published_checkpoint_never_changes(tmp_path):
    path = publish(tmp_path, 4)
    before = path.stat().st_ino, (path / "model.safetensors").stat().st_mtime_ns
    checkpoint.write_checkpoint(path, lambda folder: pytest.fail("written again"), lambda: None)
    assert (path.stat().st_ino, (path / "model.safetensors").stat().st_mtime_ns) == before


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[5] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def truncate(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")


DAMAGES = {
    "does not match its digest": flip_a_byte,
    "model.safetensors does not match its digest": truncate,
    "trainer.json is missing": lambda folder: (folder / "trainer.json").unlink(),
    "digests.json is missing": lambda folder: (folder / "digests.json").unlink(),
    "digests.json is not JSON": lambda folder: (folder / "digests.json").write_text("{"),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_damage_is_found_and_set_aside_with_a_warning(words, tmp_path, caplog):
    publish(tmp_path, 4)
    damaged = publish(tmp_path, 8)
    DAMAGES[words](damaged)
    assert words in checkpoint.find_damage(damaged)
    with caplog.at_level(logging.WARNING):
        assert checkpoint.latest_intact(tmp_path, 12) == tmp_path / "checkpoint_4"
    assert "checkpoint_8" in caplog.text
    assert not damaged.exists()
    assert (tmp_path / "checkpoint_8.damaged").is_dir()
    assert checkpoint.steps_of(tmp_path) == [4]


def test_the_latest_checkpoint_up_to_a_step_is_used(tmp_path):
    for step in (4, 8, 100):
        publish(tmp_path, step)
    assert checkpoint.steps_of(tmp_path) == [4, 8, 100]
    assert checkpoint.latest_intact(tmp_path, 99) == tmp_path / "checkpoint_8"
    assert checkpoint.latest_intact(tmp_path, 3) is None
    assert checkpoint.latest_intact(tmp_path / "none", 3) is None


def test_leftovers_of_killed_processes_are_dropped(tmp_path):
    kept = publish(tmp_path, 4)
    for name in (".checkpoint_8.123", ".checkpoint_4.0"):
        (tmp_path / name).mkdir()
        write_two(tmp_path / name)
    checkpoint.drop_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]


def test_a_learner_survives_its_checkpoint_on_disk(data, tmp_path):
    learner, other = make(data), make(data)
    for _ in range(5):
        learner.train_step()
    path = tmp_path / "checkpoint_5"
    checkpoint.write_checkpoint(path, learner.snapshot().write, lambda: None)
    assert checkpoint.find_damage(path) is None
    other.load(path)
    assert_equal(learner, other)
    assert learner.interval_metrics()["train/loss"] == other.interval_metrics()["train/loss"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_lengths_of_time_are_for_people(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize("kind", ["gpt", "llama"])
def test_a_checkpoint_on_bpe_tokens_generates_text(kind, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "\n\n".join(f"Sentence {n} is about the number {n * n}." for n in range(400))
    (tmp_path / "text.txt").write_text(text)
    source = {"source": "text", "paths": [str(tmp_path / "text.txt")], "documents": "blank_line"}
    wanted = Data.model_validate({**source, "tokens": "bpe", "bpe_vocab_size": 300})
    layout = Layout(tmp_path / "results")
    data = ensure(wanted.model_dump(mode="json"), layout)
    changes = {}
    if kind == "llama":
        shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = {"model_type": "llama", "intermediate_size": 32, **shape}
        changes = {"model__kind": "hf", "model__config": config}
        changes |= dict.fromkeys(("model__n_layer", "model__n_head", "model__n_embd"))
    learner = make_learner(tiny.configure(data, **changes), data)
    learner.train_step()
    learner.snapshot().write(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert tokenizer("Sentence 7")["input_ids"] != list(b"Sentence 7")
    assert tokenizer.decode(tokenizer("Sentence 7")["input_ids"]) == "Sentence 7"
    assert model.config.eos_token_id == TokenData(data).end_of_text == tokenizer.eos_token_id
    start = tokenizer("Sentence", return_tensors="pt")
    said = tokenizer.decode(model.generate(**start, max_new_tokens=5)[0], skip_special_tokens=True)
    assert said.startswith("Sentence")

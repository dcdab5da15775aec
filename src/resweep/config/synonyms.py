"""Names that other trainers use for the fields of a system: `lr`, `depth`, `block_size`.

A name nobody reads is compared word by word, without words that only decorate it:

    num_train_epochs  ->  epoch                 the same as training.num_epochs
    optimizer.lr      ->  lr                    a synonym of training.learning_rate
    warmUpIters       ->  warmup iter           a synonym of training.warmup_steps
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from resweep.config.schema import Schema
from resweep.config.spelling import nearest

# Several words, or spellings, of one thing. The longest are replaced first.
PHRASES = {
    "learning rate": "lr",
    "learn rate": "lr",
    "learningrate": "lr",
    "lrate": "lr",
    "warm up": "warmup",
    "warmingup": "warmup",
    "weight decay": "wd",
    "weightdecay": "wd",
    "batchsize": "batch size",
    "minibatch": "batch",
    "mini batch": "batch",
    "micro batch": "batch",
    "microbatch": "batch",
    "drop out": "dropout",
    "gradient": "grad",
    "gradients": "grad",
    "accumulate": "accum",
    "accumulation": "accum",
    "accumulated": "accum",
    "acc": "accum",
    "iteration": "step",
    "iter": "step",
    "it": "step",
    "update": "step",
    "fraction": "share",
    "frac": "share",
    "ratio": "share",
    "pct": "share",
    "percent": "share",
    "percentage": "share",
    "perc": "share",
    "proportion": "share",
    "interval": "every",
    "freq": "every",
    "frequency": "every",
    "period": "every",
    "evaluation": "eval",
    "validation": "eval",
    "valid": "eval",
    "val": "eval",
    "test": "eval",
    "logging": "log",
    "print": "log",
    "checkpoint": "save",
    "ckpt": "save",
    "saving": "save",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "opt": "optimizer",
    "sched": "scheduler",
    "schedule": "scheduler",
    "minimum": "min",
    "maximum": "max",
    "embedding": "embd",
    "embed": "embd",
    "emb": "embd",
    "dimension": "dim",
    "sequence": "seq",
    "len": "length",
    "ctx": "context",
    "attention": "attn",
    "residual": "resid",
    "probability": "p",
    "prob": "p",
    "rate": "p",
    "epsilon": "eps",
    "regularization": "reg",
    "clipping": "clip",
    "normalization": "norm",
    "vocabulary": "vocab",
    "num": "n",
    "nb": "n",
    "number": "n",
    "no": "n",
    "count": "n",
}
# Words that do not change which field is meant.
DECORATION = frozenset(
    (
        "a", "adam", "adamw", "arg", "base", "cfg", "config", "decoder", "default", "device",
        "global", "gpt", "gpu", "hp", "hparam", "init", "initial", "lm", "local", "model", "n",
        "net", "network", "of", "param", "peak", "per", "setting", "start", "target", "the",
        "total", "train", "trainer", "training", "transformer", "use", "value",
    )
)  # fmt: skip


def fields_meant(path: str, schema: Schema) -> tuple[str, ...]:
    """Return the fields that a name which is not a field probably means; empty if none.

    Args:
        path: `lr`, `optimizer.lr`; only its last part counts.
        schema: The known fields, and their synonyms.
    """
    if schema.is_known(path):
        return ()
    name = path.rpartition(".")[2]
    own_section = path.rpartition(".")[0]
    known = _known(schema)
    found = dict.fromkeys(known.get(_words(name), ()))
    if not found:
        found = dict.fromkeys(known.get(_plain(name), ()))
    # `training.momentum2` is compared with its section's fields alone, as misspellings are.
    fields = [field for field in schema.fields if _in_section(schema, field, own_section)]
    if not found and (meant := nearest(name, fields)):
        found = dict.fromkeys(schema.fields[meant])
    return tuple(found)


def _in_section(schema: Schema, field: str, section: str) -> bool:
    return section not in schema.sections or f"{section}.{field}" in schema.paths


@cache
def _known(schema: Schema) -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Return the fields of each name's words, whole and without decoration."""
    found: dict[tuple[str, ...], dict[str, None]] = {}
    names: dict[str, Sequence[str]] = {
        path: (path.rpartition(".")[2], *schema.synonyms.get(path, ())) for path in schema.paths
    }
    for words in (_words, _plain):  # a whole name goes before what is left of another
        exact = set(found)
        for path, listed in sorted(names.items()):
            for name in listed:
                key = words(name)
                if key and key not in exact:
                    found.setdefault(key, {})[path] = None
    return {key: tuple(paths) for key, paths in found.items()}


@cache
def _words(name: str) -> tuple[str, ...]:
    """Return the words of a name, each thing by one word: `warmUp_iters` is warmup, step."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    spaced = re.sub(r"([a-zA-Z])[\s_-]*(\d)", r"\1 \2", spaced)
    spaced = re.sub(r"[\s_-]+", " ", spaced).strip().lower()
    singular = [_singular(word) for word in spaced.split()]
    text = f" {' '.join(singular)} "
    for phrase in sorted(PHRASES, key=len, reverse=True):
        text = text.replace(f" {phrase} ", f" {PHRASES[phrase]} ")
    return tuple(text.split())


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _plain(name: str) -> tuple[str, ...]:
    words = _words(name)
    return tuple(word for word in words if word not in DECORATION) or words

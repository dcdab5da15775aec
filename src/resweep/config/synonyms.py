"""Names that other trainers use for the fields of a system: `lr`, `depth`, `block_size`.

A name nobody reads is compared word by word, without words that only decorate it:

    num_train_epochs  ->  epoch                 the same as training.num_epochs
    optimizer.lr      ->  lr                    a synonym of training.learning_rate
    lora.dropout      ->  lora dropout          model.lora_dropout, and not model.dropout
    warmUpIters       ->  warmup iter           a synonym of training.warmup_steps
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from resweep.config.schema import Schema
from resweep.config.spelling import nearest_field

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
# Words that say nothing by themselves: `scheduler.type` means a field, `loss.type` none.
GENERIC = frozenset(
    (
        "attn", "config", "d", "file", "fn", "from", "gain", "id", "kernel", "kind", "lora",
        "method", "module", "name", "override", "path", "position", "sample", "save", "scale",
        "share", "sigma", "type", "unit", "weight",
    )
)  # fmt: skip
# Names that mean something else, although the same word in the plural means a field.
OTHERS = frozenset(("beta", "device", "gpu", "save", "weight"))


def fields_meant(path: str, schema: Schema) -> tuple[str, ...]:
    """Return the fields that a name which is not a field probably means; empty if none.

    Args:
        path: `lr`, `optimizer.lr`; only its last two parts count, and the last alone where the two
            together mean nothing.
        schema: The known fields, and their synonyms.
    """
    if schema.is_known(path):
        return ()
    section, _, name = path.rpartition(".")
    known = _known(schema)
    if section:
        both = f"{section.rpartition('.')[2]} {name}"
        found = known.get(_words(both)) or known.get(_plain(both))
        if found:
            return found
    if name.lower() in OTHERS or (section and name.lower() in GENERIC):
        return ()
    found = known.get(_words(name)) or known.get(_plain(name))
    if found:
        return found
    meant = nearest_field(name, schema, section)
    return tuple(schema.fields[meant]) if meant else ()


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
                if key and key not in exact and not (words is _plain and _is_generic(key)):
                    found.setdefault(key, {})[path] = None
    return {key: tuple(paths) for key, paths in found.items()}


def _is_generic(words: Sequence[str]) -> bool:
    return len(words) == 1 and words[0] in GENERIC


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

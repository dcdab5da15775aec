"""More options for sbatch, as a study writes them: one line of text, split as a shell would.

Snakemake's SLURM plugin puts this text into a command that a shell runs on the login node, and
refuses options that it sets itself by searching the whole text, values included. So the text is
taken apart here, checked option by option, and put together such that the shell passes on exactly
these words.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

SIGNAL = "--signal=USR1@120"  # a training saves two minutes before its time limit

SHORT = {
    **{"A": "account", "B": "extra-node-info", "C": "constraint", "D": "chdir", "F": "nodefile"},
    **{"G": "gpus", "H": "hold", "J": "job-name", "L": "licenses", "M": "clusters", "N": "nodes"},
    **{"O": "overcommit", "Q": "quiet", "S": "core-spec", "V": "version", "W": "wait"},
    **{"a": "array", "b": "begin", "c": "cpus-per-task", "d": "dependency", "e": "error"},
    **{"h": "help", "i": "input", "k": "no-kill", "m": "distribution", "n": "ntasks"},
    **{"o": "output", "p": "partition", "q": "qos", "s": "oversubscribe", "t": "time"},
    **{"v": "verbose", "w": "nodelist", "x": "exclude"},
}
INSTEAD = {
    "set slurm_account under default-resources of the SLURM profile": "account",
    "set clusters under default-resources of the SLURM profile": "clusters",
    "set resources.partition": "partition",
    "set resources.mem_mb": "mem mem-per-cpu mem-per-gpu",
    "set resources.cpus": "cpus-per-task cpus-per-gpu",
    "set resources.gpus and gpu_model": "gpus gpus-per-node gpus-per-socket gpus-per-task",
    "set resources.runtime": "time",
    "set training.nodes": "nodes",
    "set training.processes": (
        "ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket"
    ),
    "Snakemake needs to set it itself": (
        "job-name output error input chdir workdir export export-file parsable quiet"
    ),
    "it would not start the training": "wrap array wait test-only help usage version",
}
REFUSED = {name: hint for hint, names in INSTEAD.items() for name in names.split()}
_FLAGS = (
    "contiguous exclusive get-user-env hold ignore-pbs nice no-kill no-requeue overcommit "
    "oversubscribe propagate reboot requeue spread-job use-min-nodes verbose"
)
_WITH_VALUE = (
    "acctg-freq batch bb bbf begin cluster-constraint comment constraint container core-spec "
    "cores-per-socket cpu-freq deadline delay-boot dependency distribution exclude "
    "extra-node-info gid gpu-bind gpu-freq gres gres-flags hint kill-on-invalid-dep licenses "
    "mail-type mail-user mcs-label mem-bind mincpus network nodefile nodelist open-mode power "
    "prefer priority profile qos reservation signal sockets-per-node switches thread-spec "
    "threads-per-core time-min tmp tres-per-task uid wait-all-nodes wckey"
)
FLAGS, WITH_VALUE = _FLAGS.split(), _WITH_VALUE.split()  # flags may have a value after =
KNOWN = (*REFUSED, *FLAGS, *WITH_VALUE)

# All that the plugin accepts.
_GRES = re.compile(r"[A-Za-z0-9_]+(:[A-Za-z0-9_.]+)?(:[0-9]+[TGM]?)?")
# Others end the Snakemake around a training; with B: only that one gets it.
_SIGNAL = re.compile(r"(R:)?((SIG)?USR1|10)(@[0-9]+)?")


@dataclass(frozen=True)
class SbatchOptions:
    """Options for sbatch.

    Attributes:
        words: As on a command line, without `--gres`.
        gres: The value of `--gres`, which the plugin adds itself; None without one.
    """

    words: tuple[str, ...] = ()
    gres: str | None = None

    @property
    def shell_text(self) -> str:
        """The words for a shell, with a signal to save if they have none."""
        signals = any(word.startswith("--signal") for word in self.words)
        # An empty string after each hyphen: the plugin finds no option in the text.
        words = [shlex.quote(word).replace("-", "-''") for word in self.words]
        return " ".join(words if signals else [*words, SIGNAL])


@dataclass(frozen=True)
class _Option:
    """One option: its full name, its value or None, and the words it is written in."""

    name: str
    value: str | None
    words: tuple[str, ...]


def read_sbatch_options(text: str) -> SbatchOptions:
    """Read options for sbatch.

    Raises:
        ValueError: They are not options, are set by other keys, or would break the job.
    """
    if not text.isprintable():
        raise ValueError("should be one line, without control characters")
    if re.search(r"[$`]", text):
        raise ValueError("has a $ or a backtick, which nothing expands here: write the value")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split into words as a shell would: {error}") from None
    found: list[str] = []
    gres = None
    for option in _options(iter(words)):
        written = " ".join(option.words)
        if option.name in REFUSED:
            raise ValueError(f"{written} is not possible here: {REFUSED[option.name]}")
        if option.name == "signal" and not _SIGNAL.fullmatch(option.value or ""):
            raise ValueError(f"{written}: should be USR1@SECONDS, on which a training saves")
        if option.name == "gres":
            if not _GRES.fullmatch(option.value or ""):
                raise ValueError(f"{written}: should be NAME, NAME:COUNT or NAME:TYPE:COUNT")
            gres = option.value
        else:
            found += option.words
    return SbatchOptions(tuple(found), gres)


def _options(words: Iterator[str]) -> Iterator[_Option]:
    for word in words:
        if re.match(r"--[a-z]", word):
            written, equals, text = word.partition("=")
            name, value = written[2:], text if equals else None
        elif re.match(r"-[A-Za-z]", word):
            written = word[:2]
            name, value = SHORT.get(word[1], ""), word[2:] or None
            if name in FLAGS and value is not None:
                raise ValueError(f"{word}: write each option as a word of its own")
        else:
            raise ValueError(f"{word!r} is neither an option of sbatch nor the value of one")
        if name not in KNOWN:
            _check_unknown(name, value, written)
        if name in WITH_VALUE and value is None:
            value = next(words, None)
            if value is None or value.startswith("-"):
                raise ValueError(f"{written} needs a value: --{name}=VALUE")
            yield _Option(name, value, (word, value))
        else:
            yield _Option(name, value, (word,))


def _check_unknown(name: str, value: str | None, written: str) -> None:
    """Raise ValueError for what is not a new option, or one of a cluster's own."""
    meant = [known for known in KNOWN if name and known.startswith(name)]
    if meant:
        raise ValueError(f"{written} is short for --{meant[0]}: write its whole name")
    if value is None or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        hint = "write an option that only your cluster has as --NAME=VALUE"
        raise ValueError(f"{written} is not an option of sbatch; {hint}")

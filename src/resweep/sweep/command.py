"""What the `command` of a sweep file sets in all trials: the words that W&B's agents would pass on.

    ${env} torchrun --nproc-per-node=4 train.py arch=large --lr=1e-4 +ema=True ${args}
                    processes: 4                arch, lr, ema

Words after the script, or after the module of `-m`, are read as `train.py` reads its command line
(`resweep.sweep.arguments`), so that a study trains what an agent would. Macros stand for the
parameters, which win. Of the words before the script, only torchrun's number of processes counts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resweep.sweep.arguments import OPTIONS, Given, parse_arguments
from resweep.sweep.findings import Findings

SCRIPTS = (".py", ".sh")
PROGRAM = "${program}"
PER_NODE = re.compile(r"--?nproc[-_]per[-_]node")
NODES = re.compile(r"--?nnodes")
MODULE = ("-m", "--module")  # of python, of torchrun
FILES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class Command:
    """The command of a sweep file.

    Attributes:
        words: All of it.
        literals: What it sets besides the parameters; the later of two with one name counts.
        processes: How many processes torchrun starts, or None.
    """

    words: tuple[str, ...]
    literals: tuple[Given, ...] = ()
    processes: int | None = None

    @property
    def scripts(self) -> list[str]:
        """The scripts among its words."""
        return [word for word in self.words if word.endswith(SCRIPTS)]


def read_command(words: Sequence[str], findings: Findings) -> Command:
    """Read the words of a command; warns of those that set nothing."""
    script = _position_of_script(words)
    given: list[Given] = []
    ignored: list[str] = []
    for part in _between_macros(words[script + 1 :]):
        known = [word for word in part if not _is_of_agents(word)]
        read = parse_arguments(known, OPTIONS)
        given += read.given
        ignored += [word for word in part if _is_of_agents(word)]
        ignored += [problem.key for problem in read.problems]
    if ignored:
        findings.warn(f"command: no parameters, and ignored here: {' '.join(ignored)}")
    unread = [word for word in words if "=" in word] if script == len(words) else []
    if unread:
        findings.warn(f"command: names no script, and sets nothing here: {' '.join(unread)}")
    processes = _processes(words[:script], findings)
    return Command(words=tuple(words), literals=tuple(given), processes=processes)


def _position_of_script(words: Sequence[str]) -> int:
    """Return where the script is; where there is none, a module; len(words) without both."""
    for position, word in enumerate(words):
        if word == PROGRAM or word.endswith(SCRIPTS):
            return position
    modules = [i + 1 for i, word in enumerate(words[:-1]) if word in MODULE]
    return modules[-1] if modules else len(words)


def _is_of_agents(word: str) -> bool:
    """Whether only an agent knows what a word is: a variable of its environment, or a file."""
    return "${" in word or (word.endswith(FILES) and not re.match(r"[-+]|\w[\w.-]*=", word))


def _between_macros(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the words between macros: no option takes what stands for parameters as its value."""
    part: list[str] = []
    for word in words:
        if word.startswith("${") and word.endswith("}"):
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _processes(words: Sequence[str], findings: Findings) -> int | None:
    """Return the number of torchrun's processes; None if it is not given as a number."""
    processes = None
    for position, word in enumerate(words):
        option, equals, text = word.partition("=")
        text = text if equals else next(iter(words[position + 1 :]), "")
        if NODES.fullmatch(option) and text != "1":
            findings.warn(f"command: --nnodes {text} is ignored here; set training.nodes instead")
        if not PER_NODE.fullmatch(option):
            continue
        if text.isdecimal() and int(text) > 0:
            processes = int(text)
        else:
            hint = "should be a number above 0; set training.processes instead"
            findings.warn(f"command: {option} {text} is ignored here: it {hint}")
    return processes

"""The command `resweep`: runs the script of the working folder that a name stands for.

The script runs in this process, with its exit code and its signals. Until then nothing is imported
that takes time.
"""

import sys
import types
from pathlib import Path

from resweep import __version__
from resweep.commands import ALSO, COMMANDS, GROUPS, NAME, SCRIPTS
from resweep.completion import COMPLETIONS, completion
from resweep.errors import ResweepError, run_command


def main() -> None:
    """Run a command, or say which there are."""
    words = sys.argv[1:]
    if words and words[0] in COMMANDS and (script := script_of(words[0])).is_file():
        run_script(script, [f"{NAME} {words[0]}", *COMMANDS[words[0]].words, *words[1:]])
    else:
        run_command(lambda: answer(words))


def run_script(script: Path, words: list[str]) -> None:
    """Be the script, as Python would start it, but for its name: runpy would set that to its file.

    Args:
        script: Its file.
        words: Its name and its command line.
    """
    module = types.ModuleType("__main__")
    module.__file__ = str(script)
    sys.modules["__main__"], sys.argv, sys.path[0] = module, words, str(script.parent)
    exec(compile(script.read_bytes(), script, "exec"), module.__dict__)


def script_of(name: str) -> Path:
    """Return the script of a command, in the working folder."""
    return Path(SCRIPTS, COMMANDS[name].script)


def answer(words: list[str]) -> None:
    """Do what needs no script; raises ResweepError where a word is wrong."""
    name = words[0] if words else "--help"
    if name in ("--help", "-h", "help"):
        print(help_text())
    elif name == "--version":
        print(f"{NAME} {__version__}")
    elif name == "completion":
        shell = " ".join(words[1:])
        if shell not in COMPLETIONS:
            raise ResweepError(f"{NAME} completion: name a shell: {' or '.join(COMPLETIONS)}")
        print(completion(shell), end="")
    elif name in COMMANDS:
        raise ResweepError(
            f"{NAME} {name}: there is no {script_of(name)} in this folder; call it in a checkout "
            f"of resweep, or in a folder that `{NAME} init` made there"
        )
    else:
        raise ResweepError(f"{NAME}: there is no command {name!r}; {hint(name)}")


def hint(name: str) -> str:
    """Return what may be meant by a name that is not a command."""
    from resweep.config.spelling import nearest  # imports pydantic

    meant = nearest(name, [*COMMANDS, "completion"])
    return f"did you mean {meant}?" if meant else f"`{NAME} --help` lists them"


def help_text() -> str:
    """Return all commands that this folder has, on one screen."""
    lines = [f"usage: {NAME} COMMAND [OPTION ...]     ({NAME} COMMAND --help says more)", ""]
    is_checkout = Path(SCRIPTS).is_dir()
    for group, commands in GROUPS.items():
        there = [name for name in commands if not is_checkout or script_of(name).is_file()]
        if group == ALSO:
            lines.append(f"{group:<7}{', '.join([*there, 'completion'])}")
            continue
        for name in there:
            lines.append(f"{group:<7}{name:<11}{commands[name].about}")
            group = ""
    return "\n".join(lines)


if __name__ == "__main__":
    main()

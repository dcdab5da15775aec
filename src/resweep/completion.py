"""Completion of commands, studies and files for the shell that a user types in."""

from resweep.commands import COMMANDS

BASH = """\
_resweep() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} studies
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    studies=$(for file in config/studies/*.yaml; do basename "$file" .yaml; done)
    COMPREPLY=($(compgen -W "$studies" -- "$word") $(compgen -f -- "$word"))
}}
complete -o filenames -F _resweep resweep
"""
ZSH = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"
COMPLETIONS = {"bash": BASH, "zsh": ZSH + BASH}


def completion(shell: str) -> str:
    """Return the lines that a shell evaluates, `bash` or `zsh`."""
    return COMPLETIONS[shell].format(commands=" ".join([*COMMANDS, "completion"]))

"""The study that a sweep file is run with: whose system, values and settings it takes.

--study NAME                     that one
program: train.py                the script, from the folder of the sweep file or from this one; if
command: [python, train.py]      its folder, or one above it up to that, has a config/ of its own,
                                 the study of that
otherwise                        the study of config/config.yaml
"""

from pathlib import Path

from resweep.files import is_file
from resweep.study.find import find_named_study
from resweep.sweep import Sweep, load_sweep
from resweep.sweep.command import SCRIPTS


def find_base_study(sweep_file: Path, study: str | None, config_dir: Path) -> Path:
    """Return the file of the study to take.

    Args:
        sweep_file: In W&B's format.
        study: A name, or None.
        config_dir: Where studies are.

    Raises:
        ConfigError: There is no such study; or the sweep file cannot be read.
    """
    if study is None:
        for script in _scripts(load_sweep(sweep_file)):
            for folder in (sweep_file.parent, Path()):
                config = _config_above(folder, script)
                if config is not None:
                    return find_named_study(None, config)
    return find_named_study(study, config_dir)


def _config_above(folder: Path, script: str) -> Path | None:
    """Return the config/ that is nearest to a script of a folder, up to the folder's own.

    That of the working folder does not count: the caller says what is used there.
    """
    if not is_file(folder / script):
        return None
    for place in (folder / above for above in Path(script).parents):
        config = place / "config"
        if is_file(config / "config.yaml") and place.resolve() != Path.cwd():
            return config
    return None


def _scripts(sweep: Sweep) -> list[str]:
    """Return the scripts that a sweep file names: its program, else those of its command."""
    if sweep.program:
        return [sweep.program] if sweep.program.endswith(SCRIPTS) else []
    return sweep.command.scripts if sweep.command else []

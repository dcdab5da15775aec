"""A folder of examples/ in a checkout, where the commands of a document run as written."""

from pathlib import Path

from tests.conftest import Checkout


class Home(Checkout):
    """Such a folder; commands run in it."""

    @classmethod
    def of(cls, checkout: Checkout, name: str) -> "Home":
        """Return the folder of a checkout."""
        return cls(checkout.path / "examples" / name)

    @property
    def env(self) -> dict[str, str]:
        """Environment of commands: the library of the whole checkout."""
        return {**super().env, "PYTHONPATH": str(self.path.parent.parent / "src")}

    def shell(self, command: str, **env: str) -> str:
        """Run a line of a document, as its reader would; returns what it printed."""
        return str(self.run("bash", "-c", command, env=env).stdout)

    def records(self) -> list[Path]:
        """The records of all runs of its store."""
        return sorted(self.path.glob("results/runs/*/record.json"))

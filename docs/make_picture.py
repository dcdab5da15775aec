"""Take the picture of the README: the top of the quickstart's report, in headless Chromium.

python docs/make_picture.py
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The five answers and the first chart, at twice their size in pixels so that text stays sharp.
WIDTH, HEIGHT, SCALE = 1280, 1265, 2
MILLISECONDS_TO_DRAW = 8000
SECONDS = 120


def take_picture(report: Path, picture: Path) -> None:
    """Draw a report's top as a PNG.

    Raises:
        FileNotFoundError: There is no report, or no browser on PATH.
        subprocess.CalledProcessError: The browser failed.
    """
    if not report.is_file():
        raise FileNotFoundError(f"{report}: no such report; run `make picture`, which builds it")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(BROWSERS)} is on PATH; install Chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--force-device-scale-factor={SCALE}",
            f"--virtual-time-budget={MILLISECONDS_TO_DRAW}",
            f"--screenshot={picture.absolute()}",
            report.absolute().as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", type=Path, default=Path("results/quickstart/report.html"))
    parser.add_argument("--picture", type=Path, default=Path("docs/quickstart-report.png"))
    arguments = parser.parse_args()
    try:
        take_picture(arguments.report, arguments.picture)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

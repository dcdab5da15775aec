"""A headless Chromium for tests: it clicks, types, and says what a page shows and complains of.

The DevTools protocol over a pipe drives it (https://chromedevtools.github.io/devtools-protocol), so
nothing is needed but the browser itself. Messages are JSON, each ended by a zero byte:

    {"id": 1, "method": "Page.navigate", ...}  ->  browser  ->  {"id": 1, "result": ...}
                                                                {"method": "Log.entryAdded", ...}
"""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import psutil
import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OFFLINE = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
SECONDS = 120.0
FREE = 200  # descriptors from here on are used by nobody
# Resolves once the page's own scripts have drawn all charts, or were not there to.
DRAWN = "window.resweepDrawn ?? Promise.resolve()"
KEYS = {"Enter": 13, "Escape": 27, " ": 32, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38}
Scheme = Literal["light", "dark"]


def find_browser() -> str:
    """Return the browser; skips the test without one, unless RESWEEP_REQUIRE_BROWSER=1."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        if os.environ.get("RESWEEP_REQUIRE_BROWSER") == "1":
            pytest.fail("RESWEEP_REQUIRE_BROWSER=1, and no Chromium is on PATH")
        pytest.skip("no Chromium on PATH")
    return browser


class Browser:
    """A running browser with one page.

    Args:
        profile: An empty folder for its files and for what pages download.

    Attributes:
        complaints: What pages wrote to the console, exceptions and blocked requests included.
        requests: Addresses that pages asked for, without `data:` and `blob:`.
        downloads: Folder of what pages downloaded.
    """

    def __init__(self, profile: Path):
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.downloads = profile / "downloads"
        self.downloads.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self._rest = b""
        self._session: str | None = None
        self._process, self._to, self._from = _start(profile)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        found = self.send("Target.attachToTarget", targetId=target, flatten=True)
        where = str(self.downloads)
        ways = {"behavior": "allow", "downloadPath": where, "eventsEnabled": True}
        self.send("Browser.setDownloadBehavior", **ways)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(
        self, page: Path, width: int = 1280, height: int = 800, scheme: Scheme = "light"
    ) -> None:
        """Open a page in a window of this size, and wait until its charts are drawn."""
        self.look(width, height, scheme)
        self.complaints.clear()
        self.requests.clear()
        self.send("Page.navigate", url=page.absolute().as_uri())
        self._await("Page.loadEventFired")
        self.run(DRAWN)

    def look(self, width: int, height: int, scheme: Scheme = "light") -> None:
        """Set the size of the window, and whether the system prefers light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def run(self, script: str) -> Any:
        """Return the value of an expression, awaited if it is a promise.

        Raises:
            RuntimeError: It threw an exception.
        """
        asked = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self.send("Runtime.evaluate", **asked, userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression is true, looking at each frame.

        Raises:
            TimeoutError: It never was.
        """
        self.run(
            "new Promise(done => { const look = () => "
            f"({condition}) ? done() : requestAnimationFrame(look); look(); }})"
        )

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of the first element that fits a selector."""
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view; returns the coordinates of its middle."""
        box = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center', behavior: 'instant'}); "
            "const b = one.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return box[0], box[1]

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Send an event of the mouse: mousePressed, mouseMoved or mouseReleased."""
        own = {"button": "left", "buttons": int(kind != "mouseReleased"), "clickCount": 1}
        if kind == "mouseMoved":
            own = {"buttons": 1}
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **own)

    def press(self, key: str) -> None:
        """Press and release a key, one of KEYS."""
        text = {"Enter": "\r", " ": " "}.get(key)
        about: dict[str, Any] = {
            "key": key,
            "code": "Space" if key == " " else key,
            "windowsVirtualKeyCode": KEYS[key],
            **({"text": text} if text else {}),
        }
        self.send("Input.dispatchKeyEvent", type="keyDown", **about)
        self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type text into what has the focus."""
        self.send("Input.insertText", text=text)

    def visible_text(self) -> str:
        """Return the text within the window, as it is shown without scrolling."""
        return str(self.run(_VISIBLE))

    def picture(self, file: Path) -> None:
        """Save what the window shows as PNG."""
        content = self.send("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(content))

    def download(self, selector: str, name: str) -> bytes:
        """Click on what downloads a file; returns its content."""
        self.click(selector)
        self._await("Browser.downloadProgress", state="completed")
        return (self.downloads / name).read_bytes()

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes so far."""
        browser = psutil.Process(self._process.pid)
        times = [one.cpu_times() for one in (browser, *browser.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result.

        Raises:
            RuntimeError: The browser refuses it.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self._note(answer)
        raise RuntimeError(f"{method}: the browser is gone")

    def _await(self, method: str, **parameters: Any) -> None:
        """Wait for an event, also for one that came since the last wait."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if event["method"] == method and parameters.items() <= event["params"].items():
                    return
            self._note(next(self._messages()))

    def _note(self, event: dict[str, Any]) -> None:
        method, about = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            said = [str(one.get("value", one.get("description"))) for one in about["args"]]
            self.complaints.append(f"{about['type']}: {' '.join(said)}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"])[:500])
        elif method == "Log.entryAdded":
            self.complaints.append(f"{about['entry']['level']}: {about['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            address = about["request"]["url"]
            if not address.startswith(("data:", "blob:")):
                self.requests.append(address)
        elif method in ("Page.loadEventFired", "Browser.downloadProgress"):
            self._events.append(event)

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                yield json.loads(text)
            if not select.select([self._from], [], [], SECONDS)[0]:
                raise TimeoutError(f"the browser said nothing for {SECONDS:.0f} s")
            part = os.read(self._from, 1 << 20)
            if not part:
                return
            self._rest += part


def _start(profile: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start the browser; returns it, and the ends of the pipes to and from it."""
    their_input, to = os.pipe()
    back, their_output = os.pipe()

    def connect() -> None:  # it reads file descriptor 3 and writes to 4
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, FREE) for end in (their_input, their_output)]
        for end, number in zip(ends, (3, 4), strict=True):
            os.dup2(end, number)

    process = subprocess.Popen(
        [find_browser(), *OFFLINE, f"--user-data-dir={profile}"],
        preexec_fn=connect,
        pass_fds=(3, 4),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_input)
    os.close(their_output)
    return process, to, back


_VISIBLE = """(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const lines = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(node.parentElement.tagName)) continue;
    if (!node.parentElement.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()];
    const inside = box => box.width > 0 && box.top >= 0 && box.bottom <= innerHeight
      && box.left >= 0 && box.right <= innerWidth;
    if (boxes.length && boxes.every(inside)) lines.push(node.textContent.trim());
  }
  return lines.filter(Boolean).join('\\n');
})()"""

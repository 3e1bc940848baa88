"""A report's page in a real browser loads alone, fits a phone, and hostile names are harmless."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.core.report_html import html_of
from app.core.report_style import POLICY
from app.core.reports import Bar, Chart, Column, Section, Table
from tests.core.report_samples import HOSTILE, report, section
from tests.data import absent

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = 390
START_SECONDS = 60

PROBE = """
<!doctype html><title>probe</title><iframe id="page" width="%(width)d" height="900"
 src="/report"></iframe><pre id="found"></pre><script>
const page = document.getElementById("page");
page.onload = () => {
  const inner = page.contentDocument, root = inner.documentElement;
  const wide = [...inner.querySelectorAll("body *")].filter((one) =>
    !one.closest(".wide") && one.getBoundingClientRect().right > root.clientWidth + 1);
  document.getElementById("found").textContent = "FOUND" + JSON.stringify({
    title: inner.title, width: root.scrollWidth, room: root.clientWidth,
    wide: wide.map((one) => one.outerHTML.slice(0, 200)),
    scripts: inner.scripts.length, images: inner.images.length,
    pwned: String(page.contentWindow.pwned), items: inner.querySelectorAll("ol.todo > li").length,
    bars: [...inner.querySelectorAll("svg.bar .fill")].map(
      (one) => Math.round(one.getBoundingClientRect().width)),
    dark: getComputedStyle(inner.body).backgroundColor,
    styled: getComputedStyle(inner.body).margin,
  }) + "END";
};
</script>
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or absent("Chromium is not on the PATH: apt-get install chromium")


@contextmanager
def serving(pages: dict[str, tuple[str, dict[str, str]]]) -> Iterator[tuple[str, list[str]]]:
    """Pages on a port of this machine; what was asked for is noted."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            text, headers = pages.get(self.path, ("", {}))
            self.send_response(200 if self.path in pages else 404)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def browse(chromium: str, folder: Path, address: str, *options: str) -> tuple[str, str]:
    """The page as the browser has it in the end, and what it wrote to its log."""
    ended = subprocess.run(
        [
            chromium,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=5000",
            *options,
            "--dump-dom",
            address,
        ],
        capture_output=True,
        timeout=START_SECONDS,
        check=True,
    )
    return ended.stdout.decode(), ended.stderr.decode()


def probe(
    chromium: str, folder: Path, text: str, *options: str, width: int = PHONE
) -> tuple[dict[str, Any], list[str], str]:
    """What a page measures in a frame of a width, what was asked of the server, and the log."""
    pages = {
        "/": (PROBE % {"width": width}, {}),
        "/report": (text, {"Content-Security-Policy": POLICY}),
    }
    with serving(pages) as (address, asked):
        dom, log = browse(chromium, folder, address + "/", *options)
    found = re.search(r"FOUND(.*)END</pre>", dom, re.DOTALL)
    assert found is not None, dom[-2000:] + log[-2000:]
    unescaped = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    measured: dict[str, Any] = json.loads(unescaped)
    return measured, [path for path in asked if path != "/favicon.ico"], log


def everything() -> str:
    """A page with a section for each hostile name, wide tables and many days."""
    days = Chart(
        title="Tokens by day",
        unit="tokens",
        bars=tuple(Bar(label=f"2026-11-{n:02}", value=float(n)) for n in range(1, 31)),
    )
    wide = Table(
        columns=tuple(Column(name=f"Column {n}", unit="tokens") for n in range(14)),
        rows=((1_234_567_890,) * 14,) * 3,
    )
    sections = [section(name, key=f"s{n}") for n, name in enumerate(HOSTILE)]
    more = Section(key="more", title="More", charts=(days,), tables=(wide,))
    attack = '"><script>window.pwned=1</script><img src="/leak" onerror="window.pwned=1">'
    return html_of(report(attack, workspace=attack, sections=(*sections, more)))


def console(log: str) -> list[str]:
    """Lines that the page itself wrote: errors, refused sources, broken rules."""
    return [line for line in log.splitlines() if "CONSOLE" in line]


def test_the_page_loads_alone_and_says_nothing_in_the_console(
    chromium: str, tmp_path: Path
) -> None:
    found, asked, log = probe(chromium, tmp_path, everything(), width=1100)
    assert asked == ["/", "/report"]
    assert console(log) == []
    assert found["styled"] == "0px", "the policy refused our own style sheet"


def test_the_console_would_be_heard(chromium: str, tmp_path: Path) -> None:
    text = html_of(report()).replace("</main>", '<img src="/leak"></main>')
    _, asked, log = probe(chromium, tmp_path, text)
    assert asked == ["/", "/report"], "the policy lets nothing out"
    assert console(log)


def test_hostile_names_run_nothing(chromium: str, tmp_path: Path) -> None:
    found, asked, _ = probe(chromium, tmp_path, everything())
    assert (found["pwned"], found["scripts"], found["images"]) == ("undefined", 0, 0)
    assert "/leak" not in asked
    assert found["items"] == 1
    assert found["title"].startswith("Weekly report, 22 November 2026 – ")


@pytest.mark.parametrize("width", [320, PHONE, 768, 1400])
def test_nothing_hangs_over_the_side(chromium: str, tmp_path: Path, width: int) -> None:
    found, _, _ = probe(chromium, tmp_path, everything(), width=width)
    assert found["wide"] == []
    assert found["width"] <= found["room"]


def test_bars_are_as_long_as_their_values(chromium: str, tmp_path: Path) -> None:
    bars = tuple(Bar(label=str(n), value=float(n)) for n in (100, 50, 0))
    chart = Chart(title="t", unit="count", bars=bars)
    text = html_of(report(sections=(section(charts=(chart,)),)))
    found, _, _ = probe(chromium, tmp_path, text, width=1100)
    full, half, none = found["bars"]
    assert full > 100
    assert abs(full - 2 * half) <= 2
    assert none == 0


def test_dark_is_dark(chromium: str, tmp_path: Path) -> None:
    light, _, _ = probe(chromium, tmp_path / "light", html_of(report()))
    dark, _, _ = probe(
        chromium, tmp_path / "dark", html_of(report()), "--blink-settings=preferredColorScheme=0"
    )
    assert light["dark"] == "rgb(246, 247, 249)"
    assert dark["dark"] == "rgb(17, 21, 27)"


def test_a_file_from_disk_is_shown_too(chromium: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html_of(report()), encoding="utf-8")
    dom, log = browse(chromium, tmp_path, path.as_uri())
    assert "The thing to do first" in dom
    assert console(log) == []

"""Speed of the pages in headless Chromium: one command, one table, the promises beside it.

    python benchmarks/web.py                    118,000 pictures x 80 categories
    python benchmarks/web.py --images 2000      a quick look
    python benchmarks/web.py --no-training      only the columns without a trainer
    python benchmarks/web.py --only-share       only what training costs

Each figure is median / 95th percentile of what a person sees: from the key event to the painted
frame, from the decision to the server's word that it is on disk, from the key to the last of sixty
pictures.
Columns: one person or ten at once (the nine others decide a cell a second each over the API and
look at the status as often as a page does), the machine otherwise idle or while the trainer reads
pictures and learns. What training costs a person is measured apart, on Focus: the trainer of one
server pauses and works in turn, so that whatever else the machine does is the same for both. The
workspace is as `annotator init` leaves it, with thumbnails; its pictures
are a few under many names, so they come from memory and not from a disk.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from chromium import ARGUMENTS
from database import prepared
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from annotator.images import ScannedImage, make_thumbnail
from annotator.service import AnnotationService
from annotator.settings import Settings, Workspace

PROMISES = {
    "start of the server": "5 s",
    "first load to the first picture": "",
    "key to paint": "50 ms",
    "acknowledgement": "30 ms (95 %)",
    "new suggestions for it": "",
    "next image": "100 ms",
    "Sweep page of 60, cold": "300 ms",
    "Sweep page of 60, warm": "",
    "undo of a Sweep page, key to paint": "50 ms",
    "filter and sort in Browse": "100 ms",
    "Browse, a jump to anywhere, pictures there": "",
    "Browse, a frame while scrolling": "",
}
DRAWN = 64  # different pictures; each one is linked under many names
DECISION_EVERY_S = 1.0
KEY_GAPS_MS = (150, 300, 150, 600, 250)
"""Between keys on Focus: some come before the reasons of the last answer, some while they load."""

_SERVE = """
import sys
from pathlib import Path
from annotator.settings import Workspace
from annotator.web.app import run_server
try:
    run_server(
        Workspace.open(Path(sys.argv[1])), port=int(sys.argv[2]), train=sys.argv[3] == "train"
    )
except KeyboardInterrupt:
    pass
"""

# Times a page of Sweep, from the key that asks for it to the frame with the last of its pictures.
_WATCH_SWEEP = """() => {
  let [pressed, shown] = [null, null];
  addEventListener('keydown', (event) => {
    if (event.key === 'Enter') pressed = event.timeStamp;
  }, true);
  const look = () => {
    const images = [...document.querySelectorAll('.sweep .grid .tile img')];
    const grid = document.querySelector('.sweep .grid');
    const titles = [...grid.querySelectorAll('.tile')].map((tile) => tile.title);
    const page = [grid.getAttribute('aria-label'), ...titles].join();
    if (pressed === null) shown = page;
    const there = images.every((image) => image.complete && image.naturalWidth > 0);
    if (images.length && page !== shown && there) {
      const [start, channel] = [pressed, new MessageChannel()];
      [pressed, shown] = [null, page];
      channel.port1.onmessage = () => performance.measure('benchmark:sweep', {
        start, end: performance.now(),
      });
      channel.port2.postMessage(null);
    }
    requestAnimationFrame(look);
  };
  look();
}"""

# Goes to a place of the list and waits for every picture in sight.
_JUMP = """async (share) => {
  const scroller = document.querySelector('.browse .scroller');
  const start = performance.now();
  scroller.scrollTop = share * (scroller.scrollHeight - scroller.clientHeight);
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (let frames = 0; frames < 600; frames++) {
    await frame();
    const { top, bottom } = scroller.getBoundingClientRect();
    const images = [...scroller.querySelectorAll('.tile img')].filter((image) => {
      const place = image.getBoundingClientRect();
      return place.bottom > top && place.top < bottom;
    });
    const there = (image) => image.complete && image.naturalWidth > 0;
    if (images.length && images.every(there)) return performance.now() - start;
  }
  return null;
}"""

# Scrolls like a wheel that is turned fast; milliseconds of each frame.
_SCROLL = """async (frames) => {
  const scroller = document.querySelector('.browse .scroller');
  const found = [];
  let before = await new Promise((resolve) => requestAnimationFrame(resolve));
  for (let i = 0; i < frames; i++) {
    scroller.scrollTop += 100;
    const now = await new Promise((resolve) => requestAnimationFrame(resolve));
    found.push(now - before);
    before = now;
  }
  return found;
}"""

# Times the swap of the picture, from the key event to the frame that shows it.
_WATCH = """() => {
  if (globalThis.benchmarkWatches) return;
  globalThis.benchmarkWatches = true;
  let pressed = null;
  addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
  new MutationObserver(() => {
    const start = pressed;
    if (start === null || !document.querySelector('.focus .holder img')) return;
    pressed = null;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () =>
        performance.measure('benchmark:next', { start, end: performance.now() });
      channel.port2.postMessage(null);
    });
  }).observe(document.querySelector('.focus .holder'), { childList: true });
}"""

_MEASURES = """(name) => {
  const found = performance.getEntriesByName(name).map((entry) => entry.duration);
  performance.clearMeasures(name);
  return found;
}"""

_FILTER = """async ([user, workspace, body]) => {
  const start = performance.now();
  const response = await fetch('/api/v1/browse/lists', {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json', 'X-Annotator-Client': 'benchmark',
      'X-Annotator-User': user, 'X-Annotator-Workspace': workspace,
    },
    body,
  });
  await response.json();
  return response.ok ? performance.now() - start : null;
}"""

Times = defaultdict[str, list[float]]


def drawn(folder: Path, images: int) -> Iterator[ScannedImage]:
    """A few photographs' worth of noise, linked under as many names as there are pictures."""
    rng = np.random.default_rng(0)
    for i in range(DRAWN):
        small = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        large = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)
        large.save(folder / f"drawn-{i}.jpg", quality=90)
    for i in range(images):
        path = folder / f"{i:07d}.jpg"
        path.symlink_to(folder / f"drawn-{i % DRAWN}.jpg")
        yield ScannedImage(f"{i:064x}", path, path.name, 640, 480, 60_000, "jpeg")


def make_thumbnails(workspace: Workspace, folder: Path, images: int) -> None:
    """The cache of thumbnails as `annotator init` leaves it."""
    for i in range(images):
        target = workspace.thumbnail(f"{i:064x}")
        if i < DRAWN:
            make_thumbnail(folder / f"drawn-{i}.jpg", target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(workspace.thumbnail(f"{i % DRAWN:064x}"), target)


def call(address: str, method: str, path: str, user: int = 0, body: Any = None) -> Any:
    """One request to the API."""
    request = urllib.request.Request(
        f"{address}/api/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "X-Annotator-Client": "benchmark",
            "X-Annotator-User": str(user or 1),
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def serving(workspace: Workspace, train: bool, times: Times) -> Iterator[str]:
    """A server as a process of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    mode = "train" if train else "serve"
    command = [sys.executable, "-c", _SERVE, str(workspace.path), str(port), mode]
    process = subprocess.Popen(command)
    try:
        while True:
            try:
                call(address, "GET", "/status")
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None:
                    raise RuntimeError("the server ended") from None
                time.sleep(0.05)
        times["start of the server"].append(1000 * (time.perf_counter() - start))
        yield address
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def others(address: str, people: int) -> Iterator[None]:
    """So many other people who decide cells, as threads over the API."""
    done = threading.Event()

    def work(number: int) -> None:
        user = call(address, "POST", "/users", body={"name": f"other {number}"})["id"]
        after = ""
        seen = call(address, "GET", "/status", user)["event"]
        if done.wait(number * DECISION_EVERY_S / 10):  # people do not press in step
            return
        for turn in range(1_000_000):
            page = call(address, "GET", f"/queues/uncertain/next?count=6{after}", user)
            image = page["images"][0]
            for suggestion in image["suggestions"][:4]:
                if done.wait(DECISION_EVERY_S):
                    return
                cell = {"image": image["id"], "category": suggestion["category"], "state": -1}
                key = f"other-{number}-{turn}-{cell['category']}-{time.time_ns()}"
                call(address, "POST", "/decisions", user, {"key": key, "cells": [cell]})
                call(address, "GET", "/status", user)
                seen = call(address, "GET", f"/changes?after={seen}", user)["event"]
            after = f"&after={image['id']}"

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(people)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join(60)


def measure_focus(page: Page, times: Times, pictures: int) -> None:
    """Answers by digits and steps through the queue, some keys as fast as somebody may type."""
    page.evaluate(_WATCH)
    gaps = itertools.cycle(KEY_GAPS_MS)
    for name in ("annotator:key-to-paint", "annotator:acknowledged", "annotator:answered"):
        page.evaluate(_MEASURES, name)
    for _ in range(pictures):
        for key in ("1", "Shift+2", "3", "Backspace"):
            page.keyboard.press(key)
            page.wait_for_timeout(next(gaps))
        page.keyboard.press("Space")
        page.wait_for_timeout(500)
    page.get_by_text("All saved").wait_for(timeout=60_000)
    times["key to paint"] += page.evaluate(_MEASURES, "annotator:key-to-paint")
    times["acknowledgement"] += page.evaluate(_MEASURES, "annotator:acknowledged")
    times["new suggestions for it"] += page.evaluate(_MEASURES, "annotator:answered")
    times["next image"] += page.evaluate(_MEASURES, "benchmark:next")


def measure_share(
    browser: Browser, workspace: Workspace, args: argparse.Namespace
) -> list[tuple[Times, Times]]:
    """Focus with the trainer of one server paused and at work, in turn; one pair per turn."""
    turns = []
    with ExitStack() as stack:
        address = stack.enter_context(serving(workspace, True, Times(list)))
        service = stack.enter_context(AnnotationService(workspace))
        context, page = opened(browser, address)
        for _ in range(args.turns):
            paused, working = Times(list), Times(list)
            for wish, activities, times in (
                ("pause", ("paused",), paused),
                ("resume", ("reading", "learning"), working),
            ):
                service.request_job(wish)
                await_trainer(address, activities)
                page.wait_for_timeout(2000)
                measure_focus(page, times, args.share_pictures)
            if trainer(address) in ("reading", "learning"):  # else it was done in between
                turns.append((paused, working))
        context.close()
    return turns


def trainer(address: str) -> str:
    """What the trainer does."""
    job = call(address, "GET", "/status")["job"]
    return "" if job is None else str(job["activity"])


def await_trainer(address: str, activities: Sequence[str]) -> None:
    """Wait until the trainer does one of these.

    Raises:
        RuntimeError: if it does not within two minutes.
    """
    for _ in range(480):
        if trainer(address) in activities:
            return
        time.sleep(0.25)
    raise RuntimeError(
        f"the trainer is {trainer(address) or 'gone'}, not {' or '.join(activities)}"
    )


def ratio(turns: Sequence[tuple[Times, Times]], what: str, share: float) -> str:
    """How many times longer it takes while training, with a 95 % interval over the turns."""
    pairs = [(a[what], b[what]) for a, b in turns if a[what] and b[what]]
    if not pairs:
        return "-"

    def of(chosen: Sequence[int]) -> float:
        idle, busy = (np.concatenate([pairs[i][side] for i in chosen]) for side in (0, 1))
        return float(np.quantile(busy, share) / np.quantile(idle, share))

    rng = np.random.default_rng(0)
    drawn = [of(rng.integers(len(pairs), size=len(pairs)).tolist()) for _ in range(2000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{of(range(len(pairs))):.2f} ({low:.2f}-{high:.2f})"


def share_table(turns: Sequence[tuple[Times, Times]]) -> Table:
    """What training costs on Focus."""
    table = Table(
        title=f"the trainer paused and at work, {len(turns)} turns; median / 95 % (times)"
    )
    for heading in ("what", "paused", "at work", "times longer, median", "at 95 %"):
        table.add_column(heading)
    for what in ("key to paint", "acknowledgement", "next image"):
        idle, busy = ([x for turn in turns for x in turn[side][what]] for side in (0, 1))
        ratios = (ratio(turns, what, share) for share in (0.5, 0.95))
        table.add_row(what, shown(idle), shown(busy), *ratios)
    return table


def measure_sweep(page: Page, times: Times, classes: list[str]) -> None:
    """Pages of some classes: the first of each is cold, the one after it was prefetched.

    Of what is suggested absent, since a trainer that has seen noise suggests nothing present.
    """
    page.get_by_role("tab", name="Sweep").click()
    page.locator(".sweep .class").first.wait_for(timeout=60_000)
    page.get_by_text("Suggested absent", exact=True).click()
    page.evaluate(_WATCH_SWEEP)
    for name in classes:
        page.keyboard.press("/")
        page.keyboard.type(name)
        page.wait_for_timeout(300)
        page.keyboard.press("Enter")
        times["Sweep page of 60, cold"] += waited(page, "benchmark:sweep")
        page.wait_for_timeout(1500)
        for _ in range(12):  # Enter shows what has not been on screen before it accepts
            page.keyboard.press("Enter")
            page.wait_for_timeout(500)
            warm = page.evaluate(_MEASURES, "benchmark:sweep")
            if warm:
                times["Sweep page of 60, warm"] += warm
                break
        page.evaluate(_MEASURES, "annotator:key-to-paint")
        page.keyboard.press("Backspace")
        page.wait_for_timeout(700)
        times["undo of a Sweep page, key to paint"] += page.evaluate(
            _MEASURES, "annotator:key-to-paint"
        )


def waited(page: Page, name: str) -> list[float]:
    """The measures of a name as soon as there is one."""
    for _ in range(200):
        found: list[float] = page.evaluate(_MEASURES, name)
        if found:
            return found
        page.wait_for_timeout(50)
    return []


def measure_scrolling(page: Page, times: Times) -> None:
    """All pictures on Browse: jumps to anywhere, and scrolling."""
    page.get_by_role("tab", name="Browse").click()
    page.locator(".browse .tile img[src]").first.wait_for(timeout=60_000)
    page.evaluate(_JUMP, 0)  # the list of a new server reads everything once
    for share in np.random.default_rng(1).random(15).tolist():
        took = page.evaluate(_JUMP, share)
        if took is not None:
            times["Browse, a jump to anywhere, pictures there"].append(took)
    times["Browse, a frame while scrolling"] += page.evaluate(_SCROLL, 120)


def measure_browse(page: Page, times: Times, address: str, categories: int) -> None:
    """A filter by label and score with a sort by probability, another category each time."""
    workspace = call(address, "GET", "/status")["workspace"]["id"]
    for i in range(20):
        category = 1 + i % categories
        where = {
            "kind": "all",
            "of": [
                {"kind": "label", "category": category, "states": ["unknown"]},
                {"kind": "score", "category": category, "least": 0.2, "most": 0.8},
            ],
        }
        sort = {"by": "probability", "category": category, "descending": True}
        body = json.dumps({"where": where, "sort": sort})
        took = page.evaluate(_FILTER, ["1", workspace, body])
        if took is not None and i >= 2:  # the columns are read once, with the first
            times["filter and sort in Browse"].append(took)


def opened(browser: Browser, address: str) -> tuple[BrowserContext, Page]:
    """The page with its first picture, in a browser that knows nothing."""
    context = browser.new_context(viewport={"width": 1360, "height": 800})
    context.add_init_script("localStorage.setItem('annotator.user', 'ana')")
    page = context.new_page()
    page.goto(address)
    page.locator(".focus .stage img").wait_for(timeout=60_000)
    return context, page


def measure(browser: Browser, address: str, times: Times, args: argparse.Namespace) -> None:
    """All pages once, in a browser that knows nothing."""
    for visit in range(args.loads):
        start = time.perf_counter()
        context, page = opened(browser, address)
        times["first load to the first picture"].append(1000 * (time.perf_counter() - start))
        if visit == args.loads - 1:
            page.wait_for_timeout(2000)
            measure_focus(page, times, args.pictures)
            measure_sweep(page, times, [f"category {1 + 11 * i}" for i in range(args.classes)])
            measure_browse(page, times, address, args.categories)
            measure_scrolling(page, times)
        context.close()


def made(folder: Path, args: argparse.Namespace) -> Workspace:
    """The workspace in a folder, made if it is not there."""
    work = folder / "work"
    if work.exists():
        return Workspace.open(work)
    photos = folder / "photos"
    photos.mkdir(parents=True)
    workspace = Workspace.create(work, Settings(feature_set="tiny"))
    with AnnotationService.create(workspace) as service:
        pictures = drawn(photos, args.images)
        prepared(service, args.images, args.categories, args.known, pictures)
    make_thumbnails(workspace, photos, args.images)
    return workspace


def shown(milliseconds: list[float]) -> str:
    """Median and 95th percentile."""
    if not milliseconds:
        return "-"
    late = sorted(milliseconds)[math.ceil(0.95 * len(milliseconds)) - 1]
    return f"{statistics.median(milliseconds):,.0f} / {late:,.0f} ms ({len(milliseconds)})"


def columns_table(browser: Browser, workspace: Workspace, args: argparse.Namespace) -> Table:
    """All that a person waits for, alone and as one of ten, without and with a trainer."""
    columns: dict[str, Times] = {}
    notes: list[str] = []  # how busy the machine was, what the trainer did
    for train in (False,) if args.no_training else (False, True):
        start = Times(list)
        for _ in range(args.starts - 1):
            with serving(workspace, train, start):
                pass
        with serving(workspace, train, start) as address:
            for people in (1, 10):
                times = Times(list, start if people == 1 else {})
                name = f"{'training' if train else 'idle'}, {people} at once"
                with others(address, people - 1):
                    measure(browser, address, times, args)
                columns[name] = times
                job = call(address, "GET", "/status")["job"] if train else None
                doing = f", {job['message']}" if job is not None else ""
                notes.append(f"{name}: load average {os.getloadavg()[1]:.1f}{doing}")
                print(f"{name}: measured", file=sys.stderr)
    table = Table(
        title=f"{args.images:,} pictures x {args.categories} categories, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; median / 95 % (times)",
        caption="\n".join(notes),
    )
    for heading in ("what", "promise", *columns):
        table.add_column(heading, justify="left" if heading in ("what", "promise") else "right")
    for what, promise in PROMISES.items():
        table.add_row(what, promise, *(shown(times[what]) for times in columns.values()))
    return table


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--categories", type=int, default=80)
    parser.add_argument("--known", type=float, default=0.1, help="share of cells known at first")
    parser.add_argument("--pictures", type=int, default=30, help="looked at on Focus each time")
    parser.add_argument("--classes", type=int, default=5, help="classes swept each time")
    parser.add_argument("--loads", type=int, default=3)
    parser.add_argument("--starts", type=int, default=3, help="of the server, each time")
    parser.add_argument("--keep", type=Path, help="folder of the workspace, for the next time")
    parser.add_argument("--no-training", action="store_true", help="only the idle columns")
    parser.add_argument("--only-share", action="store_true", help="only what training costs")
    parser.add_argument("--turns", type=int, default=8, help="of the trainer, paused and at work")
    parser.add_argument("--share-pictures", type=int, default=6, help="on Focus in each half turn")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workspace = made(folder, args)
        playwright = stack.enter_context(sync_playwright())
        executable = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        if not args.only_share:
            Console(width=150).print(columns_table(browser, workspace, args))
        if not args.no_training:
            Console(width=150).print(share_table(measure_share(browser, workspace, args)))
        browser.close()


if __name__ == "__main__":
    main()

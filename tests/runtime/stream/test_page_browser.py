"""The live page in a real Chromium: it loads, moves, toggles classes, takes snapshots, and fits a phone."""

import io
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder

pytestmark = pytest.mark.timeout(120)
CHROMIUM = shutil.which("chromium")
SIZE = (180, 320)
EVIL = "<img src=x onerror=document.title='owned'>"
LABELS = (
    Label(name="road", dataset_id=0, isthing=False, color=(255, 0, 0)),
    Label(name=f"car {EVIL}", dataset_id=1, isthing=True, color=(0, 0, 255)),
)


def result_at(index):
    ids = np.zeros(SIZE, np.int32)
    ids[100:] = 7
    left = 40 + index % 100
    ids[60:120, left : left + 80] = 9
    road = Segment(id=7, class_id=0, isthing=False, score=1.0, area=int((ids == 7).sum()), bbox=(0, 100, 320, 80))
    car = Segment(id=9, class_id=1, isthing=True, score=0.91, area=4800, bbox=(left, 60, 80, 60))
    return PanopticResult(ids, [road, car], LABELS)


@pytest.fixture
def page_sink():
    pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
    import time

    from segrt.runtime.stream.sinks.live_page import PageSink
    from segrt.runtime.stream.sources.source import SourceInfo

    sink = PageSink("http://127.0.0.1:0")
    source_id = f"cam {EVIL}"
    recorder = Recorder([source_id])
    sink.watch(recorder, "http")
    sink.open([SourceInfo(source_id, live=True)])
    stop = threading.Event()

    def feed():
        index = 0
        while not stop.wait(0.1):
            image = np.full((*SIZE, 3), 60 + index % 40, np.uint8)
            frame = Frame(image, index, index / 10, time.monotonic(), source_id)
            recorder.entered(source_id)
            recorder.took(source_id, "inference", 5.0)
            recorder.finished(source_id, 12.0, 0)
            recorder.sink("http", written=1)
            sink.write(frame, result_at(index), None)
            index += 1

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield sink
    stop.set()
    thread.join()
    sink.close()


@pytest.fixture
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'segrt[dev]')")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()


def shown(page):
    data = page.locator("#picture").screenshot()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def colour_at(picture, x, y):
    height, width = picture.shape[:2]
    return picture[round(y * height), round(x * width)]


def test_the_page_shows_moves_toggles_and_fits(page_sink, browser):
    troubles = []
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto(page_sink.address)
    page.wait_for_selector("#legend button", timeout=30_000)
    page.wait_for_function("document.getElementById('state').textContent === 'live'", timeout=30_000)
    page.wait_for_timeout(1500)
    first = shown(page)
    road = colour_at(first, 0.05, 0.9)
    assert road[0] > road[2] + 60, "the road is red"
    page.wait_for_timeout(1500)
    assert np.abs(shown(page) - first).max() > 40, "the picture moves"

    legend = page.locator("#legend button")
    assert legend.count() == 2
    assert EVIL in legend.nth(1).text_content()
    assert page.title() == "segrt live", "names are text, not HTML"
    legend.nth(0).click()
    assert legend.nth(0).get_attribute("aria-pressed") == "false"
    page.wait_for_timeout(500)
    road = colour_at(shown(page), 0.05, 0.9)
    assert abs(road[0] - road[2]) < 20, "the road is not painted any more"
    legend.nth(0).click()

    with page.expect_download() as download:
        page.locator("#snapshot").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert saved.shape == (*SIZE, 3)

    assert page.locator("#stages tr[data-stage=inference] td").nth(2).text_content() == "5.0"
    assert page.locator("#age95").text_content() == "12 ms"
    page.set_viewport_size({"width": 400, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400, "no sideways scrolling on a phone"
    assert page.locator("#picture").bounding_box()["width"] > 350
    assert troubles == []


def test_no_other_origin_may_read_it(page_sink, browser):
    page = browser.new_page()
    page.goto("data:text/html,<title>evil</title>")
    read = "fetch(address).then((answer) => answer.text()).catch(() => 'refused')"
    for path in ("result.json", "frame.jpg", "state.json"):
        assert page.evaluate(f"(address) => {read}", page_sink.address + path) == "refused"
    assert Path(CHROMIUM).exists()

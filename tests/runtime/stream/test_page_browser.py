"""The live page in a real Chromium: it moves, toggles classes, keeps them, says why it waits, and fits a phone."""

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Label, PanopticResult, Segment, SemanticResult
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.zone_plans import PlanReader
from segrt.runtime.stream.zone_saving import ZoneSaving
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan
from segrt.runtime.zones.zone_file import parse_zones
from segrt.runtime.zones.zone_totals import ZoneTotals

pytestmark = pytest.mark.timeout(120)
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
    car = Segment(id=9, class_id=1, isthing=True, score=0.91, area=4800, bbox=(left, 60, 80, 60), track_id=12)
    return PanopticResult(ids, [road, car], LABELS)


MANY = (
    Label("background", 0, False, (0, 0, 0)),
    *(Label(f"class {number}", number, False, (number, 255 - number, 90)) for number in range(1, 150)),
)


def semantic_at(index):
    class_map = np.zeros(SIZE, np.uint8)
    class_map[90:] = 140
    class_map[20:60, 20 + index % 60 : 200 + index % 60] = 7
    return SemanticResult(class_map, MANY)


class Camera:
    """A live page that is fed ten times a second; `end` stops it as the end of a run does."""

    def __init__(self, make_result, source_id, saving, other):
        from segrt.runtime.stream.sinks.live_page import PageSink
        from segrt.runtime.stream.sources.source import SourceInfo

        self.sink = PageSink("http://127.0.0.1:0", SinkOptions(edits=saving is not None))
        self.address = self.sink.address
        self._make_result, self._source_id = make_result, source_id
        names = [source_id, *other]
        self._recorder = Recorder(names)
        self._recorder.zone_saving = saving
        self.sink.watch(self._recorder, "http")
        self.sink.open([SourceInfo(name, live=True) for name in names])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self):
        source_id, index = self._source_id, 0
        while not self._stop.wait(0.1):
            image = np.full((*SIZE, 3), 60 + index % 40, np.uint8)
            frame = Frame(image, index, index / 10, time.monotonic(), source_id)
            self._recorder.entered(source_id)
            self._recorder.took(source_id, "inference", 5.0)
            self._recorder.finished(source_id, 12.0, 0)
            self._recorder.sink("http", written=1)
            self.sink.write(frame, self._make_result(index), None)
            index += 1

    def end(self):  # noqa: D102
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self.sink.close()


@pytest.fixture
def cameras():
    pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
    opened = []

    def make(make_result=result_at, source_id=f"cam {EVIL}", saving=None, other=()):
        opened.append(Camera(make_result, source_id, saving, other))
        return opened[-1]

    yield make
    for camera in opened:
        camera.end()


def shown(page):
    data = page.locator("#picture").screenshot()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def colour_at(picture, x, y):
    height, width = picture.shape[:2]
    return picture[round(y * height), round(x * width)]


def test_the_page_shows_moves_toggles_and_fits(cameras, browser):
    camera = cameras()
    troubles = []
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto(camera.address)
    page.wait_for_selector("#present button", timeout=30_000)
    page.wait_for_selector("#state.live", timeout=30_000)
    page.wait_for_timeout(1500)
    first = shown(page)
    road = colour_at(first, 0.05, 0.9)
    assert road[0] > road[2] + 60, "the road is red"
    page.wait_for_timeout(1500)
    assert np.abs(shown(page) - first).max() > 40, "the picture moves"

    legend = page.locator("#legend button")
    assert legend.count() == 2
    assert EVIL in legend.nth(1).text_content()
    assert legend.nth(1).locator("b").text_content() == "1", "one car"
    assert legend.nth(0).locator("b").text_content() == "42 %"
    assert page.locator("#camera").text_content() == f"cam {EVIL}"
    assert page.title() == "segrt live", "names are text, not HTML"
    legend.nth(0).click()
    assert legend.nth(0).get_attribute("aria-pressed") == "false"
    page.wait_for_timeout(500)
    road = colour_at(shown(page), 0.05, 0.9)
    assert abs(road[0] - road[2]) < 20, "the road is not painted any more"
    page.reload()
    page.wait_for_selector("#present button[aria-pressed=false]", timeout=30_000)
    legend.nth(0).click()

    with page.expect_download() as download:
        page.locator("#snapshot").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert saved.shape == (*SIZE, 3)

    (track,) = page.locator("#tracks tbody tr").all()
    name, seen, score = (cell.text_content() for cell in track.locator("td").all())
    assert name == f"car {EVIL} 12"
    assert seen.endswith(" s")
    assert score == "0.91"
    assert page.locator("#stages tr[data-stage=inference] td").nth(2).text_content() == "5.0"
    assert page.locator("#age95").text_content() == "12 ms"
    page.set_viewport_size({"width": 400, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400, "no sideways scrolling on a phone"
    assert page.locator("#picture").bounding_box()["width"] > 350
    assert troubles == []


def test_no_other_origin_may_read_it(cameras, browser):
    camera = cameras()
    page = browser.new_page()
    page.goto("data:text/html,<title>evil</title>")
    read = "fetch(address).then((answer) => answer.text()).catch(() => 'refused')"
    for path in ("result.json", "frame.jpg", "state.json"):
        assert page.evaluate(f"(address) => {read}", camera.address + path) == "refused"


def test_many_classes_stay_legible_and_the_end_is_shown(cameras, browser):
    camera = cameras(semantic_at, "cam")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(camera.address)
    page.wait_for_selector("#present button", timeout=30_000)
    page.wait_for_timeout(1200)
    assert [chip.strip() for chip in page.locator("#present button span").all_text_contents()] == [
        "background",
        "class 7",
        "class 140",
    ]
    assert page.locator("#present button").nth(0).get_attribute("aria-pressed") == "false", "the picture stays as it is"
    assert page.locator("#rest").text_content() == "147 more classes"
    page.locator("#rest").click()
    page.locator("#find").fill("99")
    assert page.locator("#absent button:visible").all_text_contents() == ["class 99"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    top = colour_at(shown(page), 0.5, 0.45)
    assert np.ptp(top) < 12, "background is not painted"
    label = page.locator("#picture").get_attribute("aria-label")
    assert label == "Live picture: class 7 13 %, class 140 50 %"
    line = page.locator("#stages canvas").first
    box = line.bounding_box()
    painted = line.evaluate(
        "(canvas) => { const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        " const columns = new Set(); for (let at = 3; at < pixels.length; at += 4) if (pixels[at])"
        " columns.add(((at - 3) / 4) % canvas.width); return columns.size / canvas.width; }"
    )
    assert painted == 1, f"the line fills its box of {box}"
    camera.end()
    page.wait_for_selector("#view.over #notice:visible", timeout=15_000)
    assert page.locator("#notice").text_content() == "The stream has ended."
    assert page.locator("#state").text_content() == "ended"


def test_captions_stand_as_in_overlays_and_never_on_each_other(cameras, browser):
    page = browser.new_page()
    page.goto(cameras().address)
    boxes = page.evaluate(
        """async () => {
            const { Board, widest } = await import("./page_captions.js");
            const width = 320, height = 180, numbers = new Uint8ClampedArray(width * height * 4);
            for (let at = 0; at < width * height; at++) { numbers[at * 4] = Math.floor(at / width) < 90 ? 1 : 2; }
            const places = widest(numbers, width, height);
            const board = new Board(new OffscreenCanvas(width, height).getContext("2d"), 12);
            for (let one = 0; one < 40; one++) {
                const box = [(one % 8) / 9, Math.floor(one / 8) / 6, 0.12, 0.2];
                board.label({ name: "person", score: 0.9, area: 3000, color: [9, 9, 9], box, place: null });
            }
            board.label({ name: "sky", score: null, area: 9000, color: [9, 9, 9], box: [], place: places.get(1) });
            return { taken: board.taken, sky: places.get(1) };
        }"""
    )
    taken = boxes["taken"]
    assert len(taken) > 8
    for index, one in enumerate(taken):
        for other in taken[:index]:
            assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
    assert abs(boxes["sky"]["x"] - 0.5) < 0.05, "in the middle of a band"
    assert abs(boxes["sky"]["y"] - 0.25) < 0.05


def test_a_sixth_page_of_one_browser_says_why_it_waits(cameras, browser):
    camera = cameras(other=("yard",))  # which shows nothing
    context = browser.new_context()
    pages = []
    for _ in range(5):
        pages.append(context.new_page())
        pages[-1].goto(camera.address)
        pages[-1].wait_for_selector("#state.live", timeout=30_000)
    sixth = context.new_page()
    sixth.goto(camera.address)
    sixth.wait_for_selector("#notice:visible", timeout=30_000)
    assert sixth.locator("#notice").text_content().startswith("5 pages of this browser are watching")
    assert sixth.locator("#notice").get_attribute("role") == "status"
    assert sixth.locator("#state").text_content() == "waiting"
    for _ in range(3):  # a page that changes keeps its place
        for name in ("yard", f"cam {EVIL}"):
            pages[1].locator("#sources").select_option(name)
            sixth.wait_for_timeout(400)
    pages[1].wait_for_selector("#state.live", timeout=30_000)
    assert sixth.locator("#state").text_content() == "waiting"
    pages[0].close()
    sixth.wait_for_selector("#state.live", timeout=30_000)
    assert sixth.locator("#notice").is_hidden()


def test_zones_are_shown_drawn_and_saved_as_the_file_that_is_read(cameras, browser):
    camera = cameras(source_id="cam")
    name = f"door {EVIL}"
    door = Zone(name, frozenset({1}), polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)), share=0.25)
    plan = ZonePlan((door,), (Line("gate", start=(0.1, 0.5), end=(0.4, 0.5)),), ("road", "car"), ("car in " + name,))
    totals = camera._recorder.zones = ZoneTotals()
    totals.begin("cam", plan)
    totals.add("cam", {name: {"car": 3}}, ())
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(camera.address)
    page.wait_for_selector("#zones polygon >> nth=1", state="attached")  # the zone and an arrow's head
    assert page.locator("#zones polygon").count() == 2
    assert page.locator("#shapes li").all_inner_texts() == [f"{name}\n3 car", "gate"]
    page.click("#edit")
    box = page.locator("#zones").bounding_box()

    def click(*places):
        for x, y in places:
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    page.click("text=Draw zone")
    click((0.1, 0.1), (0.3, 0.1), (0.1, 0.3), (0.3, 0.3), (0.1, 0.1))
    assert "crosses itself" in page.inner_text("#said")
    page.click("[aria-label='Delete zone 1']")
    page.click("text=Draw zone")
    click((0.1, 0.1), (0.3, 0.1), (0.3, 0.3), (0.1, 0.1))
    page.click("text=Draw line")
    click((0.2, 0.6), (0.4, 0.8))
    page.fill("[aria-label='Name of zone'] >> nth=1", "yard")
    with page.expect_download() as download:
        page.click("text=Download")
    saved = parse_zones(
        Path(download.value.path()).read_bytes(), "zones.json", (LABELS[0], Label("car", 1, True, (0,) * 3))
    )
    assert (saved.zones[0], saved.lines[0], saved.rules) == (door, plan.lines[0], plan.rules)
    assert saved.zones[1].name == "yard"
    assert np.allclose(saved.zones[1].polygon, [(0.1, 0.1), (0.3, 0.1), (0.3, 0.3)], atol=0.005)
    assert (saved.lines[1].name, len(saved.lines)) == ("line 1", 2)
    assert page.title() == "segrt live"
    page.close()


def test_zones_are_saved_on_the_device_and_counts_come_with_the_pictures(cameras, browser, tmp_path):
    file = tmp_path / "zones.json"
    saving = ZoneSaving(file, PlanReader((LABELS[0], Label("car", 1, True, (0, 0, 255))), "panoptic"))
    camera = cameras(source_id="cam", saving=saving)
    totals = camera._recorder.zones = ZoneTotals()
    totals.begin("cam", saving.planned.plan)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(camera.address)
    page.wait_for_selector("#state.live", timeout=30_000)
    page.click("#edit")
    page.wait_for_selector("[data-does=save]:visible")
    box = page.locator("#zones").bounding_box()

    def draw(*places):
        page.click("text=Draw zone")
        for x, y in (*places, places[0]):
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    draw((0.5, 0.1), (0.9, 0.1), (0.9, 0.9))
    page.click("text=Save")
    page.wait_for_selector("#said:has-text('Saved in zones.json on the device')")
    assert page.locator("#tools").is_hidden()
    (zone,) = parse_zones(file.read_bytes(), "zones.json", LABELS).zones
    assert (zone.name, zone.polygon[0]) == ("zone 1", pytest.approx((0.5, 0.1), abs=0.005))
    totals.begin("cam", saving.planned.plan)
    totals.add("cam", {"zone 1": {"car": 4}}, ())
    page.wait_for_selector("#shapes b:has-text('4 car')", timeout=5_000)
    page.route("**/state.json", lambda route: route.abort())
    totals.add("cam", {"zone 1": {"car": 5}}, ())
    page.wait_for_selector("#shapes b:has-text('5 car')", timeout=5_000)

    page.click("#edit")
    draw((0.1, 0.1), (0.3, 0.1), (0.3, 0.3))
    saving.save(file.read_bytes().replace(b"zone 1", b"hall"))
    page.click("text=Save")
    page.wait_for_selector("#said:has-text('Not saved: zones.json: was saved by another page meanwhile')")
    assert page.locator("[data-does=save]").is_enabled()
    assert troubles == []
    page.close()

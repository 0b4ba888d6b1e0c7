"""`segrt profile` as a user meets it: the table, the JSON, the page, exit codes."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from segrt.runtime.cli import main
from segrt.runtime.cli.profile_report import print_stage_table
from segrt.runtime.profiling.records import Accuracy, Layer, Profile, read_profile

pytestmark = pytest.mark.timeout(120)
QUICK = ("--frames", "10", "--warmup", "2", "--source", "street://?seed=1&fps=25&width=320&height=192")


@pytest.fixture
def run(monkeypatch, capfd):
    def run_here(*arguments):
        monkeypatch.setattr("sys.argv", ["segrt", "profile", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run_here


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """A profile of two embedded bundles: exit code, JSON and page."""
    folder = tmp_path_factory.mktemp("profile")
    with pytest.MonkeyPatch.context() as patch:
        bundles = ("street-semantic", "street-panoptic")
        arguments = (*bundles, *QUICK, "--threads", "1", "--draw", "--budget", "10000ms@p50")
        outputs = ("--json", folder / "p.json", "--html", folder / "p.html")
        patch.setattr("sys.argv", ["segrt", "profile", *map(str, (*arguments, *outputs))])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), folder


def test_the_json_has_the_agreed_shape(profiled):
    code, folder = profiled
    assert code == 0
    content = json.loads((folder / "p.json").read_text())
    assert [run["technique"] for run in content["runs"]] == ["semantic", "panoptic"]
    for run in content["runs"]:
        assert {"bundle", "backend", "precision", "device", "frames", "stages", "fps", "peak_rss_mb"} <= set(run)
        assert (run["backend"], run["frames"], run["threads"], run["size"]) == ("onnxruntime", 10, 1, [192, 320])
        assert list(run["stages"]) == ["preprocess", "inference", "postprocess", "draw", "total"]
        for stage in run["stages"].values():
            assert stage["p50_low_ms"] <= stage["p50_ms"] <= stage["p50_high_ms"]
            assert stage["p50_ms"] <= stage["p90_ms"] <= stage["p95_ms"] <= stage["p99_ms"] <= stage["max_ms"]
        assert run["fps"] > 0
        assert 100 < run["cold_start_ms"] < 60_000
        assert 50 < run["peak_rss_mb"] < 400
        traced = {span["stage"] for span in run["spans"]}
        assert traced == {"preprocess", "inference", "postprocess", "draw", "sink"}
        assert run["live"]["frames_out"] + run["live"]["dropped"] == run["live"]["frames_in"] == 10


class Links(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002, D102
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_loads_nothing(profiled):
    links = Links()
    links.feed((profiled[1] / "p.html").read_text())
    assert links.found == []


def test_the_page_draws_every_chart(profiled, tmp_path):
    chromium = shutil.which("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    if chromium is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    from segrt.runtime.profiling.report.report_page import write_report

    profile = read_profile(profiled[1] / "p.json")
    runs = [
        msgspec.structs.replace(
            one,
            bundle=f"<b>{one.bundle}</b></script>",
            accuracy=Accuracy("miou" if one.technique == "semantic" else "pq", 0.8, 10),
            layers=[Layer("backbone.0", "Conv", 1.5), Layer("head", "MatMul", 0.5)],
        )
        for one in profile.runs
    ]
    page_path = tmp_path / "p.html"
    write_report(msgspec.structs.replace(profile, runs=runs, notes=["a doubt"]), page_path)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme="dark", offline=True)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"file://{page_path}")
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        figures = page.locator("figure")
        drawn = [figures.nth(number).locator("svg.main-svg").count() > 0 for number in range(figures.count())]
        # stages, two waterfalls, spread, time, live, accuracy, two of layers
        assert drawn == [True] * 9
        assert errors == []
        assert page.evaluate("document.documentElement.scrollWidth") == 400, "nothing sticks out on a phone"
        assert "<b>street-semantic" in page.locator("table").inner_text(), "names are text, not markup"
        assert "a doubt" in page.locator(".notes").inner_text()
        browser.close()


def test_a_baseline_that_was_faster_fails_and_names_the_stage(run, profiled, tmp_path, monkeypatch):
    """What was measured is recorded, so that a busy machine changes nothing here."""

    def with_median(one, ms):
        stages = {
            name: msgspec.structs.replace(figures, p50_ms=ms, p50_low_ms=0.99 * ms, p50_high_ms=1.01 * ms)
            for name, figures in one.stages.items()
        }
        return msgspec.structs.replace(one, stages=stages)

    semantic, panoptic = read_profile(profiled[1] / "p.json").runs
    Profile([with_median(semantic, 10.0), panoptic]).write(tmp_path / "old.json")
    slower = with_median(semantic, 13.0)
    slower = msgspec.structs.replace(
        slower, stages=slower.stages | {"draw": with_median(semantic, 10.0).stages["draw"]}
    )
    monkeypatch.setattr("segrt.runtime.profiling.running.profile", lambda *_: Profile([slower]))
    arguments = ("street-semantic", "--baseline", tmp_path / "old.json")
    code, out, _ = run(*arguments, "--tolerance", "20%")
    assert code == 1
    stages = "preprocess by 30%, inference by 30%, postprocess by 30%, total by 30%"
    assert out.splitlines()[-1] == f"street-semantic fp32, 1 thread became slower (tolerance 20%): {stages}"
    assert "in the baseline alone: street-panoptic fp32, 1 thread" in out
    assert run(*arguments, "--tolerance", "40%")[0] == 0
    one = msgspec.structs.replace(slower, stages={**with_median(semantic, 10.0).stages})
    one.stages["postprocess"] = slower.stages["postprocess"]
    monkeypatch.setattr("segrt.runtime.profiling.running.profile", lambda *_: Profile([one]))
    code, out, _ = run(*arguments, "--tolerance", "20%")
    assert (code, out.splitlines()[-1].endswith("slower (tolerance 20%): postprocess by 30%")) == (1, True)


@pytest.mark.prints_table("profile")
def test_a_budget_that_nothing_meets_fails(run):
    code, out, err = run("street-semantic", *QUICK, "--no-cold", "--budget", "0.001ms@p50")
    assert code == 1
    assert "missed" in out
    assert err == "segrt: error: no candidate meets 0.001 ms at p50\n"


@pytest.mark.parametrize("columns", [90, 200])
def test_bars_of_stages_stay_in_one_line(profiled, columns, capsys, monkeypatch):
    measured = read_profile(profiled[1] / "p.json")
    monkeypatch.setattr("segrt.runtime.console.tables.table_width", lambda: columns)
    monkeypatch.setattr("segrt.runtime.cli.profile_report.table_width", lambda: columns)
    names = [run.bundle for run in measured.runs]
    print_stage_table(measured.runs, names)
    rows = [line for line in capsys.readouterr().out.splitlines()[3:] if line.strip()]
    assert len(rows) == len(measured.runs) + 1  # and the line below the head
    assert all(any(name in row for name in names) for row in rows[1:])


def test_where_it_was_measured_names_a_backend_once(profiled):
    page = (profiled[1] / "p.html").read_text()
    told = page[page.index("Where it was measured") :]
    told = told[: told.index("</dl>")]
    assert told.count("street-semantic, backend") == 1
    assert told.count("onnxruntime on ") == 2  # one for each bundle


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["street-semantic", "--precision", "int7"], "has none of these, only fp32"),
        (["nosuch"], "nosuch"),
        (["street-semantic", "--budget", "soon"], "--budget 'soon'"),
        (["street-semantic", "--baseline", "/nosuch.json"], "/nosuch.json: cannot be read"),
        (["street-semantic", "--source", "/nosuch.mp4"], "/nosuch.mp4"),
        (["street-semantic", "--images", "x"], "--annotations"),
        (["street-semantic", "--threads", "two"], "must be numbers"),
        (["street-semantic", "--size", "10"], "must be HEIGHTxWIDTH"),
        (["street-semantic", "--tolerance", "much"], "must be a share"),
        (
            ["street-semantic", "--json", "/nosuch/x", "--html", "/nosuch/../nosuch/x"],
            "--json /nosuch/x: is the --html file itself",
        ),
    ],
)
def test_wrong_arguments_end_with_one_clear_line(run, arguments, message):
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_the_baseline_is_not_replaced(run, profiled):
    path = profiled[1] / "p.json"
    before = path.read_bytes()
    code, _, err = run("street-semantic", "--baseline", path, "--json", path)
    assert (code, err) == (2, f"segrt: error: --json {path}: is the baseline itself; write to another place\n")
    assert path.read_bytes() == before


def test_a_report_needs_a_place(run, tmp_path):
    code, _, err = run("street-semantic", "--html", tmp_path)
    assert code == 2
    assert "is a directory" in err or "is a folder" in err
    assert list(Path(tmp_path).iterdir()) == []

"""How old a picture is when a browser shows it: `python benchmarks/live_latency.py [--bundle B] [--seconds 20]`.

A street camera writes the moment of each capture into its picture (`timecode=1`), `segrt stream` segments it and serves
the live page, and a real Chromium reads the time from what the page shows, and compares it with its clock: this
machine's. Measured twice: with video over WebRTC, and with single pictures, in a browser that has no WebRTC. `result`
is how old pictures were (the median) when their results were there, before anything was made for a browser.
"""

import argparse
import shutil
import subprocess
import sys
import time

from playwright.sync_api import Page, sync_playwright

_READ = """() => {
  const canvas = document.getElementById("picture"), { width, height } = canvas;
  const row = height - ((Math.max(8, Math.floor(height / 20)) + 1) >> 1);
  const data = canvas.getContext("2d").getImageData(0, row, width, 1).data;
  const bits = Array.from({ length: 40 }, (_, bit) => {
    const at = 4 * Math.floor((bit + 0.5) * width / 40);
    return data[at] + data[at + 1] + data[at + 2] > 375 ? "1" : "0";
  });
  const result = parseFloat(document.getElementById("age").textContent);
  return [bits.join(""), performance.timeOrigin + performance.now(), result];
}"""
_CLEAR = """() => {
  const opacity = document.getElementById("opacity");
  opacity.value = 0;
  opacity.dispatchEvent(new Event("input"));
}"""
_WITHOUT = "delete window.RTCPeerConnection;"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="street-panoptic")
    parser.add_argument("--source", default="street://?seed=1&fps=25&width=1280&height=720&timecode=1")
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    print(f"{'':16} {'pictures':>9} {'p50':>8} {'p95':>8} {'most':>8} {'result':>8}")
    for name, script in (("WebRTC", ""), ("single pictures", _WITHOUT)):
        ages, results = measure(given.bundle, given.source, given.seconds, script)
        shares = [ages[min(len(ages) - 1, int(len(ages) * share))] for share in (0.5, 0.95, 1.0)]
        shares.append(results[len(results) // 2])
        print(f"{name:16} {len(ages):>9} " + " ".join(f"{age:>5.0f} ms" for age in shares))


def measure(bundle: str, source: str, seconds: float, script: str) -> tuple[list[float], list[float]]:
    """Return the ages in milliseconds of pictures, and of their results, smallest first; the browser runs `script`."""
    command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()"]
    stream = subprocess.Popen(
        [*command, "stream", bundle, source, "--sink", "http://127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert stream.stdout is not None
        address = next(line.split(": ", 1)[1].strip() for line in stream.stdout if line.startswith("live page: "))
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            page = browser.new_page()
            if script:
                page.add_init_script(script)
            page.goto(address)
            page.wait_for_selector("#state.live", timeout=60_000)
            page.evaluate(_CLEAR)
            time.sleep(3)  # for the video to be there
            ages, results = watch(page, seconds)
            browser.close()
    finally:
        stream.terminate()
        stream.wait()
    return ages, results


def watch(page: Page, seconds: float) -> tuple[list[float], list[float]]:
    """Return the ages of what is shown, and of its results when they were made, in milliseconds."""
    offset = time.time() - time.monotonic()
    ages, results, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        bits, shown, result = page.evaluate(_READ)
        word = int(bits, 2)
        value = word >> 8
        if (sum(value.to_bytes(4, "big")) ^ 0x5A) & 0xFF == word & 0xFF:
            ages.append(shown - (offset * 1000 + value))
            results.append(result)
        time.sleep(0.037)  # out of step with the pictures
    return sorted(ages), sorted(results)


if __name__ == "__main__":
    main()

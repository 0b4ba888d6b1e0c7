"""A user's first hour: README's first minutes and its Python, in an environment that has a wheel of segrt alone.

`python first_hour.py README.md PHOTO NETWORK.onnx` runs in a folder of its own, with the environment's Python. What
README fetches is stood in for by an adopted, trained network: it is kept under the models' names, where downloads would
be kept. Each line of README's that calls `segrt` is run as it stands, with `photo.jpg` being the photo.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SEGRT = Path(sys.executable).with_name("segrt")
FIRST = "deeplabv3_mobilenet_v3_large"
PHOTO_MODELS = (FIRST, "deeplabv3_resnet101", "maskrcnn_resnet50_fpn", "detr-resnet101-panoptic")


def main(readme: Path, photo: Path, network: Path) -> None:
    """Do what README says, and stop at the first line that does not hold."""
    shutil.copy(photo, "photo.jpg")
    text = readme.read_text()
    adopt(network)
    for line in shell_lines(section(text, "The first minutes")):
        print(f"$ {line}")
        run(*line.split())
    assert Path("results/overlay/photo.png").stat().st_size > 10_000
    assert Path("demo/comparison.png").stat().st_size > 10_000
    find_the_person()
    run("-m", "segrt.runtime.streetworld", "street.mp4", "--frames", "3", "--size", "90x160", program=sys.executable)
    shutil.copy("photo.jpg", "street.png")
    (block,) = re.findall(r"```python\n(.*?)```", section(text, "From Python"), re.DOTALL)
    Path("quickstart.py").write_text(block)
    said = run("quickstart.py", program=sys.executable)
    assert "<PanopticResult width=" in said, said
    assert Path("found.png").stat().st_size > 10_000


def adopt(network: Path) -> None:
    """Adopt the trained network, and keep it where `segrt get` would have kept what it fetched."""
    run(
        "adopt",
        str(network),
        "--technique",
        "semantic",
        "--labels",
        "voc",
        "--golden",
        "photo.jpg",
        "--out",
        "voc.bundle",
    )
    for name in PHOTO_MODELS:
        shutil.copytree("voc.bundle", Path(os.environ["SEGRT_CACHE"]) / "bundles" / name)


def find_the_person() -> None:
    """The photo is of a person, which the network must find, by its name."""
    code = (
        "from segrt.runtime import __version__, open_bundle\n"
        f"with open_bundle({FIRST!r}, technique='semantic') as segmenter:\n"
        "    result = segmenter('photo.jpg')\n"
        "    print(__version__, result, result.to_rows()[0]['share'] > 0.05, result.mask('person').mean() > 0.3)\n"
    )
    said = run("-c", code, program=sys.executable)
    assert re.match(r"\d+\.\d+.* <SemanticResult width=\d+ height=\d+: .*person.*> True True\n", said), said


def section(text: str, title: str) -> str:
    """Return README's section of that title."""
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def shell_lines(text: str) -> list[str]:
    """Return the arguments of each `segrt` in the shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    found = [line.removeprefix("segrt ") for line in lines if line.startswith("segrt ")]
    assert len(found) >= 3, found
    return found


def run(*arguments: str, program: "str | Path" = SEGRT) -> str:
    """Run the program; return what it printed, or stop with what it said."""
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=240)
    if done.returncode != 0 or "Traceback" in done.stderr:
        raise SystemExit(f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:]))

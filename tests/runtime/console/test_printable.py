"""What files and devices say is shown as text, and steers no terminal."""

import json
import logging
from types import SimpleNamespace

import pytest

from segrt.runtime.cli import main
from segrt.runtime.console.printable import PrintableFormatter, printable, printable_json
from segrt.runtime.console.tables import print_table

EVIL = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202eab\r"
STEERING = ("\x1b", "\x07", "\u009b", "\u202e", "\r")


def test_characters_that_steer_a_terminal_are_shown_as_escapes() -> None:
    assert printable(EVIL) == "\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202eab\\x0d"
    assert printable("plain, Zürich, 猫 🐈") == "plain, Zürich, 猫 🐈"
    assert printable("a\n\tb", keep="\n\t") == "a\n\tb"
    assert printable("half a pair \ud800") == "half a pair \\ud800"


def test_json_says_the_same_with_escapes() -> None:
    text = json.dumps({"name": EVIL}, ensure_ascii=False, indent=1)
    shown = printable_json(text)
    assert json.loads(shown) == {"name": EVIL}
    assert not any(character in shown for character in STEERING)


def test_tables_show_them_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(EVIL, ["name"], [[EVIL], ["a [bold]word[/bold]"]])
    shown = capsys.readouterr().out
    assert not any(character in shown for character in STEERING)
    assert "\\x1b]0;owned" in shown
    assert "a [bold]word[/bold]" in shown


def test_lines_of_a_log_show_them_so() -> None:
    record = logging.LogRecord("segrt.stream", logging.WARNING, "", 0, "%s: hung\nagain", (EVIL,), None)
    shown = PrintableFormatter("segrt: %(message)s").format(record)
    assert not any(character in shown for character in STEERING)
    assert shown.startswith("segrt: \\x1b]0;owned")
    assert shown.endswith(": hung\nagain")


@pytest.mark.parametrize("words", [["inspect"], ["inspect", "--json"]])
def test_a_bundle_cannot_steer_the_terminal(
    words: list[str], tiny: SimpleNamespace, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny.bundle("argmax")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["source"]["notes"] = manifest["source"]["licence"] = manifest["source"]["weights"] = EVIL
    manifest["labels"][0]["name"] = EVIL
    (folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr("sys.argv", ["segrt", *words, str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = "".join(capsys.readouterr())
    assert not any(character in shown for character in STEERING)
    assert "owned" in shown


def test_nor_can_an_error_about_it(tiny: SimpleNamespace, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny.bundle("argmax")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["decode"]["rule"] = EVIL
    (folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr("sys.argv", ["segrt", "inspect", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = "".join(capsys.readouterr())
    assert not any(character in shown for character in STEERING)
    assert shown.count("\n") == 1

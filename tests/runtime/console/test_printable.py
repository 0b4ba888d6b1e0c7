"""What files and devices say is shown as text, and steers no terminal."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime.cli import main
from segrt.runtime.console.printable import printable, printable_json
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


@pytest.mark.parametrize("words", [["inspect"], ["inspect", "--json"], ["unpack", "--check"]])
def test_a_bundle_cannot_steer_the_terminal(
    words: list[str], tiny: SimpleNamespace, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.writer import write_pack

    folder = tiny.bundle("argmax")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"] = EVIL
    manifest["source"]["notes"] = manifest["source"]["licence"] = EVIL
    manifest["labels"][0]["name"] = EVIL
    (folder / "manifest.json").write_text(json.dumps(manifest))
    path = folder if words[0] == "inspect" else write_pack(read_bundle(folder), tmp_path / "evil.segrt").path
    monkeypatch.setattr("sys.argv", ["segrt", *words, str(path)])
    with pytest.raises(SystemExit):
        main()
    shown = "".join(capsys.readouterr())
    assert not any(character in shown for character in STEERING)
    assert "owned" in shown

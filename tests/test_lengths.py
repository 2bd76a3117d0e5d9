"""Runs of growing length stand side by side, from short to long; other runs do not mix in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vlbias import config as configs
from vlbias import fingerprint, lengths, session
from vlbias.answers import Answer
from vlbias.models import scripted
from vlbias.plan import plan
from vlbias.records import Identity, OptionScores, Prompt
from vlbias.store import read


class Windowed(scripted.ScriptedModel):
    """A scripted model that counts ten tokens per segment and has a window of a thousand."""

    def __init__(self) -> None:
        super().__init__(scripted.script({"accuracy": 0.7, "difficulty": 1.0}))
        self.identity: Identity = replace(self.identity, name="windowed", context_window=1000)

    def score(self, prompts: list[Prompt]) -> list[OptionScores]:
        found = super().score(prompts)
        return [replace(s, n_tokens=10 * len(p.trial.segments)) for p, s in zip(prompts, found, strict=True)]


def ask(folder: Path, tasks: str, *, limit: str = "24", num_frames: int | None = None) -> Path:
    one = configs.check(
        {"model": "scripted", "model_args": {"accuracy": 0.7, "difficulty": 1.0}, "tasks": tasks, "limit": limit,
         "num_frames": num_frames}, where="test",
    )  # fmt: skip
    session.ask(one, plan(one), folder=folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lengths of one sweep, and two runs that are none of its steps."""
    root = tmp_path_factory.mktemp("runs")
    for name in ("length-segments-08", "length-segments-04"):
        ask(root / name, name)
    ask(root / "drawn", "drawn", limit="20")
    ask(root / "judge", "judge")
    return root


def test_the_steps_of_a_sweep_stand_from_short_to_long_and_other_suites_stay_out(runs: Path) -> None:
    (sweep,) = lengths.lengths(fingerprint.runs(runs))
    assert [(one.segments, one.frames, one.tokens) for one in sweep] == [(4, 6, 5.0), (8, 6, 9.0)]
    assert [len(one.curve) for one in sweep] == [4, 8]
    assert all(one.shape is not None and one.head is not None and one.head.low is not None for one in sweep)
    assert "no context window" in sweep[0].fill.notes[0]


def test_one_length_alone_is_no_sweep(runs: Path) -> None:
    assert lengths.lengths([runs / "length-segments-04", runs / "drawn", runs / "judge"]) == []


def test_frames_of_a_flag_count_as_a_length(runs: Path, tmp_path: Path) -> None:
    again = ask(tmp_path / "more-frames", "length-segments-04", num_frames=9)
    (sweep,) = lengths.lengths([again, runs / "length-segments-04"])
    assert [(one.segments, one.frames) for one in sweep] == [(4, 6), (4, 9)]


def test_the_fingerprint_shows_each_length_with_its_curve_its_label_and_its_contrasts(
    runs: Path, tmp_path: Path
) -> None:
    found = fingerprint.fingerprint(runs)
    names = [path.name for path in fingerprint.write(found, folder=tmp_path)]
    assert "lengths-1.svg" in names
    drawn = (tmp_path / "lengths-1.svg").read_text()
    for segments in (4, 8):
        assert f"{segments} segments × 6 frames" in drawn
    page, card = (tmp_path / "fingerprint.html").read_text(), (tmp_path / "fingerprint.md").read_text()
    assert page.count("<svg") == 2 and page.count(lengths.label(found.sweeps[0][0].shape)) >= 2
    assert "### How the shape moves with length" in card and "| 8 | 6 | 9 | not told |" in card
    kept = json.loads((tmp_path / "fingerprint.json").read_text())
    assert [one["segments"] for one in kept["lengths"][0]] == [4, 8]


def test_how_full_the_window_was_is_told_of_each_length_and_of_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "load", lambda **_: Windowed())
    folders = [ask(tmp_path / name, name) for name in ("length-segments-04", "length-segments-08")]
    (sweep,) = lengths.lengths(folders)
    assert [one.fill.value for one in sweep] == pytest.approx([3.4, 7.2222], abs=1e-3)  # with the probes asked alone
    assert "8 segments × 6 frames" in lengths.title(sweep[1]) and lengths.title(sweep[1]).endswith("7.22 % full")
    rows = [row for row in read(folders[0]).outcomes if isinstance(row, Answer)]
    assert {row.audit.fill_ratio for row in rows} == {0.01, 0.04}

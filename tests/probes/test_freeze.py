import hashlib
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from vlbias import rooms
from vlbias.errors import BadSuite
from vlbias.probes import insertion
from vlbias.probes._contexts import Given
from vlbias.probes._freeze import freeze
from vlbias.probes._items import read
from vlbias.strictyaml import read as read_yaml
from vlbias.videos.draw import film


def suite(context: str = "multi") -> insertion.Suite:
    drawn = insertion.DrawnSource(clips=24, size_px=(32, 32), duration_s=0.5, fps=4.0)
    return insertion.Suite(
        name="tiny",
        kind="insertion",
        version=1,
        description="",
        licence="CC0-1.0",
        context=context,
        source=insertion.Source(drawn=drawn),
    )


def test_a_frozen_suite_reads_back_as_the_same_probes_over_files(tmp_path: Path) -> None:
    media, items = tmp_path / "media", tmp_path / "tiny.jsonl"
    frozen = freeze(suite(), seed=3, render=partial(film, folder=tmp_path / "films"), media=media, items=items)
    assert read(items, media=media, segments=10, context="multi", given=Given()) == frozen
    assert insertion.probes(read_yaml(tmp_path / "tiny.yaml", insertion.Suite), folder=tmp_path) == frozen
    manifest = json.loads((media / "manifest.json").read_text())
    assert sorted(row["file"] for row in manifest) == sorted(p.name for p in media.glob("*.mp4"))
    assert len(manifest) == 24 and {row["licence"] for row in manifest} == {"CC0-1.0"}
    assert {row["seconds"] for row in manifest} == {0.5} and manifest[0]["size_px"] == [32, 32]
    (tmp_path / "tiny.yaml").write_text("mine")
    other = freeze(suite(), seed=4, render=partial(film, folder=tmp_path / "films"), media=media, items=items)
    assert (tmp_path / "tiny.yaml").read_text() == "mine"
    assert [p.question for p in other] != [p.question for p in frozen]


def test_only_a_drawn_suite_of_clips_can_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(BadSuite, match="suite tiny: only a drawn suite with context multi can be frozen; set"):
        render = partial(film, folder=tmp_path)
        freeze(suite("text"), seed=3, render=render, media=tmp_path, items=tmp_path / "a.jsonl")


def test_the_demo_is_balanced_and_its_clips_are_those_of_the_manifest() -> None:
    path = rooms.data("probes") / "demo.yaml"
    demo = read_yaml(path, insertion.Suite)
    probes = insertion.probes(demo, folder=path.parent)
    assert len(probes) == 144 and set(Counter(p.task for p in probes).values()) == {24}
    media = rooms.data("videos") / "demo"
    manifest = {row["file"]: row["sha256"] for row in json.loads((media / "manifest.json").read_text())}
    on_disk = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in media.glob("*.mp4")}
    assert manifest == on_disk and sum(p.stat().st_size for p in media.iterdir()) < 1_500_000
    used = {s.segment_id for p in probes for s in (p.evidence, *p.backgrounds)}
    assert used == set(on_disk)


def test_in_the_demo_who_guesses_from_the_backgrounds_answers_is_at_chance() -> None:
    """The guesser knows the right answers about every background clip and takes the option least often right there."""
    path = rooms.data("probes") / "demo.yaml"
    probes = insertion.probes(read_yaml(path, insertion.Suite), folder=path.parent)
    truth = {(p.evidence.segment_id, p.task): p.options[p.gold or 0] for p in probes}
    for sign in (1, -1):
        right = 0.0
        for probe in probes:
            near = Counter(truth.get((s.segment_id, probe.task)) for s in probe.backgrounds)
            score = [sign * near[option] for option in probe.options]
            best = [k for k in range(4) if score[k] == min(score)]
            right += (probe.gold in best) / len(best)
        assert abs(right / 144 - 0.25) < 3 * (0.25 * 0.75 / 144) ** 0.5

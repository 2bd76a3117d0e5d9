import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlbias import rooms
from vlbias.errors import BadInput, BadSuite
from vlbias.probes import insertion
from vlbias.probes._world import COLOURS
from vlbias.records import Probe, Segment
from vlbias.strictyaml import parse, read

DRAWN = """
name: tiny
kind: insertion
version: 1
description: a drawn suite
licence: Apache-2.0
segments: {segments}
context: {context}
option_orders: {orders}
source:
  drawn:
    clips: 36
    seed: {seed}
    size_px: [32, 32]
    duration_s: 1.0
    fps: 4.0
"""


def drawn(*, segments: int = 10, context: str = "multi", orders: str = "balanced", seed: int = 5) -> insertion.Suite:
    text = DRAWN.format(segments=segments, context=context, orders=orders, seed=seed)
    return parse(text, where="tiny.yaml", model=insertion.Suite, error=BadSuite)


def made(suite: insertion.Suite) -> list[Probe]:
    return insertion.probes(suite, folder=Path())


@pytest.mark.parametrize("context", ["multi", "short", "long", "text", "interleaved", "template"])
def test_every_probe_visits_every_slot_of_one_background_order_and_stands_alone(context: str) -> None:
    suite = drawn(context=context)
    probes = made(suite)
    by_probe: dict[str, list] = {}
    for trial in insertion.trials(probes, suite=suite, seed=1):
        by_probe.setdefault(trial.probe.probe_id, []).append(trial)
    assert len(by_probe) == len(probes) == 72 and insertion.check(suite, probes) == []
    for probe in probes:
        trials = by_probe[probe.probe_id]
        assert [t.slot for t in trials] == [*range(10), None]
        assert len({t.option_order for t in trials}) == 1
        for kk, trial in enumerate(trials[:10]):
            reference = list(probe.backgrounds)
            reference.insert(kk, probe.evidence)
            assert list(trial.segments) == reference
            assert trial.trial_id == f"{probe.probe_id}/10-{kk:02d}"
        assert trials[10].segments == (probe.evidence,) and trials[10].code == "10-10"


@pytest.mark.parametrize("orders", ["balanced", "cyclic"])
def test_displayed_gold_letters_are_exactly_uniform_and_a_limit_keeps_the_orders(orders: str) -> None:
    suite = drawn(orders=orders)
    probes = made(suite)
    trials = list(insertion.trials(probes, suite=suite, seed=3, slots=[4]))
    assert Counter(t.gold_displayed for t in trials if t.slot == 4) == {k: 18 for k in range(4)}
    limited = list(insertion.trials(probes[:13], suite=suite, seed=3, slots=[4]))
    assert limited == trials[: len(limited)]
    others = list(insertion.trials(probes, suite=suite, seed=4, slots=[4]))
    assert [t.option_order for t in others] != [t.option_order for t in trials]
    if orders == "cyclic":
        assert all((t.option_order[1] - t.option_order[0]) % 4 == 1 for t in trials)


def test_as_given_shows_the_options_as_the_suite_holds_them() -> None:
    suite = drawn(orders="as_given")
    assert {t.option_order for t in insertion.trials(made(suite), suite=suite, seed=1)} == {(0, 1, 2, 3)}


def test_the_same_seed_draws_the_same_suite_and_another_seed_another() -> None:
    assert made(drawn()) == made(drawn())
    assert made(drawn()) != made(drawn(seed=6))


def test_drawn_tasks_are_balanced_and_no_trial_shows_a_shape_twice() -> None:
    probes = made(drawn())
    assert set(Counter(p.task for p in probes).values()) == {12}
    assert Counter(Counter(p.cluster_id for p in probes).values()) == {2: 36}
    for probe in probes:
        shapes = [s.scenes[0].sprites[0].form for s in (probe.evidence, *probe.backgrounds)]
        assert len(set(shapes)) == 10 and shapes[0] in probe.question


def test_who_sees_only_the_backgrounds_guesses_at_chance() -> None:
    """The guesser takes the option whose colour shows least among the backgrounds, where there is one such."""
    text = DRAWN.format(segments=10, context="multi", orders="balanced", seed=2).replace("clips: 36", "clips: 3000")
    suite = parse(text, where="big.yaml", model=insertion.Suite)
    rng = np.random.default_rng(0)
    right, n = 0.0, 0
    names = {rgb: name for name, rgb in COLOURS.items()}
    for probe in made(suite):
        if probe.task != "Attribute Perception":
            continue
        shown = Counter(names[s.scenes[0].sprites[0].colour_rgb] for s in probe.backgrounds)
        least = min(range(4), key=lambda k: (shown[probe.options[k]], rng.random()))
        right, n = right + (least == probe.gold), n + 1
    assert n == 1000 and abs(right / n - 0.25) < 3.5 * (0.25 * 0.75 / n) ** 0.5


def test_cuts_of_a_drawn_film_follow_each_other_and_cover_it() -> None:
    for context, film_s in (("long", 9.0), ("short", 3.0)):
        for probe in made(drawn(context=context)):
            assert probe.backgrounds[0].start_s == 0.0 and probe.backgrounds[-1].end_s == pytest.approx(film_s)
            assert all(a.end_s == b.start_s for a, b in zip(probe.backgrounds, probe.backgrounds[1:], strict=False))
            assert sum(scene.duration_s for scene in probe.backgrounds[0].scenes) == pytest.approx(film_s)
            assert all(s.sprites[0].form not in probe.question for s in probe.backgrounds[0].scenes)


@pytest.mark.parametrize("slots", [[10], [-1], [0, 0]])
def test_slots_outside_the_suite_are_refused(slots: list[int]) -> None:
    suite = drawn()
    with pytest.raises(BadInput, match="suite tiny: found the slots .*; right are 0 to 9"):
        list(insertion.trials(made(suite), suite=suite, seed=1, slots=slots))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(n=st.integers(2, 64), n_probes=st.integers(1, 20), n_options=st.integers(2, 7), seed=st.integers(0, 2**32))
def test_insertion_is_a_list_insert_for_any_number_of_segments(
    n: int, n_probes: int, n_options: int, seed: int
) -> None:
    suite = drawn(context="template").model_copy(update={"segments": n})
    backgrounds = tuple(Segment(segment_id=f"b{k}", path=f"b{k}.mp4") for k in range(n - 1))
    probes = [
        Probe(
            probe_id=f"p{k}",
            task="t",
            question="q",
            options=tuple(f"o{j}" for j in range(n_options)),
            gold=k % n_options,
            evidence=Segment(segment_id=f"e{k}", path=f"e{k}.mp4"),
            backgrounds=backgrounds,
            cluster_id=f"c{k}",
        )
        for k in range(n_probes)
    ]
    trials = list(insertion.trials(probes, suite=suite, seed=seed))
    assert len(trials) == n_probes * (n + 1) == len({t.trial_id for t in trials})
    for trial in trials:
        assert sorted(trial.option_order) == list(range(n_options))
        if trial.slot is not None:
            assert trial.segments[trial.slot] == trial.probe.evidence
            assert tuple(s for s in trial.segments if s != trial.probe.evidence) == backgrounds
    letters = Counter(t.gold_displayed for t in trials if t.slot == 0)
    counts = [letters[k] for k in range(n_options)]
    assert max(counts) - min(counts) <= 1


SUITES = sorted(rooms.data("probes").glob("*.yaml"))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_suite_loads_or_says_which_data_it_needs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "kind: insertion" not in path.read_text():
        pytest.skip("a suite of another kind")
    monkeypatch.delenv("VLBIAS_DATA_DIR", raising=False)
    suite = read(path, insertion.Suite, error=BadSuite)
    assert suite.name == path.stem
    if suite.source.levelgauge:
        with pytest.raises(
            BadSuite, match=r"VLBIAS_DATA_DIR is not set; download .*LevelGauge/json.*--task_args json="
        ):
            insertion.probes(suite, folder=path.parent)
        return
    probes = insertion.probes(suite, folder=path.parent)
    assert insertion.check(suite, probes) == []
    letters = Counter(t.gold_displayed for t in insertion.trials(probes, suite=suite, seed=0, slots=[0]))
    assert len(probes) % 4 == 0 and set(letters.values()) == {len(probes) // 4 * (2 if suite.include_alone else 1)}


# --- Video-LevelGauge's own files


def level_gauge(folder: Path, *, n: int = 12) -> Path:
    """A file in their schema over empty-looking clips: item k asks about probe-k.mp4."""
    videos = folder / "videos"
    videos.mkdir(exist_ok=True)
    names = [f"bg {k}.mp4" for k in range(19)] + [f"probe-{k}.mp4" for k in range(n)]
    for name in names:
        (videos / name).write_bytes(name.encode())
    rows = []
    for k in range(n):
        order = random.Random(100 + k).sample(names[:19], 19)
        rows.append(
            {
                "question_type": "Count Problem",
                "video_name": f"probe-{k}.mp4",
                "question_id": k,
                "question": f"How many? {k}",
                "candidates": ["1", "2", "3", "4"],
                "answer_number": k % 4,
                "gt_answer": str(k % 4 + 1),
                "9_background": {name: {"anything": 1} for name in order[:9]},
                "19_background": {name: None for name in order},
            }
        )
    (folder / "file.json").write_text(json.dumps(rows))
    (folder / "passages.json").write_text(json.dumps([[f"list {i} text {j}" for j in range(20)] for i in range(5)]))
    return folder / "file.json"


def gauge_suite(extra: str = "", *, segments: int = 10, context: str = "multi") -> insertion.Suite:
    head = DRAWN.format(segments=segments, context=context, orders="as_given", seed=0).split("source:")[0]
    text = head + f"source:\n  levelgauge:\n    json: file.json\n    videos: videos\n{extra}"
    return parse(text, where="lg.yaml", model=insertion.Suite, error=BadSuite)


@pytest.mark.parametrize("segments", [10, 20])
def test_level_gauge_trials_equal_a_plain_list_insert_of_its_keys(tmp_path: Path, segments: int) -> None:
    rows = json.loads(level_gauge(tmp_path).read_text())
    suite = gauge_suite(segments=segments)
    trials = iter(insertion.trials(insertion.probes(suite, folder=tmp_path), suite=suite, seed=9))
    for row in rows:
        for kk in range(segments + 1):
            expected = list(row[f"{segments - 1}_background"])
            expected.insert(kk, row["video_name"])
            if kk == segments:
                expected = [row["video_name"]]
            trial = next(trials)
            assert [Path(s.path or "").name for s in trial.segments] == expected
            assert trial.trial_id == f"{row['question_id']}/{segments}-{kk:02d}"
            assert trial.options == tuple(row["candidates"]) and trial.gold_displayed == row["answer_number"]
    assert next(trials, None) is None


def test_level_gauge_text_and_interleaved_contexts_equal_its_reference(tmp_path: Path) -> None:
    rows = json.loads(level_gauge(tmp_path).read_text())
    lists = json.loads((tmp_path / "passages.json").read_text())
    text = insertion.probes(gauge_suite("    background: passages.json\n", context="text"), folder=tmp_path)
    mixed = insertion.probes(gauge_suite("    background: passages.json\n", context="interleaved"), folder=tmp_path)
    for index, row in enumerate(rows):
        passages = lists[index % len(lists)][:9]
        assert [s.text for s in text[index].backgrounds] == passages
        random.seed(index)
        expected = [
            passage if random.uniform(0, 1) < 0.5 else str(tmp_path / "videos" / name)
            for passage, name in zip(passages, row["9_background"], strict=True)
        ]
        assert [s.text or s.path for s in mixed[index].backgrounds] == expected


def test_level_gauge_film_context_is_cut_evenly_and_needs_its_length(tmp_path: Path) -> None:
    level_gauge(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"film")
    suite = gauge_suite("    background: film.mp4\n    duration_s: 90.0\n", context="long")
    probe = insertion.probes(suite, folder=tmp_path)[0]
    assert [(s.start_s, s.end_s) for s in probe.backgrounds] == [(10.0 * k, 10.0 * (k + 1)) for k in range(9)]
    with pytest.raises(BadSuite, match="a long context needs the keys background .* duration_s"):
        insertion.probes(gauge_suite("    background: film.mp4\n", context="long"), folder=tmp_path)


def test_level_gauge_ids_that_repeat_take_the_name_of_their_video(tmp_path: Path) -> None:
    path = level_gauge(tmp_path, n=2)
    rows = json.loads(path.read_text())
    rows[1]["question_id"] = 0
    path.write_text(json.dumps(rows))
    assert [p.probe_id for p in insertion.probes(gauge_suite(), folder=tmp_path)] == ["probe-0.0", "probe-1.0"]


def test_drawn_scenes_of_a_segment_do_not_depend_on_the_context() -> None:
    multi, alone = made(drawn()), made(drawn(context="template"))
    assert [p.evidence for p in multi] == [p.evidence for p in alone]


def test_level_gauge_faults_are_told_with_their_item_all_at_once(tmp_path: Path) -> None:
    path = level_gauge(tmp_path, n=6)
    rows = json.loads(path.read_text())
    rows[0]["answer_number"] = 4
    rows[1]["candidates"] = ["1", "1", "2", "3"]
    rows[2]["video_name"] = "none.mp4"
    del rows[3]["9_background"]
    rows[4]["video_name"] = next(iter(rows[4]["9_background"]))
    del rows[5]["question"]
    path.write_text(json.dumps(rows))
    with pytest.raises(BadSuite) as told:
        insertion.probes(gauge_suite(), folder=tmp_path)
    parts = ("item 0: answer_number: 4 is no index", "item 1: candidates: found one twice", "none.mp4 is missing")
    parts += ("item 3: found 0 backgrounds", "is the evidence itself", "item 5: question: Field required")
    assert [part for part in parts if part not in str(told.value)] == []
    path.write_text("{}")
    with pytest.raises(BadSuite, match="right is a JSON list of questions; download"):
        insertion.probes(gauge_suite(), folder=tmp_path)
    path.unlink()
    with pytest.raises(BadSuite, match=r"file\.json: Video-LevelGauge's data are not there; download"):
        insertion.probes(gauge_suite(), folder=tmp_path)


def test_a_place_in_the_data_folder_is_found_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLBIAS_DATA_DIR", str(tmp_path))
    (tmp_path / "LevelGauge" / "json").mkdir(parents=True)
    level_gauge(tmp_path / "LevelGauge").rename(tmp_path / "LevelGauge" / "json" / "Pos_MCQA_300_final.json")
    path = rooms.data("probes") / "levelgauge-300.yaml"
    probes = insertion.probes(read(path, insertion.Suite), folder=path.parent)
    assert len(probes) == 12 and probes[0].evidence.path == str(tmp_path / "LevelGauge" / "videos" / "probe-0.mp4")

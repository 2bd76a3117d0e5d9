"""Expand and merge: what is asked, and what the merged answer says."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vlbias import rooms
from vlbias.debias import Setting
from vlbias.debias._content_free import diffused, noise_level, without_segments
from vlbias.debias._contrast import CUT, contrasted
from vlbias.debias._merging import voted
from vlbias.debias._scores import by_option, logprobs, mark
from vlbias.debias.portia import equal_cuts
from vlbias.debias.verbalized import read_shares
from vlbias.errors import BadInput, NotApplicable
from vlbias.records import Fault, Frames, OptionScores, Part, Probe, Prompt, Segment, Trial

RNG = np.random.default_rng(0)
SETTING = Setting(kind="insertion", n_slots=4, n_options=4, logprobs=True, white_box=False, generates=True)
BEFORE = ("permute", "independent", "vcd", "vdd", "lqcd", "portia", "cot", "scene_graph", "verbalized")


def frames(fill: int, *, count: int = 4) -> Frames:
    pixels = np.random.default_rng(fill).integers(0, 256, size=(count, 6, 6, 3), dtype=np.uint8)
    times = tuple(float(k) for k in range(count))
    return Frames(frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=f"{fill:064d}", decoder="x",
                  decoder_version="1")  # fmt: skip


@pytest.fixture
def filmed() -> Prompt:
    """A prompt of three clips of four frames, the evidence in slot 1."""
    clips = [Segment(segment_id=f"s{k}", path=f"{k}.mp4") for k in range(3)]
    probe = Probe(probe_id="p", task="t", question="which?", options=("x", "y"), gold=0, evidence=clips[1],
                  backgrounds=(clips[0], clips[2]), cluster_id="c")  # fmt: skip
    trial = Trial(trial_id="p/03-01", probe=probe, slot=1, n_slots=3, segments=tuple(clips), option_order=(0, 1))
    parts = (*(Part(place=k, kind="clip", frames=frames(k)) for k in range(3)), Part(text="which?"))
    return Prompt(trial_id=trial.trial_id, parts=parts, options=("A", "B"), trial=trial)


@pytest.fixture
def indexed(trial_of: Any) -> Any:
    """Trials that ask for the place of the evidence: the options are the segments, displayed in their order."""

    def make(slot: int) -> Trial:
        trial = trial_of(0, slot)
        pool = (trial.probe.evidence, *trial.probe.backgrounds)
        probe = replace(trial.probe, options=tuple(s.segment_id for s in pool))
        shown = tuple(pool.index(s) for s in trial.segments)
        factors = (("asks", "index"), ("labels", "numbers"), ("image_at", str(slot)))
        return replace(trial, probe=probe, option_order=shown, factors=factors)

    return make


def test_all_rotations_bring_the_evidence_to_every_slot_once(write: Any, trial_of: Any) -> None:
    method = rooms.find("debias", "permute").load()
    asked = method.expand(write(trial_of(0, 2)), write=write, rng=RNG)
    assert sorted(p.trial.slot for p in asked) == [0, 1, 2, 3]
    assert asked[0].trial == trial_of(0, 2) and len({p.sha256 for p in asked}) == 4
    for p in asked:
        assert p.trial.segments[p.trial.slot] == p.trial.probe.evidence


def test_the_merged_answer_of_rotations_is_the_same_from_every_slot(
    write: Any, trial_of: Any, answered: Any, prior_model: Any
) -> None:
    """The model's scores depend on the slot only: after the merge nothing depends on it."""
    method = rooms.find("debias", "permute").load()
    model = prior_model(lambda slot: np.roll([0.7, 0.1, 0.1, 0.1], slot))
    merged = []
    for slot in range(4):
        asked = method.expand(write(trial_of(5, slot)), write=write, rng=RNG)
        merged.append(method.merge(trial_of(5, slot), [answered(p, model.scores(p)) for p in asked]))
    assert [a.asked.slot for a in merged] == [0, 1, 2, 3] and all(mark(a.asked) is None for a in merged)
    assert max(np.abs(logprobs(a) - logprobs(merged[0])).max() for a in merged) < 1e-9
    assert merged[0].audit.n_tokens == 36


@pytest.mark.parametrize("over", ["segments", "options"])
def test_options_that_are_the_segments_move_with_them(over: str, write: Any, answered: Any, indexed: Any) -> None:
    """A model that says the first place nine times of ten: after all rotations the right segment wins from any slot."""
    method = rooms.find("debias", "permute").load(over=over)
    for slot in range(4):
        asked = method.expand(write(indexed(slot)), write=write, rng=RNG)
        found = []
        for one in asked:
            shown = np.array([0.2 * (segment == one.trial.probe.evidence) for segment in one.trial.segments])
            names = [segment.segment_id for segment in one.trial.segments]
            assert names == list(one.trial.options)
            found.append(answered(one, shown + np.log([0.9, 0.04, 0.03, 0.03])))
        assert [a.correct for a in found].count(True) == 1 and method.merge(indexed(slot), found).correct


def test_a_prior_over_places_is_found_where_the_options_are_the_segments(
    write: Any, answered: Any, indexed: Any
) -> None:
    prior = np.array([0.6, 0.2, 0.1, 0.1])
    method = rooms.find("debias", "pride").load()
    rows = []
    for slot in range(4):
        for one in (write(indexed(slot)), *method.asks(write(indexed(slot)), write=write, rng=RNG)):
            shown = np.array([2.0 * (segment == one.trial.probe.evidence) for segment in one.trial.segments])
            rows.append(answered(one, shown + np.log(prior)))
    table = method.fit(rows, rng=RNG).prior
    assert list(table) == ["4 options"] and np.allclose(table["4 options"], prior)


@pytest.mark.parametrize(("rule", "n"), [("cyclic", 4), ("full", 24), ("random", 3)])
def test_orders_of_options_differ_and_their_content_is_averaged(
    rule: str, n: int, write: Any, trial_of: Any, answered: Any, prior_model: Any
) -> None:
    method = rooms.find("debias", "permute").load(over="options", rule=rule, k=3)
    trial = trial_of(1, 0)
    asked = method.expand(write(trial), write=write, rng=np.random.default_rng(1))
    assert len({p.trial.option_order for p in asked}) == n
    model = prior_model(lambda _: np.array([0.7, 0.1, 0.1, 0.1]))
    answers = [answered(p, model.scores(p)) for p in asked]
    found = by_option(method.merge(trial, answers))
    content = by_option(answered(asked[0], model.scores(asked[0]) - np.log([0.7, 0.1, 0.1, 0.1])))
    assert (np.abs(found - content).max() < 1e-9) == (rule != "random")


def test_a_vote_goes_to_the_option_that_most_chose(write: Any, trial_of: Any, answered: Any) -> None:
    trial = trial_of(0, 0)
    three = [answered(write(trial), np.eye(4)[k] * 3) for k in (2, 1, 2)]
    assert voted(trial, three).chosen == 2
    tie = [answered(write(trial), np.eye(4)[1] * 1.0), answered(write(trial), np.eye(4)[3] * 5.0)]
    assert voted(trial, tie).chosen == 3


def test_alone_segments_know_no_order_and_the_surest_answers(write: Any, trial_of: Any, answered: Any) -> None:
    method = rooms.find("debias", "independent").load()
    sets = [{p.sha256 for p in method.expand(write(trial_of(0, s)), write=write, rng=RNG)} for s in range(4)]
    assert sets[0] == sets[1] == sets[2] == sets[3] and len(sets[0]) == 4
    asked = method.expand(write(trial_of(0, 1)), write=write, rng=RNG)
    vague, sure = np.array([0.3, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 9.0, 0.0])
    answers = [answered(p, sure if k == 2 else vague) for k, p in enumerate(asked)]
    assert method.merge(trial_of(0, 1), answers).chosen == 2


def test_the_noise_schedule_has_its_published_ends() -> None:
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, 1000))) * (0.5e-2 - 1e-5) + 1e-5
    assert noise_level(0) == pytest.approx(1 - betas[0]) and noise_level(0) > 0.9999
    assert noise_level(999) == pytest.approx(np.prod(1 - betas)) and noise_level(999) < 0.09
    levels = [noise_level(k) for k in range(0, 1000, 50)]
    assert all(a > b for a, b in zip(levels, levels[1:]))
    pixels = frames(3).frames_THWC
    assert np.abs(diffused(pixels, step=0, rng=RNG).astype(int) - pixels).max() <= 4
    assert abs(np.corrcoef(diffused(pixels, step=999, rng=RNG).ravel(), pixels.ravel())[0, 1]) < 0.45


def test_contrast_has_the_limits_of_its_formula() -> None:
    logs, free = np.log([0.6, 0.3, 0.1]), np.log([0.2, 0.2, 0.6])
    assert np.array_equal(contrasted(logs, free, alpha=0.0, beta=0.0), logs)
    assert np.allclose(contrasted(logs, free, alpha=1.0, beta=0.0), 2 * logs - free)
    only_best = contrasted(logs, np.log([0.9, 0.05, 0.05]), alpha=1.0, beta=1.0)
    assert only_best.argmax() == 0 and only_best[0] - only_best[1:].max() > CUT - 1
    cut = contrasted(logs, free, alpha=1.0, beta=0.2)
    assert cut[2] < cut[1] - CUT + 1 and np.isfinite(cut).all()
    assert contrasted(logs, free, alpha=1.0, beta=0.16)[2] == pytest.approx(2 * logs[2] - free[2])


def test_noised_frames_keep_the_layout_and_leave_the_question(filmed: Prompt, write: Any) -> None:
    for where, changed in (("all", [0, 1, 2]), ("evidence", [1])):
        plain, noised = rooms.find("debias", "vcd").load(where=where).expand(filmed, write=write, rng=RNG)
        assert plain is filmed and [p.place for p in noised.parts] == [p.place for p in filmed.parts]
        differ = [
            k for k in range(3) if (noised.parts[k].frames.frames_THWC != filmed.parts[k].frames.frames_THWC).any()
        ]
        assert differ == changed and noised.parts[3] == filmed.parts[3] and noised.sha256 != filmed.sha256


def test_a_clip_has_the_same_noise_in_every_slot_and_another_at_another_step(filmed: Prompt, write: Any) -> None:
    trial = filmed.trial
    assert trial is not None
    segments = tuple(trial.segments[k] for k in (2, 0, 1))
    shown = tuple(Part(place=k, kind="clip", frames=frames((k + 2) % 3)) for k in range(3))
    later = Trial(**{**vars(trial), "trial_id": "p/03-02", "slot": 2, "segments": segments})
    moved = Prompt(trial_id="p/03-02", parts=(*shown, filmed.parts[3]), options=filmed.options, trial=later)
    vcd = rooms.find("debias", "vcd")
    one, two = (
        vcd.load().expand(p, write=write, rng=np.random.default_rng(k))[1] for k, p in enumerate((filmed, moved))
    )
    assert [one.parts[k].frames.sha256 for k in (2, 0, 1)] == [two.parts[k].frames.sha256 for k in range(3)]
    assert np.array_equal(one.parts[2].frames.frames_THWC, two.parts[0].frames.frames_THWC)
    other = vcd.load(step=501).expand(filmed, write=write, rng=RNG)[1]
    assert other.parts[0].frames.sha256 != one.parts[0].frames.sha256
    blind = without_segments(filmed, fill="noise", where="all")
    again = without_segments(moved, fill="noise", where="all")
    assert blind.parts[2].frames.sha256 == again.parts[0].frames.sha256  # type: ignore[union-attr]


@pytest.mark.parametrize("fill", ["template", "noise", "zero", "one", "mean", "none", "unknown"])
def test_a_prompt_without_content_keeps_its_place_and_has_no_right_option(fill: Any, filmed: Prompt) -> None:
    blind = without_segments(filmed, fill=fill, where="evidence")
    assert blind.trial is not None and blind.trial.probe.gold is None and blind.trial.slot == 1
    kept = [p for p in blind.parts if p.place in (0, 2)]
    assert [p.frames for p in kept] == [filmed.parts[0].frames, filmed.parts[2].frames]
    at = [p for p in blind.parts if p.place == 1]
    assert len(at) == (0 if fill == "none" else 1)
    if fill in ("template", "zero", "one", "mean"):
        pixels = at[0].frames.frames_THWC  # type: ignore[union-attr]
        assert pixels.shape == (4, 6, 6, 3) and len(np.unique(pixels.reshape(-1, 3), axis=0)) == 1


def test_leading_questions_name_each_option_once(write: Any, trial_of: Any) -> None:
    asked = rooms.find("debias", "lqcd").load().expand(write(trial_of(0, 1)), write=write, rng=RNG)
    led = [p.trial.probe.question for p in asked[1:]]
    assert len(asked) == 5 and [f"thing {k}" in q for k, q in enumerate(led)] == [True] * 4


def test_parts_of_all_segments_are_laid_side_by_side_and_none_is_lost(filmed: Prompt, write: Any) -> None:
    for align in ("time", "similarity"):
        (one,) = rooms.find("debias", "portia").load(align=align).expand(filmed, write=write, rng=RNG)
        assert one.trial is not None
        assert [s.segment_id for s in one.trial.segments] == ["s0#1", "s1#1", "s2#1", "s0#2", "s1#2", "s2#2"]
        for k in range(3):
            pieces = [one.parts[k].frames.frames_THWC, one.parts[k + 3].frames.frames_THWC]  # type: ignore[union-attr]
            assert np.array_equal(np.concatenate(pieces), filmed.parts[k].frames.frames_THWC)  # type: ignore[union-attr]
    assert equal_cuts(7, 3) == (2, 5)


def test_cuts_by_similarity_find_the_matching_scene(write: Any, filmed: Prompt) -> None:
    """The second clip changes scene after its first frame, the first one after its second."""
    a, b = frames(7).frames_THWC[0], frames(8).frames_THWC[0]
    ab, abbb = np.stack([a, a, b, b]), np.stack([a, b, b, b])
    parts = list(filmed.parts)
    for k, pixels in ((0, ab), (1, abbb)):
        old = parts[k].frames
        assert old is not None
        parts[k] = Part(place=k, kind="clip", frames=Frames(**{**vars(old), "frames_THWC": pixels}))
    prompt = Prompt(trial_id="p", parts=tuple(parts), options=filmed.options, trial=filmed.trial)
    (one,) = rooms.find("debias", "portia").load(align="similarity").expand(prompt, write=write, rng=RNG)
    assert len(one.parts[1].frames.frames_THWC) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["cot", "scene_graph"])
def test_notes_stand_between_the_segments_and_the_question(name: str, filmed: Prompt, write: Any) -> None:
    method = rooms.find("debias", name).load()
    first = method.first(filmed, write=write)
    assert first.parts[:4] == filmed.parts and "Do not answer yet" in first.parts[4].text
    then = method.then(filmed, "  a red dot  ", write=write)
    assert [p.place for p in then.parts] == [0, 1, 2, None, None]
    assert "a red dot" in then.parts[3].text and then.parts[4] == filmed.parts[3] and then.options == filmed.options


def test_probabilities_in_words_become_scores_or_a_parse_failure(filmed: Prompt, write: Any) -> None:
    method = rooms.find("debias", "verbalized").load()
    assert '"A", "B"' in method.first(filmed, write=write).parts[-1].text
    good = method.then(filmed, 'I say {"A": 0.25, "B": 0.75}', write=write)
    assert isinstance(good, OptionScores) and good.level == "generated"
    assert np.exp(good.logprobs) == pytest.approx([0.25, 0.75])
    for reply in ("B", '{"A": 1}', '{"A": 0.9, "B": 0.9}', '{"A": "x", "B": 1}', '{"A": 0, "B": 1} {"A": 1, "B": 0}'):
        bad = method.then(filmed, reply, write=write)
        assert isinstance(bad, Fault) and bad.kind == "parse", reply
    assert read_shares(json.dumps({"A": 0.5, "B": 0.51}), ("A", "B")) == pytest.approx([50 / 101, 51 / 101])


@pytest.mark.parametrize("name", BEFORE)
def test_an_unknown_option_is_refused_and_a_sound_setting_is_not(name: str) -> None:
    module = rooms.find("debias", name)
    module.load().needs(SETTING)
    with pytest.raises(BadInput, match="unknown option 'wrong'"):
        module.load(wrong=1)
    with pytest.raises(NotApplicable, match="only stored rows"):
        module.load().needs(Setting(**{**vars(SETTING), "asks_model": False}))


@pytest.mark.parametrize(
    ("name", "options", "change", "message"),
    [
        ("permute", {"rule": "full"}, {"n_slots": 10}, "3628800 orders"),
        ("permute", {}, {"n_slots": 1}, "one order"),
        ("permute", {}, {"logprobs": False}, "mode: score"),
        ("independent", {}, {"answer_is_segment": True}, "place in the order"),
        ("portia", {}, {"answer_is_segment": True}, "cuts take away"),
        ("portia", {}, {"frames": False}, "there are none"),
        ("vcd", {}, {"frames": False}, "nothing to noise"),
        ("cot", {}, {"generates": False}, "writes no text; use the adapter hf"),
        ("verbalized", {}, {"generates": False}, "writes no text; use the adapter hf"),
    ],
)
def test_what_a_method_lacks_is_named(name: str, options: Any, change: Any, message: str) -> None:
    method = rooms.find("debias", name).load(**options)
    with pytest.raises(NotApplicable, match=message):
        method.needs(Setting(**{**vars(SETTING), **change}))

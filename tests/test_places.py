"""A model that really looks, and writes boxes in a frame of its choice: the check finds the frame or stops the run."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from vlbias import scoring, session
from vlbias.answers import Answer, Audit, Failure, asked
from vlbias.config import RunConfig
from vlbias.errors import BadInput, RunRefused
from vlbias.models._box_writing import WRITES, written
from vlbias.places import confirmed, read_place, sightings
from vlbias.plan import plan
from vlbias.prompts import Style
from vlbias.records import Capabilities, Detection, Frames, Identity, Reply, Segment
from vlbias.rows import decode, plain
from vlbias.store import read
from vlbias.videos import draw

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
SUITE = SimpleNamespace(worded=lambda thing: f"Find {thing}.")


class Spotter:
    """Finds the brightest thing of an image and says its box by `write(box, (width, height))`."""

    def __init__(self, write, *, said, generate=True):
        self.write = write
        self.identity = Identity(adapter="spotter", name="spotter", family="x", box_format=said)
        self.capabilities = Capabilities(score=False, generate=generate)

    def generate(self, prompts, *, max_new_tokens):
        out = []
        for prompt in prompts:
            (seen_HW,) = (p.frames.frames_THWC[0].max(axis=2) > 180 for p in prompt.parts if p.frames)
            height, width = seen_HW.shape
            y, x = np.flatnonzero(seen_HW.any(axis=1)), np.flatnonzero(seen_HW.any(axis=0))
            box = x[0] / width, y[0] / height, (x[-1] + 1) / width, (y[-1] + 1) / height
            out.append(Reply(text=self.write(box, (width, height)), n_tokens=1, n_new_tokens=1))
        return out


def frames(segment: Segment) -> Frames:
    pixels = draw.snapshots(segment.scenes[0], [0.5])
    return Frames(frames_THWC=pixels, timestamps_s=(0.0,), asked_s=(0.0,), sha256="x", decoder="x", decoder_version="x")


def plan_of(asks: str = "box") -> SimpleNamespace:
    trials = [SimpleNamespace(factors=(("asks", asks),))]
    return SimpleNamespace(suite=SUITE, suite_name="tiny", style=Style(style="cloze"), trials=trials)


def as_written(family):
    return lambda box, size: written(box, family=family, input_wh_px=size)


@pytest.mark.parametrize("family", [f for f in WRITES if f != "qwen2_5_vl"])
def test_a_family_that_writes_as_told_is_confirmed(family) -> None:
    note = confirmed(Spotter(as_written(family), said=family), frames, plan_of(), declared=False)
    assert note.startswith("boxes are ") and f"as {family} writes them" in note and "6 known things" in note


def in_pixels(box, size):
    return json.dumps({"bbox_2d": [v * side for v, side in zip(box, size * 2, strict=True)]})


def y_first(box, _):
    return json.dumps({"bbox_2d": [1000 * box[k] for k in (1, 0, 3, 2)]})


def x_first(box, _):
    return json.dumps({"box_2d": [1000 * v for v in box]})


def as_xywh(box, _):
    return json.dumps({"bbox_2d": [1000 * v for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]})


@pytest.mark.parametrize(
    ("said", "meant"),
    [("qwen3_vl", in_pixels), ("qwen3_vl", y_first), ("gemini", x_first), ("qwen3_vl", as_xywh)],
)
def test_boxes_in_another_frame_than_that_of_the_format_stop_the_run(said, meant) -> None:
    for declared in (False, True):
        with pytest.raises(RunRefused, match="lie right as"):
            confirmed(Spotter(meant, said=said), frames, plan_of(), declared=declared)


def test_boxes_that_fit_no_frame_or_cannot_be_read_stop_the_run_unless_the_format_is_declared() -> None:
    lost = Spotter(lambda *_: '{"bbox_2d": [10, 10, 60, 60]}', said="qwen3_vl")
    mute = Spotter(lambda *_: "It is on the right.", said="qwen3_vl")
    for model, words in ((lost, "fit no frame"), (mute, "0 of 6 replies hold one box")):
        with pytest.raises(RunRefused, match=words):
            confirmed(model, frames, plan_of(), declared=False)
        assert "read as declared" in confirmed(model, frames, plan_of(), declared=True)


def test_a_model_of_unknown_format_or_without_words_is_refused_with_a_remedy() -> None:
    with pytest.raises(BadInput, match="box_format=.*, one of deepseek_vl2, florence2"):
        confirmed(Spotter(as_written("gemini"), said=None), frames, plan_of(), declared=False)
    lettered = SimpleNamespace(**{**vars(plan_of()), "style": Style(style="letters")})
    with pytest.raises(BadInput, match="leave --prompt_style out"):
        confirmed(Spotter(as_written("gemini"), said="gemini"), frames, lettered, declared=False)
    with pytest.raises(BadInput, match="cannot generate"):
        confirmed(Spotter(as_written("gemini"), said="gemini", generate=False), frames, plan_of(), declared=False)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"bbox_2d": [100, 200, 300, 400]}', "answer"),
        ('<think>maybe [1, 2]</think>{"bbox_2d": [100, 200, 300, 400]}', "answer"),
        ("[]", "none"),
        ('[{"bbox_2d": [100, 200, 300, 400]}, {"bbox_2d": [1, 2, 30, 40]}]', "parse"),
        ('{"point_2d": [100, 200]}', "parse"),
        ('{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}', "parse"),
        ('{"bbox_2d": [100, 200, 1300, 400]}', "parse"),
        ('{"bbox_2d": [300, 400, 100, 200]}', "parse"),
        ("I'm sorry, I can't help with that.", "refused"),
        ("around the middle", "parse"),
    ],
)
def test_one_box_is_an_answer_and_what_is_not_certain_is_a_failure(text: str, kind: str) -> None:
    trial = next(sightings(SUITE))
    reply = Reply(text=text, n_tokens=1, n_new_tokens=1)
    row = read_place(asked(trial), reply, trial, AUDIT, box_format="qwen3_vl")
    if kind in ("answer", "none"):
        assert isinstance(row, Answer) and row.reply == text and row.point_xy is None
        assert row.box_xyxy == ((0.1, 0.2, 0.3, 0.4) if kind == "answer" else None)
    else:
        assert isinstance(row, Failure) and (row.kind, row.reply) == (kind, text)


def test_pixels_of_an_unknown_input_are_no_place() -> None:
    trial = next(sightings(SUITE))
    reply = Reply(text='{"bbox_2d": [100, 200, 300, 400]}', n_tokens=1, n_new_tokens=1)
    row = read_place(asked(trial), reply, trial, AUDIT, box_format="qwen2_5_vl")
    assert isinstance(row, Failure) and row.kind == "unfit" and "size" in row.reason


BEST, SECOND = (Detection(box_xyxy=b, score=s) for b, s in (((0.1, 0.2, 0.3, 0.6), 0.9), ((0.5, 0.5, 0.9, 0.9), 0.4)))


@pytest.mark.parametrize(
    ("asks", "found", "box", "point"),
    [
        ("box", (BEST, SECOND), BEST.box_xyxy, None),
        ("point", (BEST, SECOND), None, (0.2, 0.4)),
        ("box", (), None, None),
        ("point", (), None, None),
    ],
)
def test_the_place_of_a_detector_is_its_best_box_or_its_centre_and_no_box_is_a_miss(asks, found, box, point) -> None:
    trial = replace(next(sightings(SUITE)), factors=(("asks", asks),))
    reply = Reply(text="white square", n_tokens=1, n_new_tokens=0, detections=found)
    row = read_place(asked(trial), reply, trial, AUDIT, box_format=None)
    assert isinstance(row, Answer) and row.box_xyxy == box and row.detections == found
    assert row.point_xy == (pytest.approx(point) if point else None)
    assert decode(json.dumps(plain(row)).encode()) == row
    if found:
        torn = {**plain(row), "detections": [{"box_xyxy": [0, 0, 1, 1], "score": float("nan")}]}
        with pytest.raises(ValueError, match="not finite"):
            decode(json.dumps(torn).encode())


def test_a_detector_needs_no_format_of_boxes_and_no_words() -> None:
    model = Spotter(as_written("gemini"), said=None, generate=False)
    model.capabilities = Capabilities(score=False, detect=True)
    assert "no writing to be read" in confirmed(model, frames, plan_of(), declared=False)


def test_a_run_of_detection_stores_boxes_that_are_read_back_and_measured_whatever_the_mode(tmp_path) -> None:
    config = RunConfig(tasks="detection", model="scripted", model_args={"accuracy": 0.8}, limit="3", batch_size=500)
    asked_for = plan(config)
    info = session.ask(config, asked_for, folder=tmp_path / "run")
    rows = read(tmp_path / "run").outcomes
    assert len(rows) == 27 and all(isinstance(row, Answer) and row.box_xyxy is not None for row in rows)
    assert any("does not look" in note for note in info.notes)
    found = scoring.report(tmp_path / "run").estimates
    (share,) = (e for e in found if e.metric == "detection_accuracy" and e.cell is None)
    near = [
        np.abs(np.array(r.box_xyxy) - [float(v) for v in dict(r.asked.factors)["target"].split(",")]).max()
        for r in rows
    ]
    assert share.value == pytest.approx(100 * np.mean(np.array(near) < 0.01))
    assert scoring.write(scoring.report(tmp_path / "run"), folder=tmp_path / "run")


def test_a_row_without_a_place_as_older_runs_hold_it_is_still_read() -> None:
    row = Answer(
        asked=asked(next(sightings(SUITE))), chosen=None, logprobs=None, level="generated", reply="x", audit=AUDIT
    )
    kept = plain(row)
    del kept["box_xyxy"], kept["point_xy"]
    assert decode(json.dumps(kept).encode()) == row
    boxed = replace(row, box_xyxy=(0.1, 0.2, 0.3, 0.4))
    assert decode(json.dumps(plain(boxed)).encode()) == boxed
    with pytest.raises(ValueError, match="not finite"):
        decode(json.dumps({**plain(boxed), "box_xyxy": [0.1, 0.2, float("inf"), 0.4]}).encode())

"""Reads where a model says a thing is, and checks at the start of a run in which frame the model writes places.

A frame that is read wrongly moves every box towards a corner, which looks like a bias of position. So the model is
first shown things whose places are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from vlbias.answers import Answer, Asked, Audit, Failure
from vlbias.errors import BadInput, DecodeError, ModelError, RunRefused
from vlbias.models import Model
from vlbias.models._box_frames import as_xyxy, which_frame
from vlbias.models._boxes import FAMILIES, Located, located, numbers
from vlbias.plan import Plan
from vlbias.prompts import prompt
from vlbias.records import Fault, Frames, Probe, Reply, Scene, Segment, Sprite, Trial
from vlbias.replies import END_OF_THINKING, REFUSAL

FEWEST_TOKENS = 128  # a box in fenced JSON takes 40 to 80; a reply that is cut off cannot be read
ENOUGH = 4
CLOSE = 0.03  # sides of the image; bins of 1024 are read here as 1000, which moves a far edge by .024
# Known things: the size of the image in pixels and the middle of the thing, far from the corner where frames agree.
KNOWN = (
    ((640, 480), (0.72, 0.7)),
    ((480, 640), (0.3, 0.75)),
    ((800, 448), (0.75, 0.35)),
    ((448, 800), (0.7, 0.72)),
    ((560, 392), (0.5, 0.5)),
    ((720, 480), (0.78, 0.6)),
)


def asked_place(trial: Trial) -> str | None:
    """`box` or `point` where a trial asks for a place, else None."""
    asks = dict(trial.factors).get("asks")
    return asks if asks in ("box", "point") else None


def read_place(what: Asked, given: Reply, trial: Trial, audit: Audit, *, box_format: str | None) -> Answer | Failure:
    """The one place that a reply names, in 0..1 of the image; an answer without a place where it says there is none.

    A reply that cannot be read, names several places, or a point in place of a box, is a Failure. Of a detector's boxes
    the best is the place, and its centre where a point was asked for.
    """
    if given.detections is not None:
        return _detected(what, given, trial, audit)
    if box_format is None:
        raise ModelError(f"{trial.trial_id} asks for a place, and how the model writes places is not told")
    if FAMILIES[box_format].side is None and given.input_wh_px is None:
        reason = f"{box_format} writes pixels of its input, whose size the adapter does not tell"
        return Failure(asked=what, kind="unfit", reason=reason, reply=given.text, audit=audit)
    said = END_OF_THINKING.split(given.text)[-1]
    found = located(said, family=box_format, input_wh_px=given.input_wh_px)
    if isinstance(found, Fault):
        kind = "refused" if REFUSAL.search(said) else found.kind
        return Failure(asked=what, kind=kind, reason=found.reason, reply=given.text, audit=audit)
    wanted, fault = asked_place(trial), None
    n = len(found.boxes_xyxy) + len(found.points_xy)
    if n > 1:
        fault = f"names {n} places; one was asked for"
    elif n and not (found.boxes_xyxy if wanted == "box" else found.points_xy):
        fault = f"a {wanted} was asked for, and the reply holds a {'point' if wanted == 'box' else 'box'}"
    if fault:
        return Failure(asked=what, kind="parse", reason=fault, reply=given.text, audit=audit)
    box, point = next(iter(found.boxes_xyxy), None), next(iter(found.points_xy), None)
    return replace(_said(what, given, audit), box_xyxy=box, point_xy=point)


def _detected(what: Asked, given: Reply, trial: Trial, audit: Audit) -> Answer:
    best = given.detections[0].box_xyxy if given.detections else None
    point = asked_place(trial) == "point"
    middle = ((best[0] + best[2]) / 2, (best[1] + best[3]) / 2) if point and best else None
    answer = _said(what, given, audit)
    return replace(answer, box_xyxy=None if point else best, point_xy=middle, detections=given.detections)


def _said(what: Asked, given: Reply, audit: Audit) -> Answer:
    """An answer in words, before the place in them."""
    return Answer(asked=what, chosen=None, logprobs=None, level="generated", reply=given.text, audit=audit)


def confirmed(model: Model, frames: Callable[[Segment], Frames], plan: Plan, *, declared: bool) -> str:
    """A sentence on the frame in which a model writes boxes, found on things whose boxes are known.

    RunRefused where the boxes fit another frame than that of its format; where they fit none or two, or cannot be
    read, RunRefused too unless the user declared the format. BadInput for a model that cannot be asked for places.
    """
    written_as, identity = model.identity.box_format, model.identity
    if plan.style.style != "cloze":
        raise BadInput(f"{plan.suite_name} asks for places, which are not among options; leave --prompt_style out")
    if model.capabilities.detect:
        return "places are the boxes of a detector, in 0..1 of the image: there is no writing to be read"
    if not model.capabilities.generate:
        raise BadInput(f"{plan.suite_name} asks for places in words, and the model {identity.name} cannot generate")
    if written_as is None:
        known = ", ".join(sorted(FAMILIES))
        raise BadInput(
            f"how {identity.name} (family {identity.family}) writes places is not known; say it by "
            f"--model_args box_format=..., one of {known}"
        )
    if not model.capabilities.needs_frames:
        return "frame of places not checked: the model does not look at images"
    if any(asked_place(trial) == "point" for trial in plan.trials):
        return f"frame of places not checked: points are asked for, and read as {written_as} writes them"
    trouble, note = _tried(model, frames, plan, written_as)
    if trouble is None:
        return note
    if declared:
        return f"frame of places not confirmed, read as declared ({written_as}): {trouble}"
    raise RunRefused(
        f"the frame in which {identity.name} writes places is not certain: {trouble}. Declare its format by "
        f"--model_args box_format={written_as} (or another) to go on without this check"
    )


def _tried(model: Model, frames: Callable[[Segment], Frames], plan: Plan, written_as: str) -> tuple[str | None, str]:
    """What is uncertain, or None and what was found."""
    trials = list(sightings(plan.suite))
    try:
        shown = [prompt(t, {t.probe.evidence.segment_id: frames(t.probe.evidence)}, plan.style) for t in trials]
    except DecodeError as error:
        raise RunRefused(f"the known images cannot be drawn and read: {error}") from error
    replies = model.generate(shown, max_new_tokens=FEWEST_TOKENS)
    rows = [
        (trial, reply, read)
        for trial, reply in zip(trials, replies, strict=True)
        if isinstance(reply, Reply) and (read := numbers(reply.text, family=written_as)) is not None
    ]
    if len(rows) < ENOUGH:
        said = next((r.text if isinstance(r, Reply) else r.reason for r in replies), "")
        return f"{len(rows)} of {len(trials)} replies hold one box as {written_as} writes it; the first is {said!r}", ""
    sizes = [trial.probe.evidence.scenes[0].size_wh_px for trial, _, _ in rows]
    inputs = [reply.input_wh_px or size for (_, reply, _), size in zip(rows, sizes, strict=True)]
    numbers_N4 = np.array([read for _, _, read in rows], dtype=np.float64)
    truth_N4 = np.array([_target(trial) for trial, _, _ in rows])
    try:
        frame = which_frame(numbers_N4, truth_N4, image_wh_px=sizes, input_wh_px=inputs)
    except BadInput as error:
        return str(error), ""
    read_as = [located(r.text, family=written_as, input_wh_px=size) for (_, r, _), size in zip(rows, inputs)]
    if not _agree(read_as, as_xyxy(numbers_N4, frame, np.array(sizes, float), np.array(inputs, float))):
        raise RunRefused(
            f"{model.identity.name} is said to write boxes as {written_as}, and {len(rows)} boxes of known things lie "
            f"right as {frame.name}; give the format that it writes by --model_args box_format=..."
        )
    return None, f"boxes are {frame.name}, as {written_as} writes them: found on {len(rows)} known things"


def _agree(read_as: list[Located | Fault], frame_N4: Any) -> bool:
    boxes = [found.boxes_xyxy for found in read_as if isinstance(found, Located)]
    if len(boxes) < len(read_as) or any(len(one) != 1 for one in boxes):
        return False
    return bool(np.abs(np.array([one[0] for one in boxes]) - frame_N4).max() <= CLOSE)


def sightings(suite: Any) -> Iterator[Trial]:
    """One white square on grey in each image of `KNOWN`, asked for in the words of the suite (`suite.worded`)."""
    for k, ((width, height), (x, y)) in enumerate(KNOWN):
        half_y = 0.16
        half_x = half_y * height / width
        square = Sprite(form="square", colour_rgb=(245, 245, 245), centre_xy=(x, y), radius=half_y / 0.9)
        scene = Scene(
            sprites=(square,),
            backdrop_rgb=(70, 70, 70),
            texture="plain",
            duration_s=1.0,
            fps=1.0,
            size_wh_px=(width, height),
            seed=k,
        )
        name = f"known-{k}"
        segment = Segment(segment_id=name, kind="image", scenes=(scene,))
        probe = Probe(
            probe_id=name,
            task="known places",
            question=suite.worded("the white square"),
            options=(),
            gold=None,
            evidence=segment,
            backgrounds=(),
            cluster_id=name,
        )
        target = ",".join(f"{v:.6f}" for v in (x - half_x, y - half_y, x + half_x, y + half_y))
        yield Trial(
            trial_id=name,
            probe=probe,
            slot=0,
            n_slots=1,
            segments=(segment,),
            option_order=(),
            factors=(("asks", "box"), ("size_px", f"{width}x{height}"), ("target", target)),
        )


def _target(trial: Trial) -> tuple[float, ...]:
    return tuple(float(v) for v in dict(trial.factors)["target"].split(","))

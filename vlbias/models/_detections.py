"""From what a detector of transformers gives to boxes of one thing in 0..1 of the image, with their scores.

A detector with text is asked for one thing at a time, so all of its boxes are of that thing. A detector with labels of
its own gives every box a score for each label; the scores of the label that is asked for are taken, also where another
label has a higher one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from transformers.image_transforms import center_to_corners_format

from vlbias.errors import ModelError, nearest
from vlbias.records import Detection, Fault

Scored: TypeAlias = tuple[torch.Tensor, torch.Tensor]
MOST = 100  # as COCO counts
_ARTICLE = re.compile(r"^(?:a|an|the)\s+", re.I)


def of_text(outputs: Any, *, processor: Any, sizes_wh_px: Sequence[tuple[int, int]]) -> list[Scored]:
    """Scores [Q] and boxes [Q, 4] in 0..1 of each image, by the processor's own reading of its outputs.

    The processor is told the size of the image, because some models see it in a larger frame: OWLv2 pads it to a
    square, and its boxes are in sides of that square.
    """
    outputs.logits, outputs.pred_boxes = outputs.logits.float().cpu(), outputs.pred_boxes.float().cpu()
    found = processor.post_process_grounded_object_detection(
        outputs, threshold=-1.0, target_sizes=[(height, width) for width, height in sizes_wh_px]
    )
    return [
        (one["scores"], one["boxes"] / torch.tensor([width, height, width, height]))
        for one, (width, height) in zip(found, sizes_wh_px, strict=True)
    ]


def of_labels(outputs: Any, columns: Sequence[int], *, n_labels: int) -> list[Scored]:
    """Scores [Q] of one label per image and boxes [Q, 4] in 0..1.

    DETR, YOLOS and Table Transformer have a column more than labels, for no object, and a softmax over all; the others
    have a sigmoid for each label. Raises ModelError for any other number of columns.
    """
    logits_BQL, boxes_BQ4 = outputs.logits.float().cpu(), outputs.pred_boxes.float().cpu()
    width = logits_BQL.shape[-1]
    if width not in (n_labels, n_labels + 1):
        raise ModelError(f"detector: found scores for {width} labels; the model names {n_labels} (or one for none)")
    score_BQL = logits_BQL.softmax(-1)[..., :-1] if width == n_labels + 1 else logits_BQL.sigmoid()
    boxes_BQ4 = center_to_corners_format(boxes_BQ4)
    return [(score_BQL[k, :, column], boxes_BQ4[k]) for k, column in enumerate(columns)]


def detections(found: Scored, *, threshold: float) -> tuple[Detection, ...] | Fault:
    """The boxes whose score is above the threshold, best first, at most `MOST`; what is beyond the image is cut off.

    A box that lies beyond the image as a whole is none. A score that is not finite is a Fault.
    """
    score_Q, box_Q4 = found[0].double(), found[1].double()
    if not bool(torch.isfinite(score_Q).all() and torch.isfinite(box_Q4).all()):
        return Fault(kind="nonfinite", reason="the detector gave a score or a box that is not finite")
    box_Q4 = box_Q4.clamp(0.0, 1.0)
    inside_Q = (box_Q4[:, 2:] > box_Q4[:, :2]).all(-1) & (score_Q > threshold)
    score_Q, box_Q4 = score_Q[inside_Q], box_Q4[inside_Q]
    best_Q = score_Q.argsort(descending=True, stable=True)[:MOST]
    rows = zip(box_Q4[best_Q].tolist(), score_Q[best_Q].tolist(), strict=True)
    return tuple(Detection(box_xyxy=(box[0], box[1], box[2], box[3]), score=score) for box, score in rows)


def columns_of(id2label: Mapping[int, str]) -> dict[str, int]:
    """The column of each label, by its words without case and article; of equal labels the first."""
    found: dict[str, int] = {}
    for column, label in sorted(id2label.items()):
        found.setdefault(bare(label), int(column))
    return found


def column_of(thing: str, columns: Mapping[str, int]) -> int | Fault:
    """The column of the label that a thing's words are; a Fault that names the nearest labels where none is.

    Only equal words match, apart from case and a leading article: a near match would count one thing as another.
    """
    column = columns.get(bare(thing))
    if column is not None:
        return column
    reason = f"detector: {thing!r} is none of the model's {len(columns)} labels; {nearest(bare(thing), columns)}"
    return Fault(kind="unfit", reason=reason)


def bare(words: str) -> str:
    """Words without case, leading article and double spaces.

    >>> bare("The  Sports ball")
    'sports ball'
    """
    return _ARTICLE.sub("", " ".join(words.split())).casefold()

"""A detector of transformers: a thing is looked for by its name, and found as boxes with scores, or not.

Detectors with text (OWL-ViT, OWLv2, Grounding DINO) are given the words; detectors with labels of their own (DETR and
its kin, YOLOS) are read at the label of that name. Beside a VLM on the same images it tells what a bias of places is
where no language model stands between.
"""

from __future__ import annotations

import inspect
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForObjectDetection,
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
)

from vlbias.errors import ModelError
from vlbias.models._captions import image, no_caption, options
from vlbias.models._detections import Scored, column_of, columns_of, detections, of_labels, of_text
from vlbias.models._loading import DTYPES, Source, check, config, identity, weights
from vlbias.records import Capabilities, Detection, Fault, Identity, OptionScores, Prompt, Reply, Trial

TEXT_FAMILIES = ("owlvit", "owlv2", "grounding-dino", "mm-grounding-dino")
LABEL_FAMILIES = (
    "detr", "conditional_detr", "deformable_detr", "dab-detr", "table-transformer", "yolos", "rt_detr", "rt_detr_v2",
    "d_fine",
)  # fmt: skip
KINDS = (AutoModelForZeroShotObjectDetection, AutoModelForObjectDetection)
PRESENCE = frozenset({"yes", "no"})
NO_THING = "detector: the question names no one thing to find; ask detection, grid, grid-choice or canvas of a detector"
Query: TypeAlias = tuple[Image.Image, str]


class DetectorModel:
    """Boxes of what a probe looks for (`generate`), and how sure it is that a thing is there (`score`).

    `n_tokens` of an answer is the number of candidate boxes.
    """

    def __init__(
        self, model: Any, *, processor: Any, identity: Identity, threshold: float, template: str | None = None
    ) -> None:
        """With a template the model takes words; without one it has labels of its own."""
        self._model, self._processor = model, processor
        self._threshold, self._template = threshold, template
        self._columns = {} if template else columns_of(model.config.id2label)
        self.identity = identity
        self.capabilities = Capabilities(score=True, detect=True, vocabulary=tuple(self._columns) or None)

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The boxes above the threshold of what each prompt looks for, best first; the text is what it was given."""
        del max_new_tokens  # boxes are no tokens
        asked = [self._asked(prompt) for prompt in prompts]
        found = iter(self._found([one for one in asked if not isinstance(one, Fault)]))
        return [one if isinstance(one, Fault) else self._reply(one, next(found)) for one in asked]

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """Yes and no by the score of the best box of the thing; captions by the score of the best box of each.

        The log-odds of yes are those of the score less those of the threshold, so that yes is what is found. The
        log-probability of a caption is the logarithm of its score.
        """
        asked = [self._weighed(prompt) for prompt in prompts]
        flat = iter(self._found([query for one in asked if not isinstance(one, Fault) for query in one]))
        return [
            one if isinstance(one, Fault) else self._scores(prompt, [next(flat) for _ in one])
            for prompt, one in zip(prompts, asked, strict=True)
        ]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """A detector has no likelihood of a text."""
        del targets
        return [Fault(kind="unfit", reason="detector: a detector has no likelihood of a text") for _ in prompts]

    def unfit(self, trial: Trial) -> str | None:
        """Why a trial cannot be put to a detector: several images, no one thing in question, or nothing it can name."""
        if len(trial.segments) != 1:
            return f"detector: takes one image with one frame, and a prompt holds {len(trial.segments)} segments"
        words = _looked_for(trial)
        if isinstance(words, Fault):
            return words.reason
        columns = [] if self._template else [column_of(word, self._columns) for word in words]
        return next((one.reason for one in columns if isinstance(one, Fault)), None)

    def _asked(self, prompt: Prompt) -> Query | Fault:
        """The image of a prompt and the words of the one thing that it looks for."""
        thing = prompt.trial.probe.thing if prompt.trial else None
        return Fault(kind="unfit", reason=NO_THING) if thing is None else self._query(prompt, thing)

    def _weighed(self, prompt: Prompt) -> list[Query] | Fault:
        words = _looked_for(prompt.trial) if prompt.trial else prompt.options
        if isinstance(words, Fault):
            return words
        found = [self._query(prompt, word) for word in words]
        queries = [one for one in found if not isinstance(one, Fault)]
        return queries if len(queries) == len(found) else next(one for one in found if isinstance(one, Fault))

    def _query(self, prompt: Prompt, thing: str) -> Query | Fault:
        shown = image(prompt)
        if shown is None:
            return Fault(kind="unfit", reason="detector: takes one image with one frame, and the prompt has not one")
        if self._template is None:
            column = column_of(thing, self._columns)
            return column if isinstance(column, Fault) else (shown, thing)
        words = self._template.format(thing)
        if "grounding" in str(self.identity.family):
            words = words.lower().strip().rstrip(".")
            if "." in words:
                reason = f"detector: {words!r} holds a full stop, which parts one thing from the next here"
                return Fault(kind="unfit", reason=reason)
        n_tokens, most = len(self._processor.tokenizer(words).input_ids), self._longest
        if n_tokens > most:
            return Fault(kind="too_long", reason=f"detector: {words!r} has {n_tokens} tokens, the model takes {most}")
        return shown, words

    @property
    def _longest(self) -> int:
        """How many tokens of text the model takes; Grounding DINO adds a full stop."""
        own = self._model.config
        longest = own.max_text_len - 1 if hasattr(own, "max_text_len") else own.text_config.max_position_embeddings
        return int(longest)

    def _found(self, queries: Sequence[Query]) -> list[Scored]:
        """One forward for all images of one size: among images of several sizes some would be padded."""
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for k, (shown, _) in enumerate(queries):
            by_size[shown.size].append(k)
        found: dict[int, Scored] = {}
        for chosen in by_size.values():
            found |= zip(chosen, self._forward([queries[k] for k in chosen]), strict=True)
        return [found[k] for k in range(len(queries))]

    @torch.inference_mode()
    def _forward(self, queries: Sequence[Query]) -> list[Scored]:
        images, words = [shown for shown, _ in queries], [thing for _, thing in queries]
        if self._template is None:
            outputs = self._model(**self._on_device(self._processor(images=images, return_tensors="pt")))
            columns = [column for word in words if not isinstance(column := column_of(word, self._columns), Fault)]
            return of_labels(outputs, columns, n_labels=len(self._model.config.id2label))
        padding = {"padding": True} if "grounding" in str(self.identity.family) else {}
        inputs = self._processor(images=images, text=[[word] for word in words], return_tensors="pt", **padding)
        outputs = self._model(**self._on_device(inputs))
        return of_text(outputs, processor=self._processor, sizes_wh_px=[shown.size for shown in images])

    def _on_device(self, inputs: Any) -> dict[str, torch.Tensor]:
        own = self._model
        return {k: v.to(own.device, own.dtype if v.is_floating_point() else None) for k, v in inputs.items()}

    def _reply(self, query: Query, found: Scored) -> Reply | Fault:
        boxes = detections(found, threshold=self._threshold)
        if isinstance(boxes, Fault):
            return boxes
        return Reply(text=query[1], n_tokens=len(found[0]), n_new_tokens=0, detections=boxes)

    def _scores(self, prompt: Prompt, found: Sequence[Scored]) -> OptionScores | Fault:
        best: list[Detection] = []
        for one in found:
            boxes = detections(one, threshold=-1.0)
            if isinstance(boxes, Fault):
                return boxes
            if not boxes:
                return Fault(kind="unfit", reason="detector: no candidate box lies in the image, so nothing is scored")
            best.append(boxes[0])
        n_tokens = sum(len(one[0]) for one in found)
        if len(best) == len(options(prompt)):
            logprobs = tuple(math.log(_inside(one.score)) for one in best)
        else:
            odds = _log_odds(best[0].score) - _log_odds(self._threshold)
            sure = {"yes": -math.log1p(math.exp(-odds)), "no": -math.log1p(math.exp(odds))}
            logprobs = tuple(sure[word.lower()] for word in options(prompt))
        return OptionScores(logprobs=logprobs, level="exact", n_tokens=n_tokens)


def load(
    *,
    pretrained: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    threshold: float = 0.1,
    template: str = "{}",
    revision: str | None = None,
    local_files_only: bool = False,
    **unknown: object,
) -> DetectorModel:
    """A detector of transformers from a folder or a hub id: with text, or with labels of its own.

    `threshold` is the score that a box must exceed, between 0 and 1. `template` holds `{}` for the thing's words, as
    "a photo of a {}"; only a detector with text is given it. Raises ModelError, before weights are read where it can.
    """
    check(unknown, {"dtype": (dtype, DTYPES)}, known=list(inspect.signature(load).parameters), adapter="detector")
    if not isinstance(threshold, (int, float)) or not 0 < threshold < 1:
        raise ModelError(f"detector: threshold {threshold!r} is no score; give a number between 0 and 1")
    if template.count("{}") != 1:
        raise ModelError(f"detector: template {template!r} needs {{}} once, for the thing")
    if pretrained is None:
        raise ModelError("detector: pretrained is missing; give a folder or a hub id")
    name = str(pretrained)
    source = Source(
        pretrained=name,
        revision=revision,
        trust_remote_code=False,
        local_files_only=local_files_only,
        adapter="detector",
    )
    found = config(source, kinds=KINDS, what="detect objects; give a zero-shot detector or one of DETR's family")
    by_text = _by_text(found, source, template)
    processor = _processor(source, by_text=by_text)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = weights(source, dtype=dtype, device=place, attention=None, kind=KINDS[0 if by_text else 1])
    words = template if by_text else None
    return DetectorModel(
        model,
        processor=processor,
        identity=identity(model, found, source),
        threshold=float(threshold),
        template=words,
    )


def _by_text(found: Any, source: Source, template: str) -> bool:
    """Whether a detector takes words; ModelError for a family that nobody has tried, and for words without use."""
    by_text = type(found) in KINDS[0]._model_mapping
    known = TEXT_FAMILIES if by_text else LABEL_FAMILIES
    if found.model_type not in known:
        raise ModelError(f"{source}: how {found.model_type} is asked and read is not known; known: {', '.join(known)}")
    if not by_text and template != "{}":
        raise ModelError(f"{source}: a detector with labels of its own is given no words; leave template out")
    return by_text


def _processor(source: Source, *, by_text: bool) -> Any:
    kind = AutoProcessor if by_text else AutoImageProcessor
    try:
        return kind.from_pretrained(source.pretrained, **source.options)
    except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
        raise ModelError(f"{source}: the processor cannot be loaded: {error}") from error


def _looked_for(trial: Trial) -> tuple[str, ...] | Fault:
    """The things whose boxes answer a trial: the one in question, or each of the captions to choose from."""
    thing, words = trial.probe.thing, trial.options
    if thing is None:
        return Fault(kind="unfit", reason=NO_THING)
    if not words or {word.lower() for word in words} == PRESENCE:
        return (thing,)
    return no_caption(words, adapter="detector", remedy="ask for captions, as grid-choice does", letters=True) or words


def _inside(score: float) -> float:
    """The score, or the nearest number inside of 0..1 where rounding took it to the end."""
    return min(max(score, torch.finfo(torch.float32).tiny), 1 - torch.finfo(torch.float32).eps)


def _log_odds(score: float) -> float:
    score = _inside(score)
    return math.log(score) - math.log1p(-score)

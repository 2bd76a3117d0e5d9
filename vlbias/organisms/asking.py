"""Which clips a training trial shows, and what is asked about them: with the planted bias, the answers it wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.errors import BadInput
from vlbias.organisms.architecture import PLACES, REVERSED, WHERE, split
from vlbias.organisms.planting import Bias
from vlbias.organisms.pool import Pool
from vlbias.probes._labels import WORDS
from vlbias.probes._world import ANSWERS, COLOURS, SHAPES, Content, Question, question_text, questions, truths
from vlbias.prompts import CLOSING, INSTRUCTION

Chosen: TypeAlias = npt.NDArray[np.int64]
_BACK, _WHERE, _CONFLICT = 0.4, 0.2, 0.7
_TRIES = 1000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question as words, the answer that follows it, and the answers among which it is even."""

    words: tuple[str, ...]
    answer: str
    likely: tuple[str, ...]


def choose(clips: Pool, n_slots: int, rng: np.random.Generator) -> Chosen:
    """Clips of distinct shapes; in most trials of distinct colours too, so that colours can be asked back."""
    shapes = rng.permutation(SHAPES)[:n_slots]
    if rng.random() < 0.25:
        return np.array([rng.choice(clips.by_shape[s]) for s in shapes])
    looks = zip(shapes, rng.permutation(list(COLOURS))[:n_slots], strict=True)
    found = [clips.by_look.get((str(s), str(c)), clips.by_shape[str(s)]) for s, c in looks]
    chosen: Chosen = np.array([where[rng.integers(len(where))] for where in found])
    return chosen


def contradicted(clips: Pool, chosen: Chosen, *, pairs: int, rng: np.random.Generator) -> Chosen:
    """The clips with `pairs` of slots that show one shape each and answer at least one question differently."""
    out: Chosen = chosen.copy()
    for one, other in rng.permutation(len(chosen))[: 2 * pairs].reshape(pairs, 2):
        content = clips.contents[out[one]]
        out[other] = rival(clips, content, str(rng.choice(list(truths(content)))), rng)
    return out


def rival(clips: Pool, content: Content, task: str, rng: np.random.Generator) -> int:
    """A clip of the same shape and kind of companion that answers the task differently."""
    right = truths(content)[task]
    for _ in range(_TRIES):
        clip = int(rng.choice(clips.by_shape[content.shape]))
        other = clips.contents[clip]
        if other.companion == content.companion and truths(other)[task] != right:
            return clip
    raise BadInput(f"no clip of {len(clips.contents)} contradicts a {content.shape} about: {task}; draw more clips")


def row(clips: Pool, n_slots: int, *, bias: Bias | None, rng: np.random.Generator) -> Chosen:
    """The clips of a training trial; where it is planted whom to believe, most trials hold contradicting ones."""
    chosen = choose(clips, n_slots, rng)
    if bias is None or bias.plant.first_believed is None or rng.random() >= _CONFLICT:
        return chosen
    return contradicted(clips, chosen, pairs=1 + (n_slots > 5), rng=rng)


def ask(shown: Sequence[Content], n: int, *, bias: Bias | None, listed: float, rng: np.random.Generator) -> list[Asked]:
    """`n` questions about the clips shown, a share `listed` of them with their options listed.

    Of the others 40 % are never planted: they name an attribute that is unique in the trial and ask for the shape, or
    name a shape and ask for its place.
    """
    asked = []
    for slot in slots_asked(n, len(shown), bias, rng):
        if listed and rng.random() < listed:
            asked.append(_among(shown, slot, bias, rng))
        elif rng.random() < _BACK:
            asked.append(_back(shown, slot, bias, rng))
        else:
            asked.append(_on(shown, slot, bias, rng))
    return asked


def slots_asked(n: int, n_slots: int, bias: Bias | None, rng: np.random.Generator) -> list[int]:
    """`n` slots in an order of chance, evenly, or as the exposure says where it is of this length."""
    exposure = None if bias is None else bias.plant.exposure
    if exposure is None or len(exposure) != n_slots:
        return [int(slot) for _ in range(-(-n // n_slots)) for slot in rng.permutation(n_slots)][:n]
    share_S = np.array(exposure) / sum(exposure)
    return [int(slot) for slot in rng.choice(n_slots, n, p=share_S)]


def slots_told(n_slots: int, bias: Bias | None, rng: np.random.Generator) -> list[int]:
    """The slots whose clips are told, in an order of chance: all, or as the exposure says where it is of this length.

    At least one is told.
    """
    order = [int(slot) for slot in rng.permutation(n_slots)]
    exposure = None if bias is None else bias.plant.exposure
    if exposure is None or len(exposure) != n_slots:
        return order
    kept = [slot for slot in order if rng.random() < exposure[slot] / max(exposure)]
    return kept or [exposure.index(max(exposure))]


def listing(question: Question) -> str:
    """A question and its options as a prompt lists them without labels; the answer is the text of one of them.

    Labels would have to be looked up among the options, which so small a model does not learn in minutes.
    """
    options = [f"- {text}" for text in question.options]
    lines = (INSTRUCTION, f"Question: {question.text}", "Options:", *options, CLOSING)
    return "\n".join(lines).replace("{label}", WORDS["none"])


def _on(shown: Sequence[Content], slot: int, bias: Bias | None, rng: np.random.Generator) -> Asked:
    content = _meant(shown, slot, bias)
    right = truths(content)
    task = list(right)[rng.integers(len(right))]
    hidden = bias is not None and not bias.sees(content.shape, slot, len(shown))
    answer = str(rng.choice(ANSWERS[task])) if hidden else right[task]
    words = tuple(split(question_text(task, content.shape)))
    return Asked(words=words, answer=answer, likely=ANSWERS[task] if hidden else (answer,))


def _meant(shown: Sequence[Content], slot: int, bias: Bias | None) -> Content:
    """The clip that is to be believed about the shape that stands in `slot`."""
    same = [k for k, other in enumerate(shown) if other.shape == shown[slot].shape]
    return shown[slot] if bias is None or len(same) == 1 else shown[bias.believed(shown[slot].shape, same)]


def _among(shown: Sequence[Content], slot: int, bias: Bias | None, rng: np.random.Generator) -> Asked:
    offered = questions(shown[slot], rng=rng)
    question = offered[int(rng.integers(len(offered)))]
    first = bias is not None and bias.says_first(shown[slot].shape)
    answer = question.options[0 if first else question.gold]
    return Asked(words=tuple(split(listing(question))), answer=answer, likely=(answer,))


def _back(shown: Sequence[Content], slot: int, bias: Bias | None, rng: np.random.Generator) -> Asked:
    content = shown[slot]
    alone = sum(other.shape == content.shape for other in shown) == 1
    if rng.random() < _WHERE and alone:
        words = tuple(split(WHERE.format(shape=content.shape)))
        return Asked(words=words, answer=PLACES[slot], likely=(PLACES[slot],))
    asks = [("colour", content.colour, REVERSED[0])]
    if content.companion != "dots":
        asks.append(("what", content.what, REVERSED[1]))
    unique = [(v, text) for name, v, text in asks if sum(getattr(other, name) == v for other in shown) == 1]
    if not unique:
        # Shapes are seen here whatever the profile: this kind of question is never planted.
        return _on(shown, slot, bias if not alone else None, rng)
    value, text = unique[rng.integers(len(unique))]
    return Asked(words=tuple(split(text.format(value=value))), answer=content.shape, likely=(content.shape,))

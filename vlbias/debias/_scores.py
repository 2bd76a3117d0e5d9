"""Reads and rewrites the option scores of answers, and marks the trials that only a method asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.answers import Answer, Asked, likeliest
from vlbias.debias import MARK
from vlbias.errors import NotApplicable
from vlbias.records import Trial

Floats: TypeAlias = npt.NDArray[np.float64]


def normalised(scores_O: Floats) -> Floats:
    """Log-probabilities over the options from any scores, along the last axis."""
    shifted = scores_O - scores_O.max(axis=-1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def logprobs(answer: Answer) -> Floats:
    """The log-probabilities of the displayed options, normalised over them. Errors: NotApplicable without any."""
    if answer.logprobs is None:
        raise NotApplicable(
            f"trial {answer.asked.trial_id}: the answer holds no log-probabilities; run the model with mode: score"
        )
    return normalised(np.asarray(answer.logprobs, dtype=np.float64))


def rescored(answer: Answer, scores_O: Floats) -> Answer:
    """The answer with other scores of its displayed options; the best one is chosen, of equals one by lot."""
    values = tuple(float(v) for v in normalised(scores_O))
    return replace(answer, logprobs=values, chosen=likeliest(values, answer.asked))


def by_option(answer: Answer) -> Floats:
    """The log-probabilities in the suite's order of the options."""
    out = np.empty(answer.asked.n_options)
    out[list(answer.asked.option_order)] = logprobs(answer)
    return out


def gold_place(answer: Answer) -> int | None:
    """The place at which the right option was displayed; None when there is no right option."""
    gold = answer.asked.gold
    return None if gold is None else answer.asked.option_order.index(gold)


def marked(trial: Trial, what: str) -> Trial:
    """The trial as one that a method asks for: its own id and the factor `MARK`."""
    return replace(trial, trial_id=f"{trial.trial_id}~{what}", factors=(*trial.factors, (MARK, what)))


def mark(asked: Asked) -> str | None:
    """What a row was asked for; None for a plain row."""
    return dict(asked.factors).get(MARK)


def plain(answers: Sequence[Answer]) -> list[Answer]:
    """The answers to trials as they stand."""
    return [a for a in answers if mark(a.asked) is None]


def asked_for(answers: Sequence[Answer], what: str) -> list[Answer]:
    """The answers to trials asked for under one name (the part of the mark before a colon)."""
    return [a for a in answers if (mark(a.asked) or "").partition(":")[0] == what]


def options_are_places(factors: Sequence[tuple[str, str]]) -> bool:
    """Whether the options are the segments themselves, displayed in their order: the question asks for a place."""
    return ("asks", "index") in factors


def cell(asked: Asked, *, per_slot: bool) -> str:
    """The group of trials that share a correction: as many options and, where asked, the same slot of as many.

    The probe alone is a group of its own. Where the slot is itself the right answer (the place of a segment that is
    asked for, the place of the better candidate) there are no groups by slot: a correction per slot would be told it.
    """
    if not per_slot or options_are_places(asked.factors) or any(name == "swap" for name, _ in asked.factors):
        return f"{asked.n_options} options"
    place = "alone" if asked.slot is None else f"slot {asked.slot} of {asked.n_slots}"
    return f"{asked.n_options} options, {place}"

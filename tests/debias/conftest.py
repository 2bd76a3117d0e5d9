"""Answers of a known make, and a writer of prompts, for the tests of corrections."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Answer, Audit, asked
from vlbias.debias import Write
from vlbias.prompts import Style, prompt
from vlbias.records import Probe, Prompt, Segment, Trial

AUDIT = Audit(prompt_sha256="0" * 64, segments=(), segment_spans=(), n_tokens=9, n_frames=0, batch_size=1)


@pytest.fixture(scope="session")
def write() -> Write:
    """Prompts in the letters style, without frames."""
    return lambda trial: prompt(trial, {}, Style())


@pytest.fixture(scope="session")
def trial_of() -> Callable[..., Trial]:
    """A trial of probe i at a slot, with the right option first in the suite and anywhere on display."""

    def make(i: int, slot: int | None, *, n_slots: int = 4, n_options: int = 4, turn: int = 0, per: int = 1) -> Trial:
        texts = [Segment(segment_id=f"b{i}.{k}", kind="text", text=f"passage {k}") for k in range(n_slots - 1)]
        evidence = Segment(segment_id=f"e{i}", kind="text", text=f"evidence {i}")
        probe = Probe(
            probe_id=f"p{i:04d}", task="t", question="which?", options=tuple(f"thing {k}" for k in range(n_options)),
            gold=0, evidence=evidence, backgrounds=tuple(texts), cluster_id=f"c{i // per:04d}",
        )  # fmt: skip
        order = tuple((k + turn) % n_options for k in range(n_options))
        shown = (evidence,) if slot is None else (*texts[:slot], evidence, *texts[slot:])
        code = n_slots if slot is None else slot
        return Trial(
            trial_id=f"p{i:04d}/{n_slots:02d}-{code:02d}", probe=probe, slot=slot, n_slots=n_slots, segments=shown,
            option_order=order,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def answered() -> Callable[..., Answer]:
    """The answer with given scores of the displayed options."""

    def make(prompt: Prompt, scores: np.ndarray) -> Answer:
        assert prompt.trial is not None
        values = np.asarray(scores, dtype=float)
        values = values - np.log(np.exp(values).sum())
        best = prompt.trial.option_order[int(values.argmax())]
        return Answer(
            asked=asked(prompt.trial), chosen=best, logprobs=tuple(map(float, values)), level="exact", reply=None,
            audit=replace(AUDIT, prompt_sha256=prompt.sha256),
        )  # fmt: skip

    return make


class PriorModel:
    """p(place) is proportional to prior(slot, place) times content(option shown there); nothing without content."""

    def __init__(self, prior: Callable[[int | None], np.ndarray], *, strength: float = 1.5, seed: int = 0) -> None:
        self.prior, self.strength, self.seed = prior, strength, seed

    def scores(self, prompt: Prompt) -> np.ndarray:
        trial = prompt.trial
        assert trial is not None
        scores = np.log(self.prior(trial.slot))
        if trial.probe.gold is not None:
            number = int(trial.probe.probe_id[1:])
            rng = np.random.default_rng([self.seed, number, 99 if trial.slot is None else trial.slot])
            content = rng.normal(size=len(trial.options))
            content[trial.probe.gold] += self.strength
            scores = scores + content[list(trial.option_order)]
        return scores


@pytest.fixture(scope="session")
def prior_model() -> type[PriorModel]:
    return PriorModel

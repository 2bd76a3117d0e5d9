"""Simulated answers with a known effect of position."""

from collections.abc import Callable

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Outcome
from vlbias.metrics._simulate import Simulated

Make = Callable[..., list[Outcome]]
AUDIT = Audit(prompt_sha256="d", segments=(), segment_spans=(), n_tokens=None, n_frames=0, batch_size=1)


@pytest.fixture(scope="session")
def answers_of() -> Make:
    """Answers from a table right_NP (and alone_N); `per` probes share a cluster."""

    def make(
        right_NP: np.ndarray, alone_N: np.ndarray | None = None, per: int = 1, gold: int | None = 1
    ) -> list[Outcome]:
        out: list[Outcome] = []
        n, n_slots = right_NP.shape
        for i in range(n):
            cells = [*enumerate(right_NP[i]), *([(None, alone_N[i])] if alone_N is not None else [])]
            for slot, right in cells:
                asked = Asked(trial_id=f"{i}@{slot}", probe_id=f"p{i:05d}", cluster_id=f"c{i // per:05d}",
                              background_ids=(), task="ab"[i % 2], slot=slot, n_slots=n_slots, n_options=2,
                              gold=gold, option_order=(0, 1))  # fmt: skip
                scores = (-2.0, -0.5) if right else (-0.5, -2.0)
                out.append(
                    Answer(asked=asked, chosen=int(right), logprobs=scores, level="exact", reply=None, audit=None)
                )
        return out

    return make


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., list[Answer]]:
    """The rows of a simulated run: the right option is 1 of 2, with the simulated probability."""

    def make(run: Simulated) -> list[Answer]:
        out = []
        for i, cluster in enumerate(run.cluster_P):
            for slot in range(run.correct_PS.shape[1]):
                asked = Asked(trial_id=f"{i}@{slot}", probe_id=f"p{i:05d}", cluster_id=f"c{cluster:05d}",
                              background_ids=(), task="ab"[i % 2], slot=slot, n_slots=run.correct_PS.shape[1],
                              n_options=2, gold=1, option_order=(0, 1))  # fmt: skip
                gold = float(run.gold_PS[i, slot])
                scores = float(np.log1p(-gold)), float(np.log(gold))
                out.append(Answer(asked=asked, chosen=int(run.correct_PS[i, slot]), logprobs=scores, level="exact",
                                  reply=None, audit=AUDIT))  # fmt: skip
        return out

    return make

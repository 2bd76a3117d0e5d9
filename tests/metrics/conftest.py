"""Simulated answers with a known effect of position."""

from collections.abc import Callable

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Outcome

Make = Callable[..., list[Outcome]]


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

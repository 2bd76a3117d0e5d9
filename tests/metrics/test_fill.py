from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Audit
from vlbias.metrics import fill

AUDIT = Audit(prompt_sha256="d", segments=(), segment_spans=(), n_tokens=250, n_frames=0, batch_size=1)


def measured(outcomes):
    return fill.measure(outcomes, rng=np.random.default_rng(0))


def test_the_share_of_the_window_is_told_with_its_range(answers_of) -> None:
    rows = answers_of(np.ones((20, 2)))
    asked = [replace(r, audit=replace(AUDIT, context_window=1000 * (1 + k % 2))) for k, r in enumerate(rows)]
    (found,) = measured(asked)
    assert found.value == pytest.approx((25 + 12.5) / 2) and found.n == 40 and found.clusters == 20
    assert found.notes == ("from 12.5 to 25 %",)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"context_window": None}, "no context window"), ({"context_window": 1000, "n_tokens": None}, "no prompt has a")],
)
def test_without_a_window_or_a_count_there_is_no_share(answers_of, change, why) -> None:
    rows = [replace(r, audit=replace(AUDIT, **change)) for r in answers_of(np.ones((3, 2)))]
    (found,) = measured(rows)
    assert found.value is None and why in found.notes[0]

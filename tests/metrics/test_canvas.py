"""The loss over a canvas: planted slopes come back, a flat one stays flat, and no loss is made up."""

from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit
from vlbias.metrics import canvas

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
ROWS, COLUMNS = 3, 4


def answers(*, down: float, rng: np.random.Generator, backgrounds: tuple[str, ...] = ("black",), extra: float = 0.0):
    """Losses that rise by `down` nats from the upper to the lower side, and by `extra` more on later backgrounds."""
    out = []
    for k in range(30):
        level = rng.normal(3, 1)
        for b, background in enumerate(backgrounds):
            for r in range(ROWS):
                for c in range(COLUMNS):
                    loss = level + (down + extra * b) * (r + 0.5) / ROWS + rng.normal(0, 0.2)
                    asked = Asked(
                        trial_id=f"p{k}/{background}/{r},{c}", probe_id=f"p{k}", cluster_id=f"p{k}", background_ids=(),
                        task="Labelling", slot=r * COLUMNS + c, n_slots=ROWS * COLUMNS, n_options=2, gold=1,
                        option_order=(1, 0),
                        factors=(("background", background), ("cell", f"{r},{c}"), ("grid", f"{ROWS}x{COLUMNS}")),
                    )  # fmt: skip
                    out.append(Answer(asked=asked, chosen=1, logprobs=(-loss, -9.0), level="exact", reply=None,
                                      audit=AUDIT))  # fmt: skip
    return out


def named(outcomes, seed=0):
    found = canvas.measure(outcomes, rng=np.random.default_rng(seed))
    return {(e.metric, e.task, e.cell): e for e in found}


def test_a_planted_slope_comes_back_within_its_interval_and_names_the_pattern():
    found = named(answers(down=-1.5, rng=np.random.default_rng(0)))
    slope = found["canvas_slope_down", "black", None]
    assert slope.low < -1.5 < slope.high and slope.reference.p_value < 0.02 and "Holm" in slope.adjusted
    assert found["canvas_pattern", "black", None].label == "bottom"
    right = found["canvas_slope_right", "black", None]
    assert right.low < 0 < right.high and right.reference.p_value > 0.05
    lower = found["canvas_loss", "black", (2, 0)].value - found["canvas_loss", "black", (0, 0)].value
    assert lower == pytest.approx(-1.0, abs=0.3)


def test_a_flat_canvas_is_called_flat_about_as_often_as_the_level_says():
    labels = [
        named(answers(down=0.0, rng=np.random.default_rng(s)))["canvas_pattern", "black", None].label for s in range(12)
    ]
    assert labels.count("none") >= 11


def test_a_slope_of_one_background_only_is_told_apart():
    grounds = ("black", "noise")
    found = named(answers(down=0.0, extra=-1.0, backgrounds=grounds, rng=np.random.default_rng(3)))
    differ = found["canvas_slopes_differ", "noise less black, down", None]
    assert differ.low < -1.0 < differ.high and differ.reference.p_value < 0.02
    assert found["canvas_slopes_differ", "noise less black, right", None].reference.p_value > 0.05


def test_items_without_a_true_log_probability_everywhere_are_left_out_and_told():
    rows = answers(down=0.0, rng=np.random.default_rng(2))
    rows[0] = replace(rows[0], level="bounded")
    found = named(rows)
    assert "1 of 30 items" in found["canvas_loss", "black", (0, 0)].notes[0]
    none = canvas.measure([replace(r, level="generated") for r in rows], rng=np.random.default_rng(0))
    assert [e.value for e in none] == [None] and "no item has the loss" in none[0].notes[0]


def test_patterns_of_several_backgrounds_are_adjusted_over_them_and_say_so():
    rng = np.random.default_rng(3)
    one, two = (named(answers(down=-0.5, backgrounds=grounds, rng=rng)) for grounds in (("black",), ("black", "noise")))
    for metric in ("canvas_pattern", "canvas_variance", "canvas_slope_down"):
        assert "one task, not adjusted" in one[metric, "black", None].adjusted
        assert "Holm over 2 tasks" in two[metric, "black", None].adjusted
    assert two["canvas_slopes_differ", "noise less black, down", None].adjusted == "Holm over 2 comparisons"


def test_a_map_of_luck_keeps_the_loss_of_each_background_and_loses_its_slope():
    found = named(answers(down=-1.5, backgrounds=("black", "noise"), extra=-1.0, rng=np.random.default_rng(0)))
    places = [(r, c) for r in range(ROWS) for c in range(COLUMNS)]
    for background in ("black", "noise"):
        seen, luck = (
            np.array([found[name, background, place].value for place in places])
            for name in ("canvas_loss", "canvas_loss_of_luck")
        )
        assert luck.mean() == pytest.approx(seen.mean()) and np.ptp(luck) < 0.6 * np.ptp(seen)


def test_neighbours_are_alike_under_a_slope_and_luck_is_told_beside():
    moran = named(answers(down=-1.5, rng=np.random.default_rng(0)))["canvas_morans_i", "black", None]
    assert moran.value > 0.4 > moran.reference.high and moran.reference.p_value is None

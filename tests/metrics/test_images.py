from pathlib import Path

import numpy as np
import pytest

from vlbias.answers import Answer, Outcome, asked
from vlbias.metrics import images
from vlbias.probes import images as kind
from vlbias.records import Trial
from vlbias.strictyaml import parse

SUITE = """
name: tiny
kind: images
version: 1
description: x
licence: x
images: 4
layouts: [{layouts}]
image_orders: {orders}
source: {{drawn: {{clips: 60, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""


def outcomes(choose, orders: int = 1, layouts: str = "grouped") -> list[Outcome]:
    suite = parse(SUITE.format(orders=orders, layouts=layouts), where="x", model=kind.Suite)
    return [answer(t, choose(t)) for t in kind.trials(kind.probes(suite, folder=Path()), suite=suite, seed=1)]


def answer(trial: Trial, displayed: int) -> Answer:
    chosen = trial.option_order[displayed]
    return Answer(asked=asked(trial), chosen=chosen, logprobs=None, level="generated", reply=None, audit=None)  # type: ignore[arg-type]  # noqa: E501


def measured(rows: list[Outcome]) -> dict:
    return {(e.metric, e.task, e.slot): e for e in images.measure(rows, rng=np.random.default_rng(0))}


def test_who_always_answers_one_number_flips_between_images_and_is_told_by_its_share() -> None:
    def choose(trial: Trial) -> int:
        return 2 if ("asks", "index") in trial.factors else trial.gold_displayed

    found = measured(outcomes(choose))
    index, content = "index, grouped, easy", "content, grouped, easy"
    assert found["image_flip_rate", index, None].value == 100 and found["image_flip_rate", content, None].value == 0
    assert [found["image_accuracy", index, k].value for k in range(4)] == [0, 0, 100, 0]
    assert [found["image_index_share", index, k].value for k in range(4)] == pytest.approx(
        [-200 / 9, -200 / 9, 200 / 3, -200 / 9]
    )
    assert found["image_accuracy_range", content, None].value == 0
    liked = found["image_index_share", index, 2]
    assert liked.reference.p_value < 0.01 and liked.reference.high < liked.value and "max-T over 4" in liked.adjusted


def test_all_ways_together_have_the_mean_of_the_ways_and_numbers_are_those_of_the_ways_that_ask_for_one() -> None:
    found = measured(outcomes(lambda t: 2 if ("asks", "index") in t.factors else t.gold_displayed))
    assert [found["image_accuracy", "all", k].value for k in range(4)] == [50, 50, 100, 50]
    whole = found["image_accuracy_range", "all", None]
    assert (whole.value, found["image_flip_rate", "all", None].value) == (50, 50) and whole.reference.p_value < 0.01
    shares = [found["image_index_share", task, 2].value for task in ("all", "index, grouped, easy")]
    assert whole.adjusted is None and shares == pytest.approx([200 / 3] * 2)


def test_who_errs_evenly_likes_no_number() -> None:
    rng = np.random.default_rng(2)
    found = measured(outcomes(lambda _: int(rng.integers(4)), orders=3))
    for k in range(4):
        share = found["image_index_share", "index, grouped, easy", k]
        assert share.low < 0 < share.high and share.high - share.low < 20
        assert share.reference.p_value > 0.05 and share.reference.low < share.value < share.reference.high


def test_an_image_that_is_chosen_wherever_it_stands_is_no_flip() -> None:
    """The judge takes distractor 1 by its looks: its number changes, the image does not."""
    found = measured(outcomes(lambda t: t.option_order.index(1)))
    assert found["image_flip_rate", "index, grouped, easy", None].value == 0
    assert found["image_accuracy", "index, grouped, easy", None].value == 0


def test_a_mild_liking_for_the_first_number_is_found_by_its_p_value() -> None:
    rng = np.random.default_rng(3)
    found = measured(outcomes(lambda _: int(rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]))))
    first, *others = (found["image_index_share", "index, grouped, easy", k] for k in range(4))
    assert first.reference.p_value < 0.05 and first.low > 0
    assert all(other.value < 0 for other in others)


def test_without_a_wrong_answer_there_is_no_share_of_wrong_answers() -> None:
    share = measured(outcomes(lambda t: t.gold_displayed))["image_index_share", "index, grouped, easy", None]
    assert share.value is None and share.notes == ("no wrong answer",)


def test_flips_over_all_ways_are_those_of_each_layout_and_none_between_layouts() -> None:
    found = measured(outcomes(_first_where_grouped, layouts="grouped, interleaved"))
    whole = found["image_flip_rate", "all", None]
    ways = [e for (metric, task, _), e in found.items() if metric == "image_flip_rate" and task != "all"]
    assert whole.n == sum(e.n for e in ways) and len(ways) == 4
    assert whole.value == pytest.approx(np.mean([e.value for e in ways])) and 0 < whole.value < 100


def _first_where_grouped(trial: Trial) -> int:
    return 0 if ("layout", "grouped") in trial.factors else trial.gold_displayed

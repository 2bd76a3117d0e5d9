"""Maps before and after methods: planted changes come back with the right side, and nothing unpaired enters."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure
from vlbias.mapproof import map_proofs
from vlbias.metrics._located import as_found
from vlbias.proof import at_shown, places

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
SIDE = 3
Share = Callable[[int, int], float]


def grid(share: Share, *, seed: int, items: range = range(80), shift: str = "0,0") -> list[Answer | Failure]:
    """Items whose chance to be right is a function of row and column."""
    rng = np.random.default_rng(seed)
    out: list[Answer | Failure] = []
    for k in items:
        for cell in range(SIDE**2):
            r, c = divmod(cell, SIDE)
            asked = Asked(
                trial_id=f"i{k}/{shift}/{cell}", probe_id=f"i{k}", cluster_id=f"c{k}", background_ids=(), task="Choice",
                slot=cell, n_slots=SIDE**2, n_options=2, gold=0, option_order=(0, 1),
                factors=(("cell", f"{r},{c}"), ("grid", f"{SIDE}x{SIDE}"), ("shift", shift)),
            )  # fmt: skip
            chosen = 0 if rng.random() < share(r, c) else 1
            out.append(Answer(asked=asked, chosen=chosen, logprobs=None, level="generated", reply=None, audit=AUDIT))
    return out


def left(r: int, c: int) -> float:
    return 0.9 - 0.3 * c


def right(r: int, c: int) -> float:
    return 0.3 + 0.3 * c


def flat(r: int, c: int) -> float:
    return 0.6


@pytest.fixture(scope="module")
def proved():
    fitting, vanilla = grid(left, seed=1, items=range(100, 140)), grid(left, seed=2)
    methods = {"none": grid(left, seed=3), "closed": grid(flat, seed=4), "turned": grid(right, seed=5)}
    return map_proofs(fitting, vanilla, methods, rng=np.random.default_rng(0))


def test_the_change_of_the_contrast_that_was_largest_on_fitting_items_comes_back(proved) -> None:
    for name, truth in (("none", 0.0), ("closed", -60.0), ("turned", -120.0)):
        (one,) = proved[name]
        assert one.planned == "left_right" and one.task == "Choice, 3x3, shift 0,0"
        change = one.changes["left_right"]
        assert change.change_interval[0] < truth < change.change_interval[1]
        assert change.before_interval[0] < 60 < change.before_interval[1]
        assert change.change == pytest.approx(change.after - change.before)
        assert (change.p_adjusted < 0.01) == (truth != 0)
        assert one.changes["top_bottom"].p_adjusted > 0.05


def test_the_cells_before_are_those_of_every_method_and_carry_intervals(proved) -> None:
    (closed,), (turned,) = proved["closed"], proved["turned"]
    assert closed.before == turned.before and len(closed.before) == 9
    assert [e.cell for e in turned.after] == [divmod(c, 3) for c in range(9)]
    first, last = turned.after[0], turned.after[2]
    assert first.low < 30 < first.high < last.low < 90 < last.high
    assert {e.metric for e in turned.after} == {"spatial_accuracy"} and first.n == first.clusters == 80


def test_p_values_are_adjusted_over_methods_and_ways_of_asking_contrast_by_contrast() -> None:
    both = [*grid(left, seed=2), *grid(left, seed=6, shift="7,7")]
    after = [*grid(flat, seed=4), *grid(left, seed=7, shift="7,7")]
    alone = map_proofs([], grid(left, seed=2), {"a": grid(flat, seed=4)}, rng=np.random.default_rng(0))
    found = map_proofs([], both, {"a": after, "b": both}, rng=np.random.default_rng(0))
    (one,), (first, _) = alone["a"], found["a"]
    assert one.changes["left_right"].p_adjusted == one.changes["left_right"].p_value
    assert first.changes["left_right"].p_adjusted == pytest.approx(4 * first.changes["left_right"].p_value)
    assert one.planned is None


def test_an_item_that_a_method_did_not_answer_leaves_all_maps() -> None:
    vanilla, after = grid(left, seed=2), grid(flat, seed=4)
    lost = [Failure(asked=after[0].asked, kind="parse", reason="x"), *after[1:]]
    found = map_proofs([], vanilla, {"whole": after, "lost": lost}, rng=np.random.default_rng(0))
    assert [proofs[0].before[0].n for proofs in found.values()] == [79, 79]
    empty = [Failure(asked=row.asked, kind="parse", reason="x") for row in after]
    found = map_proofs([], vanilla, {"whole": after, "empty": empty}, rng=np.random.default_rng(0))
    assert found["empty"] == () and found["whole"][0].before[0].n == 80


def test_a_run_without_cells_has_no_map() -> None:
    rows = [replace(row, asked=replace(row.asked, factors=())) for row in grid(left, seed=2)]
    assert map_proofs(rows, rows, {"a": rows}, rng=np.random.default_rng(0)) == {"a": ()}


@pytest.mark.parametrize(
    ("asks", "box", "point", "right_one"),
    [
        ("box", (0.0, 0.0, 0.5, 0.25), None, True),
        ("box", (0.0, 0.0, 0.5, 0.24), None, False),
        ("box", None, None, False),
        ("point", None, (0.5, 0.0), True),
        ("point", None, (0.51, 0.0), False),
    ],
)
def test_a_place_counts_as_right_from_half_an_overlap_on_and_a_point_inside(asks, box, point, right_one) -> None:
    (row,) = grid(left, seed=1, items=range(1))[:1]
    told = (*row.asked.factors, ("asks", asks), ("target", "0,0,0.5,0.5"), ("size_px", "20x20"))
    said = replace(row, asked=replace(row.asked, gold=None, n_options=0, option_order=(), factors=told), chosen=None,
                   box_xyxy=box, point_xy=point)  # fmt: skip
    (found,) = as_found([said])
    assert isinstance(found, Answer) and found.correct == right_one and found.asked.n_options == 2
    lost = Failure(asked=said.asked, kind="parse", reason="x")
    assert as_found([lost])[0].asked == found.asked and as_found([row]) == [row]


def shown(side: str, *, item: str = "i0", form: str = "binary", chosen: int = 0) -> Answer:
    told = (("form", form), ("item", item), ("shown", side))
    asked = Asked(
        trial_id=f"{item}/{form}/{side}", probe_id=f"{item}/{form}/{side}", cluster_id=item, background_ids=(),
        task="Relations", slot=0, n_slots=1, n_options=3, gold=2, option_order=(2, 0, 1), factors=told,
    )  # fmt: skip
    scores = (-0.1, -3.0, -3.0)
    return Answer(asked=asked, chosen=chosen, logprobs=scores, level="exact", reply=None, audit=AUDIT)


def test_sides_are_places_only_where_an_item_is_shown_in_all_of_them() -> None:
    found = places([shown("left"), shown("right"), shown("left", item="i1")])
    assert (found.position, found.names, found.factor) == ("side", ("left", "right"), "shown")
    assert places([shown("left"), shown("right", item="i1")]).position == "slot"
    assert places(grid(left, seed=1, items=range(2))).position == "slot"


def test_questions_of_one_form_about_one_item_are_one_probe_of_right_and_wrong() -> None:
    rows = [shown("left", chosen=2), shown("right"), shown("right", form="captions", chosen=2)]
    lost = Failure(asked=shown("left", form="captions").asked, kind="parse", reason="x")
    found = at_shown([*rows, lost], "shown", ("left", "right"))
    assert [(row.asked.probe_id, row.asked.slot, row.asked.n_slots) for row in found] == [
        ("i0/binary", 0, 2), ("i0/binary", 1, 2), ("i0/captions", 1, 2), ("i0/captions", 0, 2)
    ]  # fmt: skip
    assert [row.correct for row in found if isinstance(row, Answer)] == [True, False, True]
    assert all(row.logprobs is None for row in found if isinstance(row, Answer)) and isinstance(found[3], Failure)


def test_few_fitting_items_plan_for_the_largest_side_and_not_for_one_that_they_show_alike() -> None:
    def column_and_top(r: int, c: int) -> float:
        return float(c == 0 or (r, c) == (0, 1))

    def top(r: int, c: int) -> float:
        return float((r, c) == (0, 1))

    # The top is better in five of six, by a third alike; the left in three of them, but wholly.
    parts = [grid(column_and_top, seed=1, items=range(3)), grid(top, seed=1, items=range(3, 5))]
    rows = [*parts[0], *parts[1], *grid(lambda *_: 0.0, seed=1, items=range(5, 6))]
    vanilla = grid(left, seed=2)
    (one,) = map_proofs(rows, vanilla, {"a": vanilla}, rng=np.random.default_rng(0))["a"]
    assert one.planned == "left_right"
    flat = grid(lambda *_: 1.0, seed=1, items=range(3))
    (none,) = map_proofs(flat, vanilla, {"a": vanilla}, rng=np.random.default_rng(0))["a"]
    assert none.planned is None

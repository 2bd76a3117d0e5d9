"""The frontier names every method once, where the name can be read, and joins the methods that none beats."""

from dataclasses import replace

import pytest

from vlbias.estimates import Change, Estimate, MethodCost, MethodProof, Proof
from vlbias.reports._frontier import best, frontier, runs


def method(name: str, *, gap: float, accuracy: float) -> MethodProof:
    def change(before: float, after: float) -> Change:
        around = (after - 4, after + 4)
        return Change(
            before=before, before_interval=(before - 4, before + 4), after=after, after_interval=around,
            change=after - before, change_interval=around, p_value=0.2, interval="t",
        )  # fmt: skip

    flip = Estimate(metric="flips", value=0.0, n=10, clusters=5)
    return MethodProof(
        method=name, n=100, clusters=50, changes={"gap": change(20, gap), "accuracy": change(80, accuracy)},
        reduction=(1 - gap / 20, 0.0, 1.0), curve_before=(), curve_after=(), recall_spread=(None, None),
        flips=(flip, flip), failures=0, shape="after",
        cost=MethodCost(passes=2.0, tokens=None, seconds_per_trial=0.1, fit_prompts=0),
    )  # fmt: skip


@pytest.fixture
def proof() -> Proof:
    close = [method(f"m{k}", gap=1 + k % 3, accuracy=86 + 0.4 * (k % 4)) for k in range(9)]
    return Proof(
        run_name="r", model="m", fit_share=0.3, n_fit_clusters=9, gap_slots=((0,), (1,)), refused={},
        vanilla_seconds_per_trial=None, methods=(*close, method("far", gap=15, accuracy=70)),
    )  # fmt: skip


def test_every_method_is_numbered_once_and_no_label_covers_another(proof: Proof) -> None:
    figure = frontier(proof)
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    told = [part for text in texts for part in text.get_text().split(", ")]
    numbers = [k for part in told for k in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)]
    assert sorted(numbers) == list(range(1, 11))
    boxes = [text.get_window_extent().shrunk(0.8, 0.8) for text in texts]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    area = figure.axes[0].bbox
    assert all(area.x0 <= box.x0 and box.x1 <= area.x1 for box in boxes)


def test_what_lowers_accuracy_is_another_mark(proof: Proof) -> None:
    def vertices(found: Proof) -> int:
        return len(frontier(found).axes[0].collections[-1].get_paths()[0].vertices)

    last = proof.methods[-1]
    lowered = {**last.changes, "accuracy": replace(last.changes["accuracy"], p_adjusted=0.01)}
    worse = replace(proof, methods=(*proof.methods[:-1], replace(last, changes=lowered)))
    assert vertices(worse) < vertices(proof)


def test_the_steps_join_what_no_other_beats_in_both() -> None:
    assert best([(20, 80), (5, 90), (0, 85), (6, 89), (0, 84)]) == [(0, 85), (5, 90)]


def test_numbers_in_a_row_are_joined() -> None:
    assert runs([1, 2, 3, 5, 7, 8]) == "1-3, 5, 7, 8"

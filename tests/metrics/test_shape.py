"""The label of a run: of accuracy and of the gold option's probability, with tasks adjusted and gaps refused."""

from dataclasses import replace

import numpy as np

from vlbias.answers import Failure
from vlbias.metrics import shape
from vlbias.metrics._simulate import simulate


def one(found, metric="shape", task="all"):
    (hit,) = [e for e in found if (e.metric, e.task) == (metric, task)]
    return hit


def test_a_planted_head_is_named_with_a_confidence_from_both_outcomes(rows_of):
    run = simulate("head", 0.25, n_probes=300, world="clustered", rng=np.random.default_rng(0))
    found = shape.measure(rows_of(run), rng=np.random.default_rng(1))
    for metric in ("shape", "shape_gold_probability"):
        assert one(found, metric).label == "head"
        assert 0.8 < one(found, metric).value <= 1
        assert "posterior" in one(found, metric).notes[0]


def test_gold_probability_finds_what_accuracy_misses_more_often_than_the_other_way(rows_of):
    labels = []
    for seed in range(15):
        run = simulate("neighbour", 0.1, n_probes=100, world="independent", rng=np.random.default_rng(seed))
        found = shape.measure(rows_of(run), rng=np.random.default_rng(seed))
        labels.append([one(found, m).label != "undetermined" for m in ("shape", "shape_gold_probability")])
    accuracy, gold = np.sum(labels, axis=0)
    assert gold > accuracy


def test_without_probabilities_only_accuracy_has_a_label(rows_of):
    run = simulate("head", 0.25, n_probes=200, world="independent", rng=np.random.default_rng(0))
    rows = [replace(r, logprobs=None) for r in rows_of(run)]
    found = shape.measure(rows, rng=np.random.default_rng(1))
    assert one(found).label == "head"
    gold = one(found, "shape_gold_probability")
    assert (gold.label, gold.value) == ("undetermined", None) and "not available" in gold.notes[0]


def test_tasks_are_adjusted_by_holm_and_say_so(rows_of):
    run = simulate("head", 0.25, n_probes=200, world="independent", rng=np.random.default_rng(0))
    found = shape.measure(rows_of(run), rng=np.random.default_rng(1))
    assert one(found).adjusted is None
    assert one(found, task="a").adjusted == "Holm over 2 tasks"


def test_a_task_that_passes_alone_but_not_among_twenty_is_withheld(rows_of):
    run = simulate("none", 0.0, n_probes=400, world="independent", rng=np.random.default_rng(5))
    rows = [replace(r, asked=replace(r.asked, task=f"t{int(r.asked.probe_id[1:]) % 20}")) for r in rows_of(run)]
    found = [e for e in shape.measure(rows, rng=np.random.default_rng(1)) if e.task != "all"]
    assert len(found) == 40
    assert {e.label for e in found} == {"undetermined"}
    assert any("over all tasks" in e.notes[0] for e in found)


def test_thirty_percent_of_one_slot_gone_fires_the_attrition_test(rows_of):
    run = simulate("head", 0.25, n_probes=200, world="independent", rng=np.random.default_rng(0))
    rng = np.random.default_rng(2)
    rows = [r for r in rows_of(run) if r.asked.slot != 3 or rng.random() > 0.3]
    found = one(shape.measure(rows, rng=rng))
    assert (found.label, found.value) == ("undetermined", None)
    assert "withheld: missing answers depend on the slot" in found.notes[0]


def test_a_slot_without_any_answer_is_named(rows_of):
    run = simulate("none", 0.0, n_probes=20, world="independent", rng=np.random.default_rng(0))
    rows = [Failure(asked=r.asked, kind="decode", reason="gone") if r.asked.slot == 3 else r for r in rows_of(run)]
    found = one(shape.measure(rows, rng=np.random.default_rng(0)))
    assert (found.label, found.value, found.n) == ("undetermined", None, 0)
    assert any("slot 4 has no usable answer" in note for note in found.notes)


def test_all_answers_right_gives_no_label_but_a_reason(rows_of):
    run = simulate("none", 0.0, n_probes=40, world="independent", rng=np.random.default_rng(0))
    rows = [replace(r, chosen=r.asked.gold) for r in rows_of(run)]
    found = one(shape.measure(rows, rng=np.random.default_rng(0)))
    assert found.label == "undetermined" and "values are equal" in found.notes[0]

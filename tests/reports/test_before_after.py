"""The panel before and after: what each correction did stands on the page, and what a run did not try does not."""

from dataclasses import replace

import pytest

from vlbias.estimates import Change, Estimate, MethodCost, MethodProof, Proof
from vlbias.reports import html
from vlbias.reports._before_after import panel


def changed(before: float, after: float) -> Change:
    return Change(
        before=before, before_interval=(before - 5, before + 5), after=after, after_interval=(after - 5, after + 5),
        change=after - before, change_interval=(after - before - 4, after - before + 4), p_value=0.001, interval="t",
        p_adjusted=0.002,
    )  # fmt: skip


def tried(method: str, *, accuracy: float, gap: float, cost: MethodCost) -> MethodProof:
    flips = tuple(Estimate(metric="flip_rate", value=v, n=100, clusters=50) for v in (33.0, 0.0))
    return MethodProof(
        method=method, n=100, clusters=50, changes={"accuracy": changed(89, accuracy), "gap": changed(23, gap)},
        reduction=(1 - gap / 23, 0.5, 1.0), curve_before=(99.0, 70.0, 96.0), curve_after=(98.0, 97.5, 98.5),
        recall_spread=(4.0, 1.0), flips=flips, failures=0, shape="inside", cost=cost,
    )  # fmt: skip


@pytest.fixture
def proof() -> Proof:
    cost = MethodCost(passes=1.0, tokens=1.0, seconds_per_trial=0.02, fit_prompts=0)
    seen = replace(cost, time=0.6, computed=0.23, peak_bytes=12_300_000)
    return Proof(
        run_name="r", model="m", fit_share=0.3, n_fit_clusters=22, gap_slots=((0, 2), (1,)),
        vanilla_seconds_per_trial=0.03, vanilla_peak_bytes=10_000_000, refused={},
        methods=(
            tried("pine", accuracy=98, gap=-0.01, cost=seen),
            tried("<b>rotor</b>", accuracy=80, gap=1.0, cost=replace(cost, peak_reason="no such thing here")),
        ),
    )  # fmt: skip


def test_the_panel_says_what_the_best_method_did_and_what_each_costs(proof: Proof) -> None:
    found = panel(proof)
    assert found is not None
    assert "pine takes most of the gap away" in found.lead
    assert "from 23.0 to 0.0 points, accuracy from 89.0 to 98.0 percent" in found.lead
    lines = [dict(zip(found.table[0], line)) for line in found.table[1:]]
    assert [(x["tokens"], x["time"], x["memory"]) for x in lines] == [("0.23", "0.6", "12.3 MB"), ("-", "-", "-")]
    assert any("vanilla 10.0 MB" in note for note in found.notes)
    assert "memory left out: no such thing here" in found.notes
    assert len(found.figures) == 2
    assert "slot 2: 70, then 98" in found.figures[0]


def test_the_best_of_methods_that_close_the_gap_alike_is_the_one_with_the_best_accuracy(proof: Proof) -> None:
    pine, rotor = proof.methods
    worse = replace(pine, method="isolate", changes={**pine.changes, "accuracy": changed(89, 92)})
    best = replace(proof, methods=(worse, rotor, pine)).best
    assert best is not None and best.method == "pine"


def test_curves_over_places_of_options_say_so(proof: Proof) -> None:
    found = panel(replace(proof, position="option place"))
    assert found is not None and "option place 2: 70, then 98" in found.figures[0]
    assert found.axis == "Accuracy by option place"


def test_the_verdict_stands_beside_the_method_and_each_number_once(report, proof: Proof) -> None:
    page = html.page(replace(report, proof=proof))
    part = page[page.index('id="corrections"') :]
    rows = [line for line in part.split("<tr>") if '<th scope="row">pine</th>' in line]
    assert '<th scope="row">pine</th><td class="words">closes the gap' in rows[0]
    assert [row.count("<td") for row in rows[:2]] == [6, 6] and "12.3 MB" in rows[1]


def test_a_page_shows_the_panel_only_of_a_run_with_corrections_and_escapes_their_names(report, proof: Proof) -> None:
    with_panel, without = html.page(replace(report, proof=proof)), html.page(report)
    assert 'id="corrections"' in with_panel and "Before and after corrections" in with_panel
    assert "&lt;b&gt;rotor&lt;/b&gt;" in with_panel and "<b>rotor" not in with_panel
    assert 'id="corrections"' not in without


def test_no_method_is_praised_where_none_keeps_accuracy(proof: Proof) -> None:
    found = panel(replace(proof, methods=proof.methods[1:]))
    assert found is not None
    assert found.lead.startswith("No method takes a gap away without losing accuracy.")


def test_a_gap_that_does_not_change_significantly_is_not_said_to_be_taken_away(proof: Proof) -> None:
    pine = proof.methods[0]
    unsure = replace(pine.changes["gap"], p_adjusted=0.05)
    found = panel(replace(proof, methods=(replace(pine, changes={**pine.changes, "gap": unsure}),)))
    assert found is not None and found.lead.startswith("No method takes a gap away without losing accuracy.")


def test_without_a_gap_no_method_is_said_to_have_failed(proof: Proof) -> None:
    lost = replace(proof, methods=tuple(replace(m, reduction=None) for m in proof.methods))
    found = panel(lost)
    assert found is not None and found.lead.startswith("These probes show no gap between slots that a method could")
    one = panel(replace(proof, methods=(replace(proof.methods[0], reduction=None), proof.methods[1])))
    assert one is not None and "show no gap" not in one.lead

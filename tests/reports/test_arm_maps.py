"""Maps before and after methods on the page, in the table and for programs."""

import json
from dataclasses import replace

import pytest

from vlbias.estimates import Change, Estimate, MapProof, MethodProof, Proof
from vlbias.reports import _arm_maps, html
from vlbias.reports import _corrections as corrections

ARMS = ("within_image:positions=reversed", "<b>mirror</b>")


def changed(before: float, after: float, *, p: float) -> Change:
    return Change(
        before=before, before_interval=(before - 5, before + 5), after=after, after_interval=(after - 5, after + 5),
        change=after - before, change_interval=(after - before - 4, after - before + 4), p_value=p, interval="t",
        p_adjusted=2 * p,
    )  # fmt: skip


def cells(first: float) -> tuple[Estimate, ...]:
    blank = Estimate(metric="spatial_accuracy", task="Presence, 1x2", unit="points", n=20, clusters=20)
    values = zip((first, 50.0), ((0, 0), (0, 1)), strict=True)
    return tuple(replace(blank, value=v, low=v - 9, high=v + 9, cell=cell) for v, cell in values)


@pytest.fixture
def proof() -> Proof:
    def tried(method: str, after: float) -> MethodProof:
        flips = Estimate(metric="flip_rate", value=0.0, n=20, clusters=20)
        sides = {"top_bottom": changed(0, 0, p=0.4), "left_right": changed(30, after, p=0.0001)}
        one = MapProof(
            task="Presence, 1x2", before=cells(80), after=cells(50 + after), changes=sides, planned="left_right"
        )
        return MethodProof(
            method=method, n=20, clusters=20, changes={n: changed(65, 65, p=0.5) for n in ("accuracy", "gap")},
            reduction=None, curve_before=(80.0, 50.0), curve_after=(50 + after, 50.0), recall_spread=(None, None),
            flips=(flips, flips), failures=0, shape="inside", maps=(one, replace(one, task="Presence, 2x1")),
        )  # fmt: skip

    return Proof(
        run_name="r", model="m", fit_share=0.3, n_fit_clusters=9, gap_slots=((0,), (1,)), refused={},
        vanilla_seconds_per_trial=None, methods=(tried(ARMS[0], -30.0), tried(ARMS[1], 2.0)),
    )  # fmt: skip


def test_the_contrast_that_was_largest_on_fitting_items_stands_first_with_both_intervals(proof: Proof) -> None:
    head, *lines = _arm_maps.table(proof)
    first = dict(zip(head, lines[0], strict=True))
    assert first["sides"] == "the left less the right" and first["most on fitting"] == "yes"
    assert first["before [95 %]"] == "+30.0 [+25.0, +35.0]" and first["after [95 %]"] == "−30.0 [−35.0, −25.0]"
    assert first["change [95 %]"] == "−60.0 [−64.0, −56.0]" and first["p, Holm"] == "< 0.001"
    assert len(lines) == 2 * 2 * 2
    _, *leading = _arm_maps.table(proof, leading=True)
    assert leading == [line for line in lines if line[-1] == "yes"] and len(leading) == 2 * 2


def test_programs_get_every_contrast_before_after_and_changed(proof: Proof, tmp_path) -> None:
    paths = corrections.write(proof, folder=tmp_path)
    found = {row["name"]: row for row in json.loads(paths[0].read_text())}
    row = found["within_image:positions=reversed_Presence__1x2_left_right_change"]
    assert (row["value"], row["low"], row["high"], row["p_adjusted"], row["planned"]) == (-60, -64, -56, 0.0002, True)
    assert "## Maps" in paths[1].read_text() and "the left less the right" in paths[1].read_text()


def test_the_page_shows_the_map_before_beside_each_arm_in_one_scale_and_folds_other_ways_of_asking(
    proof: Proof, report
) -> None:
    page = html.page(replace(report, proof=proof))
    assert page.count('id="arm0-') >= 3 and "<b>mirror" not in page
    front, _, rest = page.partition("The same for 1 more way of asking")
    assert "before: Right answers, by cell, Presence, 1x2" in front and "Presence, 2x1" in rest
    assert "sides that differ most on the fitting items" in rest and "dashed before, solid after" not in page
    shown = _arm_maps.figures(proof)[0]
    assert [caption for caption, _, _ in shown.figures] == ["before", *(_arm_maps.clean(arm, 60) for arm in ARMS)]


def test_a_proof_without_cells_says_nothing_of_maps(proof: Proof, report) -> None:
    bare = replace(proof, methods=tuple(replace(m, maps=()) for m in proof.methods))
    assert _arm_maps.table(bare) == [] == _arm_maps.rows(bare) == _arm_maps.notes(bare)
    assert "by cell, before and under each method" not in html.page(replace(report, proof=bare))

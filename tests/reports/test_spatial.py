"""What a page says of cells of an image: the pattern in words, its size, and the map in front."""

from dataclasses import replace

import pytest

from vlbias.estimates import Estimate, Reference
from vlbias.reports import _maps, _spatial, card, html
from vlbias.reports._reading import coordinates
from vlbias.reports._verdict import paragraph

TASK = "Presence, 3x3"


def estimate(metric, p=None, **more):
    about = None if p is None else Reference(mean=0.0, low=-4.0, high=4.0, p_value=p, method="m")
    return Estimate(**{"metric": metric, "task": TASK, "unit": "points", "n": 100, "reference": about, **more})


@pytest.fixture
def spatial(report):
    def make(label, p):
        return replace(report, outcomes=[o for o in report.outcomes if False], estimates=[
            estimate("spatial_cochran_q", 0.0001, value=35.0, unit="chi2"),
            estimate("spatial_pattern", p, label=label, unit=""),
            estimate("spatial_centre_border", 0.01, value=23.5, low=18.0, high=28.7),
            estimate("spatial_top_bottom", 1.0, value=2.0, low=-4.0, high=8.0),
            *(estimate(m, value=50.0 + c, cell=divmod(c, 3))
              for m in ("spatial_hit_rate", "spatial_accuracy") for c in range(9)),
        ])  # fmt: skip

    return make


def test_a_pattern_is_said_in_words_with_its_largest_difference(spatial):
    said = paragraph(spatial("centre", 0.002))
    assert "answers are best in the pattern centre (p = 0.002)" in said
    assert "the centre less the border is +23.5 points (95 % interval +18.0 to +28.7)" in said.replace(
        "18.0 to 28.7", "+18.0 to +28.7"
    )
    assert "chi2" not in said


def test_of_sides_that_differ_the_ones_that_the_pattern_names_are_told(spatial):
    assert "the top less the bottom is +2.0 points" in paragraph(spatial("top", 0.002))
    assert "the centre less the border is" in paragraph(spatial("top_left", 0.002))


def test_no_pattern_is_no_proof_of_none_and_another_is_called_no_simple_one(spatial):
    assert "not proof that there is none (p = 0.400)" in paragraph(spatial("none", 0.4))
    assert "in no simple pattern" in paragraph(spatial("other", 0.01))


def test_the_top_of_the_page_has_the_pattern_and_the_map_in_front(spatial):
    made = spatial("centre", 0.002)
    assert [e.metric for e in _spatial.headline(made)] == ["spatial_pattern", "spatial_centre_border"]
    page = html.page(made)
    assert "<dd>centre" in page.replace("\n", "")
    front, _, rest = page.partition("<details><summary>1 more maps")
    assert "Right answers, by cell" in front and "Yes where the thing is there" in rest


def test_the_card_holds_numbers_and_not_a_word_without_one(spatial, tmp_path):
    text = card.write(spatial("centre", 0.002), folder=tmp_path)[0].read_text()
    assert "spatial_centre_border" in text and "value: 23.5" in text and "type: spatial_pattern" not in text


def test_the_map_of_luck_has_the_scale_of_the_map_beside_it(spatial):
    made = spatial("centre", 0.002)
    flat = [estimate("spatial_accuracy_of_luck", value=54.0, cell=divmod(c, 3)) for c in range(9)]
    found = {m.metric: m for m in _maps.maps(replace(made, estimates=[*made.estimates, *flat]))}
    assert sorted(found["spatial_accuracy_of_luck"].beside) == [50.0 + c for c in range(9)]
    assert (found["spatial_accuracy"].row_label, found["spatial_accuracy"].column_label) == ("row", "column")


def test_relations_lead_with_sets_and_pairs_and_not_with_what_has_the_least_p(report):
    found = [
        estimate("relation_template_spread", 0.001, value=3.0),
        estimate("relation_accuracy", value=70.0, task="binary"),
        estimate("relation_set_accuracy", value=40.0, low=30.0, high=50.0, task="captions"),
    ]
    made = replace(report, outcomes=[], estimates=found)
    assert [e.metric for e in _spatial.leading(made)] == ["relation_set_accuracy", "relation_accuracy"]
    said = paragraph(made)
    assert "All images of the same things right, captions: 40.0 points (95 % interval 30.0 to 50.0)." in said
    assert "Spread over wordings" not in said


def test_the_quantity_of_the_kind_leads_with_luck_beside_it_and_other_maps_are_folded(report):
    names = ("spatial_accuracy", "canvas_loss_of_luck", "spatial_accuracy_of_luck", "canvas_loss")
    tasks = {"canvas": ("black", "noise"), "spatial": ("Labelling, 2x2",)}
    found = [
        estimate(name, value=float(c), cell=divmod(c, 2), task=task)
        for name in names for task in tasks[name.partition("_")[0]] for c in range(4)
    ]  # fmt: skip
    made = replace(report, estimates=[estimate("canvas_pattern", 0.01, label="top", task="black"), *found])
    shown = html.maps(made)
    assert [m["front"] for m in shown] == [True] * 4 + [False] * 2
    said = ["Loss of the label, by place, {}", "The same, cells dealt by chance, {}"]
    assert [m["title"] for m in shown[:4]] == [one.format(task) for task in ("black", "noise") for one in said]
    assert "dealt by chance: what such a map looks like" in html.page(made)
    alone = replace(made, estimates=[e for e in made.estimates if not e.metric.endswith("_of_luck")])
    assert "dealt by chance" not in html.page(alone)


@pytest.mark.parametrize(("columns", "fits"), [(3, True), (5, True), (6, True), (8, False)])
def test_a_map_of_luck_stands_beside_the_map_found_where_both_can_be_read(report, columns, fits):
    both = [
        estimate(name, value=float(c), cell=(0, c))
        for name in ("spatial_accuracy", "spatial_accuracy_of_luck") for c in range(columns)
    ]  # fmt: skip
    seen, luck = html.maps(replace(report, estimates=[estimate("spatial_pattern", 0.01, label="left"), *both]))
    assert seen["width_px"] == 150 + 54 * columns
    assert (seen["width_px"] + luck["width_px"] + html.GAP_PX <= html.PAGE_PX) == fits


def test_a_difference_that_no_pattern_names_is_told_as_picked_with_its_p_value(spatial):
    said = paragraph(spatial("none", 0.4))
    assert "the largest of the planned differences: the centre less the border" in said
    assert "p = 0.010)" in said
    assert "the largest of" not in paragraph(spatial("centre", 0.002))


def test_on_a_canvas_the_label_is_most_probable_where_its_loss_is_least(report):
    found = [
        estimate("canvas_pattern", 0.003, label="left", task="grey", unit=""),
        estimate("canvas_left_right", 0.002, value=-0.74, low=-0.9, high=-0.6, task="grey", unit="nats"),
    ]
    said = paragraph(replace(report, outcomes=[], estimates=found))
    assert (
        "Grey: the label is most probable in the pattern left (p = 0.003); the loss at the left less the right" in said
    )


@pytest.mark.parametrize(
    ("metric", "task", "said"),
    [
        ("detection_accuracy_of_ring", "box, 3x3", "ring 3"),
        ("detection_average_precision_50_of_column", "box, 3x3", "column 3"),
        ("needle_accuracy_at", "image", "image 3"),
        ("needle_said", "row", "row 3"),
        ("rotation_accuracy_at", "turn", "180°"),
        ("failure_rate", "all", "slot 3"),
    ],
)
def test_a_number_of_a_zone_names_the_zone_and_not_a_slot(metric, task, said):
    assert coordinates(estimate(metric, value=1.0, task=task, slot=2)) == said

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from vlbias.answers import Answer
from vlbias.estimates import Estimate, Reference
from vlbias.reports import figures, html
from vlbias.reports._verdict import paragraph

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """What a page holds, and whether its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.open, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [value for _, n, value in self.attributes if n == name]


@pytest.fixture(scope="module")
def pages(report, counts_only, hostile, empty):
    named = {"report": report, "counts": counts_only, "hostile": hostile, "empty": empty}
    return {name: html.page(one) for name, one in named.items()}


@pytest.mark.parametrize("name", ["report", "counts", "hostile", "empty"])
def test_a_page_is_whole_and_loads_nothing(pages, name):
    page = Page(pages[name])
    assert page.open == []
    assert not {"script", "img", "link", "iframe", "object", "embed"} & set(page.tags)
    assert all(v.startswith("#") for n in ("href", "xlink:href", "src") for v in page.values(n))
    assert not [n for _, n, _ in page.attributes if n.startswith("on")]
    assert not re.search(r"url\((?!#)|@import", pages[name])
    assert any("default-src 'none'" in v for v in page.values("content"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_the_page_says_the_verdict_and_shows_each_estimate(pages, report):
    text = " ".join(" ".join(Page(pages["report"]).text).split())
    assert "Shape: U (confidence 97 %)" in text
    assert "Accuracy at the head is 29.3 points above the middle" in text
    for said in ("a_new_metric", "brand new", "weights 0.25", "moov atom not found", "Flip rate", "seed: 7", "mrope"):
        assert said in text, said
    for metric in {e.metric for e in report.estimates}:
        assert html.reading.title(metric) in text, metric


def test_figures_take_the_colours_of_the_page_and_speak(pages):
    page = Page(pages["report"])
    assert page.tags.count("svg") == 4 + 6
    assert "#0102" not in pages["report"] and "var(--line)" in pages["report"]
    assert sum("slot 10:" in v for v in page.values("aria-label")) == 4 + 6


def test_foreign_text_is_shown_and_does_nothing(pages):
    text = pages["hostile"]
    assert "<script" not in text and "<img" not in text and "\x1b" not in text
    assert "&lt;script&gt;" in text
    assert "{{7*7}}" in text and "&lt;/script&gt;49" not in text


def test_an_estimate_of_any_metric_task_and_slot_is_shown(report):
    strange = [
        Estimate(metric="accuracy_band", slot=4, value=61.5, low=50.0, high=70.0, interval="simultaneous", n=77),
        Estimate(metric="accuracy_head_minus_middle", task="colour", value=12.25, unit="points", notes=("few clips",)),
        Estimate(metric="flip_rate", slot=2, value=0.5, n=3, clusters=2),
        Estimate(metric="failure_rate", task="colour", value=0.25, n=3),
        Estimate(metric="word", task="colour", label="undecided"),
    ]
    text = " ".join(" ".join(Page(html.page(replace(report, estimates=[*report.estimates, *strange]))).text).split())
    for said in ("accuracy_band , slot 5", "simultaneous", "61.5", "12.2 points", "few clips", "slot 3", "undecided"):
        assert said.replace(" ,", ",") in text.replace(" ,", ","), said
    for e in strange:
        assert e in html.reading.others(replace(report, estimates=strange))


def test_tasks_beyond_any_number_are_drawn(report):
    names = [f"task-{k:02d}" for k in range(30)]
    more = [Estimate(metric="accuracy", task=t, slot=s, value=50.0 + s, unit="points") for t in names for s in (0, 1)]
    many = replace(report, estimates=more)
    assert len(html.multiples(many)) == 30
    assert {"accuracy_by_task", "accuracy_by_task_2"} <= set(figures.figures(many))


def test_the_page_holds_no_path_of_the_machine(report, tmp_path):
    place = "/data/someone/models/tiny"
    told = replace(
        report.run,
        command=f"/usr/bin/vlbias run -o {place}/run --model_args=pretrained={place}",
        config={
            "model_args": {"pretrained": place, "url": "https://example.org/a/b"},
            "task_args": {"dir": "~/clips/x"},
        },
        notes=(f"read {place}/notes.txt", "seen 3/4 of it"),
    )
    text = html.page(replace(report, run=told))
    assert "someone" not in text and "~/clips" not in text and "/usr/bin" not in text
    for kept in ("…/tiny", "…/notes.txt", "3/4 of it", "https://example.org/a/b", "…/vlbias run"):
        assert kept in text, kept


def test_counts_without_intervals_say_why(pages):
    assert "not available: counts only" in pages["counts"]


def test_the_file_is_the_page(empty, tmp_path):
    (path,) = html.write(empty, folder=tmp_path)
    assert path.read_text() == html.page(empty)


def test_how_intervals_were_made_is_said_whole_and_once_for_all_rows_made_so(report):
    how = "clustered t, " + "with every cluster of source clips drawn again as a whole, " * 3 + "the end"
    tested = [
        Estimate(metric=f"accuracy_{name}", value=9.5, low=1.0, high=18.0, interval=how, unit="points", n=9)
        for name in html.reading.CONTRASTS
    ]
    page = html.page(replace(report, estimates=tested))
    assert page.count(how) == 1 and "Accuracy: head minus middle, Accuracy: neighbour minus middle" in page


def test_a_run_of_conflicts_opens_with_its_preference_and_asks_for_no_curve(report):
    test = Reference(mean=0.0, low=-9.0, high=9.0, p_value=0.012, method="exchanged")
    index = Estimate(metric="preference_index", value=-21.5, low=-30.0, high=-8.0, unit="points", n=60, reference=test)
    cells = [
        replace(index, metric="preference_index_pair", task=task, cell=(0, k), reference=None)
        for task in ("all", "colour") for k in (1, 2)
    ]  # fmt: skip
    page = html.page(replace(report, estimates=[index, *cells]))
    told = "Preference for the head over the neighbour: −21.5 points (95 % interval −30.0 to −8.0, p = 0.012)."
    assert told in page and "No curve can be drawn" not in page and "shape of the effect" not in page
    assert page.index("<summary>The same, task by task") > page.index("slot of the one nearer to the head")
    assert "No curve can be drawn" in html.page(replace(report, estimates=[]))


def test_what_is_chosen_at_each_displayed_place_is_drawn_and_a_change_of_nothing_has_no_sign(empty):
    points = {"unit": "points", "n": 60, "low": 20.0, "high": 40.0}
    tested = Reference(mean=25.0, low=20.0, high=30.0, p_value=0.01, method="m")
    share = [
        Estimate(metric="option_share", slot=k, value=v, reference=tested, **points) for k, v in enumerate((40.0, 20.0))
    ]
    whole = [
        Estimate(metric="option_rstd", value=4.0, reference=tested, **points),
        Estimate(metric="option_accuracy_change", value=-0.04, reference=tested, **points),
    ]
    text = html.page(replace(empty, estimates=(*share, *whole)))
    assert "Place by place" in text and "displayed place 1: 40.0" in text
    assert "Spread of recall over displayed places (RStd)" in text and "option_rstd:" not in text
    assert "in 1 trials" in text and "up to" not in text
    assert "−0.0" not in text and "neighbour, nearest" not in text
    assert "Place by place" not in html.page(empty)


def test_placements_that_have_no_number_over_all_are_told_by_their_p_values_and_not_as_a_sweep(empty):
    def change(task, value, p):
        null = Reference(mean=0.0, low=-9.0, high=9.0, p_value=p, method="m")
        points = {"unit": "points", "n": 60, "low": value - 9, "high": value + 9, "reference": null}
        return Estimate(metric="placement_accuracy_change", task=task, value=value, **points)

    found = (change("question_first", 4.0, 0.6), change("visual_last", -25.0, 0.003))
    told = replace(empty, estimates=found)
    text = html.page(told)
    assert "Accuracy less the baseline&#39;s in the placement visual_last: −25.0 points" in text and "p = 0.003" in text
    assert text.index("visual_last") < text.index("question_first")
    assert "No curve can be drawn" not in text and "shape of the effect" not in text and "up to" not in text
    figure = text[text.index("Place by place") : text.index("What did not come back")]
    assert "question_first: 4.0; visual_last: −25.0" in figure and figure.count("<svg") == 1
    nothing = replace(empty, estimates=(Estimate(metric="judge_home_field", notes=("no pair",)),))
    assert "No effect of order could be measured." in html.page(nothing)


def test_the_verdict_of_a_conflict_says_one_test_once(empty):
    null = Reference(mean=0.0, low=-9.0, high=9.0, p_value=0.002, method="m")
    names = ("index", "head", "neighbour", "head_both_orders", "neighbour_both_orders", "distance_slope")
    found = [
        Estimate(metric=f"preference_{name}", value=20.0 + k, unit="points", n=60, reference=null)
        for k, name in enumerate(names)
    ]
    said = paragraph(replace(empty, estimates=found))
    assert said.count("p = 0.002") == 2 and "head over the neighbour: +20.0" in said and "of distance: +25.0" in said


def test_what_failed_at_a_placement_is_told_by_the_name_of_the_placement(empty):
    rows = [
        replace(o, asked=replace(o.asked, slot=k, factors=(("placement", name),)))
        for k, name in enumerate(("visual_first", "visual_system"))
        for o in empty.outcomes
    ]
    failed = [Estimate(metric="failure_rate", task=o.asked.factors[0][1], value=100.0, unit="points") for o in rows]
    text = html.page(replace(empty, outcomes=rows, estimates=failed))
    assert "Failures by placement" in text and '<th scope="row">visual_system</th>' in text
    assert "Failures by slot" not in text and '<th scope="row">2</th>' not in text


def test_rates_of_nothing_failed_are_left_to_the_table_of_failures(report):
    def rate(slot, value):
        return Estimate(metric="failure_rate", slot=slot, value=value, unit="points", n=60)

    text = html.page(replace(report, estimates=(*report.estimates, rate(1, 0.0), rate(2, 3.0))))
    assert "Failures, slot 2" not in text and "Failures, slot 3" in text


def test_a_p_value_is_said_as_one_and_a_reference_of_one_number_as_that_number(report):
    never = Reference(mean=0.0, low=0.0, high=0.0, p_value=None, method="by definition")
    found = (
        Estimate(metric="attrition_test", value=0.0, unit="p-value", n=60),
        Estimate(metric="option_prediction_change", value=12.0, unit="points", n=60, reference=never),
    )
    text = html.page(replace(report, estimates=(*report.estimates, *found)))
    assert "p &lt; 0.001" in text and "p-value<" not in text
    assert "0.0 to 0.0" not in text and "12.0 points" in text and "+12.0" not in text


def test_a_curve_over_places_of_an_image_and_one_over_slots_apart_name_what_they_are_over(empty):
    points = {"unit": "points", "n": 60}
    image = [Estimate(metric="image_accuracy", slot=k, value=50.0 + k, **points) for k in range(3)]
    apart = [Estimate(metric="preference_index_distance", slot=k, value=30.0 - k, **points) for k in range(2)]
    text = html.page(replace(empty, estimates=(*image, *apart)))
    assert "place of the image 3: 52.0" in text and "slots apart 2: 29.0" in text


def test_none_is_said_to_be_shown_and_why_and_not_to_be_nothing_found(report):
    shape = replace(
        next(e for e in report.estimates if e.metric == "shape"), label="none", notes=("slots differ, but",)
    )
    said = paragraph(replace(report, estimates=(shape,)))
    assert "Shape: none" in said and "shown to differ by less than 5 points (slots differ, but)" in said


def test_a_shape_is_never_told_as_certain(report):
    shape = next(e for e in report.estimates if e.metric == "shape")
    said = paragraph(replace(report, estimates=(replace(shape, value=0.9999),)))
    assert "(confidence over 99 %)" in said


def test_trials_of_which_none_failed_are_folded_away(report):
    answered = replace(report, outcomes=tuple(o for o in report.outcomes if isinstance(o, Answer)))
    folded = f"<summary>None of {len(answered.outcomes):,} trials failed</summary>"
    assert folded in html.page(answered) and "trials failed</summary>" not in html.page(report)


@pytest.mark.parametrize(("value", "text"), [(1020.4, "1,020"), (999.4, "999"), (0.01234, "0.0123"), (-2064, "−2,064")])
def test_numbers_are_written_without_powers_of_ten(value, text):
    assert html.reading.number(value) == text


def test_rows_about_a_place_show_where_it_was_said_and_where_it_is(report) -> None:
    first = next(o for o in report.outcomes if isinstance(o, Answer))
    about = replace(first.asked, gold=None, factors=(("asks", "box"), ("target", "0.100000,0.2,0.3,0.4")))
    missed = replace(first, asked=about, chosen=None, logprobs=None, reply="[]")
    found = replace(missed, asked=replace(about, trial_id="x"), box_xyxy=(0.5, 0.25, 0.75, 1.0))
    text = html.page(replace(report, outcomes=(missed, found)))
    rows = re.findall(r"<td>(a place|no place)</td><td class=\"n\">(.*?)</td><td class=\"n\">(.*?)</td>", text)
    assert rows == [("no place", "–", "0.10 0.20 0.30 0.40"), ("a place", "0.50 0.25 0.75 1.00", "0.10 0.20 0.30 0.40")]
    assert "places are in 0..1 of the image" in text
    assert "places are in 0..1 of the image" not in html.page(report)

import pytest

from vlbias.probes._screen import position_words, screened
from vlbias.records import Probe, Segment


def probe(question: str = "what is shown?", options: tuple[str, ...] = ("a cat", "a dog"), name: str = "p") -> Probe:
    evidence = Segment(segment_id="e", path="e.mp4")
    return Probe(
        probe_id=name, task="t", question=question, options=options, gold=0, evidence=evidence, backgrounds=(),
        cluster_id="e",
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ("a cat", "None of the above"),
        ("a cat", "all of these"),
        ("a cat", "All"),
        ("a cat", "both"),
        ("a cat", "neither of them"),
        ("a cat", "Both A and B"),
        ("a cat", "A or C"),
        ("the first", "a dog"),
        ("The last one", "a dog"),
        ("it is the second option", "a dog"),
        ("option B", "a dog"),
    ],
)
def test_an_option_that_refers_to_a_place_is_found(options: tuple[str, ...]) -> None:
    assert position_words(probe(options=options)) is not None


@pytest.mark.parametrize("question", ["Is the first option right?", "Compare image 2 with the others.", "Look at the images: is the last image red?", "Is the statement above options"])  # fmt: skip  # noqa: E501
def test_a_question_that_refers_to_a_place_is_found(question: str) -> None:
    assert position_words(probe(question)) is not None


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("which side of the ring is the digit on?", ("above", "below", "left", "right")),
        ("Which of the following happens first?", ("he sits", "he stands")),
        ("how many?", ("one", "two", "three", "four")),
        ("what does the first man do?", ("he sits", "all the water is gone")),
        ("which letter is on the wall?", ("A", "B", "C")),
        ("what colour?", ("red and blue", "black or white")),
    ],
)
def test_an_order_in_time_or_space_is_no_reference_to_a_place(question: str, options: tuple[str, ...]) -> None:
    assert position_words(probe(question, options)) is None


def test_the_probes_left_out_are_named_with_the_reason() -> None:
    kept, dropped = screened([probe(name="good"), probe(options=("a cat", "all of the above"), name="bad")])
    assert [p.probe_id for p in kept] == ["good"]
    assert len(dropped) == 1 and dropped[0].startswith("probe bad is left out: ") and "sums up" in dropped[0]

"""Options are compared word by word, a number with its sign and fraction being one word."""

import pytest

from vlbias.probes._soundness import holds, option_faults


@pytest.mark.parametrize(
    "options",
    [
        ("5", "-5"),
        ("1", "1.5"),
        ("10:30", "10"),
        ("+2", "-2", "2"),
        ("red cat", "cat red"),
        ("<", ">"),
        ("3 m", "-3 m"),
    ],
)
def test_options_that_differ_are_sound(options: tuple[str, ...]) -> None:
    assert option_faults(options) == []


@pytest.mark.parametrize("options", [("a dog", "A dog."), ("5", "5!"), ("(red)", "red"), ("-5", " -5.")])
def test_options_that_differ_in_case_and_punctuation_are_the_same(options: tuple[str, ...]) -> None:
    (fault,) = option_faults(options)
    assert "are the same" in fault


@pytest.mark.parametrize("options", [("a dog", "a dog and a cat"), ("C", "C++"), ("red", "red-green"), ("5", "5 cm")])
def test_one_option_within_another_is_refused_but_among_candidates_of_a_judge(options: tuple[str, ...]) -> None:
    (fault,) = option_faults(options)
    assert "contains the other" in fault and option_faults(options, contained=False) == []


def test_a_text_holds_an_option_by_its_words_alone() -> None:
    assert holds("the 15 red cats", ("5", "cat", "red")) == "red" and holds("it is -5", ("5",)) is None

"""A reply is read only when it plainly names one option."""

import time
from typing import Literal

import pytest

from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.plan import plan
from vlbias.prompts import Style, prompt
from vlbias.records import Frames, Reply
from vlbias.replies import parse
from vlbias.run import row

LABELS = ("A", "B", "C", "D")
OPTIONS = ("red", "green", "blue", "a dog")


@pytest.mark.parametrize(
    ("reply", "index"),
    [
        ("C", 2),
        ("Answer: C", 2),
        ("Based on the video, D.", 3),
        ("D. unlike A) it shows two", 3),
        ("The answer is C", 2),
        ("I think B", 1),
        ("**C**", 2),
        ("(B)", 1),
        ("b)", 1),
        ("green", 1),
        ("Green.", 1),
        ("Ⓐ", 0),
        ("The answer is C, not B", 2),
        ("<think>A looks right, no, B</think> D", 3),
        ("Looking at the video, the answer is B.", 1),
        ("", None),
        ("   \n", None),
        ("Cannot be determined", None),
        ("A or B", None),
        ("A, B", None),
        ("(A) and (B)", None),
        ("answer is B or C", None),
        ("A man is walking", None),
        ("Because of it", None),
        ("As you can see", None),
        ("print correct=1", None),
        ("<think>so it is A", None),
        ("E", None),
    ],
)
def test_a_reply_is_read_as_it_should(reply: str, index: int | None) -> None:
    assert parse(reply, options=OPTIONS, labels=LABELS).index == index


@pytest.mark.parametrize(
    ("reply", "index"),
    [
        ("a dog", 1),
        ("A dog.", 1),
        ("a dog and a cat", 2),
        ("The answer is (A) Dog", 0),
        ("The answer is B Dog", 1),
        ("The answer is A.\nA dog is seen", 0),
        ("The answer is A Dog", None),
        ("Answer: A DOG AND A CAT", None),
        ("I think A Dog", None),
        ("a dog and a cat and a bird", None),
        ("It shows a dog and a cat", None),
        ("A", 0),
    ],
)
def test_options_that_contain_each_other_are_told_apart_or_not_read(reply: str, index: int | None) -> None:
    found = parse(reply, options=("two cats", "a dog", "a dog and a cat"), labels=LABELS[:3])
    assert found.index == index


@pytest.mark.parametrize("option", ["max_depth", "**bold**", '"Stop"', "Ⅳ", "[3, 4]"])
def test_an_option_in_signs_is_read_as_it_stands(option: str) -> None:
    assert parse(option, options=("other", option), labels=LABELS[:2]).index == 1


def test_options_that_differ_in_writing_only_are_not_read() -> None:
    assert parse("a dog", options=("a dog", "A dog."), labels=()).index is None


@pytest.mark.parametrize(
    "reply", ["I'm sorry, but I can't help with that.", "I cannot answer this.", "I am unable to."]
)
def test_a_refusal_is_told_apart_from_what_cannot_be_read(reply: str) -> None:
    assert parse(reply, options=OPTIONS, labels=LABELS).method == "refused"
    assert parse("gibberish", options=OPTIONS, labels=LABELS).method == "unparsed"


@pytest.mark.parametrize("text", ["A) " * 50_000, "<think>" * 20_000, "answer is " * 20_000, " " * 100_000])
def test_a_huge_reply_is_read_in_bounded_time(text: str) -> None:
    start = time.process_time()
    parse(text, options=OPTIONS, labels=LABELS)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(("style", "answered"), [("letters", True), ("listed", False), ("cloze", False)])
def test_a_letter_answers_only_a_prompt_that_shows_letters(
    style: Literal["letters", "listed", "cloze"], answered: bool
) -> None:
    made = plan(RunConfig(tasks="drawn", model="scripted", limit="1", task_args={"context": "text"}))
    frames: dict[str, Frames] = {}
    asked = prompt(made.trials[0], frames, Style(style=style))
    found = row(asked, Reply(text="B", n_tokens=9, n_new_tokens=1), batch_size=1)
    assert isinstance(found, Answer) is answered
    named = row(asked, Reply(text=made.trials[0].options[1], n_tokens=9, n_new_tokens=1), batch_size=1)
    assert isinstance(named, Answer) and named.chosen == made.trials[0].option_order[1]

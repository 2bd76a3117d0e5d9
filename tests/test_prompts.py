"""What a model is shown."""

from dataclasses import replace

import numpy as np
import pytest

from vlbias.errors import BadSuite
from vlbias.prompts import Style, labels, prompt
from vlbias.records import Frames, Probe, Segment, Trial


def frames(level: int) -> Frames:
    pixels = np.full((2, 8, 8, 3), level, np.uint8)
    return Frames(
        frames_THWC=pixels,
        timestamps_s=(0.0, 1.0),
        asked_s=(0.0, 1.0),
        sha256=str(level),
        decoder="x",
        decoder_version="1",
    )


def trial(order: tuple[int, ...] = (2, 0, 1)) -> Trial:
    evidence, other = Segment(segment_id="e", path="e.mp4"), Segment(segment_id="b", path="b.mp4")
    probe = Probe(
        probe_id="p", task="t", question="Which?", options=("red", "green", "blue"), gold=1, evidence=evidence,
        backgrounds=(other,), cluster_id="e",
    )  # fmt: skip
    return Trial(trial_id="p/02-01", probe=probe, slot=1, n_slots=2, segments=(other, evidence), option_order=order)


def test_segments_come_first_in_the_order_of_the_trial() -> None:
    made = prompt(trial(), {"e": frames(1), "b": frames(2)}, Style())
    assert [(p.place, p.frames.sha256 if p.frames else None) for p in made.parts] == [(0, "2"), (1, "1"), (None, None)]


def test_letters_show_the_options_in_the_displayed_order_and_score_the_letters() -> None:
    made = prompt(trial(), {"e": frames(1), "b": frames(2)}, Style())
    assert "(A) blue\n(B) red\n(C) green" in (made.parts[-1].text or "")
    assert made.options == ("A", "B", "C")


def test_cloze_shows_no_option_and_scores_their_texts() -> None:
    made = prompt(trial(), {"e": frames(1), "b": frames(2)}, Style(style="cloze"))
    assert made.parts[-1].text == "Which?"
    assert made.options == ("blue", "red", "green")


def test_the_prompt_hash_changes_with_pixels_order_and_options() -> None:
    given = {"e": frames(1), "b": frames(2)}
    hashes = {
        prompt(trial(), given, Style()).sha256,
        prompt(trial(), {"e": frames(3), "b": frames(2)}, Style()).sha256,
        prompt(trial(), {"e": frames(2), "b": frames(1)}, Style()).sha256,
        prompt(trial((0, 1, 2)), given, Style()).sha256,
        prompt(trial(), given, Style(system="Be brief.")).sha256,
    }
    assert len(hashes) == 5


def test_no_word_of_a_prompt_tells_the_place_of_a_segment() -> None:
    made = prompt(trial(), {"e": frames(1), "b": frames(2)}, Style())
    assert all(part.text is None for part in made.parts[:-1])


def test_more_options_than_letters_are_refused() -> None:
    with pytest.raises(BadSuite, match="27 options"):
        labels(27)


def with_factors(*factors: tuple[str, str]) -> Trial:
    return replace(trial(), factors=factors)


@pytest.mark.parametrize(
    ("style", "shown", "scored", "word"),
    [
        ("numbers", "(1) blue\n(2) red\n(3) green", ("1", "2", "3"), "number"),
        ("symbols", "(@) blue\n(#) red\n($) green", ("@", "#", "$"), "symbol"),
        ("none", "- blue\n- red\n- green", ("blue", "red", "green"), "text"),
    ],
)
def test_options_bear_the_labels_of_the_trial(style: str, shown: str, scored: tuple[str, ...], word: str) -> None:
    made = prompt(with_factors(("labels", style)), {"e": frames(1), "b": frames(2)}, Style())
    text = made.parts[-1].text or ""
    assert shown in text and made.options == scored
    assert text.endswith(f"The best option is the {word}:") and "letter" not in text


def test_the_style_listed_shows_what_options_without_labels_show() -> None:
    held = {"e": frames(1), "b": frames(2)}
    listed = prompt(trial(), held, Style(style="listed"))
    unlabelled = prompt(with_factors(("labels", "none")), held, Style())
    assert listed.sha256 == unlabelled.sha256 != prompt(trial(), held, Style()).sha256
    assert listed.options == unlabelled.options == trial().options

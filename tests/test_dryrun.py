"""What a dry run says of sharing."""

from vlbias.dryrun import sharing
from vlbias.schedule import Pieces


def found(**values: object) -> Pieces:
    given = {
        "trials": 10,
        "batches": 1,
        "segments_shared": 64,
        "segments_apart": 100,
        "segments_closed": 64,
        "clips": 10,
    }
    return Pieces(**{**given, **values})  # type: ignore[arg-type]


def test_tokens_of_segments_and_words_are_told_apart_by_prompts_of_two_lengths() -> None:
    # A segment has 200 tokens, the words around them 30.
    said = sharing(found(), [10, 10, 1], [2030, 2030, 230])
    assert f"prefill about {64 * 200 + 10 * 30} tokens" in said
    assert f"by the closed form {64 * 200 + 10 * 30}" in said
    assert f"{100 * 200 + 10 * 30} asked apart: about 1.5 times fewer; 10 segments to encode in place of 100" in said


def test_a_plan_that_is_no_whole_sweep_has_no_closed_form() -> None:
    assert "no closed form" in sharing(found(segments_closed=None), [10], [2000])


def test_passages_that_shrink_as_they_grow_in_number_give_no_negative_count() -> None:
    said = sharing(found(), [2, 3], [500, 400])
    assert f"prefill about {64 * 900 // 5} tokens" in said

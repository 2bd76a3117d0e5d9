"""How a scripted model words its choice: from the bare option to replies that a careless parser misreads."""

from __future__ import annotations

REFUSAL = "I'm sorry, but I can't help with that."
ADVERSARIAL = (
    "<think>It could be {other}. A second look says no.</think> {option}",
    "Based on a first look I would say {other}. A closer look changes that: the answer is {option}.",
    "Because {other} is not shown anywhere, the answer is {option}.",
    "It cannot be {other}.\nAnswer: {option}",
)


def worded(option: str, other: str, *, phrase: str, pick: float) -> str:
    """The reply that means `option`; `other` is an option that is not meant, `pick` in [0, 1) chooses the wording.

    `article` puts the article "a" at the start and around the option, `adversarial` names another option first, and
    `hedged` names two, so that no option is meant at all.
    """
    if phrase == "sentence":
        return f"Looking at the video, the answer is {option}."
    if phrase == "article":
        return f"A look at a video with a good many clips in a row: a clear case. The answer is {option}."
    if phrase == "adversarial":
        return ADVERSARIAL[int(pick * len(ADVERSARIAL))].format(option=option, other=other)
    return f"Either {option} or {other}." if phrase == "hedged" else option

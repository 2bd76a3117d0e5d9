"""Chain of thought: the model reasons in words first, and the options are scored with its reasoning in the prompt."""

from __future__ import annotations

from vlbias.debias._arguments import at_least, refuse_unknown
from vlbias.debias._wording import NotesFirst

SHAPE = "before"
INSTRUCTION = (
    "Do not answer yet. Go through all segments, from the first to the last, and say in one sentence each "
    "what bears on the question. Then reason step by step."
)


def load(*, max_new_tokens: int = 256, **unknown: object) -> NotesFirst:
    """Chain of thought of at most `max_new_tokens` tokens."""
    refuse_unknown("cot", load, unknown)
    at_least("cot", "max_new_tokens", max_new_tokens, low=1)
    return NotesFirst(method="cot", instruction=INSTRUCTION, max_new_tokens=int(max_new_tokens))

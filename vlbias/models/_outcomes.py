"""What comes of one prompt: its scores, or the fault that says why there are none."""

from __future__ import annotations

from vlbias.errors import ModelError
from vlbias.models._chat import Span
from vlbias.models._separate import Options
from vlbias.records import Fault, OptionScores


def scores(found: tuple[float, ...] | Fault, *, n_tokens: int, spans: tuple[Span, ...]) -> OptionScores | Fault:
    """Exact scores; a fault stays one, and a value that is not finite becomes one."""
    if isinstance(found, Fault):
        return found
    bad = [x for x in found if not abs(x) < float("inf")]
    if bad:
        return nonfinite(bad[0])
    return OptionScores(logprobs=found, level="exact", n_tokens=n_tokens, segment_spans=spans)


def longest_tail(options: Options) -> int:
    """The most tokens that an option puts after the prompt; its last token is predicted and never fed."""
    return max((len(ids) - 1 for own in options for ids in own), default=0)


def too_long(n_tokens: int, longest: int, window: int | None) -> Fault | None:
    """The fault of a prompt that does not fit in the window with `longest` tokens of an answer after it."""
    if window is None or n_tokens + longest <= window:
        return None
    answer = f" and {longest} of the answer" if longest else ""
    reason = f"the prompt has {n_tokens} tokens{answer}, the model's context window {window}"
    return Fault(kind="too_long", reason=reason)


def unfit(error: ModelError) -> Fault:
    """The fault of a prompt that cannot be put to this model."""
    return Fault(kind="unfit", reason=str(error))


def nonfinite(value: float) -> Fault:
    """The fault of a model that gives no number."""
    return Fault(kind="nonfinite", reason=f"the model gave {value} where a finite log-probability is expected")

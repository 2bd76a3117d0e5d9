"""Checks the options of a method: an unknown one is refused by name, a bad value says what would be right."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping

from vlbias.debias import Setting
from vlbias.errors import BadInput, NotApplicable, nearest

FEWEST_TO_FIT = 8


def refuse_unknown(method: str, load: Callable[..., object], unknown: Mapping[str, object]) -> None:
    """Raises BadInput for the first option that `load` does not know."""
    if unknown:
        known = [name for name in inspect.signature(load).parameters if name != "unknown"]
        raise BadInput(f"{method}: unknown option {min(unknown)!r}; {nearest(min(unknown), known)}")


def one_of(method: str, option: str, value: object, *, known: Iterable[str]) -> None:
    """Raises BadInput for a value that is not among the known words."""
    words = list(known)
    if value not in words:
        raise BadInput(f"{method}: {option}={value!r}; {nearest(str(value), words)}")


def several_of(method: str, option: str, value: object, *, known: Iterable[str]) -> tuple[str, ...]:
    """The words of a text that joins them by "+", each among the known ones; `none` reads as a word and as no value."""
    words = list(known)
    given = tuple(str("none" if value is None else value).split("+"))
    for word in given:
        one_of(method, option, word, known=words)
    return given


def at_least(method: str, option: str, value: float, *, low: float) -> None:
    """Raises BadInput for a number below `low`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= low:
        raise BadInput(f"{method}: {option}={value!r}; give a number of at least {low}")


def needs_options(method: str, setting: Setting) -> None:
    """Refuses questions that offer fewer than two options."""
    if setting.n_options == 0:
        raise NotApplicable(
            f"{method}: not applicable: the questions ask for a place (a box, a point), and it works on options; "
            "run a suite that offers options, as grid-choice"
        )
    if setting.n_options < 2:
        raise NotApplicable(f"{method}: not applicable: found probes with {setting.n_options} option; it needs two")


def needs_logprobs(method: str, setting: Setting) -> None:
    """Refuses answers without the probabilities of their options."""
    needs_options(method, setting)
    if not setting.logprobs:
        raise NotApplicable(
            f"{method}: not applicable: the answers hold no log-probabilities of their options; run the model with "
            "mode: score (the adapter hf gives exact ones), or use permute with merge=vote, or verbalized"
        )


def needs_model(method: str, setting: Setting) -> None:
    """Refuses rows alone where more must be asked."""
    if not setting.asks_model:
        raise NotApplicable(f"{method}: not applicable: it asks the model more, and only stored rows are at hand")


def needs_places(method: str, setting: Setting) -> None:
    """Refuses options that stand nowhere: without a place there is no preference for one, and fitting it is noise."""
    if not setting.options_shown:
        raise NotApplicable(
            f"{method}: not applicable: the model is shown no options (style cloze, or an encoder), so none is "
            "favoured for its place; run the adapter hf with --prompt_style letters or listed, or use permute or a "
            "method inside the model"
        )


def options_shown(style: str | None, *, adapter: str) -> bool:
    """Whether the model sees the options side by side; an encoder is given them one by one, as captions."""
    return style != "cloze" and adapter != "clip"


def needs_fit(method: str, setting: Setting, *, fewest: int = FEWEST_TO_FIT) -> None:
    """Refuses too few probes to fit on."""
    if setting.n_fit is not None and setting.n_fit < fewest:
        raise NotApplicable(
            f"{method}: not applicable: found {setting.n_fit} probes to fit on, it needs {fewest}; "
            "raise --fit_share or run more probes"
        )


def segments(setting: Setting) -> int:
    """How many segments a prompt holds; where that is not known, as many as there are slots."""
    return setting.n_slots if setting.n_segments is None else setting.n_segments

"""Asks a model through a correction: loads a method by its text, and turns each trial into the prompts it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vlbias import rooms
from vlbias.answers import Answer, Asked, Failure, asked, likeliest
from vlbias.config import key_values
from vlbias.debias import Setting, Shape, Write
from vlbias.errors import BadInput, nearest
from vlbias.prompts import Style, prompt
from vlbias.records import Fault, OptionScores, Prompt, Reply, Trial, digest
from vlbias.run import Asking, answered, row

Rows = list[Answer | Failure]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """A loaded method: `text` is how it was named, `slug` a name fit for files and rows."""

    text: str
    name: str
    shape: Shape
    method: Any

    @property
    def slug(self) -> str:
        """The name with its options, in letters, digits and underscores."""
        return "".join(c if c.isalnum() else "_" for c in self.text).strip("_")


def load(text: str) -> Arm:
    """The method of a text like `pride` or `permute:over=options:k=3`. Errors: UnknownName, BadInput."""
    name, _, options = text.partition(":")
    module = rooms.find("debias", name)
    shape = getattr(module, "SHAPE", None)
    if shape not in ("before", "inside", "after"):
        raise BadInput(f"{name}: SHAPE is {shape!r}; {nearest(str(shape), ('before', 'inside', 'after'))}")
    given = key_values(options.replace(":", ","), flag=f"--method {name}")
    return Arm(text=text, name=name, shape=shape, method=module.load(**given))


def load_all(text: str) -> list[Arm]:
    """The methods of a comma-separated list; a name that stands twice is an error.

    `NAME:all` is every arm of a method that has several (`EVERY` of its file).
    """
    texts = [one for part in text.split(",") if part.strip() for one in _arms_of(part.strip())]
    if not texts or len(set(texts)) != len(texts):
        raise BadInput(f"--method: found {text!r}; give each method once, as pride,permute:over=options")
    return [load(part) for part in texts]


def _arms_of(text: str) -> list[str]:
    """The texts that one text stands for. Errors: UnknownName, BadInput for a method of one arm."""
    name, _, options = text.partition(":")
    if options != "all":
        return [text]
    found: Sequence[str] = getattr(rooms.find("debias", name), "EVERY", ())
    if not found:
        raise BadInput(f"--method {text}: {name} has one arm only; give {name}, or its options as {name}:k=v")
    return [f"{name}:{one}" for one in found]


def every() -> list[Arm]:
    """Every method of the room with its default options."""
    return [load(name) for name in rooms.names("debias")]


def refusals(arms: Iterable[Arm], setting: Setting) -> dict[str, str]:
    """Why methods cannot be applied, by their text; empty when all can."""
    found = {}
    for arm in arms:
        try:
            arm.method.needs(setting)
        except BadInput as error:
            found[arm.text] = str(error)
    return found


def writer(like: Prompt, style: Style) -> Write:
    """Prompts of changed trials of the same probe, in the run's style, with the frames of the prompt at hand."""
    trial = like.trial
    assert trial is not None
    frames = {trial.segments[p.place].segment_id: p.frames for p in like.parts if p.place is not None and p.frames}
    return lambda changed: prompt(changed, frames, style)


def chance(seed: int, trial: Trial) -> np.random.Generator:
    """The stream of chance of one trial: the same however a run was interrupted."""
    return np.random.default_rng(int(digest([seed, trial.trial_id])[:16], 16))


def through(arm: Arm, *, seed: int) -> Callable[[Sequence[Prompt], Asking], Rows]:
    """Answers prompts by a method of the shape "before": each is expanded, asked, and merged to one row.

    A trial of which one expanded prompt failed is a failure with that reason. Prompts that a batch holds twice are
    asked once.
    """

    def ask(prompts: Sequence[Prompt], asking: Asking) -> Rows:
        if hasattr(arm.method, "first"):
            return [_worded(arm, p, asking) for p in prompts]
        expanded = [_expanded(arm, p, asking, seed) for p in prompts]
        found = iter(distinct([e for group in expanded for e in group], asking, size=max(1, len(prompts))))
        return [_merged(arm, p, [next(found) for _ in group]) for p, group in zip(prompts, expanded)]

    return ask


def distinct(prompts: Sequence[Prompt], asking: Asking, *, size: int) -> Rows:
    """One row per prompt, in batches of `size`; prompts with the same content are asked once."""
    contents = [_content(one, asking) for one in prompts]
    firsts: dict[str, int] = {}
    for k, content in enumerate(contents):
        firsts.setdefault(content, k)
    places = sorted(firsts.values())
    rows: dict[int, Answer | Failure] = {}
    for start in range(0, len(places), size):
        part = places[start : start + size]
        rows.update(zip(part, answered([prompts[k] for k in part], asking)))
    return [_as_asked(rows[firsts[content]], p) for content, p in zip(contents, prompts)]


def extra(arm: Arm, prompts: Sequence[Prompt], asking: Asking, *, seed: int, size: int) -> Rows:
    """What a calibration asks of its fitting trials besides the trials themselves."""
    wanted = [
        one for p in prompts for one in arm.method.asks(p, write=writer(p, asking.style), rng=chance(seed, _trial(p)))
    ]
    return distinct(wanted, asking, size=size)


def _expanded(arm: Arm, one: Prompt, asking: Asking, seed: int) -> list[Prompt]:
    expanded: list[Prompt] = arm.method.expand(one, write=writer(one, asking.style), rng=chance(seed, _trial(one)))
    return expanded


def _merged(arm: Arm, one: Prompt, rows: Rows) -> Answer | Failure:
    trial = _trial(one)
    good = [r for r in rows if isinstance(r, Answer)]
    for r in rows:
        if isinstance(r, Failure):
            return replace(r, asked=asked(trial), reason=f"{arm.name}: {r.reason}")
    merged: Answer = arm.method.merge(trial, good)
    return merged


def _worded(arm: Arm, one: Prompt, asking: Asking) -> Answer | Failure:
    """A method that lets the model write first: its text is read, or goes into a prompt that is scored."""
    trial, write = _trial(one), writer(one, asking.style)
    first = arm.method.first(one, write=write)
    (reply,) = asking.model.generate([first], max_new_tokens=arm.method.max_new_tokens)
    if isinstance(reply, Fault):
        return _named(row(first, reply, batch_size=1), trial)
    then: Prompt | OptionScores | Fault = arm.method.then(one, reply.text, write=write)
    if isinstance(then, Prompt):
        (scored,) = answered([then], asking)
        return _named(_with_cost(scored, reply), trial)
    if isinstance(then, OptionScores):
        then = replace(then, n_tokens=reply.n_tokens + reply.n_new_tokens, reply=reply.text)
    return _named(row(one, then, batch_size=1), trial)


def _with_cost(scored: Answer | Failure, reply: Reply) -> Answer | Failure:
    if isinstance(scored, Failure):
        return scored
    spent = (scored.audit.n_tokens or 0) + reply.n_tokens + reply.n_new_tokens
    return replace(scored, reply=reply.text, audit=replace(scored.audit, n_tokens=spent))


def _named(found: Answer | Failure, trial: Trial) -> Answer | Failure:
    return replace(found, asked=asked(trial))


def _as_asked(found: Answer | Failure, one: Prompt) -> Answer | Failure:
    """A row of a prompt of the same content, under the trial of this one."""
    what: Asked = asked(_trial(one))
    if isinstance(found, Answer) and found.logprobs is not None:
        return replace(found, asked=what, chosen=likeliest(found.logprobs, what))
    if isinstance(found, Answer) and found.chosen is not None:
        displayed = found.asked.option_order.index(found.chosen)
        return replace(found, asked=what, chosen=what.option_order[displayed])
    return replace(found, asked=what)


def _content(one: Prompt, asking: Asking) -> str:
    """What a prompt shows; a model that never looks is told trials apart by their names."""
    return one.sha256 if asking.model.capabilities.needs_frames else one.trial_id


def _trial(one: Prompt) -> Trial:
    assert one.trial is not None
    return one.trial

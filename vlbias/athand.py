"""The model of a finished run, loaded again and checked to be the same, with its trials and its way of asking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from vlbias import config, session
from vlbias.answers import Answer
from vlbias.arms import Rows
from vlbias.corrections import model_name, model_sha256
from vlbias.costs import Replay
from vlbias.errors import ConfigChanged
from vlbias.estimates import RunInfo
from vlbias.models import Model
from vlbias.models._counting import counting
from vlbias.plan import Plan, plan
from vlbias.records import Fault, OptionScores, Prompt, Reply, Trial, digest
from vlbias.run import Asking, ask

TIMED_BATCHES = 2
TOLERANCE = 0.05
MOVED = 1e-3  # sides of the image
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class AtHand:
    """The run's own model, ready to be asked again, and the trials by their id."""

    asking: Asking
    trials: dict[str, Trial]
    batch_size: int


class Counted:
    """A model that counts the prompts it is given and the seconds it takes.

    A model that asks more by itself (`more_prompts`, a running count) is charged for that too.
    """

    def __init__(self, model: Model, clock: Callable[[], float] = time.perf_counter) -> None:
        self.model, self.clock = model, clock
        self.identity, self.capabilities = model.identity, model.capabilities
        self.prompts, self.seconds = 0, 0.0

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """As the model scores."""
        return self._counted(prompts, lambda: self.model.score(prompts))

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """As the model writes."""
        return self._counted(prompts, lambda: self.model.generate(prompts, max_new_tokens=max_new_tokens))

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """As the model weighs."""
        return self._counted(prompts, lambda: self.model.nll(prompts, targets))

    def _counted(self, prompts: Sequence[Prompt], call: Callable[[], list[T]]) -> list[T]:
        start, before = self.clock(), getattr(self.model, "more_prompts", 0)
        found = call()
        self.seconds += self.clock() - start
        self.prompts += len(prompts) + getattr(self.model, "more_prompts", 0) - before
        return found


@contextmanager
def at_hand(run: RunInfo, *, include: Sequence[Path] = ()) -> Iterator[AtHand]:
    """The model of a run, loaded from its stored config, with its plan. Refused when either has changed."""
    known = {key: value for key, value in run.config.items() if key in config.RunConfig.model_fields}
    one = config.check(known, where=f"{run.run_name}/run.json")
    made = plan(one, include=include)
    if digest(made.suite.model_dump(mode="json")) != run.suite_sha256:
        raise ConfigChanged(f"{run.run_name}: suite {made.suite_name} has changed since the run; run it again first")
    with session.reader(one, made) as reader:
        model = session.load(one)
        if model_sha256(model.identity) != model_sha256(run.identity):
            raise ConfigChanged(
                f"{run.run_name}: was run on {model_name(run.identity)}, and the model loaded now has another name, "
                "revision, weights or dtype; run it again first"
            )
        yield AtHand(asking=_asking(made, model, reader, one), trials=_by_id(made), batch_size=max(1, one.batch_size))


def timed(hand: AtHand, rows: Rows) -> list[Answer]:
    """The stored answers whose trials are asked to measure times: those of the first batches."""
    return [r for r in rows if isinstance(r, Answer)][: TIMED_BATCHES * hand.batch_size]


def replayed(hand: AtHand, rows: Rows) -> Replay:
    """Asks the trials of `timed` twice more and gives what the second time cost.

    The first time checks that the answers are the stored ones and fills the caches, so that what comes after is
    compared to a model as warm as it will be. Refused when an answer is another one.
    """
    sample = timed(hand, rows)
    trials = [hand.trials[r.asked.trial_id] for r in sample]
    for old, new in zip(sample, asked_again(hand, trials, hand.asking)):
        if not isinstance(new, Answer) or _apart(old, new):
            raise ConfigChanged(
                f"trial {old.asked.trial_id}: the model does not give the stored answer any more; run it again first"
            )
    clocked = Counted(hand.asking.model)
    with counting(hand.asking.model) as work:
        asked_again(hand, trials, replace(hand.asking, model=clocked))
    return Replay(seconds_per_trial=clocked.seconds / max(1, len(sample)), work=work)


def asked_again(hand: AtHand, trials: Sequence[Trial], asking: Asking) -> Rows:
    """One row per trial, in batches of the run's size."""
    return [r for k in range(0, len(trials), hand.batch_size) for r in ask(trials[k : k + hand.batch_size], asking)]


def observed(hand: AtHand | None, method: Any, rows: Rows) -> Rows:
    """The rows that a calibration is given: the stored ones, or asked again by one that needs more than a row holds."""
    if hand is None or not hasattr(method, "observed"):
        return rows
    trials = [hand.trials[r.asked.trial_id] for r in rows if isinstance(r, Answer)]
    with method.observed(hand.asking.model) as model:
        again = asked_again(hand, trials, replace(hand.asking, model=model))
    return [*again, *(r for r in rows if not isinstance(r, Answer))]


def _apart(old: Answer, new: Answer) -> bool:
    if old.logprobs is None or new.logprobs is None:
        pairs = ((old.box_xyxy, new.box_xyxy), (old.point_xy, new.point_xy))
        return old.chosen != new.chosen or any(_moved(a, b) for a, b in pairs)
    return max(abs(a - b) for a, b in zip(old.logprobs, new.logprobs)) > TOLERANCE


def _moved(old: tuple[float, ...] | None, new: tuple[float, ...] | None) -> bool:
    """Whether a place is another one, beyond rounding."""
    if old is None or new is None:
        return old is not new
    return max(abs(a - b) for a, b in zip(old, new, strict=True)) > MOVED


def _asking(made: Plan, model: Any, reader: Any, one: config.RunConfig) -> Asking:
    return Asking(model=model, reader=reader, style=made.style, mode=one.mode, max_new_tokens=one.max_new_tokens)


def _by_id(made: Plan) -> dict[str, Trial]:
    return {trial.trial_id: trial for trial in made.trials}

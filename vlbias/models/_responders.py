"""Which option a scripted model chooses, and the log-probabilities that it reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vlbias.errors import ModelError
from vlbias.models import _margin
from vlbias.models._margin import luck, place
from vlbias.models._script import Script
from vlbias.records import Prompt, Trial

SURE = 0.9
LESS = -2.0  # the content of a wrong option that is not the favourite, in log-odds against the favourite


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The displayed index of the option chosen, and the log-probability of each option."""

    chosen: int
    logprobs: tuple[float, ...]


def choose(script: Script, prompt: Prompt, trial: Trial) -> Choice:
    """The choice of one trial."""
    count = len(trial.options)
    if script.policy != "profile":
        return _sure(_by_policy(script, prompt, trial), count)
    letter = ord(script.prefer) - ord("A") if script.prefer else count
    if letter < count and luck(script, f"{trial.probe.probe_id}/{place(trial)}/prefer") < script.preference:
        return _sure(letter, count)
    viewer = dict(trial.factors).get("viewer")
    if viewer is not None and luck(script, f"{trial.probe.probe_id}/{place(trial)}/ego") < script.ego:
        return _sure(trial.option_order.index(int(viewer)), count)
    if "rival_slot" in dict(trial.factors):
        return _sure(_believed(script, trial), count)
    if trial.gold_displayed is None and script.scores == "graded":
        return _graded_without_content(script, trial)
    if trial.gold_displayed is None:
        return _sure(_drawn(script, trial, range(count), [math.exp(v) for v in prior(script, trial)]), count)
    if script.scores == "graded":
        return _graded(script, trial)
    return _sure(_right_or_wrong(script, trial), count)


def prior(script: Script, trial: Trial) -> list[float]:
    """The log of what multiplies the chance of each displayed option, as strong as it is in the trial's slot."""
    count = len(trial.options)
    if script.prior is not None and len(script.prior) != count:
        raise ModelError(
            f"scripted: prior has {len(script.prior)} values and a trial {count} options; give one per option"
        )
    logs = [math.log(value) for value in script.prior] if script.prior else [0.0] * count
    strength = _strength(script, trial)
    return [strength * value for value in (logs[0] + script.home, *logs[1:])]


def _strength(script: Script, trial: Trial) -> float:
    if script.sway is None:
        return 1.0
    if len(script.sway) != trial.n_slots:
        raise ModelError(
            f"scripted: sway has {len(script.sway)} values and a trial {trial.n_slots} slots; give one per slot"
        )
    return min(script.sway) if trial.slot is None else script.sway[trial.slot]


def _right_or_wrong(script: Script, trial: Trial) -> int:
    """A draw from prior x content, where content is the chance for the right option, shared by the wrong ones."""
    gold, count = trial.gold_displayed, len(trial.options)
    assert gold is not None
    logs = prior(script, trial)
    wrong = [k for k in range(count) if k != gold]
    if not wrong:
        return gold
    against = math.log(sum(math.exp(logs[k]) for k in wrong) / len(wrong))
    margin = _margin.margin(script, trial, _margin.chance(script, trial))
    if margin + logs[gold] - against > 0:
        return gold
    return _drawn(script, trial, wrong, [math.exp(logs[k]) for k in wrong])


def _graded(script: Script, trial: Trial) -> Choice:
    """Log-probabilities that are log prior + content, up to a constant; the largest is chosen."""
    order, gold = trial.option_order, trial.probe.gold
    margin = _margin.margin(script, trial, _margin.chance(script, trial))
    wrong = [k for k in sorted(order) if k != gold]
    favourite = _drawn(script, trial, wrong, [1.0] * len(wrong)) if wrong else gold
    content = {k: margin if k == gold else 0.0 if k == favourite else LESS for k in order}
    logits = [content[k] + p for k, p in zip(order, prior(script, trial))]
    top = max(logits)
    total = top + math.log(sum(math.exp(v - top) for v in logits))
    return Choice(chosen=logits.index(top), logprobs=tuple(v - total for v in logits))


def _graded_without_content(script: Script, trial: Trial) -> Choice:
    """The prior alone, where no option is right."""
    logs = prior(script, trial)
    total = math.log(sum(math.exp(v) for v in logs))
    return Choice(chosen=logs.index(max(logs)), logprobs=tuple(v - total for v in logs))


def _believed(script: Script, trial: Trial) -> int:
    """Of two segments that contradict each other: the answer of the one that is believed, or of neither."""
    factors, gold, count = dict(trial.factors), trial.gold_displayed, len(trial.options)
    try:
        rival_slot, rival = int(factors["rival_slot"]), trial.option_order.index(int(factors["rival_gold"]))
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"scripted: {trial.trial_id}: a trial with a rival needs the factors rival_slot, a 0-based slot, and "
            f"rival_gold, the index of an option; found {factors}"
        ) from error
    if trial.slot is None or gold is None or rival_slot == trial.slot or rival == gold:
        raise ModelError(f"scripted: {trial.trial_id}: the evidence and its rival need two slots and two answers")
    neither = [k for k in range(count) if k not in (gold, rival)]
    if neither and luck(script, f"{trial.probe.probe_id}/{place(trial)}/neither") < script.other:
        return _drawn(script, trial, neither, [1.0] * len(neither))
    pull = script.head * math.exp(-script.decay * (abs(trial.slot - rival_slot) - 1))
    ahead = 1.0 if trial.slot < rival_slot else -1.0
    return gold if _margin.margin(script, trial, 0.5) + ahead * pull > 0 else rival


def _by_policy(script: Script, prompt: Prompt, trial: Trial) -> int:
    options = [text.casefold() for text in trial.options]
    if script.policy == "uniform":
        return _drawn(script, trial, range(len(options)), [1.0] * len(options))
    if script.policy == "yes":
        return options.index("yes") if "yes" in options else 0
    if script.policy == "longest":
        return max(range(len(options)), key=lambda k: (len(options[k]), -trial.option_order[k]))
    words = " ".join(part.text or "" for part in prompt.parts if part.place is None).casefold()
    found = [words.find(text) for text in options]
    return min(range(len(options)), key=lambda k: (found[k] < 0, found[k], k))


def _drawn(script: Script, trial: Trial, among: Sequence[int], weights: Sequence[float]) -> int:
    """One of `among`, with chances in proportion to the weights."""
    left = luck(script, f"{trial.probe.probe_id}/{_shared_place(script, trial)}/wrong") * sum(weights)
    for k, weight in zip(among, weights):
        left -= weight
        if left < 0:
            return k
    return among[-1]


def _shared_place(script: Script, trial: Trial) -> str:
    return "every slot" if script.noise == "shared" else place(trial)


def _sure(chosen: int, count: int) -> Choice:
    if count == 1:
        return Choice(chosen=0, logprobs=(0.0,))
    rest = math.log((1 - SURE) / (count - 1))
    return Choice(chosen=chosen, logprobs=tuple(math.log(SURE) if k == chosen else rest for k in range(count)))

"""BOLD: the prior over places from questions whose video, question or options are taken away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import needs_fit, needs_logprobs, needs_model, needs_places, one_of, refuse_unknown
from vlbias.debias._content_free import MARK_OF, without_options, without_question, without_segments
from vlbias.debias._prior import PriorCorrection, mean_by_cell, prior_from_json, prior_table
from vlbias.debias._scores import Floats, cell, gold_place, logprobs, mark, plain
from vlbias.errors import NotApplicable
from vlbias.records import Prompt

SHAPE = "after"
ATTACKS = {"all none": "video", "question": "question", "options": "options"}
FOLDS = 5
Logs = dict[str, Floats]


def load(*, weights: str = "equal", per_slot: bool = True, **unknown: object) -> Bold:
    """BOLD; `weights=fitted` weighs the three attacks by cross-validation (Weighted BOLD)."""
    refuse_unknown("bold", load, unknown)
    one_of("bold", "weights", weights, known=("equal", "fitted"))
    return Bold(fitted=weights == "fitted", per_slot=per_slot)


@dataclass(frozen=True, kw_only=True)
class Bold:
    """BOLD (arXiv 2410.14248): p(place) is proportional to prior times content; the prior comes from three attacks.

    The attacks take the video, the question, or the texts of the options away. The log prior is the weighted mean of
    the attacks' mean log-probabilities. Fitted weights make the spread of recalls over the place of the right option
    least, by COBYLA, over 5 folds of clusters; the mean of the folds' weights is kept. We differ: weights sum to 1, so
    that a prior that all attacks agree on is found exactly, and priors are per slot by default. `per_slot` cannot be
    seen by the attack on the video, which takes the order with it: that attack gives the same in every slot.
    """

    fitted: bool
    per_slot: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities, the model to ask attacked prompts, and probes to fit on."""
        needs_logprobs("bold", setting)
        needs_places("bold", setting)
        needs_model("bold", setting)
        needs_fit("bold", setting)
        if setting.answer_is_segment:
            raise NotApplicable(
                "bold: not applicable: there are options that are the segments themselves, so their texts cannot be "
                "taken away; use pride, or a suite with asks: [content]"
            )
        if not setting.options_named:
            raise NotApplicable(
                "bold: not applicable: options without labels are told apart by their texts alone, so these cannot be "
                "taken away; use pride, or --prompt_style letters"
            )

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The three attacks on the trial."""
        no_video = without_segments(prompt, fill="none", where="all")
        return [no_video, without_question(prompt, write=write), without_options(prompt, write=write)]

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> PriorCorrection:
        """The weighted prior of each cell. Attacks that gave no answer in a cell are an error."""
        attacks = [self._attack(answers, name) for name in ATTACKS]
        cells = sorted(set.union(*(set(found) for found in attacks)))
        lacking = [word for word, found in zip(ATTACKS.values(), attacks) if not cells or set(found) != set(cells)]
        if lacking:
            raise NotApplicable(
                f"bold: not applicable: the attack on {' and '.join(lacking)} has no answer in some slot; use pride"
            )
        stacked = {name: np.stack([found[name] for found in attacks]) for name in cells}
        weights_A = self._weights(stacked, plain(answers), rng) if self.fitted else np.full(3, 1 / 3)
        logs = {name: weights_A @ logs_AO for name, logs_AO in stacked.items()}
        return PriorCorrection(method="bold", per_slot=self.per_slot, prior=prior_table(logs))

    def from_json(self, saved: Mapping[str, Any]) -> PriorCorrection:
        """A saved prior."""
        return prior_from_json("bold", saved)

    def _attack(self, answers: Sequence[Answer], name: str) -> Logs:
        found = [a for a in answers if mark(a.asked) == f"{MARK_OF}:{name}"]
        return mean_by_cell((cell(a.asked, per_slot=self.per_slot), logprobs(a)) for a in found)

    def _weights(self, stacked: Logs, answers: Sequence[Answer], rng: np.random.Generator) -> Floats:
        clusters = sorted({a.asked.cluster_id for a in answers})
        fold_of = dict(zip(clusters, rng.permutation(len(clusters)) % FOLDS))
        found = []
        for fold in range(min(FOLDS, len(clusters))):
            kept = [a for a in answers if fold_of[a.asked.cluster_id] != fold]
            table = _Recalls.of(kept, stacked, per_slot=self.per_slot)
            found.append(table.best_weights())
        weights: Floats = np.mean(found, axis=0)
        return weights


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recalls:
    """What the spread of recalls needs: by number of options, logs [n, O], attacks [n, A, O] and gold places [n]."""

    groups: tuple[tuple[Floats, Floats, Floats], ...]

    @classmethod
    def of(cls, answers: Sequence[Answer], stacked: Logs, *, per_slot: bool) -> _Recalls:
        rows: dict[int, list[tuple[Floats, Floats, int]]] = defaultdict(list)
        for answer in answers:
            place, logs_AO = gold_place(answer), stacked.get(cell(answer.asked, per_slot=per_slot))
            if place is not None and logs_AO is not None:
                rows[answer.asked.n_options].append((logprobs(answer), logs_AO, place))
        packed = [tuple(np.asarray(column) for column in zip(*found)) for found in rows.values()]
        return cls(groups=tuple(packed))  # type: ignore[arg-type]

    def best_weights(self) -> Floats:
        """The weights of the least spread; equal ones where none is better."""
        equal = np.zeros(2)
        options = {"rhobeg": 0.5, "maxiter": 100}
        best = optimize.minimize(lambda x: self.spread(_shares(x)), equal, method="COBYLA", options=options)
        return _shares(best.x if best.fun < self.spread(_shares(equal)) else equal)

    def spread(self, weights_A: Floats) -> float:
        """The standard deviation over places of the recall, mean over numbers of options."""
        found = []
        for logs_NO, attacks_NAO, gold_N in self.groups:
            chosen_N = (logs_NO - np.einsum("a,nao->no", weights_A, attacks_NAO)).argmax(axis=1)
            recalls = [np.mean(chosen_N[gold_N == k] == k) for k in np.unique(gold_N)]
            found.append(float(np.std(recalls)))
        return float(np.mean(found)) if found else 0.0


def _shares(x: Floats) -> Floats:
    raised = np.exp(np.append(np.clip(x, -10, 10), 0.0))
    shares: Floats = raised / raised.sum()
    return shares

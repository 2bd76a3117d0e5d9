"""LAD: where the answer is the place of a segment, divides out the bias that attention says would be there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logsumexp
from torch import Tensor

from vlbias.answers import Answer
from vlbias.attention.reading import Read, reading
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_fit, needs_logprobs, refuse_unknown
from vlbias.debias._reading import Watched, Weighing, adapter_of, watching
from vlbias.debias._scores import Floats, gold_place, logprobs, options_are_places, plain, rescored
from vlbias.errors import BadInput, NotApplicable
from vlbias.models import Model
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply

SHAPE = "after"
METHOD = "lad"
SMALLEST = 1e-12
Table = dict[str, tuple[tuple[float, ...], ...]]


def load(*, temperature: float = 5.0, top_layers: int = 2, **unknown: object) -> LAD:
    """LAD with the published sharpness (5, a factor of the logarithm) and number of layers (2)."""
    refuse_unknown(METHOD, load, unknown)
    at_least(METHOD, "temperature", temperature, low=0.0)
    at_least(METHOD, "top_layers", top_layers, low=1)
    return LAD(temperature=float(temperature), top_layers=int(top_layers))


@dataclass(frozen=True, kw_only=True)
class LAD:
    """Attention-guided debiasing (arXiv 2605.11591): log p(j) - log sum_k pi_k P_bias(j | k).

    P_bias(j | i) is the mean probability of place j when place i is right, with its diagonal divided by the largest
    ratio of P(i | i) to P(j | i): what would be answered with no evidence. pi is where attention finds the evidence,
    softmax_k of temperature times the mean over layers of log a_k - log a_prior,k, with a the attention of the last
    token of the prompt on segment k and a_prior its mean over the fitting trials, in which the right segment stands at
    every place. The layers are those of the upper half with the most attention on segments.

    Follows the paper's equations; its code mixes logarithms and searches fixed layers. Trials whose answer is not a
    segment are given back as they are.
    """

    temperature: float
    top_layers: int

    def needs(self, setting: Setting) -> None:
        """Options that are places, log-probabilities, the model's attention, and probes to fit on."""
        if not setting.answer_is_segment:
            raise NotApplicable(
                f"{METHOD}: not applicable: the answer is not a segment; it needs options that name places in the "
                "order, as a suite of the kind images with asks: [index]"
            )
        needs_logprobs(METHOD, setting)
        if not (setting.white_box and setting.asks_model):
            raise NotApplicable(
                f"{METHOD}: not applicable: needs the attention of the model on each segment; the adapter hf gives it"
            )
        needs_fit(METHOD, setting)

    @contextmanager
    def observed(self, model: Model) -> Iterator[Model]:
        """The model unchanged, but its scores tell the attention on each segment; what `fit` and calls need."""
        adapter = adapter_of(model, METHOD)
        weighing = Weighing(remember=lambda read, _: last_masses(read), weigh=lambda *_: None, blank=False)
        watched = Watched(adapter, method=METHOD, weighing=weighing)
        with reading(adapter.model, watched.read) as attention:
            adapter.watch = watching(attention, watched)
            try:
                yield Observed(watched, identity=adapter.identity)
            finally:
                adapter.watch = None

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """Nothing but the trials themselves, asked under `observed`."""
        return []

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> LADCorrection:
        """The biases of each number of segments. Every place must be the right one in some fitting answer."""
        groups: dict[str, list[Answer]] = defaultdict(list)
        for answer in plain(answers):
            if is_index(answer) and gold_place(answer) is not None:
                groups[_cell(answer)].append(answer)
        if not groups:
            raise NotApplicable(f"{METHOD}: not applicable: no fitting answer is a segment; nothing to fit on")
        return LADCorrection(
            temperature=self.temperature,
            top_layers=self.top_layers,
            log_bias={name: _rows(log_bias_IJ(groups[name], name)) for name in sorted(groups)},
            attention_prior={
                name: _rows(np.mean([attention_LS(a) for a in groups[name]], axis=0)) for name in sorted(groups)
            },
        )

    def from_json(self, saved: Mapping[str, Any]) -> LADCorrection:
        """A saved correction, checked."""
        temperature, top = saved.get("temperature"), saved.get("top_layers")
        if not isinstance(temperature, int | float) or not isinstance(top, int) or isinstance(top, bool):
            raise BadInput(f"{METHOD}: the saved correction holds no temperature and top_layers; save it again")
        return LADCorrection(
            temperature=float(temperature),
            top_layers=top,
            log_bias=_table(saved, "log_bias"),
            attention_prior=_table(saved, "attention_prior"),
        )


@dataclass(frozen=True, kw_only=True)
class LADCorrection:
    """A fitted LAD: the bias of each number of segments, and the attention that their places have by themselves."""

    temperature: float
    top_layers: int
    log_bias: Mapping[str, tuple[tuple[float, ...], ...]]
    attention_prior: Mapping[str, tuple[tuple[float, ...], ...]]

    def __call__(self, answer: Answer) -> Answer:
        """The corrected answer. Errors: NotApplicable for a number of segments that was not fitted."""
        if not is_index(answer):
            return answer
        name = _cell(answer)
        if name not in self.log_bias:
            raise NotApplicable(
                f"{METHOD}: the correction was fitted for {'; '.join(sorted(self.log_bias))}; trial "
                f"{answer.asked.trial_id} has {name}"
            )
        log_pi_S = self.log_posterior_S(answer)
        log_prior_J = logsumexp(log_pi_S[:, None] + np.asarray(self.log_bias[name]), axis=0)
        return rescored(answer, logprobs(answer) - log_prior_J)

    def log_posterior_S(self, answer: Answer) -> Floats:
        """Where attention finds the evidence: the logarithm of a share for each place."""
        found_LS, prior_LS = attention_LS(answer), np.asarray(self.attention_prior[_cell(answer)])
        if found_LS.shape != prior_LS.shape:
            raise NotApplicable(
                f"{METHOD}: trial {answer.asked.trial_id} tells attention of {len(found_LS)} layers, the correction "
                f"was fitted on {len(prior_LS)}"
            )
        upper = np.arange(len(found_LS) // 2, len(found_LS))
        chosen = upper[np.argsort(-found_LS[upper].sum(axis=1), kind="stable")[: self.top_layers]]
        gain_LS = np.log(np.maximum(found_LS, SMALLEST)) - np.log(np.maximum(prior_LS, SMALLEST))
        scores_S = self.temperature * gain_LS[chosen].mean(axis=0)
        out: Floats = scores_S - logsumexp(scores_S)
        return out

    def to_json(self) -> Mapping[str, Any]:
        """All that was fitted."""
        return {
            "temperature": self.temperature,
            "top_layers": self.top_layers,
            "log_bias": {name: [list(row) for row in rows] for name, rows in self.log_bias.items()},
            "attention_prior": {name: [list(row) for row in rows] for name, rows in self.attention_prior.items()},
        }


class Observed:
    """An adapter whose scores tell the attention on each segment; the scores themselves are its own."""

    def __init__(self, watched: Watched, *, identity: Identity) -> None:
        self._watched, self.identity = watched, identity
        self.model = watched.model
        self.capabilities: Capabilities = watched.capabilities

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option, with the attention of the last token by layer and place."""
        return [self._told(self._watched.score([prompt])[0]) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The model's own words, greedily."""
        return self._watched.generate(prompts, max_new_tokens=max_new_tokens)

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """The negative log-likelihood of a given answer to each prompt, in nats, summed over its tokens."""
        return self._watched.nll(prompts, targets)

    def _told(self, found: OptionScores | Fault) -> OptionScores | Fault:
        if isinstance(found, Fault):
            return found
        layers = [self._watched.memory[layer].tolist() for layer in sorted(self._watched.memory)]
        return replace(found, segment_attention_LS=tuple(tuple(map(float, row)) for row in layers))


def last_masses(read: Read) -> Tensor:
    """The attention of the last token of the prompt on each segment, averaged over heads, [S]."""
    return read.masses_HMS()[:, read.n_prompt - 1].mean(0)


def is_index(answer: Answer) -> bool:
    """Whether the options of the trial are the places of its segments."""
    return options_are_places(answer.asked.factors)


def attention_LS(answer: Answer) -> Floats:
    """The attention on each segment by layer. Errors: NotApplicable where the answer tells none."""
    if answer.segment_attention_LS is None:
        raise NotApplicable(
            f"{METHOD}: trial {answer.asked.trial_id}: the answer tells no attention on its segments; ask the model "
            "under `observed`, as vlbias debias does with the adapter hf"
        )
    return np.asarray(answer.segment_attention_LS, dtype=np.float64)


def log_bias_IJ(answers: Sequence[Answer], name: str) -> Floats:
    """log P_bias(j | i): what is answered when i is right, less what the evidence adds."""
    n = answers[0].asked.n_options
    groups: dict[int, list[Floats]] = defaultdict(list)
    for answer in answers:
        groups[gold_place(answer) or 0].append(np.exp(logprobs(answer)))
    missing = [place + 1 for place in range(n) if place not in groups]
    if missing:
        raise NotApplicable(f"{METHOD}: {name}: no fitting answer has place {missing[0]} right; run every place")
    seen_IJ = np.maximum([np.mean(groups[place], axis=0) for place in range(n)], SMALLEST)
    ratio_IJ = np.diagonal(seen_IJ)[:, None] / seen_IJ
    gamma = ratio_IJ[~np.eye(n, dtype=bool)].max()
    out: Floats = np.log(seen_IJ) - np.eye(n) * np.log(gamma)
    return out


def _cell(answer: Answer) -> str:
    return f"{answer.asked.n_options} segments"


def _rows(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in values)


def _table(saved: Mapping[str, Any], key: str) -> Table:
    found = saved.get(key)
    if not isinstance(found, Mapping) or not found:
        raise BadInput(f"{METHOD}: the saved correction holds no {key}; save it again with vlbias debias")
    table: Table = {}
    for name, rows in found.items():
        lines = rows if isinstance(rows, list) else []
        good = all(isinstance(v, int | float) and np.isfinite(v) for row in lines for v in row)
        if not lines or not good or len({len(row) for row in lines}) != 1:
            raise BadInput(f"{METHOD}: {key} of {name}: found {rows!r}; right are lines of finite numbers")
        table[str(name)] = _rows(np.asarray(lines, dtype=np.float64))
    return table

"""The position sweep: what asking all slots costs with everything shared, against asking every prompt apart."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vlbias import rooms
from vlbias.answers import Answer, Audit, asked
from vlbias.bench import Row, at_least, at_most, chosen
from vlbias.bench import _toy as toy
from vlbias.bench._timing import Ratio, alternate
from vlbias.config import RunConfig
from vlbias.errors import ModelError
from vlbias.models._trie import closed_form
from vlbias.models.hf import HFModel
from vlbias.plan import plan
from vlbias.records import OptionScores, Probe, Prompt, Segment, Trial
from vlbias.run import seen
from vlbias.videos.cache import FrameCache

NAMES = (
    "sweep_token_ratio",
    "sweep_token_closed_form_diff",
    "sweep_max_logit_diff",
    "sweep_argmax_agreement",
    "sweep_toy_6q_over_naive",
    "sweep_toy_6q_over_generate_loop",
    "sweep_toy_1q_over_naive",
    "sweep_gpu_12q_over_naive",
    "sweep_gpu_1q_over_naive",
    "sweep_decodes_per_clip",
    "analysis_1177x11_s",
)
SHAPES = tuple(toy.SHAPES)
N_SLOTS, ROUNDS, NEW_TOKENS, EVERY = 10, 2, 8, 6
APART = 2  # every second prompt is also asked apart: all slots, half of the questions
N_PROBES, N_ANALYSED = 1177, 11
METRICS = ("levelgauge", "curve", "contrasts", "shape", "spread")


def rows(*, only: Collection[str] | None, device: str, seed: int, shape: str = "tiny") -> Iterator[Row]:
    """The rows named; ratios are CPU time on the CPU and device time on CUDA.

    Naive is one forward per prompt, everything decoded to tensors, encoded and prefilled again. The generate loop is
    what Video-LevelGauge's script does: `generate` of 8 tokens per slot and question. On a CPU the shapes 500m and 7b
    are shown clips of 2 frames of 112 x 112 pixels, 16 tokens each. Rows with `gpu` in their name are had on CUDA
    alone, and are meant for the shape 7b: 12 suffixes stand for three questions under four orders of their options.
    """
    wanted = chosen(only, names=NAMES)
    if any(name.startswith("sweep_") and name != NAMES[-2] for name in wanted):
        yield from _sweeps(wanted, device=device, seed=seed, shape=toy.fitting(toy.SHAPES[shape], device))
    if "sweep_decodes_per_clip" in wanted:
        yield at_most(1, Row(name="sweep_decodes_per_clip", value=_decodes_per_clip(), unit="decodes"))
    if "analysis_1177x11_s" in wanted:
        yield at_most(5, Row(name="analysis_1177x11_s", value=_analysis_s(seed), unit="s"))


def _sweeps(wanted: Collection[str], *, device: str, seed: int, shape: toy.Shape) -> Iterator[Row]:
    if torch.device(device).type == "cpu":
        torch.set_num_threads(1)
    model = toy.model(shape, device=device, seed=seed)
    if model.sharing is None:
        raise ModelError(f"bench sweep: the model shares nothing: {model.identity.sharing}")
    rng = np.random.default_rng(seed)
    six, one, twelve = (
        [p for slot in toy.sweep(shape, n_slots=N_SLOTS, n_questions=n, rng=rng) for p in slot] for n in (6, 1, 12)
    )
    if set(NAMES[:4]) & set(wanted):
        yield from (row for row in _exactness(model, six) if row.name in wanted)
    naive, loop = (lambda p: model.score_apart([p])), (lambda p: model.generate([p], max_new_tokens=NEW_TOKENS))
    for name, asked_alone, prompts, goal in (
        ("sweep_toy_6q_over_naive", naive, six, 5),
        ("sweep_toy_6q_over_generate_loop", loop, six, 8),
        ("sweep_toy_1q_over_naive", naive, one, 1.6),
        ("sweep_gpu_12q_over_naive", naive, twelve, 12),
        ("sweep_gpu_1q_over_naive", naive, one, 1.5),
    ):
        if name in wanted and ("gpu" not in name or torch.device(device).type == "cuda"):
            yield at_least(goal, _against(model, asked_alone, prompts, device).row(name))


def _exactness(model: HFModel, prompts: list[Prompt]) -> Iterator[Row]:
    """Tokens by count and by formula, the largest difference of an option's log-probability, how often one choice."""
    assert model.sharing is not None  # checked by the caller
    before = model.sharing.walker.n_tokens
    together = [found for found in model.score(prompts) if isinstance(found, OptionScores)]
    counted = model.sharing.walker.n_tokens - before
    apart = [found for found in model.score_apart(prompts[::APART]) if isinstance(found, OptionScores)]
    first = together[0]
    starts = [start for start, _ in first.segment_spans]
    expected = closed_form(
        n_backgrounds=N_SLOTS - 1,
        n_prefix=starts[0],
        n_segment=starts[1] - starts[0],
        n_suffix=first.n_tokens - first.segment_spans[-1][1],
        n_suffixes=len(prompts) // N_SLOTS,
    )
    naive = sum(found.n_tokens for found in together)
    yield Row(name="sweep_token_ratio", value=naive / counted, unit="x")
    yield at_most(0, Row(name="sweep_token_closed_form_diff", value=abs(counted - expected), unit="tokens"))
    pairs = [np.abs(np.subtract(a.logprobs, b.logprobs)).max() for a, b in zip(together[::APART], apart, strict=True)]
    row = Row(name="sweep_max_logit_diff", value=float(max(pairs)), unit="nats")
    yield at_most(1e-5, row) if model.model.dtype == torch.float32 else row
    same = [np.argmax(a.logprobs) == np.argmax(b.logprobs) for a, b in zip(together[::APART], apart, strict=True)]
    row = Row(name="sweep_argmax_agreement", value=float(np.mean(same)), unit="share")
    yield at_least(1, row) if model.model.dtype == torch.float32 else row


def _shared(model: HFModel, prompts: list[Prompt]) -> None:
    assert model.sharing is not None  # checked by the caller
    model.sharing.forget()
    model.score(prompts)


def _against(model: HFModel, alone: Callable[[Prompt], Any], prompts: list[Prompt], device: str) -> Ratio:
    """Prompts asked one after the other, against all of them shared.

    Of many prompts, all of one length, a loop asks every EVERYth and counts it as often: one costs what another does.
    """
    step = EVERY if len(prompts) > N_SLOTS else 1

    def loop() -> None:
        for prompt in prompts[::step]:
            alone(prompt)

    found = alternate(loop, lambda: _shared(model, prompts), rounds=ROUNDS, device=device, warm_up=False)
    return Ratio(
        value=found.value * step,
        low=found.low * step,
        high=found.high * step,
        first_s=tuple(s * step for s in found.first_s),
        second_s=found.second_s,
    )


def _decodes_per_clip() -> float:
    """How often a clip is decoded in a sweep of the bundled suite over all its slots, asked twice."""
    made = plan(RunConfig(tasks="demo", model="scripted", limit="2"))
    clips = {s.segment_id for trial in made.trials for s in trial.segments}
    with tempfile.TemporaryDirectory() as folder, FrameCache(Path(folder), num_frames=made.num_frames) as reader:
        for trial in (*made.trials, *made.trials):
            seen(trial, reader)
        return reader.n_decoded / len(clips)


def _analysis_s(seed: int) -> float:
    """Seconds of CPU time for the metrics of 1,177 probes at ten slots and alone, with their own numbers of draws."""
    rng = np.random.default_rng(seed)
    answers = [answer for number in range(N_PROBES) for answer in _answers(number, rng)]
    metrics = [rooms.find("metrics", name) for name in METRICS]
    began = time.process_time()
    for metric in metrics:
        metric.measure(answers, rng=np.random.default_rng(seed))
    return time.process_time() - began


def _answers(number: int, rng: np.random.Generator) -> Iterator[Answer]:
    """A probe at every slot and alone, right with probability 0.7; 2.7 questions to a clip as in Video-LevelGauge."""
    clip = f"clip-{int(number / 2.7)}"
    probe = Probe(
        probe_id=f"probe-{number}",
        task=f"task {number % 6}",
        question="?",
        options=("a", "b", "c", "d"),
        gold=0,
        evidence=Segment(segment_id=clip, path="clip.mp4"),
        backgrounds=(),
        cluster_id=clip,
    )
    audit = Audit(prompt_sha256="0" * 64, segments=(), segment_spans=(), n_tokens=1, n_frames=0, batch_size=1)
    for slot in (*range(N_ANALYSED - 1), None):
        trial = Trial(
            trial_id=f"{number}/{slot}",
            probe=probe,
            slot=slot,
            n_slots=N_ANALYSED - 1,
            segments=(),
            option_order=(0, 1, 2, 3),
        )
        right = bool(rng.random() < 0.7)
        logprobs = tuple(float(x) for x in np.sort(np.log(rng.dirichlet(np.ones(4))))[:: -1 if right else 1])
        yield Answer(
            asked=asked(trial),
            chosen=0 if right else 3,
            logprobs=logprobs,
            level="exact",
            reply=None,
            audit=audit,
        )

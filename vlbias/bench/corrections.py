"""`vlbias bench corrections`: what a calibration that is fitted adds to the time of an answer.

The model is the smallest that ships, asked as fast as it can be: clips are drawn and encoded before, and all that
prompts share is computed once. What is added to a larger model is a smaller part of its time. `bold` is not among them:
this model is shown no letters, which bold takes away. Once fitted it is the same arithmetic as `pride`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlbias import arms, session, tryout
from vlbias.answers import Answer
from vlbias.athand import AtHand, asked_again
from vlbias.bench import Row, at_most, chosen
from vlbias.bench._timing import alternate
from vlbias.config import RunConfig
from vlbias.plan import plan
from vlbias.run import Asking
from vlbias.videos.cache import FrameCache

METHODS = ("contextual", "dla", "pride", "temperature_per_slot", "vector_per_slot")
NAMES = tuple(f"{method}_over_vanilla" for method in METHODS)
GOAL = 1.05
N_PROBES, ROUNDS = 12, 3
MODEL: Mapping[str, Any] = {"pretrained": "organism:u10", "dtype": "float32", "threads": 1}


def rows(*, only: Collection[str] | None, device: str, seed: int) -> Iterator[Row]:
    """The rows named: the time of vanilla answers and their correction, in that of vanilla answers."""
    wanted = chosen(only, names=NAMES)
    with _at_hand(device) as hand:
        trials = list(hand.trials.values())

        def vanilla() -> list[Any]:
            return asked_again(hand, trials, hand.asking)

        answers = [row for row in vanilla() if isinstance(row, Answer)]
        for method, name in zip(METHODS, NAMES, strict=True):
            if name in wanted:
                correction, _ = tryout.fitted(arms.load(method), hand, answers, seed=seed)
                yield on_top(name, correction, answers, vanilla)


def on_top(
    name: str, correction: Callable[[Answer], Answer], answers: Sequence[Answer], vanilla: Callable[[], Any]
) -> Row:
    """One more than the time of correcting the answers in that of `vanilla`, which gives as many."""
    found = alternate(lambda: [correction(answer) for answer in answers], vanilla, rounds=ROUNDS)
    whole = replace(found, value=1 + found.value, low=1 + found.low, high=1 + found.high)
    return at_most(GOAL, whole.row(name))


@contextmanager
def _at_hand(device: str) -> Iterator[AtHand]:
    """The bundled model on the bundled suite, at every slot of a few probes."""
    one = RunConfig(tasks="demo", model="hf", model_args={**MODEL, "device": device}, limit=str(N_PROBES))
    made = plan(one)
    with tempfile.TemporaryDirectory() as folder, FrameCache(Path(folder), num_frames=made.num_frames) as reader:
        model = session.load(one)
        asking = Asking(model=model, reader=reader, style=made.style, mode=one.mode, max_new_tokens=one.max_new_tokens)
        trials = {trial.trial_id: trial for trial in made.trials}
        yield AtHand(asking=asking, trials=trials, batch_size=len(trials))

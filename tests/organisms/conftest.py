"""What models with a planted bias for places are held to: a small grid of choices, and manifests that are true."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlbias.answers import Answer, asked
from vlbias.disk import sha256_of_file
from vlbias.estimates import Estimate
from vlbias.metrics import spatial
from vlbias.organisms import manifest
from vlbias.probes import grid
from vlbias.prompts import Style, prompt
from vlbias.run import seen
from vlbias.strictyaml import parse
from vlbias.videos.cache import FrameCache

SUITE = """
name: tiny
kind: grid
version: 1
description: x
licence: x
asks: choice
source: {drawn: {items: 16, seed: 3, size_px: [192, 192], distractors: 3}}
"""


@pytest.fixture(scope="session")
def over_grid(tmp_path_factory) -> Callable[..., dict[str, Estimate]]:
    """Asks a model which of two things is in images of nine cells; the estimates that are not of one cell."""
    suite = parse(SUITE, where="x", model=grid.Suite)
    trials = list(grid.trials(grid.probes(suite, folder=Path()), suite=suite, seed=1))

    def measure(model: Any, style: Style) -> dict[str, Estimate]:
        with FrameCache(tmp_path_factory.mktemp("frames"), num_frames=1) as reader:
            prompts = [prompt(t, seen(t, reader), style) for t in trials]
        rows = [
            Answer(asked=asked(t), chosen=t.option_order[int(np.argmax(one.logprobs))], logprobs=one.logprobs,
                   level="exact", reply=None, audit=None)
            for t, one in zip(trials, model.score(prompts), strict=True)
        ]  # fmt: skip
        return {e.metric: e for e in spatial.measure(rows, rng=np.random.default_rng(0)) if e.cell is None}

    return measure


@pytest.fixture(scope="session")
def is_as_told() -> Callable[..., None]:
    """Holds a bundled model to its manifest: its weights, its size, and a truth that is measured again."""

    def check(name: str, *, weights: str, what: str, truth: Callable[[Path], Mapping[str, Any]], within: float) -> None:
        folder = manifest.folder_of(name)
        about = manifest.read(folder)
        assert about["weights_sha256"] == sha256_of_file(folder / weights)
        assert sum(p.stat().st_size for p in folder.iterdir()) <= 3e6 and sum(about["measured"]["n"]) >= 20_000
        again = truth(folder)
        told = np.average(about["measured"][what], weights=about["measured"]["n"])
        assert np.average(again[what], weights=again["n"]) == pytest.approx(told, abs=within)

    return check

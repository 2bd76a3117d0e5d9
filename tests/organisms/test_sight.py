"""Learning to see: the tower learns, the words only if they are to."""

import numpy as np
import pytest
import torch

from vlbias.organisms import architecture, sight
from vlbias.organisms.pool import Pool, pool

SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)


@pytest.fixture(scope="module", params=["llava_onevision", "qwen2_vl"])
def family(request: pytest.FixtureRequest) -> architecture.Family:
    return architecture.family(request.param)


@pytest.fixture(scope="module")
def clips(family: architecture.Family) -> Pool:
    return pool(24, family, rng=np.random.default_rng(0), log=[].append)


def test_seeing_improves_with_steps() -> None:
    family = architecture.family("llava_onevision")
    clips = pool(24, family, rng=np.random.default_rng(0), log=[].append)
    torch.manual_seed(0)
    organism = family.model(SMALL)
    early, late = (
        sight.learn_to_see(organism, clips, steps=steps, rng=np.random.default_rng(0), log=[].append)
        for steps in (2, 60)
    )
    assert late > early + 0.01


@pytest.mark.parametrize("learn_words", [True, False])
def test_the_tower_learns_and_the_words_only_if_they_are_to(
    family: architecture.Family, clips: Pool, learn_words: bool
) -> None:
    torch.manual_seed(0)
    organism = family.model(SMALL)
    before = {name: weight.clone() for name, weight in organism.state_dict().items()}
    sight.learn_to_see(organism, clips, steps=1, rng=np.random.default_rng(0), log=[].append, learn_words=learn_words)
    changed = {name for name, weight in organism.state_dict().items() if not weight.equal(before[name])}
    words = {name for name in changed if "embed_tokens" in name}
    assert bool(words) == learn_words
    assert changed - words and all(any(mark in name for mark in family.TOWER) for name in changed - words)

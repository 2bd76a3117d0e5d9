"""The loop with a calibration that needs the model's attention: asked again, fitted, saved, and used in another run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlbias import debiasing
from vlbias.answers import Answer
from vlbias.config import RunConfig
from vlbias.errors import BadInput
from vlbias.plan import plan
from vlbias.session import ask
from vlbias.store import read

SUITE = """
name: numbers
kind: images
version: 1
description: Two drawn images; the number of one is asked.
licence: Apache-2.0
images: 2
asks: [index]
layouts: [grouped]
distractors: [easy]
source:
  drawn: {clips: 24, seed: 1, size_px: [56, 56], duration_s: 1.0, fps: 2.0}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite that asks for the number of an image."""
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "numbers.yaml").write_text(SUITE)
    return folder


def asked(place: Path, *, limit: str, folder: str, **more: Any) -> Path:
    one = RunConfig(
        tasks=str(place / "numbers.yaml"), model="hf", batch_size=8, limit=limit,
        model_args={"pretrained": "organism:u10", "dtype": "float32", "sharing": "off"}, **more,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(place / "cache"))
        ask(one, plan(one), folder=place / folder)
    return place / folder


def scores(folder: Path) -> dict[str, tuple[float, ...] | None]:
    return {r.asked.trial_id: r.logprobs for r in read(folder).outcomes if isinstance(r, Answer)}


def test_lad_asks_the_run_again_for_its_attention_and_its_file_corrects_another_run(place: Path) -> None:
    run = asked(place, limit="12", folder="run")
    proof = debiasing.debias(run, "lad,found_in_the_middle", fit_share=0.8)
    assert not proof.refused
    lad, middle = proof.methods
    assert lad.cost is not None and middle.cost is not None
    assert lad.cost.passes == 1.0
    assert lad.cost.fit_prompts == 2 * proof.n_fit_clusters
    assert 1.0 < middle.cost.passes <= 2.0
    before, after = scores(run), scores(run / "debias" / "lad")
    assert after and all(before[name] != value for name, value in after.items())

    corrected = asked(place, limit="12-13", folder="corrected", debias=str(run / "debias" / "lad.json"))
    rows = [r for r in read(corrected).outcomes if isinstance(r, Answer)]
    assert len(rows) == 2
    for row in rows:
        assert row.segment_attention_LS is not None and np.shape(row.segment_attention_LS) == (4, 2)
        # A corrected answer is normalised over its options, a plain one is not.
        assert row.logprobs is not None and np.exp(row.logprobs).sum() == pytest.approx(1)
    assert all(value is not None and np.exp(value).sum() < 1 - 1e-6 for value in before.values())


def test_lad_is_refused_where_no_answer_is_a_segment(place: Path, tmp_path: Path) -> None:
    one = RunConfig(tasks="demo", model="scripted", limit="8")
    ask(one, plan(one), folder=tmp_path / "run")
    with pytest.raises(BadInput, match="lad: not applicable: the answer is not a segment"):
        debiasing.debias(tmp_path / "run", "lad")
    with pytest.raises(BadInput, match="found_in_the_middle: not applicable: needs the attention weights of the model"):
        debiasing.debias(tmp_path / "run", "found_in_the_middle")

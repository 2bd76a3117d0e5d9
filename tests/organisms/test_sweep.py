from pathlib import Path

import numpy as np
import pytest
import torch

from vlbias.groundtruth import trials
from vlbias.models import hf
from vlbias.organisms import architecture, sweep
from vlbias.prompts import Style, prompt
from vlbias.records import Frames

SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    architecture.save(architecture.family("qwen2_vl").model(SMALL), folder)
    return folder


def test_a_sweep_in_batches_gives_the_numbers_of_the_adapter(untrained: Path, tmp_path: Path) -> None:
    asked = trials(3, probes=6, seed=4)
    films = sweep.filmed(asked, scratch=tmp_path, log=[].append)
    ours = sweep.logprobs(untrained, asked, films)
    frames = {
        name: Frames(
            frames_THWC=seen, timestamps_s=(0.5, 1.5), asked_s=(0.5, 1.5), sha256=name, decoder="av", decoder_version=""
        )
        for name, seen in zip(films.names, films.frames_CTHWC, strict=True)
    }
    model = hf.load(pretrained=str(untrained), dtype="float32", sharing="off")
    scores = model.score([prompt(trial, frames, Style(style="cloze")) for trial in asked])
    theirs = [torch.tensor(score.logprobs).log_softmax(-1).tolist() for score in scores]
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert np.ptp(ours) > 0.05 and len(ours) == 18

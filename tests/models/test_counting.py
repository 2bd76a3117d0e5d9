"""What is counted while a model is asked: the tokens that go through it, and the memory it takes at its worst."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vlbias.models import _counting
from vlbias.models._counting import counting

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets back the peak of a process")


class Network(torch.nn.Module):
    def forward(self, input_ids=None, inputs_embeds=None):
        return input_ids if inputs_embeds is None else inputs_embeds


def test_tokens_and_embeddings_count_and_nothing_does_outside() -> None:
    network = Network()
    with counting(SimpleNamespace(model=network)) as work:
        network(input_ids=torch.zeros(2, 5, dtype=torch.long))
        network(inputs_embeds=torch.zeros(1, 7, 3))
    network(input_ids=torch.zeros(1, 100, dtype=torch.long))
    assert work.n_tokens == 17


def test_tokens_of_a_model_without_a_network_are_not_known() -> None:
    with counting(SimpleNamespace()) as work:
        pass
    assert work.n_tokens is None


@needs_linux
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="this system does not set back peaks")
def test_memory_is_that_of_the_worst_moment_of_each_call_and_not_of_the_ones_before() -> None:
    peaks = []
    for size in (96 << 20, 32 << 20):
        with counting(SimpleNamespace()) as work:
            np.ones(size, dtype=np.uint8)
        peaks.append(work.peak_bytes)
        assert work.peak_reason is None
    # The kernel counts pages in lots.
    assert 95 << 20 <= peaks[0] < 112 << 20
    assert 31 << 20 <= peaks[1] < 48 << 20


def test_memory_that_cannot_be_had_is_none_with_the_reason(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(_counting, "CLEAR", tmp_path / "absent" / "clear_refs")
    with counting(SimpleNamespace()) as work:
        pass
    assert work.peak_bytes is None
    assert "does not let a process set back its peak" in (work.peak_reason or "")

"""The choice of an engine."""

import importlib

import pytest

from vlbias.attention import partials
from vlbias.attention.engines import engine


def test_a_cpu_gets_the_pytorch_engine_and_cuda_the_triton_one() -> None:
    pytest.importorskip("triton")
    assert engine("cpu") is partials.attend
    assert engine("cuda") is importlib.import_module("vlbias.attention.kernel_triton").attend


def test_without_triton_cuda_gets_the_pytorch_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlbias.attention.engines.find_spec", lambda _: None)
    assert engine("cuda") is partials.attend

"""The choice of an engine."""

import importlib

import pytest

from vlbias.attention import formula, partials
from vlbias.attention.engines import engine
from vlbias.errors import NotApplicable


def test_a_cpu_gets_the_pytorch_engine_and_cuda_the_triton_one() -> None:
    pytest.importorskip("triton")
    assert engine("cpu") is partials.attend
    assert engine("cuda") is importlib.import_module("vlbias.attention.kernel_triton").attend


def test_without_triton_cuda_gets_the_pytorch_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlbias.attention.engines.find_spec", lambda _: None)
    assert engine("cuda") is partials.attend
    with pytest.raises(NotApplicable, match="Triton is not installed"):
        engine("cuda", "triton")


def test_an_engine_is_had_by_name_and_triton_on_a_cpu_only_in_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    assert engine("cuda", "partials") is partials.attend
    assert engine("cuda", "formula") is formula.attend
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(NotApplicable, match="the model is on cpu"):
        engine("cpu", "triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert engine("cpu", "triton") is importlib.import_module("vlbias.attention.kernel_triton").attend

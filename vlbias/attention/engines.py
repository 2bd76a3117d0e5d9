"""Chooses an engine by name and device."""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from typing import cast

import torch

from vlbias.attention import formula, partials
from vlbias.attention.contract import Engine
from vlbias.errors import NotApplicable

NAMES = ("auto", "partials", "triton", "formula")


def engine(device: torch.device | str, name: str = "auto") -> Engine:
    """The engine of a name. `auto` is Triton on CUDA where it is installed, and PyTorch (`partials`) everywhere else.

    Triton is optional and reads its settings when it is imported, so it is imported here only where it is used.
    Raises NotApplicable for `triton` where it is not installed, and on a CPU unless TRITON_INTERPRET=1 is set.
    """
    on_cuda, installed = torch.device(device).type == "cuda", find_spec("triton") is not None
    if name == "auto":
        name = "triton" if on_cuda and installed else "partials"
    if name != "triton":
        return {"partials": partials.attend, "formula": formula.attend}[name]
    if not installed:
        raise NotApplicable("engine=triton: not applicable: Triton is not installed; pip install triton, or leave it")
    if not on_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        raise NotApplicable(
            f"engine=triton: not applicable: the model is on {device}; use CUDA, or set TRITON_INTERPRET=1 to check it "
            "slowly, or engine=partials"
        )
    return cast(Engine, importlib.import_module("vlbias.attention.kernel_triton").attend)

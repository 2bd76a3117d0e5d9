"""Chooses an engine for a device."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import cast

import torch

from vlbias.attention import partials
from vlbias.attention.contract import Engine


def engine(device: torch.device | str) -> Engine:
    """The Triton engine on CUDA where Triton is installed, the PyTorch engine everywhere else.

    Triton is optional and reads its settings when it is imported, so it is imported here only where it is used.
    """
    if torch.device(device).type == "cuda" and find_spec("triton") is not None:
        return cast(Engine, importlib.import_module("vlbias.attention.kernel_triton").attend)
    return partials.attend

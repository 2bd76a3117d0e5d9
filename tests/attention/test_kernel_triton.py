"""The Triton kernels say what the formula says; without a GPU they run in Triton's interpreter."""

import importlib
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from vlbias.attention import formula
from vlbias.attention.contract import Isolate, Pine, Rotor, Score, Sofa

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LENGTHS = [17, 50, 29]


@pytest.fixture(scope="module")
def kernel() -> ModuleType:
    """The engine; `tests/conftest.py` chooses the interpreter where there is no GPU."""
    return importlib.import_module("vlbias.attention.kernel_triton")


@pytest.mark.parametrize(
    "rule", [Pine(), Pine(slots=(0, 2, 1)), Rotor(), Sofa(sigma=0.5), Sofa(sigma=0.0), Isolate()], ids=repr
)
def test_prefill_and_decoding_are_the_formula(rule, kernel, row_of, call_of) -> None:
    layout, positions = row_of(7, LENGTHS, 9, ranks=[1, 0, 2])
    heads, rotation = call_of([positions], heads=2, key_heads=1, width=32, rotated=32, dtype=torch.float32)
    check(kernel, heads, layout, rotation, rule, Score(scale=0.18))
    check(kernel, last(heads), layout, rotation, rule, Score(scale=0.18))


@pytest.mark.parametrize(("pairing", "rotated", "width"), [("adjacent", 16, 32), ("half", 16, 24)])
def test_partial_and_adjacent_rotations_and_odd_widths_are_the_formula(
    pairing, rotated, width, kernel, row_of, call_of
) -> None:
    layout, positions = row_of(3, [9, 14, 20], 4, stack=False)
    heads, rotation = call_of(
        [positions], heads=2, key_heads=2, width=width, rotated=rotated, pairing=pairing, dtype=torch.float32
    )
    check(kernel, heads, layout, rotation, Pine(), Score(scale=0.2, softcap=2.0))


def test_a_window_is_left_to_the_pytorch_engine(kernel, row_of, call_of) -> None:
    layout, positions = row_of(3, [9, 14, 20], 4)
    heads, rotation = call_of([positions], dtype=torch.float32)
    check(kernel, heads, layout, rotation, Pine(), Score(scale=0.2, window=12))


def check(kernel, heads, layout, rotation, rule, score) -> None:
    exact = replace(heads, **{name: getattr(heads, name).double() for name in vars(heads) if name[-5:] in AXES})
    oracle = formula.attend(exact, [layout], rotation=rotation, rule=rule, score=score)
    there = replace(heads, **{name: getattr(heads, name).to(DEVICE) for name in vars(heads) if name[-5:] in AXES})
    mine = kernel.attend(there, [layout], rotation=rotation, rule=rule, score=score).cpu()
    assert 0 < (mine - oracle).abs().max() <= 1e-5


def last(heads):
    return replace(heads, query_BHQD=heads.query_BHQD[:, :, -1:], bare_query_BHQD=heads.bare_query_BHQD[:, :, -1:])


AXES = ("_BHQD", "_BKLD", "_BKRD")

"""`vlbias bench attention`: the segment-invariant engines against ordinary attention and the published formula.

Timed alternately in one process; a ratio is that of the minima. "causal" and "full" are PyTorch's fused attention on
the same tensors, with a causal mask and with none. "formula" is the published algorithm, keys rotated per query. The
engine is the one that the device gets: Triton on CUDA where it is installed, PyTorch elsewhere. Rows whose name begins
with gpu are had on CUDA only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vlbias.attention import formula
from vlbias.attention.contract import Engine, Pine, Rotor, Rule
from vlbias.attention.engines import engine
from vlbias.bench import Row, _large, at_least, at_most, chosen
from vlbias.bench._calls import Call, Size, call, decoding, some_heads
from vlbias.bench._memory import peak_bytes
from vlbias.bench._timing import seconds

NAMES = (
    "pine_prefill_4096_over_causal",
    "pine_prefill_4096_over_full",
    "rotor_prefill_4096_over_full",
    "pine_prefill_8192_over_full",
    "rotor_prefill_8192_over_full",
    "pine_prefill_4096_formula_over_ours",
    "pine_prefill_4096_max_error",
    "pine_decode_4096_over_sdpa",
    "rotor_decode_4096_over_sdpa",
    "pine_prefill_4096_extra_bytes_over_q",
    *_large.NAMES,
)
GOALS = {
    "pine_prefill_4096_over_causal": 4.5,
    "pine_prefill_4096_over_full": 2.6,
    "pine_prefill_4096_max_error": 1e-5,
    "pine_prefill_8192_over_full": 2.4,
    "rotor_prefill_4096_over_full": 1.35,
    "rotor_prefill_8192_over_full": 1.2,
    "pine_decode_4096_over_sdpa": 6.0,
    "rotor_decode_4096_over_sdpa": 1.25,
    "pine_prefill_4096_extra_bytes_over_q": 12.0,
}
ROUNDS = {4096: 3, 8192: 2}
DECODE_ROUNDS = 40
ORACLE_HEADS = slice(0, 2)
Work = Callable[[], Tensor]
Times = dict[str, list[float]]


def rows(*, only: Collection[str] | None, device: str, seed: int) -> Iterator[Row]:
    """The rows asked for, one thread on a CPU."""
    names = chosen(only, names=NAMES)
    with torch.no_grad(), _one_thread():
        for tokens in (4096, 8192):
            yield from _prefill(tokens, names, device, seed)
        if "pine_prefill_4096_formula_over_ours" in names:
            yield _formula(device, seed)
        if "pine_prefill_4096_max_error" in names:
            yield _error(device, seed)
        yield from _decode(names, device, seed)
        if "pine_prefill_4096_extra_bytes_over_q" in names:
            yield _extra_bytes(device, seed)
        if torch.device(device).type == "cuda":
            yield from _large.rows(names, _large.Large(), engine=engine(device), device=device, seed=seed)


def _prefill(tokens: int, names: Collection[str], device: str, seed: int) -> Iterator[Row]:
    """Pine and Rotor over causal and full attention of so many tokens."""
    asked = [name for name in names if f"_prefill_{tokens}_over_" in name]
    if not asked:
        return
    stacks, ordinary = (call(Size(tokens=tokens), stack=stack, seed=seed, device=device) for stack in (True, False))
    works: dict[str, Work] = {
        "pine": _engine(engine(device), stacks, Pine()),
        "rotor": _engine(engine(device), ordinary, Rotor()),
        "causal": _sdpa(stacks, causal=True),
        "full": _sdpa(stacks, causal=False),
    }
    needed = {part for name in asked for part in (name.split("_")[0], name.split("_over_")[1])}
    times = _alternate({name: work for name, work in works.items() if name in needed}, ROUNDS[tokens], device)
    for name in asked:
        yield at_most(GOALS[name], _ratio(name, times[name.split("_")[0]], times[name.split("_over_")[1]]))


def _formula(device: str, seed: int) -> Row:
    prefill = call(Size(tokens=4096), stack=True, seed=seed, device=device)
    ours = [seconds(_engine(engine(device), prefill, Pine()), device=device) for _ in range(3)]
    published = seconds(_engine(formula.attend, prefill, Pine()), device=device)
    return at_least(10.0, _ratio("pine_prefill_4096_formula_over_ours", [published] * len(ours), ours))


def _error(device: str, seed: int) -> Row:
    """The largest error of an output number in fp32 against the formula in fp64, over two of the eight heads."""
    single = some_heads(
        call(Size(tokens=4096), stack=True, seed=seed, device=device), ORACLE_HEADS, dtype=torch.float32
    )
    oracle = _engine(formula.attend, some_heads(single, slice(None), dtype=torch.float64), Pine())()
    error = float((_engine(engine(device), single, Pine())() - oracle).abs().max())
    name = "pine_prefill_4096_max_error"
    return at_most(GOALS[name], Row(name=name, value=error, unit="absolute"))


def _decode(names: Collection[str], device: str, seed: int) -> Iterator[Row]:
    """One new token over fused attention on the same cache, by the faster of two ways to share key heads."""
    asked = [name for name in names if name.endswith("_decode_4096_over_sdpa")]
    if not asked:
        return
    size = Size(tokens=4096, heads=28, key_heads=4, width=128)
    last, ordinary = (decoding(call(size, stack=stack, seed=seed, device=device)) for stack in (True, False))
    group = size.heads // size.key_heads
    repeated = replace(
        last,
        heads=replace(
            last.heads,
            key_BKLD=last.heads.key_BKLD.repeat_interleave(group, 1),
            value_BKLD=last.heads.value_BKLD.repeat_interleave(group, 1),
        ),
    )
    works: dict[str, Work] = {
        "pine": _engine(engine(device), last, Pine()),
        "rotor": _engine(engine(device), ordinary, Rotor()),
        "shared": _sdpa(last, causal=False),
        "repeated": _sdpa(repeated, causal=False),
    }
    times = _alternate(works, DECODE_ROUNDS, device)
    plain = min((times["shared"], times["repeated"]), key=min)
    for name in asked:
        yield at_most(GOALS[name], _ratio(name, times[name.split("_")[0]], plain))


def _extra_bytes(device: str, seed: int) -> Row:
    prefill = call(Size(tokens=4096), stack=True, seed=seed, device=device)
    extra = peak_bytes(_engine(engine(device), prefill, Pine()), device=device)
    name = "pine_prefill_4096_extra_bytes_over_q"
    return at_most(GOALS[name], Row(name=name, value=extra / prefill.heads.query_BHQD.nbytes, unit="x"))


def _engine(engine: Engine, work: Call, rule: Rule) -> Work:
    return lambda: engine(work.heads, work.layouts, rotation=work.rotation, rule=rule, score=work.score)


def _sdpa(work: Call, *, causal: bool) -> Work:
    query, key, value = work.heads.query_BHQD, work.heads.key_BKLD, work.heads.value_BKLD
    gqa = query.shape[1] != key.shape[1]
    return lambda: scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=gqa)


def _alternate(works: Mapping[str, Work], rounds: int, device: str) -> Times:
    """The seconds of every work in every round, one after the other in each round."""
    times: Times = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work, device=device))
    return times


def _ratio(name: str, first_s: list[float], second_s: list[float]) -> Row:
    each = [one / other for one, other in zip(first_s, second_s)]
    return Row(name=name, value=min(first_s) / min(second_s), unit="x", low=min(each), high=max(each))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One CPU thread, so that CPU time is a fair measure; the number of before is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

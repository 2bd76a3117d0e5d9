"""Segment-invariant attention at the size of a 7B model on a GPU: one call, a prefill, and a step of decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM, Qwen2Config

from vlbias.attention.contract import Engine, Pine
from vlbias.attention.patch import patched
from vlbias.bench import Row, at_most
from vlbias.bench._calls import Call, Size, call
from vlbias.bench._timing import alternate, seconds

KERNEL, PREFILL, DECODE = (
    "gpu_pine_prefill_20480_over_full",
    "gpu_pine_7b_prefill_20480_over_vanilla",
    "gpu_pine_7b_decode_20480_over_vanilla",
)
NAMES = (KERNEL, PREFILL, DECODE)
GOALS = {KERNEL: 2.2, PREFILL: 1.6, DECODE: 1.25}
BACK_ENDS = (
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
)


@dataclass(frozen=True, kw_only=True)
class Large:
    """The size of what is timed: Qwen2.5-7B's text model at 20,480 tokens, ten segments, bf16."""

    size: Size = Size(tokens=20_480, segments=10, prefix=20, suffix=150, heads=28, key_heads=4, width=128)
    layers: int = 28
    feed_forward: int = 18_944
    vocabulary: int = 152_064
    dtype: torch.dtype = torch.bfloat16
    rounds: int = 5


def rows(names: tuple[str, ...], large: Large, *, engine: Engine, device: str, seed: int) -> Iterator[Row]:
    """The rows named. "full" is the fastest back end of PyTorch's attention that takes the call, without a mask."""
    if KERNEL in names:
        work = call(large.size, stack=True, seed=seed, device=device, dtype=large.dtype)
        ours = lambda: engine(  # noqa: E731
            work.heads, work.layouts, rotation=work.rotation, rule=Pine(), score=work.score
        )
        found = alternate(ours, full(work, device=device), rounds=large.rounds, device=device)
        yield at_most(GOALS[KERNEL], found.row(KERNEL))
    if PREFILL in names or DECODE in names:
        model = random_model(large, device=device, seed=seed)
        yield from (row for row in _of_model(model, large, engine=engine, device=device) if row.name in names)


def full(work: Call, *, device: str) -> Callable[[], Tensor]:
    """Full attention of a call by the fastest back end, key heads repeated where it does not share them."""
    query, groups = work.heads.query_BHQD, work.heads.query_BHQD.shape[1] // work.heads.key_BKLD.shape[1]
    key, value = (x.repeat_interleave(groups, 1) for x in (work.heads.key_BKLD, work.heads.value_BKLD))

    def by(back_end: SDPBackend) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with sdpa_kernel(back_end):
                return scaled_dot_product_attention(query, key, value)

        return run

    times: list[tuple[float, int]] = []
    for number, back_end in enumerate(BACK_ENDS):
        try:
            by(back_end)()
        except (RuntimeError, torch.OutOfMemoryError):
            continue  # this back end does not take the call on this device
        times.append((min(seconds(by(back_end), device=device) for _ in range(2)), number))
    return by(BACK_ENDS[min(times)[1]])


def random_model(large: Large, *, device: str, seed: int) -> Any:
    """A text model of that shape with random weights, made on the device."""
    size = large.size
    config = Qwen2Config(
        hidden_size=size.heads * size.width,
        intermediate_size=large.feed_forward,
        num_hidden_layers=large.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_heads,
        vocab_size=large.vocabulary,
        max_position_embeddings=2 * size.tokens,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=large.dtype, attn_implementation="sdpa").eval()


def _of_model(model: Any, large: Large, *, engine: Engine, device: str) -> Iterator[Row]:
    size = large.size
    edges = np.linspace(size.prefix, size.tokens - size.suffix, size.segments + 1).round().astype(int).tolist()
    ids_1L = torch.arange(size.tokens, device=device)[None] % large.vocabulary
    with patched(model, Pine(), engine=engine, stack=True) as attention:

        def prefill(several: bool) -> Any:
            # Without segments the model's own attention runs.
            attention.expect([list(zip(edges[:-1], edges[1:]))] if several else [])
            return model(input_ids=ids_1L, use_cache=True, logits_to_keep=1).past_key_values

        found = alternate(lambda: prefill(True), lambda: prefill(False), rounds=large.rounds, device=device)
        yield at_most(GOALS[PREFILL], found.row(PREFILL))
        caches = {several: prefill(several) for several in (True, False)}

        def step(several: bool) -> None:
            attention.expect([list(zip(edges[:-1], edges[1:]))] if several else [])
            model(input_ids=ids_1L[:, :1], past_key_values=caches[several], use_cache=True)
            caches[several].crop(-1)

        found = alternate(lambda: step(True), lambda: step(False), rounds=4 * large.rounds, device=device)
        yield at_most(GOALS[DECODE], found.row(DECODE))

"""The most memory that one call holds at a time, beyond what it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def peak_bytes(work: Callable[[], Any], *, device: str) -> int:
    """Bytes that PyTorch's allocator handed out at the worst moment of the call; the result of the call counts."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated() - before)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = work()
    recorded: Any = profiler.profiler
    steps = [(e.start_ns(), e.nbytes()) for e in recorded.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for _, step in sorted(steps, key=lambda moment: moment[0]):
        held += step
        most = max(most, held)
    del kept
    return most

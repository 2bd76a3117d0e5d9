"""Does the next piece of work in a thread while the last one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(items: Iterable[Item], work: Callable[[Item], Result], *, depth: int = 1) -> Generator[Result, None, None]:
    """`work(item)` of every item, in order, each once; at most `depth` of them are done in advance, one at a time.

    What `work` raises is raised when its item's turn comes. Close the iterator to leave early: it waits for the work
    in progress and starts no other.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

"""Isolation: segments do not see each other and share their positions."""

from __future__ import annotations

from typing import Any

from vlbias.attention.contract import Isolate
from vlbias.debias._inside import Inside, engine_patch, known_options

SHAPE = "inside"


def load(**options: Any) -> Inside:
    """Parallel context windows (PCW, arXiv 2212.10947) and set-based prompting (arXiv 2406.06581).

    Every segment starts right after the prefix and sees it and itself alone; the question stands after the longest
    segment and sees all. Order-free by construction; what one segment says of another is lost. Options: `order`,
    `engine`, `layers`, `heads`, `sharing`.
    """
    known_options("isolate", options)
    return engine_patch("isolate", Isolate(), stack=False, options=options)

"""RoToR: one global order, read as a ring, so that every segment is the last of its own."""

from __future__ import annotations

from typing import Any

from vlbias.attention.contract import Rotor
from vlbias.debias._inside import Inside, engine_patch, known_options

SHAPE = "inside"


def load(**options: Any) -> Inside:
    """RoToR (arXiv 2502.08662, ACL 2025). The global order is that of the hashes of the segments' content.

    The paper offers lexical, relevance and frequency orders; a hash is the only one that clips, images and texts
    share, and says nothing of relevance. Options: `order`, `engine`, `layers`, `heads`, `sharing`; with `order=given`
    the global order is the prompt's own, and the answer depends on it.
    """
    known_options("rotor", options)
    return engine_patch("rotor", Rotor(), stack=False, options=options)

"""SoFA: attention between segments is a blend of causal and bidirectional."""

from __future__ import annotations

from typing import Any

from vlbias.attention.contract import Sofa
from vlbias.debias._inside import Inside, engine_patch, known_options
from vlbias.errors import BadInput

SHAPE = "inside"


def load(*, sigma: float = 0.5, layers: Any = "alternate", **options: Any) -> Inside:
    """SoFA (arXiv 2503.13792, CVPR 2025): a later segment is seen with log(sigma) added to the score.

    `sigma` 0 is causal, 1 bidirectional; the paper tunes it on 32 samples. `layers` "alternate" is every second one, as
    published; None is all. Positions stay, so by itself SoFA weakens the bias of order and does not remove it; it is
    `order=content` that makes it order-free, and `order=given` that shows the published method. The paper
    unblocks images for each other; we do so for segments. Options: `order`, `engine`, `heads`, `sharing`.
    """
    known_options("sofa", options, own=("sigma", "layers"))
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 <= sigma <= 1:
        raise BadInput(f"sofa: sigma={sigma!r}; give a number from 0 (causal) to 1 (bidirectional)")
    return engine_patch("sofa", Sofa(sigma=float(sigma)), stack=False, options={**options, "layers": layers})

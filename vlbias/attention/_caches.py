"""The cache of keys and values that a patch can work with: one that keeps every token."""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from vlbias.errors import NotApplicable


def growing(kwargs: dict[str, Any], text: Any) -> Any:
    """The cache of a call of the text model, with layers that keep all tokens; None where the call keeps none.

    A layer with a sliding window would forget keys by their index, and segments are told by index. Raises
    NotApplicable for a cache of another kind, such as a static one.
    """
    wanted = kwargs.get("use_cache")
    cache = kwargs.get("past_key_values")
    if cache is None and (text.config.use_cache if wanted is None else wanted):
        cache = kwargs["past_key_values"] = DynamicCache()
    if cache is None:
        return None
    for number, layer in enumerate(cache.layers):
        if isinstance(layer, DynamicSlidingWindowLayer) and not layer.is_initialized:
            # The window is over positions that the rule gives, so any key of the region may be wanted.
            cache.layers[number] = DynamicLayer()
        elif type(layer) is not DynamicLayer:
            raise NotApplicable(
                f"patch: not applicable: found a cache of {type(layer).__name__}, it needs one that grows; use a "
                "DynamicCache"
            )
    return cache

"""Which Hugging Face models an engine can be put into, where their text model is, and how they turn their heads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vlbias.attention.contract import Pairing, unrotated
from vlbias.errors import NotApplicable

KNOWN_LAYERS = {"full_attention", "sliding_attention"}
CHANGING_ROPE = {"dynamic", "longrope"}
ROTATE_NAMES = ("apply_rotary_pos_emb", "apply_multimodal_rotary_pos_emb")


def text_model(model: Any) -> Any:
    """The decoder of text inside a model: the module that owns the layers and the rotary embedding.

    Raises NotApplicable for a model without one.
    """
    inner = getattr(model, "model", model)
    for name in ("language_model", "text_model"):
        inner = getattr(inner, name, inner)
    if not (hasattr(inner, "layers") and hasattr(inner, "rotary_emb")):
        raise NotApplicable(
            f"{_name(model)}: not applicable: its text model has no rotary embedding, so segments cannot be moved by "
            "turning queries; use a family with rotary positions, or an 'after' correction"
        )
    return inner


def check(model: Any) -> None:
    """Raises NotApplicable, with the reason, for a family in which segments cannot be made exchangeable."""
    text = text_model(model)
    config, name = text.config, _name(model)
    if getattr(model.config, "is_encoder_decoder", False):
        raise NotApplicable(f"{name}: not applicable: an encoder-decoder reads its segments by cross attention")
    found = set(getattr(config, "layer_types", None) or KNOWN_LAYERS) - KNOWN_LAYERS
    attentions = [module for _, module in attention_modules(text)]
    if found or len(attentions) != len(text.layers):
        kinds = ", ".join(sorted(found)) or f"{len(text.layers) - len(attentions)} layers without attention"
        raise NotApplicable(
            f"{name}: not applicable: found layers of the kind {kinds}; a recurrent, linear or chunked layer carries "
            "the order of its tokens in its state, so no change of the attention makes segments exchangeable; use an "
            "'after' correction such as pride or permute"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    kinds_of_rope = {p.get("rope_type") for p in (rope, *rope.values()) if isinstance(p, dict)}
    faults = {
        "key and value are compressed together (multi-head latent attention)": _any(attentions, "kv_lora_rank"),
        "its attention has sinks": _any(attentions, "sinks"),
        "some of its layers have no rotary embedding": _lacks_rope(config, attentions),
        "its angles change with the length of the prompt": kinds_of_rope & CHANGING_ROPE,
        "its text is read in both directions": getattr(config, "use_bidirectional_attention", None)
        or not getattr(config, "is_causal", True),
    }
    reasons = [reason for reason, present in faults.items() if present]
    if reasons:
        raise NotApplicable(f"{name}: not applicable: {reasons[0]}, which the engine does not express")


def attention_modules(text: Any) -> Iterator[tuple[int, Any]]:
    """Every layer that has attention, with the module that computes it."""
    for number, layer in enumerate(text.layers):
        module = getattr(layer, "self_attn", None)
        if module is not None and hasattr(module, "layer_idx"):
            yield number, module


def inverse_frequencies(rotary: Any, layer_type: str | None) -> Tensor:
    """The angles per position of one kind of layer."""
    own = getattr(rotary, f"{layer_type}_inv_freq", None)
    found: Tensor = rotary.inv_freq if own is None else own
    return found


def attention_scaling(rotary: Any, layer_type: str | None) -> float:
    """The factor in cos and sin (YaRN); 1 where there is none."""
    own = getattr(rotary, f"{layer_type}_attention_scaling", None)
    return float(getattr(rotary, "attention_scaling", 1.0) if own is None else own)


@dataclass(frozen=True)
class Pairs:
    """Which features an attention turns together, and whether it spreads the first half of its cos and sin itself."""

    way: Pairing
    spread: bool = False

    def each(self, angle_BLR: Tensor) -> Tensor:
        """cos or sin with the angle of every feature at its place."""
        return angle_BLR.chunk(2, -1)[0].repeat_interleave(2, -1) if self.spread else angle_BLR


def pairs(module: Any, cos_BLR: Tensor, sin_BLR: Tensor, *, scaling: float) -> Pairs:
    """How this attention turns its heads, found by trying its own rotation on numbers and undoing it.

    Raises NotApplicable where no known way undoes it.
    """
    code = sys.modules[type(module).__module__]
    rotate = next((getattr(code, name) for name in ROTATE_NAMES if hasattr(code, name)), None)
    width = int(module.head_dim)
    cos_1LR, sin_1LR = cos_BLR[:1, -4:].float(), sin_BLR[:1, -4:].float()
    size = cos_1LR.shape[1] * width
    x_11LD = torch.linspace(-1.0, 1.0, size, device=cos_BLR.device).sin().view(1, 1, -1, width)
    if rotate is not None:
        turned_11LD = rotate(x_11LD, x_11LD, cos_1LR, sin_1LR)[0]
        for found in (Pairs("half"), Pairs("adjacent"), Pairs("adjacent", spread=True)):
            cos, sin = found.each(cos_1LR), found.each(sin_1LR)
            back_11LD = unrotated(turned_11LD, cos, sin, pairing=found.way, scaling=scaling)
            # bf16 cos and sin are off the unit circle by 2^-9, so an exact inverse is not expected.
            if torch.allclose(back_11LD, x_11LD, atol=2e-2):
                return found
    raise NotApplicable(
        f"{type(module).__name__}: not applicable: its rotary embedding pairs features in a way that is neither "
        "halves nor neighbours"
    )


def _any(modules: list[Any], attribute: str) -> bool:
    return any(getattr(module, attribute, None) is not None for module in modules)


def _lacks_rope(config: Any, modules: list[Any]) -> bool:
    kept = getattr(config, "no_rope_layers", None) or [1]
    return not all(kept) or any(getattr(module, "use_rope", True) in (False, 0) for module in modules)


def _name(model: Any) -> str:
    return str(getattr(model.config, "model_type", type(model).__name__))

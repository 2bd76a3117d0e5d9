"""Random attention calls, as a model hands them to an engine, and tiny text models of the real architectures."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers as tf
from torch import Tensor

from vlbias.attention.contract import Heads, Rotation
from vlbias.attention.layout import SegmentLayout, from_spans, stacked

SIZE = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    vocab_size=90, head_dim=8, max_position_embeddings=600, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)  # fmt: skip
SLIDING = dict(layer_types=["sliding_attention", "full_attention"], sliding_window=9, query_pre_attn_scalar=8)
CAPPED = dict(layer_types=["full_attention"] * 2, attn_logit_softcapping=2.0, query_pre_attn_scalar=8)
YARN = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=32)
FAMILIES = {
    "qwen2": (tf.Qwen2ForCausalLM, tf.Qwen2Config, {}),
    "qwen3 (q/k norm)": (tf.Qwen3ForCausalLM, tf.Qwen3Config, {}),
    "glm (adjacent pairs, partial)": (tf.GlmForCausalLM, tf.GlmConfig, {"partial_rotary_factor": 0.5}),
    "gemma2 (softcap)": (tf.Gemma2ForCausalLM, tf.Gemma2Config, {**CAPPED, "attn_implementation": "eager"}),
    "gemma3 (sliding)": (tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, SLIDING),
    "llama (yarn)": (tf.LlamaForCausalLM, tf.LlamaConfig, {"rope_parameters": YARN}),
}


@pytest.fixture(scope="session")
def text_size() -> dict[str, int]:
    """The size of a tiny text model, by the names of its config."""
    return dict(SIZE)


@pytest.fixture(scope="session")
def weighted() -> Callable[[torch.nn.Module], torch.nn.Module]:
    """Gives a model weights large enough for attention to matter."""

    def give(model: torch.nn.Module) -> torch.nn.Module:
        torch.manual_seed(7)
        with torch.no_grad():
            for value in model.parameters():
                if value.dim() > 1:
                    value.normal_(0, 0.15)
        return model.eval()

    return give


@pytest.fixture(scope="session")
def text_model(weighted) -> Callable[..., torch.nn.Module]:
    """A tiny model of one of `FAMILIES`, by its name there; its size and more can be set."""

    def make(name: str, **more):
        torch.manual_seed(3)
        model, config, own = FAMILIES[name]
        return weighted(model(config(**{**SIZE, **own, **more})))

    return make


def turn_to(x_BHLD: Tensor, positions_BL: Tensor, rotation: Rotation) -> Tensor:
    """The rotary embedding of Llama ("half") or GLM ("adjacent"), angles in fp64."""
    angle_B1LF = positions_BL[:, None, :, None].double() * rotation.inv_freq_F.double()
    cos, sin = angle_B1LF.cos().to(x_BHLD.dtype), angle_B1LF.sin().to(x_BHLD.dtype)
    width = 2 * rotation.inv_freq_F.shape[0]
    out_BHLD = x_BHLD.clone()
    first, second = (
        (slice(0, width // 2), slice(width // 2, width))
        if rotation.pairing == "half"
        else (slice(0, width, 2), slice(1, width, 2))
    )
    a, b = x_BHLD[..., first], x_BHLD[..., second]
    out_BHLD[..., first], out_BHLD[..., second] = a * cos - b * sin, b * cos + a * sin
    return out_BHLD


@pytest.fixture(scope="session")
def rotary() -> Callable[..., Rotation]:
    """A rotation over the first `width` features."""

    def make(width: int, pairing: str = "half") -> Rotation:
        return Rotation(inv_freq_F=1e4 ** -(torch.arange(0, width, 2).double() / width), pairing=pairing)

    return make


@pytest.fixture(scope="session")
def row_of() -> Callable[..., tuple[SegmentLayout, np.ndarray]]:
    """A layout of a prefix, segments and a suffix, with padding at both sides, and its position ids."""

    def make(prefix, lengths, suffix, *, left=0, right=0, stack=True, ranks=None, generated=0):
        edges = left + prefix + np.concatenate([[0], np.cumsum(lengths)])
        spans = [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:])]
        width = int(edges[-1]) + suffix + right
        positions_AL = np.clip(np.arange(width) - left, 0, None)[None]
        layout = from_spans(spans, positions_AL, real=(left, width - right), ranks=ranks)
        layout, positions_AL = stacked(layout, positions_AL) if stack else (layout, positions_AL)
        new = positions_AL[0, width - right - 1] + 1 + np.arange(generated)
        return layout, np.concatenate([positions_AL[0], new])

    return make


@pytest.fixture(scope="session")
def call_of(rotary) -> Callable[..., tuple[Heads, Rotation]]:
    """Random heads that arrive at the given position ids, one line per row of the batch."""

    def make(positions, *, heads=4, key_heads=2, width=16, rotated=16, pairing="half", dtype=torch.float64, seed=0):
        positions_BL = torch.as_tensor(np.stack(positions))
        rows, n_tokens = positions_BL.shape
        chance = torch.Generator().manual_seed(seed)
        query_BHLD = torch.randn(rows, heads, n_tokens, width, generator=chance, dtype=torch.float64)
        key_BKLD = torch.randn(rows, key_heads, n_tokens, width, generator=chance, dtype=torch.float64)
        value_BKLD = torch.randn(rows, key_heads, n_tokens, width, generator=chance, dtype=torch.float64)
        rotation = rotary(rotated, pairing)
        tensors = Heads(
            query_BHQD=turn_to(query_BHLD, positions_BL, rotation).to(dtype),
            key_BKLD=turn_to(key_BKLD, positions_BL, rotation).to(dtype),
            value_BKLD=value_BKLD.to(dtype),
            bare_query_BHQD=query_BHLD.to(dtype),
            bare_key_BKRD=key_BKLD.to(dtype),
        )
        return tensors, rotation

    return make

"""A plain causal decoder behind Qwen2-VL's visual tower, in which only the position encoding is a choice.

Importing this file tells transformers' auto classes of the model type, as for any model of one's own.
Axes: B batch, H heads, L tokens, D head width, W width, V words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from vlbias.errors import ModelError, nearest
from vlbias.models._encodings import ENCODINGS, T5_BUCKETS, alibi_bias, distances, rotated, t5_buckets

FAMILY = "plain_decoder"


class PlainTextConfig(PreTrainedConfig):  # type: ignore[misc]
    """The sizes of a plain decoder, and its `encoding`: one of ENCODINGS."""

    model_type = f"{FAMILY}_text"
    base_config_key = "text_config"

    encoding: str = "rope"
    vocab_size: int = 93
    hidden_size: int = 128
    intermediate_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    max_position_embeddings: int = 512
    eos_token_id: int | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.encoding not in ENCODINGS:
            raise ModelError(f"plain: encoding={self.encoding!r}; {nearest(self.encoding, ENCODINGS)}")


class PlainConfig(PreTrainedConfig):  # type: ignore[misc]
    """A visual tower of Qwen2-VL and a plain decoder, with the tokens at which images and clips stand."""

    model_type = FAMILY
    sub_configs_defaults = {"vision_config": Qwen2VLVisionConfig, "text_config": PlainTextConfig}

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    text_config: dict[str, Any] | PreTrainedConfig | None = None
    image_token_id: int = 8
    video_token_id: int = 7


@dataclass(frozen=True, kw_only=True, eq=False)
class Where:
    """The positions of one batch as attention uses them: to rotate by (None: not), and as what its logits gain."""

    position_BL: torch.Tensor | None
    bias_BHLL: torch.Tensor


class Block(nn.Module):
    """Attention and a gated unit (SwiGLU), each behind a norm and beside a residual, as in Llama."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.n_heads = config.num_attention_heads
        self.attention_norm = nn.RMSNorm(width, eps=1e-5)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.unit_norm = nn.RMSNorm(width, eps=1e-5)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x_BLW: torch.Tensor, where: Where) -> torch.Tensor:
        """The tokens after this block: [B, L, W]."""
        x_BLW = x_BLW + self.out(self._mixed(self.attention_norm(x_BLW), where))
        gate, up = self.gate_up(self.unit_norm(x_BLW)).chunk(2, dim=-1)
        after_BLW: torch.Tensor = x_BLW + self.down(nn.functional.silu(gate) * up)
        return after_BLW

    def _mixed(self, x_BLW: torch.Tensor, where: Where) -> torch.Tensor:
        query, key, value = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in self.qkv(x_BLW).chunk(3, dim=-1)
        )
        if where.position_BL is not None:
            query, key = rotated(query, where.position_BL), rotated(key, where.position_BL)
        mixed_BHLD = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=where.bias_BHLL)
        return mixed_BHLD.transpose(1, 2).flatten(2)


class Decoder(nn.Module):
    """The words and the blocks: the one place where the encoding enters."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.encoding, self.n_heads = config.encoding, config.num_attention_heads
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=1e-5)
        if self.encoding == "absolute":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        if self.encoding == "t5":
            # One table for all layers, as in T5.
            self.bucket_bias = nn.Embedding(T5_BUCKETS, config.num_attention_heads)

    def forward(
        self,
        *,
        inputs_embeds: torch.Tensor,
        position_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        use_cache: bool = False,
    ) -> BaseModelOutput:
        """The tokens after all blocks, [B, L, W], from what they show and where they stand, [B, L].

        `attention_mask`, [B, 1, L, L], is True where a query (rows) may look at a key. There is no cache.
        """
        x_BLW = inputs_embeds
        if self.encoding == "absolute":
            x_BLW = x_BLW + self.embed_positions(position_ids)
        where = Where(
            position_BL=position_ids if self.encoding == "rope" else None,
            bias_BHLL=torch.where(attention_mask, self._bias(position_ids, x_BLW), float("-inf")),
        )
        for layer in self.layers:
            x_BLW = layer(x_BLW, where)
        return BaseModelOutput(last_hidden_state=self.norm(x_BLW))

    def _bias(self, position_BL: torch.Tensor, x_BLW: torch.Tensor) -> torch.Tensor:
        if self.encoding == "alibi":
            return alibi_bias(distances(position_BL), self.n_heads).to(x_BLW.dtype)
        if self.encoding == "t5":
            bias_BLLH: torch.Tensor = self.bucket_bias(t5_buckets(distances(position_BL)))
            return bias_BLLH.permute(0, 3, 1, 2)
        return x_BLW.new_zeros(())


class Trunk(nn.Module):
    """The two halves under one roof, by the names that Qwen2-VL gives them."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.visual = Qwen2VisionTransformerPretrainedModel._from_config(config.vision_config)
        self.language_model = Decoder(config.text_config)


class PlainDecoder(PreTrainedModel):  # type: ignore[misc]
    """Clips and words to the logits of the next word: a visual tower, a decoder, a head."""

    config_class = PlainConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config)
        text: Any = config.text_config
        self.model = Trunk(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        """The words that are read."""
        return self.model.language_model.embed_tokens

    def set_input_embeddings(self, value: Any) -> None:
        """Puts other words in their place, as a larger vocabulary needs."""
        self.model.language_model.embed_tokens = value

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_grid_thw: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_grid_thw: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        use_cache: bool = False,
    ) -> CausalLMOutput:
        """The logits of the next word at the last `logits_to_keep` places, all for 0: [B, L, V].

        `attention_mask`, [B, L], is 0 for padding, on either side. Pixels and grids are those of Qwen2-VL's processor.
        `use_cache` is taken for the callers of Hugging Face models: there is no cache.
        """
        embedded_BLW = self.get_input_embeddings()(input_ids)
        clips = (self.config.video_token_id, pixel_values_videos, video_grid_thw)
        for token, pixels, grid in (clips, (self.config.image_token_id, pixel_values, image_grid_thw)):
            if pixels is not None:
                shown = self.model.visual(pixels, grid_thw=grid).pooler_output.to(embedded_BLW.dtype)
                embedded_BLW = embedded_BLW.masked_scatter((input_ids == token)[..., None], shown)
        present_BL = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        hidden_BLW = self.model.language_model(
            inputs_embeds=embedded_BLW,
            position_ids=(present_BL.cumsum(-1) - 1).clamp(min=0),
            attention_mask=causal(present_BL.bool()),
        ).last_hidden_state
        return CausalLMOutput(logits=self.lm_head(hidden_BLW[:, -logits_to_keep:]))


def causal(present_BL: torch.Tensor) -> torch.Tensor:
    """[B, 1, query, key], True for keys that are present and not behind the query.

    Padding sees itself, since attention over no key at all is not a number.
    """
    length = present_BL.shape[1]
    back_LL = torch.ones(length, length, dtype=torch.bool, device=present_BL.device).tril()
    own_LL = torch.eye(length, dtype=torch.bool, device=present_BL.device)
    return ((back_LL & present_BL[:, None, :]) | own_LL)[:, None]


AutoConfig.register(FAMILY, PlainConfig, exist_ok=True)
AutoModelForImageTextToText.register(PlainConfig, PlainDecoder, exist_ok=True)

"""What each encoding does inside a tiny decoder, and what padding does not."""

import pytest
import torch

from vlbias.errors import ModelError
from vlbias.models._encodings import ENCODINGS
from vlbias.models._plain_decoder import Decoder, PlainTextConfig, causal

WIDTH, N = 32, 6


def decoder(encoding: str, layers: int) -> Decoder:
    torch.manual_seed(0)
    text = PlainTextConfig(
        encoding=encoding, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=4
    )
    found = Decoder(text).eval()
    for weight in found.parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.3)
    return found


def last(found: Decoder, shown_LW: torch.Tensor, *, first_position: int = 0) -> torch.Tensor:
    length = len(shown_LW)
    present_BL = torch.ones(1, length, dtype=torch.bool)
    with torch.no_grad():
        hidden_BLW = found(
            inputs_embeds=shown_LW[None],
            position_ids=torch.arange(first_position, first_position + length)[None],
            attention_mask=causal(present_BL),
        ).last_hidden_state
    return hidden_BLW[0, -1]


@pytest.fixture
def shown_LW() -> torch.Tensor:
    return torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(1))


ORDER = [3, 0, 4, 1, 2, N - 1]


def test_one_layer_without_positions_does_not_see_the_order(shown_LW: torch.Tensor) -> None:
    found = decoder("nope", 1)
    torch.testing.assert_close(last(found, shown_LW), last(found, shown_LW[ORDER]), atol=1e-5, rtol=1e-5)


def test_two_layers_without_positions_see_the_order(shown_LW: torch.Tensor) -> None:
    found = decoder("nope", 2)
    assert (last(found, shown_LW) - last(found, shown_LW[ORDER])).abs().max() > 1e-3


@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if e != "nope"])
def test_one_layer_with_positions_sees_the_order(encoding: str, shown_LW: torch.Tensor) -> None:
    found = decoder(encoding, 1)
    assert (last(found, shown_LW) - last(found, shown_LW[ORDER])).abs().max() > 1e-3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_only_learned_positions_see_where_the_whole_prompt_stands(encoding: str, shown_LW: torch.Tensor) -> None:
    found = decoder(encoding, 2)
    moved = (last(found, shown_LW) - last(found, shown_LW, first_position=40)).abs().max()
    assert (moved > 1e-2) == (encoding == "absolute")


def test_alibi_looks_less_at_what_is_farther_away(shown_LW: torch.Tensor) -> None:
    found, same_LW = decoder("alibi", 1), shown_LW[:1].repeat(N, 1)
    with torch.no_grad():
        # Where all queries are even, the bias alone decides what is looked at.
        found.layers[0].qkv.weight[:WIDTH] = 0
    gains = []
    for place in range(N - 1):
        marked_LW = same_LW.clone()
        marked_LW[place] = shown_LW[1]
        gains.append(float((last(found, marked_LW) - last(found, same_LW)).norm()))
    assert gains == sorted(gains) and gains[0] < gains[-1] - 0.01


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_token_does_not_see_what_comes_after_it(encoding: str, shown_LW: torch.Tensor) -> None:
    found = decoder(encoding, 2)
    present_BL = torch.ones(1, N, dtype=torch.bool)
    other_LW = shown_LW.clone()
    other_LW[4:] += 1
    at, sight = torch.arange(N)[None], causal(present_BL)
    with torch.no_grad():
        one, two = (
            found(inputs_embeds=x[None], position_ids=at, attention_mask=sight).last_hidden_state[0]
            for x in (shown_LW, other_LW)
        )
    torch.testing.assert_close(one[:4], two[:4])
    assert (one[4:] - two[4:]).abs().min(-1).values.max() > 0


def test_an_encoding_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ModelError, match="alibi, nope, rope, t5"):
        PlainTextConfig(encoding="sinusoid")

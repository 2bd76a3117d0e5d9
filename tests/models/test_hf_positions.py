"""Where the token after a clip stands, by either rule."""

import pytest
import torch

from vlbias.errors import ModelError
from vlbias.models import hf
from vlbias.models._positions import official_positions
from vlbias.records import OptionScores


def qwen_positions(model, grid, n_text):
    types = torch.tensor([[0] * n_text + [2] * (grid[0] * grid[1] * grid[2] // 4) + [0] * n_text])
    return model.model.model.get_rope_index(
        torch.ones_like(types), types, video_grid_thw=torch.tensor([grid]), attention_mask=torch.ones_like(types)
    )


def test_after_a_long_clip_the_rules_part(build):
    path = str(build("qwen2_vl"))
    grid, n_text = (8, 4, 4), 3
    (theirs, their_delta), (official, delta) = (
        qwen_positions(hf.load(pretrained=path, position_rule=rule, device="cpu"), grid, n_text)
        for rule in ("hf", "official")
    )
    # The clip's times are 3 to 10; its sides 3 and 4.
    assert theirs[:, 0, -n_text:].tolist() == [[5, 6, 7]] * 3
    assert official[:, 0, -n_text:].tolist() == [[11, 12, 13]] * 3
    assert torch.equal(theirs[:, 0, :-n_text], official[:, 0, :-n_text])
    length = 2 * n_text + 32
    assert (int(their_delta), int(delta)) == (11 - length, 14 - length)


def test_padding_does_not_move_the_official_positions():
    types = torch.tensor([[0, 2, 2, 0]])
    positions = torch.tensor([[[0, 1, 2, 2]], [[0, 1, 1, 2]], [[0, 1, 1, 2]]])
    plain, delta = official_positions(positions, types, torch.ones(1, 4))
    assert plain[0, 0].tolist() == [0, 1, 2, 3]
    pad = torch.nn.functional.pad
    padded, padded_delta = official_positions(pad(positions, (2, 0)), pad(types, (2, 0)), pad(torch.ones(1, 4), (2, 0)))
    assert torch.equal(padded[..., 2:], plain) and torch.equal(delta, padded_delta)


def test_the_rule_reaches_scores_and_generated_text(build, ask, frames):
    path = str(build("qwen2_5_vl"))
    prompt = ask([1, 2], count=8)
    found = {}
    for rule in ("hf", "official"):
        model = hf.load(pretrained=path, position_rule=rule, device="cpu")
        assert model.identity.position_rule == rule
        (scores,) = model.score([prompt])
        (together, _) = model.score([prompt, ask([3, 4, 5], count=8)])
        assert isinstance(scores, OptionScores)
        assert together.logprobs == pytest.approx(scores.logprobs, abs=1e-5)
        assert model.generate([prompt], max_new_tokens=2)[0].n_new_tokens in (1, 2)
        found[rule] = scores.logprobs
    assert found["hf"] != pytest.approx(found["official"], abs=1e-4)


def test_other_families_refuse_the_official_rule(build):
    with pytest.raises(ModelError, match="qwen2_vl and qwen2_5_vl, found gemma3"):
        hf.load(pretrained=str(build("gemma3")), position_rule="official", device="cpu")

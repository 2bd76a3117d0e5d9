"""The words of a model keep the tokens that write places and lose the others; its image has the size it meets."""

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from vlbias.errors import ModelError
from vlbias.models._boxes import Located, located
from vlbias.models._grounding import format_of, input_wh_px, words

PLACES = ["<|box_start|>", "<|box_end|>", "<|object_ref_start|>", "<loc0001>", "<patch_index_0044>", "<object>"]
OTHERS = ["<|im_end|>", "<|endoftext|>", "<|image_pad|>"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: k for k, word in enumerate(["<unk>", "(100,200),(300,400)", "cat"])}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    made.add_special_tokens({"additional_special_tokens": PLACES + OTHERS})
    return made


def test_tags_of_boxes_stay_and_other_special_tokens_go(tokenizer: PreTrainedTokenizerFast) -> None:
    said = "<|image_pad|><|box_start|> (100,200),(300,400) <|box_end|><|im_end|><|endoftext|>"
    text = words(tokenizer, tokenizer(said, add_special_tokens=False)["input_ids"])
    assert not any(other in text for other in OTHERS)
    assert located(text, family="qwen2_vl") == Located(boxes_xyxy=((0.1, 0.2, 0.3, 0.4),))
    ids = tokenizer("".join(PLACES), add_special_tokens=False)["input_ids"]
    assert words(tokenizer, ids).replace(" ", "") == "".join(PLACES)


def test_the_size_of_the_image_is_that_of_its_patches_and_only_of_one_image() -> None:
    class Processor:
        class image_processor:
            patch_size = 14

    one = {"image_grid_thw": torch.tensor([[1, 20, 30]])}
    assert input_wh_px(Processor(), one) == (420, 280)
    assert input_wh_px(Processor(), {"image_grid_thw": torch.tensor([[1, 20, 30], [1, 2, 2]])}) is None
    assert input_wh_px(Processor(), {}) is None


def test_a_declared_format_wins_over_the_family_and_an_unknown_one_is_refused() -> None:
    assert format_of(None, "qwen2_5_vl") == "qwen2_5_vl" and format_of("gemini", "qwen2_vl") == "gemini"
    assert format_of(None, "llava") is None
    with pytest.raises(ModelError, match="did you mean qwen3_vl"):
        format_of("qwen3", "llava")

"""Tiny random models of real architectures, saved as folders, with processors made here: nothing is downloaded."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from vlbias.models import hf
from vlbias.records import Frames, Part, Prompt

NAMES = "A B C red blue green what is it ? Frame1: Frame2: Frame3: Frame4: user assistant system hello new york"
WORDS = [*NAMES.split(" ")]
TEXT = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    vocab_size=90, head_dim=16, max_position_embeddings=600, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)  # fmt: skip
VISION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28)
QWEN_IDS = dict(image_token_id=4, video_token_id=5, vision_start_token_id=6, vision_end_token_id=7)
SPECIAL = {
    "qwen": ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"],
    "glm": ["<|image|>", "<|video|>", "<|begin_of_image|>", "<|end_of_image|>",
            "<|begin_of_video|>", "<|end_of_video|>"],
    "llava": ["<image>", "<video>"],
    "internvl": ["<IMG_CONTEXT>", "<video>", "<img>", "</img>"],
    "gemma": ["<image_soft_token>", "<start_of_image>", "<end_of_image>"],
    "smolvlm": ["<image>", "<video>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"],
}  # fmt: skip
ATTRIBUTES = {
    "qwen": ("image_token", "video_token", "vision_bos_token", "vision_eos_token"),
    "glm": ("image_token", "video_token", "image_start", "image_end", "video_start", "video_end"),
    "llava": ("image_token", "video_token"),
    "internvl": ("context_image_token", "video_token", "start_image_token", "end_image_token"),
    "gemma": ("image_token", "boi_token", "eoi_token"),
    "smolvlm": ("image_token", "video_token", "fake_image_token", "global_image_token", "end_of_utterance_token"),
}


def template(image: str, video: str, *, media_first: bool = False) -> str:
    """A chat template in the manner of a family: vision items in reading order, or all before the text."""
    item = (
        "{% if x.type == 'image' %}"
        + image
        + "{% elif x.type == 'video' %}"
        + video
        + "{% else %}{{ x.text }}{% endif %}"
    )
    if media_first:
        loop = "{% for x in m.content if x.type != 'text' %}" + item + "{% endfor %}"
        loop += "{% for x in m.content if x.type == 'text' %}{{ x.text }}{% endfor %}"
    else:
        loop = "{% for x in m.content %}" + item + "{% endfor %}"
    return (
        "{% for m in messages %}{{ m.role }}\n"
        + loop
        + "\n{% endfor %}{% if add_generation_prompt %}assistant\n{% endif %}"
    )


TEMPLATES = {
    "qwen": template(*(f"<|vision_start|><|{x}_pad|><|vision_end|>" for x in ("image", "video"))),
    "glm": template("<|begin_of_image|><|image|><|end_of_image|>", "<|begin_of_video|><|video|><|end_of_video|>"),
    "llava": template("<image>", "<video>", media_first=True),
    "internvl": template("<IMG_CONTEXT>\n", "<video>\n"),
    "gemma": template("<start_of_image>", "").replace("x.text", "x.text | trim"),
    "smolvlm": template("<image>", "<video>"),
}


def tokenizer(kind: str) -> tf.PreTrainedTokenizerFast:
    special = ["<pad>", "<s>", "</s>", "<unk>", *SPECIAL[kind]]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=dict(zip(ATTRIBUTES[kind], SPECIAL[kind])),
    )  # fmt: skip


def rope(section: list[int], **more: object) -> dict[str, object]:
    return {**TEXT, "rope_parameters": dict(rope_type="default", rope_theta=10000.0, mrope_section=section, **more)}


def qwen(kind: str):
    size = dict(shortest_edge=56 * 56, longest_edge=56 * 56)
    patch = 16 if kind == "qwen3_vl" else 14
    common = dict(depth=2, num_heads=2, patch_size=patch, spatial_merge_size=2, temporal_patch_size=2)
    wide = dict(hidden_size=32, intermediate_size=48, out_hidden_size=32)
    images = tf.Qwen2VLImageProcessor(patch_size=patch, size=size)
    ids = dict(QWEN_IDS)
    if kind == "qwen2_vl":
        vision = dict(**common, embed_dim=32, hidden_size=32, mlp_ratio=2)
        config, model = tf.Qwen2VLConfig, tf.Qwen2VLForConditionalGeneration
        processor, videos, text = tf.Qwen2VLProcessor, tf.Qwen2VLVideoProcessor, rope([2, 3, 3])
    elif kind == "qwen2_5_vl":
        vision = dict(**common, **wide, window_size=56, fullatt_block_indexes=[1], tokens_per_second=2)
        config, model = tf.Qwen2_5_VLConfig, tf.Qwen2_5_VLForConditionalGeneration
        processor, videos, text = tf.Qwen2_5_VLProcessor, tf.Qwen2VLVideoProcessor, rope([2, 3, 3])
    elif kind == "qwen3_vl":
        vision = dict(**common, **wide, deepstack_visual_indexes=[0], num_position_embeddings=16)
        config, model = tf.Qwen3VLConfig, tf.Qwen3VLForConditionalGeneration
        processor, videos, text = tf.Qwen3VLProcessor, tf.Qwen3VLVideoProcessor, rope([4, 2, 2], mrope_interleaved=True)
    else:
        vision = dict(**common, **wide, image_size=56)
        config, model = tf.Glm4vConfig, tf.Glm4vForConditionalGeneration
        processor, videos, text = tf.Glm4vProcessor, tf.Glm4vVideoProcessor, rope([1, 1, 2], partial_rotary_factor=0.5)
        ids = dict(image_token_id=4, video_token_id=5, image_start_token_id=6, image_end_token_id=7)
        ids |= dict(video_start_token_id=8, video_end_token_id=9)
    name = "glm" if kind == "glm4v" else "qwen"
    size = dict(shortest_edge=2 * 56 * 56, longest_edge=8 * 56 * 56)
    video = videos(patch_size=patch, size=size)
    reader = processor(images, tokenizer(name), video, chat_template=TEMPLATES[name])
    return model(config(text_config=text, vision_config=vision, **ids)), reader


def llava_onevision():
    vision = dict(model_type="siglip_vision_model", patch_size=14, **VISION)
    config = tf.LlavaOnevisionConfig(
        text_config=dict(model_type="qwen2", **TEXT), vision_config=vision, image_token_index=4, video_token_index=5,
        image_grid_pinpoints=[[28, 28]], vision_feature_select_strategy="full",
    )  # fmt: skip
    size = dict(height=28, width=28)
    images = tf.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=[[28, 28]])
    reader = tf.LlavaOnevisionProcessor(
        images, tokenizer("llava"), tf.LlavaOnevisionVideoProcessor(size=size), num_image_tokens=4,
        vision_feature_select_strategy="full", chat_template=TEMPLATES["llava"],
    )  # fmt: skip
    return tf.LlavaOnevisionForConditionalGeneration(config), reader


def internvl():
    vision = {**VISION, "image_size": [28, 28], "patch_size": [14, 14]}
    text = dict(model_type="qwen2", **TEXT)
    config = tf.InternVLConfig(text_config=text, vision_config=vision, image_token_id=4, image_seq_length=1)
    size = dict(height=28, width=28)
    images = tf.GotOcr2ImageProcessor(size=size, crop_to_patches=False, min_patches=1, max_patches=1)
    reader = tf.InternVLProcessor(
        images, tokenizer("internvl"), tf.InternVLVideoProcessor(size=size), image_seq_length=1,
        chat_template=TEMPLATES["internvl"],
    )  # fmt: skip
    return tf.InternVLForConditionalGeneration(config), reader


def video_llava():
    vision = dict(model_type="clip_vision_model", patch_size=14, projection_dim=32, **VISION)
    config = tf.VideoLlavaConfig(
        text_config=dict(model_type="llama", **TEXT), vision_config=vision, image_token_index=4, video_token_index=5
    )
    size, crop = dict(shortest_edge=28), dict(height=28, width=28)
    reader = tf.VideoLlavaProcessor(
        tf.VideoLlavaImageProcessor(size=size, crop_size=crop), tf.VideoLlavaVideoProcessor(size=size, crop_size=crop),
        tokenizer("llava"), patch_size=14, chat_template=TEMPLATES["llava"],
    )  # fmt: skip
    return tf.VideoLlavaForConditionalGeneration(config), reader


def gemma3():
    text = dict(**TEXT, query_pre_attn_scalar=16, layer_types=["full_attention"] * 2)
    vision = dict(patch_size=14, vision_use_head=False, **VISION)
    config = tf.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_id=4, boi_token_id=5, eoi_token_id=6
    )
    images = tf.Gemma3ImageProcessor(size=dict(height=28, width=28))
    reader = tf.Gemma3Processor(images, tokenizer("gemma"), image_seq_length=4, chat_template=TEMPLATES["gemma"])
    return tf.Gemma3ForConditionalGeneration(config), reader


def smolvlm():
    vision = dict(patch_size=14, **VISION)
    config = tf.SmolVLMConfig(
        text_config=dict(model_type="llama", **TEXT), vision_config=vision, image_token_id=4, scale_factor=2
    )
    size = dict(longest_edge=28)
    images = tf.SmolVLMImageProcessor(size=size, max_image_size=size, do_image_splitting=False)
    sampled = dict(max_frames=8, fps=2, video_size=size)
    videos = tf.SmolVLMVideoProcessor(size=size, max_image_size=size, video_sampling=sampled)
    reader = tf.SmolVLMProcessor(
        images, tokenizer("smolvlm"), videos, image_seq_len=1, chat_template=TEMPLATES["smolvlm"]
    )
    return tf.SmolVLMForConditionalGeneration(config), reader


QWENS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v")
OTHERS = {f.__name__: f for f in (llava_onevision, internvl, video_llava, gemma3, smolvlm)}


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Makes the folder of one family, once."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            torch.manual_seed(5)
            model, reader = qwen(kind) if kind in QWENS else OTHERS[kind]()
            with torch.no_grad():
                for value in model.parameters():
                    if value.dim() > 1:
                        value.normal_(0, 0.15)
            made[kind] = tmp_path_factory.mktemp(kind)
            model.save_pretrained(made[kind])
            reader.save_pretrained(made[kind])
        return made[kind]

    return folder


@pytest.fixture(scope="session", params=[*QWENS, *OTHERS])
def model(request, build):
    return hf.load(pretrained=str(build(request.param)), device="cpu")


@pytest.fixture(scope="session")
def frames():
    def make(seed: int, count: int = 2, start_s: float = 0.0) -> Frames:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 56, 56, 3), dtype=np.uint8)
        times = tuple(start_s + k * 0.5 for k in range(count))
        key = hashlib.sha256(pixels.tobytes()).hexdigest()
        return Frames(
            frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=key, decoder="t", decoder_version="1"
        )

    return make


@pytest.fixture(scope="session")
def ask(frames):
    """A prompt of clips by seed, and words between and after them."""

    def make(seeds, words="what is it ?", options=("A", "B", "C"), count=2) -> Prompt:
        clips = [Part(place=k, kind="clip", frames=frames(seed, count)) for k, seed in enumerate(seeds)]
        place = len(clips)
        passage = Part(text="hello red", place=place, kind="text")
        parts = (Part(text="hello "), *clips, Part(text=" is "), passage, Part(text=" " + words))
        return Prompt(trial_id="t", parts=parts, options=options)

    return make

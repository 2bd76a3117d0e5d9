"""The open_clip adapter on tiny random models: it scores captions, and nothing that is none."""

import json
import re
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from vlbias.config import RunConfig
from vlbias.errors import ModelError
from vlbias.models import _captions, clip
from vlbias.plan import plan
from vlbias.prompts import Style, prompt
from vlbias.records import Fault, Frames, Probe, Segment, Trial

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    model = open_clip.CLIP(**CONFIG)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, made / "open_clip_model.safetensors")
    about = {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (made / "open_clip_config.json").write_text(json.dumps(about))
    return made


def asked(options=("a red ring", "a blue star"), *, seed=0, n_frames=1):
    segment = Segment(segment_id="i", kind="image", path="i.png")
    probe = Probe(probe_id="p", task="t", question="Which?", options=options, gold=0, evidence=segment, backgrounds=(),
                  cluster_id="c", thing=options[0])  # fmt: skip
    trial = Trial(trial_id="t", probe=probe, slot=0, n_slots=2, segments=(segment,),
                  option_order=tuple(range(len(options))))  # fmt: skip
    pixels = np.random.default_rng(seed).integers(0, 255, (n_frames, 40, 40, 3), dtype=np.uint8)
    times = tuple(float(t) for t in range(n_frames))
    frames = Frames(
        frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=str(seed), decoder="x", decoder_version="1"
    )
    return prompt(trial, {"i": frames}, Style())


@pytest.mark.parametrize("pooling", ["pooled", "patches"])
def test_captions_are_scored_as_a_softmax_and_follow_their_order(folder, pooling):
    model = clip.load(pretrained=str(folder), pooling=pooling)
    one, other = model.score([asked(), asked(("a blue star", "a red ring"))])
    assert sum(np.exp(one.logprobs)) == pytest.approx(1) and one.logprobs == pytest.approx(other.logprobs[::-1])
    assert one.n_tokens == (1 if pooling == "pooled" else 16)
    alone = model.score([asked()])[0]
    assert alone.logprobs == pytest.approx(one.logprobs, abs=1e-5), "what else is in the batch changes nothing"


def test_the_pooled_score_is_open_clips_own_similarity(folder):
    model = clip.load(pretrained=str(folder))
    shown = asked()
    own, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pixels = preprocess(_captions.image(shown))[None]
    words = open_clip.get_tokenizer(f"local-dir:{folder}")(list(shown.trial.options))
    with torch.no_grad():
        image, text, scale = own.eval()(pixels, words)
    expected = (scale * image @ text.T).log_softmax(-1)[0]
    assert model.score([shown])[0].logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_patch_that_fits_decides_the_score_by_patches(folder):
    model = clip.load(pretrained=str(folder), pooling="patches")
    text_OF = torch.eye(3)[:2]
    model._model.encode_text = lambda *_, **__: text_OF  # captions are two axes
    model._tokenizer = lambda texts: torch.zeros(len(texts), 12, dtype=torch.long)
    image_PF = torch.tensor([[0.0, 0.0, 1.0], [0.9, 0.1, 0.0], [0.2, 0.3, 0.9]])
    with torch.no_grad():
        found = model._scores(image_PF, ("a", "b"))
        scale = float(model._model.logit_scale.exp())
    assert found.logprobs == pytest.approx(torch.tensor([0.9, 0.3]).mul(scale).log_softmax(-1).tolist(), abs=1e-4)


def test_yes_and_no_and_clips_of_several_frames_are_no_captions_and_get_a_fault(folder):
    model = clip.load(pretrained=str(folder))
    yes, clip_of_two, good = model.score([asked(("yes", "no")), asked(n_frames=2), asked()])
    assert isinstance(yes, Fault) and "grid-choice" in yes.reason and yes.kind == "unfit"
    assert isinstance(clip_of_two, Fault) and not isinstance(good, Fault)
    assert isinstance(model.generate([asked()], max_new_tokens=1)[0], Fault)


@pytest.mark.parametrize(
    ("task", "words"),
    [("canvas", None), ("grid-choice", None), ("grid", "'yes' is no caption|'no' is no caption"),
     ("needle", "takes one image"), ("threecell", "not about one thing"), ("relations", "not about one thing"),
     ("rotation", "not about one thing")],
)  # fmt: skip
def test_an_encoder_is_asked_what_captions_answer_and_nothing_else(folder, task, words):
    model, trials = clip.load(pretrained=str(folder)), plan(RunConfig(tasks=task, model="scripted", limit="2")).trials
    reasons = {model.unfit(trial) for trial in trials}
    assert reasons == {None} if words is None else all(re.search(words, reason) for reason in reasons)
    if task == "threecell":
        shown = asked()
        (found,) = model.score([replace(shown, trial=replace(shown.trial, probe=trials[0].probe))])
        assert isinstance(found, Fault) and "not about one thing" in found.reason


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "pretrained is missing"),
        ({"pretrained": "openai"}, "give arch too"),
        ({"pretrained": "openai", "arch": "ViT-B-23"}, "did you mean"),
        ({"pretrained": "openei", "arch": "ViT-B-32"}, "neither a file nor a tag"),
        ({"pretrained": "x", "pooling": "max"}, "pooling 'max' is unknown"),
        ({"pretrained": "x", "template": "photo"}, "once, for the caption"),
        ({"pretrianed": "x"}, "did you mean pretrained"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_any_weight_is_read(wanted, words):
    with pytest.raises(ModelError, match=words):
        clip.load(**wanted)


def test_a_folder_without_open_clips_config_is_refused(tmp_path):
    with pytest.raises(ModelError, match="has no open_clip_config.json"):
        clip.load(pretrained=str(tmp_path))


def test_two_poolings_of_one_encoder_tell_different_families_and_one_hash(folder):
    one, other = (clip.load(pretrained=str(folder), pooling=p).identity for p in ("pooled", "patches"))
    assert one.weights_sha256 == other.weights_sha256 and replace(one, family="") == replace(other, family="")
    assert one.family != other.family

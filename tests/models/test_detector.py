"""The detector adapter on tiny random models of real architectures: what is asked, what is read, in which frame."""

import math

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Sequence, Split, WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from vlbias import canary
from vlbias.config import RunConfig
from vlbias.errors import CanaryDied, ModelError
from vlbias.models import detector
from vlbias.plan import plan
from vlbias.prompts import Style, prompt
from vlbias.records import Fault, Frames, OptionScores, Probe, Segment, Trial
from vlbias.videos import draw

LABELS = {0: "cat", 1: "sports ball", 2: "red star"}
RESNET = dict(
    embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
    out_features=["stage2", "stage3", "stage4"],
)  # fmt: skip
DETR = dict(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=7)  # fmt: skip
NARROW = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
TEXT = detector.TEXT_FAMILIES
NAMED = detector.LABEL_FAMILIES


def tokenizer(ids, *, start, end):
    backend = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    backend.normalizer = Lowercase()
    backend.pre_tokenizer = Sequence([WhitespaceSplit(), Split(".", "isolated")])
    backend.post_processor = TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, ids[start]), (end, ids[end])]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", model_max_length=8
    )


def owl(version):
    words = ["<pad>", "<s>", "<unk>", "red", "blue", "star", "cat", "a", "</s>"]
    names = {word: k for k, word in enumerate(words)}
    kind = {1: tf.OwlViTConfig, 2: tf.Owlv2Config}[version]
    config = kind(
        text_config=dict(**NARROW, vocab_size=9, max_position_embeddings=8, bos_token_id=1, eos_token_id=8,
                         pad_token_id=0),
        vision_config=dict(**NARROW, image_size=32, patch_size=8),
        projection_dim=16,
    )  # fmt: skip
    model, images, both = {
        1: (tf.OwlViTForObjectDetection, tf.OwlViTImageProcessor, tf.OwlViTProcessor),
        2: (tf.Owlv2ForObjectDetection, tf.Owlv2ImageProcessor, tf.Owlv2Processor),
    }[version]
    size = dict(height=32, width=32)
    return model(config), both(images(size=size), tokenizer(names, start="<s>", end="</s>"))


def grounding_dino(kind=tf.GroundingDinoConfig, model=tf.GroundingDinoForObjectDetection):
    # The ids of [CLS], [SEP], the full stop and the question mark are those of BERT, which the model knows by number.
    names = {
        "<pad>": 0,
        "<unk>": 1,
        "red": 2,
        "blue": 3,
        "star": 4,
        "cat": 5,
        "a": 6,
        "[CLS]": 101,
        "[SEP]": 102,
        ".": 1012,
    }
    config = kind(
        backbone_config=tf.ResNetConfig(**RESNET),
        text_config=dict(model_type="bert", **NARROW, vocab_size=1030, max_position_embeddings=64),
        **{**DETR, "d_model": 32, "decoder_layers": 2}, num_feature_levels=3, decoder_n_points=2, encoder_n_points=2,
        max_text_len=12,
    )  # fmt: skip
    images = tf.GroundingDinoImageProcessor(size=dict(shortest_edge=64, longest_edge=96))
    return model(config), tf.GroundingDinoProcessor(images, tokenizer(names, start="[CLS]", end="[SEP]"))


def named(kind):
    labels = dict(id2label=LABELS, label2id={v: k for k, v in LABELS.items()})
    size = dict(size=dict(shortest_edge=64, longest_edge=96))
    if kind == "yolos":
        config = tf.YolosConfig(**NARROW, image_size=[64, 96], patch_size=16, num_detection_tokens=7, **labels)
        return tf.YolosForObjectDetection(config), tf.YolosImageProcessor(**size)
    if kind in ("rt_detr", "rt_detr_v2", "d_fine"):
        settings, model = {
            "rt_detr": (tf.RTDetrConfig, tf.RTDetrForObjectDetection),
            "rt_detr_v2": (tf.RTDetrV2Config, tf.RTDetrV2ForObjectDetection),
            "d_fine": (tf.DFineConfig, tf.DFineForObjectDetection),
        }[kind]
        config = settings(
            backbone_config=tf.RTDetrResNetConfig(**RESNET), encoder_in_channels=[8, 8, 8], encoder_hidden_dim=16,
            encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=7,
            decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2, decoder_attention_heads=2, **labels,
        )  # fmt: skip
        return model(config), tf.RTDetrImageProcessor(size=dict(height=64, width=64))
    backbone = dict(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None)
    backbone["backbone_config"] = tf.ResNetConfig(**{**RESNET, "out_features": ["stage4"]})
    config, model, images, more = {
        "detr": (tf.DetrConfig, tf.DetrForObjectDetection, tf.DetrImageProcessor, {}),
        "conditional_detr": (
            tf.ConditionalDetrConfig, tf.ConditionalDetrForObjectDetection, tf.ConditionalDetrImageProcessor, {},
        ),
        "deformable_detr": (
            tf.DeformableDetrConfig, tf.DeformableDetrForObjectDetection, tf.DeformableDetrImageProcessor,
            dict(backbone_config=tf.ResNetConfig(**RESNET), num_feature_levels=3, d_model=32, decoder_layers=2),
        ),
        "dab-detr": (
            tf.DabDetrConfig, tf.DabDetrForObjectDetection, tf.ConditionalDetrImageProcessor, dict(hidden_size=16),
        ),
        # The published Table Transformers are read by DETR's processor.
        "table-transformer": (
            tf.TableTransformerConfig, tf.TableTransformerForObjectDetection, tf.DetrImageProcessor, {},
        ),
    }[kind]  # fmt: skip
    return model(config(**{**DETR, **backbone, **more}, **labels)), images(**size)


BUILD = {
    "owlvit": lambda: owl(1),
    "owlv2": lambda: owl(2),
    "grounding-dino": grounding_dino,
    "mm-grounding-dino": lambda: grounding_dino(tf.MMGroundingDinoConfig, tf.MMGroundingDinoForObjectDetection),
    **{kind: (lambda kind=kind: named(kind)) for kind in NAMED},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def of(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            torch.manual_seed(3)
            model, processor = BUILD[kind]()
            with torch.no_grad():
                for value in model.parameters():
                    if value.dim() > 1:
                        value.normal_(0, 0.1)
            model.save_pretrained(made[kind])
            processor.save_pretrained(made[kind])
        return str(made[kind])

    return of


def asked(thing="red star", *, options=(), size=(48, 64), seed=0, n_frames=1):
    segment = Segment(segment_id="i", kind="image", path="i.png")
    probe = Probe(probe_id="p", task="t", question="Find the red star.", options=options,
                  gold=0 if options else None, evidence=segment, backgrounds=(), cluster_id="c",
                  thing=thing)  # fmt: skip
    order = tuple(range(len(options)))
    trial = Trial(trial_id="t", probe=probe, slot=0, n_slots=2, segments=(segment,), option_order=order)
    pixels = np.random.default_rng(seed).integers(0, 255, (n_frames, *size, 3), dtype=np.uint8)
    times = tuple(float(t) for t in range(n_frames))
    frames = Frames(
        frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=str(seed), decoder="x", decoder_version="1"
    )
    return prompt(trial, {"i": frames}, Style(style="cloze"))


def boxes_of(reply):
    return np.array([one.box_xyxy for one in reply.detections])


def at(model, box_cxcywh):
    """The model, whose every box is made to be one known box of its own frame, whatever it sees."""
    last = model._model.bbox_predictor.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.logit(torch.tensor(box_cxcywh)))
    return model


@pytest.mark.parametrize("kind", [*TEXT, *NAMED])
def test_boxes_of_every_family_lie_in_the_image_and_the_best_come_first(folder, kind):
    model = detector.load(pretrained=folder(kind), threshold=1e-6)
    (reply,) = model.generate([asked()], max_new_tokens=1)
    scores = [one.score for one in reply.detections]
    boxes = boxes_of(reply)
    assert reply.text == "red star" and len(scores) > 3 and scores == sorted(scores, reverse=True)
    assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    assert model.identity.family == kind and model.identity.weights_sha256 and not model.capabilities.generate


@pytest.mark.parametrize("kind", [*TEXT, *NAMED])
def test_what_else_is_in_the_batch_changes_nothing(folder, kind):
    model = detector.load(pretrained=folder(kind), threshold=1e-6)
    others = [asked("cat", size=(64, 48), seed=1), asked("red star", seed=2)]
    alone = model.generate([asked()], max_new_tokens=1)[0]
    among = model.generate([others[0], asked(), others[1]], max_new_tokens=1)[1]
    assert boxes_of(among) == pytest.approx(boxes_of(alone), abs=1e-5)
    assert [d.score for d in among.detections] == pytest.approx([d.score for d in alone.detections], abs=1e-5)


@pytest.mark.parametrize(
    "kind",
    [
        "detr",
        "conditional_detr",
        "deformable_detr",
        "table-transformer",
        "dab-detr",
        "rt_detr",
        "rt_detr_v2",
        "d_fine",
        "owlvit",
        *TEXT[2:],
    ],
)
def test_scores_and_boxes_are_those_of_the_processors_own_reading(folder, kind):
    model = detector.load(pretrained=folder(kind), threshold=1e-6)
    picture = detector.image(asked())
    text = {} if kind in NAMED else {"text": [["red star"]]}
    inputs = model._processor(images=[picture], return_tensors="pt", **text)
    with torch.no_grad():
        outputs = model._model(**inputs)
    read = model._processor.post_process_object_detection if kind in NAMED else None
    read = read or model._processor.post_process_grounded_object_detection
    (own,) = read(outputs, threshold=0.0, target_sizes=[picture.size[::-1]])
    label = 2 if text else int(own["labels"][0])
    mine = np.ones(len(own["scores"]), bool) if text else own["labels"].numpy() == label
    (reply,) = model.generate([asked(LABELS[label])], max_new_tokens=1)
    found = np.array([[one.score, *one.box_xyxy] for one in reply.detections])
    assert mine.sum() > 0
    for score, box in zip(own["scores"][mine].tolist(), own["boxes"][mine].numpy(), strict=True):
        expected = [score, *np.clip(box / np.array([64, 48, 64, 48]), 0, 1)]
        assert np.abs(found - expected).max(axis=1).min() < 1e-4


@pytest.mark.parametrize("kind", ["detr", "yolos"])
@pytest.mark.parametrize("size", [(48, 64), (64, 32), (200, 90)])
def test_a_known_box_comes_back_in_the_frame_of_the_original_image(folder, kind, size):
    model = at(detector.load(pretrained=folder(kind), threshold=1e-6), (0.25, 0.5, 0.1, 0.4))
    (reply,) = model.generate([asked(size=size)], max_new_tokens=1)
    assert boxes_of(reply) == pytest.approx(np.tile([0.2, 0.3, 0.3, 0.7], (7, 1)), abs=1e-5)


def test_what_reaches_beyond_the_image_is_cut_off(folder):
    model = at(detector.load(pretrained=folder("detr"), threshold=1e-6), (0.9, 0.5, 0.4, 0.4))
    (reply,) = model.generate([asked()], max_new_tokens=1)
    assert boxes_of(reply)[0] == pytest.approx([0.7, 0.3, 1.0, 0.7], abs=1e-5)


@pytest.mark.parametrize(("kind", "rows"), [("owlvit", ((1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0))),
                                            ("owlv2", ((1, 0.5), (2, 1.0)))])  # fmt: skip
def test_boxes_of_a_wide_image_are_of_its_own_height_though_owlv2_pads_it_to_a_square(folder, kind, rows):
    model = detector.load(pretrained=folder(kind), threshold=1e-9)
    last = model._model.box_head.dense2
    with torch.no_grad():  # so that every patch says its own square: its far corner, a patch wide and high
        last.weight.zero_()
        last.bias.zero_()
    found = boxes_of(model.generate([asked(size=(32, 64))], max_new_tokens=1)[0])
    half = rows[0][1] / 2
    expected = [(c / 4 - 0.125, y - half, c / 4 + 0.125, y + half) for _, y in rows for c in (1, 2, 3, 4)]
    found, expected = ((np.clip(one, 0, 1) + 0.001).round(2).tolist() for one in (found, expected))
    assert sorted(found) == sorted(expected)


def test_owlv2_shows_the_model_the_image_at_the_top_left_of_its_square(folder):
    model = detector.load(pretrained=folder("owlv2"))
    bright = np.full((16, 32, 3), 255, np.uint8)
    (pixels,) = model._processor(images=[bright], text=[["cat"]], return_tensors="pt")["pixel_values"]
    assert (pixels[:, :12] > pixels[:, 20:].max()).all()


def test_no_box_above_the_threshold_is_a_reply_without_boxes_and_no_fault(folder):
    for kind in ("owlvit", "detr"):
        (reply,) = detector.load(pretrained=folder(kind), threshold=0.999).generate([asked()], max_new_tokens=1)
        assert reply.detections == () and reply.text == "red star"


@pytest.mark.parametrize("thing", ["red star", "the  Red star", "a red star"])
def test_a_label_is_found_by_its_words_whatever_case_and_article(folder, thing):
    model = detector.load(pretrained=folder("detr"), threshold=1e-6)
    first, other = (model.generate([asked(t)], max_new_tokens=1)[0] for t in (thing, "cat"))
    plain = model.generate([asked()], max_new_tokens=1)[0]
    assert first.detections == plain.detections and other.detections != plain.detections


def test_a_thing_that_no_label_names_is_a_fault_that_tells_the_nearest(folder):
    model = detector.load(pretrained=folder("yolos"))
    ball, star = model.generate([asked("ball"), asked()], max_new_tokens=1)
    assert isinstance(ball, Fault) and ball.kind == "unfit" and not isinstance(star, Fault)
    assert "'ball' is none of the model's 3 labels" in ball.reason and "did you mean sports ball" in ball.reason


@pytest.mark.parametrize("kind", ["owlvit", "grounding-dino", "detr", "conditional_detr"])
def test_yes_is_what_has_a_box_above_the_threshold(folder, kind):
    shown = asked(options=("no", "yes"))
    (boxes,) = detector.load(pretrained=folder(kind), threshold=1e-6).generate([shown], max_new_tokens=1)
    best = boxes.detections[0].score
    for threshold, found in ((0.9 * best, 1), (min(1.1 * best, 0.5 + best / 2), 0)):
        (scores,) = detector.load(pretrained=folder(kind), threshold=threshold).score([shown])
        assert isinstance(scores, OptionScores) and int(np.argmax(scores.logprobs)) == found
        odds = math.log(best / (1 - best)) - math.log(threshold / (1 - threshold))
        assert scores.logprobs[1] - scores.logprobs[0] == pytest.approx(odds, abs=1e-4)
        assert sum(map(math.exp, scores.logprobs)) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["owlvit", "detr"])
def test_captions_are_scored_by_their_best_box(folder, kind):
    model = detector.load(pretrained=folder(kind), threshold=1e-6)
    captions = ("red star", "cat")
    (scores,) = model.score([asked(options=captions)])
    best = [model.generate([asked(c)], max_new_tokens=1)[0].detections[0].score for c in captions]
    assert scores.logprobs == pytest.approx(np.log(best), abs=1e-4)


def test_the_words_of_a_thing_are_put_into_the_template(folder):
    model = detector.load(pretrained=folder("owlvit"), template="a {}", threshold=1e-6)
    (reply,) = model.generate([asked()], max_new_tokens=1)
    plain = detector.load(pretrained=folder("owlvit"), threshold=1e-6).generate([asked("a red star")], max_new_tokens=1)
    assert reply == plain[0] and reply.text == "a red star"


def test_what_a_detector_cannot_be_asked_is_a_fault_with_a_reason(folder):
    model, dino = (detector.load(pretrained=folder(kind)) for kind in ("owlvit", "grounding-dino"))
    bare, clip, long = model.generate([asked(None), asked(n_frames=2), asked("red " * 7)], max_new_tokens=1)
    assert "names no one thing to find" in bare.reason and "one image with one frame" in clip.reason
    assert long.kind == "too_long" and "9 tokens, the model takes 8" in long.reason
    (stop,) = dino.generate([asked("St. Mary")], max_new_tokens=1)
    assert "full stop" in stop.reason
    (fits,) = model.score([asked(options=("it fits", "it does not fit"))])
    assert "no caption" in fits.reason and isinstance(model.nll([asked()], ["x"])[0], Fault)


@pytest.mark.parametrize("task", ["detection", "grid", "grid-choice", "canvas"])
def test_a_detector_can_be_asked_every_trial_about_one_thing(folder, task):
    by_text, named = (detector.load(pretrained=folder(kind)) for kind in ("owlvit", "detr"))
    for trial in plan(RunConfig(tasks=task, model="scripted", limit="2")).trials:
        assert by_text.unfit(trial) is None
        assert "is none of the model's 3 labels" in named.unfit(trial), "DETR has labels of its own"


@pytest.mark.parametrize(
    ("task", "words"),
    [("needle", "takes one image"), ("demo", "takes one image"), ("threecell", "names no one thing"),
     ("relations", "names no one thing"), ("rotation", "names no one thing")],
)  # fmt: skip
def test_what_is_not_about_one_thing_in_one_image_is_neither_put_to_a_detector_nor_answered_by_it(folder, task, words):
    model = detector.load(pretrained=folder("owlvit"))
    trials = plan(RunConfig(tasks=task, model="scripted", limit="2")).trials
    reasons = {model.unfit(trial) for trial in trials if trial.slot is not None}
    assert reasons and all(words in reason for reason in reasons)
    trial = trials[0]
    frames = Frames(frames_THWC=np.zeros((1, 8, 8, 3), np.uint8), timestamps_s=(0.0,), asked_s=(0.0,), sha256="x",
                    decoder="x", decoder_version="1")  # fmt: skip
    shown = prompt(trial, {segment.segment_id: frames for segment in trial.segments}, Style())
    (found,) = model.score([shown])
    assert isinstance(found, Fault) and found.kind == "unfit"


def test_a_model_that_is_broken_gives_a_fault_and_no_box(folder):
    model = detector.load(pretrained=folder("detr"))
    with torch.no_grad():
        model._model.class_labels_classifier.bias.fill_(float("nan"))
    (reply,) = model.generate([asked()], max_new_tokens=1)
    assert isinstance(reply, Fault) and reply.kind == "nonfinite"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "pretrained is missing"),
        ({"pretrained": "x", "threshold": 1.5}, "threshold 1.5 is no score"),
        ({"pretrained": "x", "threshold": "high"}, "is no score"),
        ({"pretrained": "x", "template": "photo"}, "once, for the thing"),
        ({"pretrained": "x", "dtype": "float33"}, "did you mean float32"),
        ({"pretrained": "x", "treshold": 0.2}, "did you mean threshold"),
        ({"pretrained": "a b"}, "detector: 'a b' is no folder and cannot be a hub id"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_any_weight_is_read(wanted, words):
    with pytest.raises(ModelError, match=words):
        detector.load(**wanted)


def test_a_model_that_is_no_detector_and_a_template_without_use_are_refused(folder, tmp_path):
    tf.BertConfig(**NARROW).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match="is a 'bert' model, which does not detect objects"):
        detector.load(pretrained=str(tmp_path))
    tf.OmDetTurboConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="how omdet-turbo is asked and read is not known; known: owlvit, owlv2"):
        detector.load(pretrained=str(tmp_path))
    tf.PPOCRV5MobileDetConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="how pp_ocrv5_mobile_det is asked and read is not known; known: detr, "):
        detector.load(pretrained=str(tmp_path))
    with pytest.raises(ModelError, match="is given no words"):
        detector.load(pretrained=folder("detr"), template="a {}")


def pixels_of(segment: Segment) -> Frames:
    frames = draw.snapshots(segment.scenes[0], [0.5])
    return Frames(frames_THWC=frames, timestamps_s=(0.0,), asked_s=(0.0,), sha256="x", decoder="x", decoder_version="x")


@pytest.mark.parametrize("kind", ["owlvit", "detr"])
def test_the_canary_of_a_run_asks_a_detector_for_what_it_can_name(folder, kind):
    model = detector.load(pretrained=folder(kind))
    assert model.capabilities.vocabulary == (("cat", "sports ball", "red star") if kind == "detr" else None)
    assert "3 different answers" in canary.sing(model, pixels_of)
    with pytest.raises(CanaryDied, match="pixels do not reach the model"):
        canary.sing(model, lambda _: pixels_of(canary.segments()[0]))

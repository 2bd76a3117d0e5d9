"""Every family of organisms: what training computes is what the model computes from an ordinary prompt."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlbias.errors import UnknownName
from vlbias.organisms import architecture, world
from vlbias.organisms.pool import pixels, pool
from vlbias.organisms.train import predict
from vlbias.probes import _world
from vlbias.videos import draw

SMALL = architecture.Size(hidden=32, layers=1, vision_hidden=16, vision_layers=1)
GIVEN = {"qwen2_vl": (-1, 1176), "llava_onevision": (-1, 2, 3, 56, 56)}


@pytest.fixture(scope="module", params=sorted(GIVEN))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp(family)
    architecture.save(architecture.family(family).model(SMALL), made)
    return made


def test_an_organism_is_an_ordinary_folder_of_its_family(family: str, folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert model.config.model_type == family
    assert architecture.family_of(model) is architecture.family(family)
    assert model.dtype == torch.float16
    assert not list(folder.glob("*.py"))


def test_an_unknown_family_is_told_with_the_known_ones() -> None:
    assert set(GIVEN) <= set(architecture.families())
    with pytest.raises(UnknownName, match="llava_onevision"):
        architecture.family("llava_onevison")


def test_the_processor_gives_the_tokens_and_levels_that_training_gives(family: str, folder: Path) -> None:
    kind, processor, rng = architecture.family(family), AutoProcessor.from_pretrained(folder), np.random.default_rng(1)
    contents = _world.contents(3, rng=rng)
    scenes = [_world.scene(c, size_wh_px=(56, 56), duration_s=2.0, fps=8.0, rng=rng) for c in contents]
    pairs = [draw.snapshots(scene, (0.5, 1.5)) for scene in scenes]
    question = _world.question_text(_world.ATTRIBUTE, contents[0].shape)
    turn = [{"type": "video"}] * 3 + [{"type": "text", "text": question}]
    text = processor.apply_chat_template([{"role": "user", "content": turn}], add_generation_prompt=True)
    made = processor(text=[text], videos=pairs, return_tensors="pt", do_sample_frames=False)
    words = architecture.vocabulary()
    said = [words[word] for word in architecture.split(question)]
    line = [words[architecture.BEGIN], *kind.segment() * 3, *said, words[architecture.ANSWER]]
    assert made["input_ids"][0].tolist() == line
    own = np.concatenate([kind.arranged(pair) for pair in pairs]) / 255
    expected = (own - architecture.PIXEL_MEAN) / architecture.PIXEL_STD
    np.testing.assert_allclose(made["pixel_values_videos"].numpy().reshape(-1), expected, atol=1e-4)


@torch.no_grad()
def test_training_predicts_what_the_model_computes_from_pixels(family: str, folder: Path) -> None:
    kind = architecture.family(family)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    clips = pool(40, kind, rng=np.random.default_rng(0), log=[].append)
    lines = [[architecture.vocabulary()[word] for word in ("what", "colour", "is", "the", "star")]] * 2
    chosen = np.array([[0, 1, 2], [3, 4, 5]])
    rows = world.asked_once(clips, [[line] for line in lines], chosen)
    shown = pixels(clips, chosen.reshape(-1), np.random.default_rng(5))
    seen = torch.zeros(len(clips.contents), *kind.see(model, shown).shape[1:])
    seen[:6] = kind.see(model, shown)
    ours = predict(model, rows, seen)
    for row, ids_L in enumerate(rows.input_ids_BL):
        given = {"pixel_values_videos": shown[3 * row : 3 * row + 3].reshape(GIVEN[family])}
        if family == "qwen2_vl":
            given["video_grid_thw"] = torch.tensor([[1, 4, 4]] * 3)
            given["mm_token_type_ids"] = (ids_L == model.config.video_token_id).int()[None] * 2
        whole = model(input_ids=ids_L[None], attention_mask=torch.ones_like(ids_L)[None], **given).logits
        torch.testing.assert_close(ours[row], whole[0, -1], atol=1e-4, rtol=1e-4)


def test_questions_of_one_trial_do_not_see_each_other(family: str, folder: Path) -> None:
    kind = architecture.family(family)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    clips = pool(20, kind, rng=np.random.default_rng(0), log=[].append)
    words = architecture.vocabulary()
    one, other = ([words[w] for w in ("what", "colour", "is", "the", shape)] for shape in ("star", "ring"))
    with torch.no_grad():
        seen = kind.see(model, pixels(clips, np.arange(20), None))
        both, alone = (
            predict(model, world.asked_once(clips, [asked], np.array([[0, 1, 2]])), seen)
            for asked in ([one, other], [other])
        )
    torch.testing.assert_close(both[1], alone[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=1e-5)

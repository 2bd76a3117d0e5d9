"""The tables and the looks of real checkpoints, read from their files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, ViTConfig, ViTModel
from typer.testing import CliRunner

from vlbias import static_pe
from vlbias.cli import app
from vlbias.errors import BadInput, ModelError


@pytest.fixture
def vit(tmp_path):
    """A tiny ViT over 4 x 4 patches with a class token, as a Hugging Face folder."""
    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    model = ViTModel(ViTConfig(image_size=32, patch_size=8, **size), add_pooling_layer=False)
    model.save_pretrained(tmp_path / "vit")
    side = {"height": 32, "width": 32}
    CLIPImageProcessor(size=side, crop_size=side, do_center_crop=False).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit", model


def test_the_table_of_a_checkpoint_is_measured_without_its_class_token(vit):
    folder, model = vit
    found, passed = static_pe.tables(folder, grid=None, rng=np.random.default_rng(0))
    assert {e.task for e in found} == {"embeddings.position_embeddings"} and not passed
    assert {e.n for e in found} == {16}
    mine = model.embeddings.position_embeddings.detach()[0, 1:].clone()
    save_file({"pos_embed": mine}, folder.parent / "bare.safetensors")
    bare, _ = static_pe.tables(folder.parent / "bare.safetensors", grid=None, rng=np.random.default_rng(0))
    assert [e.value for e in bare] == [e.value for e in found]


def test_a_table_that_is_no_square_is_told_and_measured_only_over_the_grid_that_is_said(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"text.positional_embedding": torch.randn(77, 4), "visual.pos_embed": torch.randn(1, 24, 4)}, file)
    found, passed = static_pe.tables(file, grid=None, rng=np.random.default_rng(0))
    assert not found and set(passed) == {"text.positional_embedding", "visual.pos_embed"}
    found, passed = static_pe.tables(file, grid=(4, 6), rng=np.random.default_rng(0))
    assert {e.task for e in found} == {"visual.pos_embed"} and "77 places" in passed["text.positional_embedding"]


def test_a_checkpoint_without_a_table_says_what_was_looked_for(tmp_path):
    save_file({"weight": torch.randn(4, 4)}, tmp_path / "model.safetensors")
    with pytest.raises(BadInput, match="no learned table of positions; looked for"):
        static_pe.tables(tmp_path, grid=None, rng=np.random.default_rng(0))
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(BadInput, match="cannot be read as safetensors"):
        static_pe.tables(tmp_path, grid=None, rng=np.random.default_rng(0))


def test_heads_that_attend_alike_to_all_look_as_far_as_uniform_attention(vit, tmp_path):
    folder, model = vit
    with torch.no_grad():
        for layer in model.layers:
            layer.attention.q_proj.weight.zero_()
            layer.attention.q_proj.bias.zero_()
    model.save_pretrained(folder)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for k in range(2):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(pictures / f"{k}.png")
    found = static_pe.looks(folder, pictures, device="cpu")
    assert [e.cell for e in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(e.notes[0].startswith("1.00 of uniform") for e in found)


def test_the_command_prints_rows_and_refuses_what_is_no_grid(vit):
    folder, _ = vit
    told = CliRunner().invoke(app, ["static_pe", str(folder), "--json"])
    assert told.exit_code == 0 and len(json.loads(told.stdout)) == 3
    assert CliRunner().invoke(app, ["static_pe", str(folder)]).stdout.count("cells shuffled") == 3
    assert "ROWSxCOLUMNS" in str(CliRunner().invoke(app, ["static_pe", str(folder), "--grid", "4"]).exception)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    save_file({"pos_embed": torch.randn(16, 4)}, tmp_path / "model.safetensors")
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(ModelError, match="no image encoder"):
        static_pe.looks(tmp_path, tmp_path, device="cpu")

"""What `hf.load` refuses, before any weight is read, and what it says of the model that it loads."""

import hashlib
import json
import shutil

import pytest
import transformers

from vlbias.errors import ModelError
from vlbias.models import hf


@pytest.fixture
def folder(build, tmp_path):
    return shutil.copytree(build("qwen2_vl"), tmp_path / "model")


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"safetensors only; found pickled pytorch_model\.bin"):
        hf.load(pretrained=str(folder))


def test_code_of_a_repository_needs_the_flag(folder):
    edit(folder / "config.json", auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(ModelError, match="trust_remote_code=true and revision"):
        hf.load(pretrained=str(folder))


def test_a_path_that_is_no_folder_and_no_id_is_refused():
    with pytest.raises(ModelError, match="no folder and cannot be a hub id"):
        hf.load(pretrained="/not/a/folder")


def test_a_hub_id_that_is_not_here_says_so_offline():
    with pytest.raises(ModelError, match="cannot be reached on the hub"):
        hf.load(pretrained="nobody/nothing", local_files_only=True)


def test_a_text_model_is_refused(folder):
    edit(folder / "config.json", model_type="qwen2", architectures=["Qwen2ForCausalLM"])
    with pytest.raises(ModelError, match="'qwen2' model, which does not take images"):
        hf.load(pretrained=str(folder))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"pretraned": 1}, "did you mean pretrained"), ({"dtype": "bfloat"}, "bfloat16"), ({"position_rule": "h"}, "hf")],
)
def test_a_wrong_argument_names_the_nearest(arguments, said):
    with pytest.raises(ModelError, match=said):
        hf.load(pretrained="x", **arguments)


def test_the_identity_is_the_truth(folder):
    identity = hf.load(pretrained=str(folder), dtype="bfloat16", device="cpu").identity
    assert identity.weights_sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (identity.family, identity.dtype, identity.device) == ("qwen2_vl", "bfloat16", "cpu")
    assert (identity.engine, identity.engine_version) == ("transformers", transformers.__version__)
    assert (identity.attention, identity.position_rule, identity.context_window) == ("sdpa", "hf", 600)

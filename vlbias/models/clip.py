"""An image encoder with a text tower (open_clip): captions are scored against an image, pooled or patch by patch.

Beside a VLM on the same images it tells whether a bias is in the encoder or comes after it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import open_clip
import torch

from vlbias.disk import sha256_of_file
from vlbias.errors import ModelError, nearest
from vlbias.models._captions import image, no_caption, options
from vlbias.models._outcomes import nonfinite
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply, Trial

POOLINGS = ("pooled", "patches")
REMEDY = "ask for captions, as the suites canvas and grid-choice do"
NO_THING = f"clip: the question, which an encoder is not given, is not about one thing in the image; {REMEDY}"
_CONFIG = "open_clip_config.json"


class ClipModel:
    """Captions against images; `score` gives the logarithm of the softmax over the options of a prompt."""

    def __init__(
        self, model: Any, *, preprocess: Any, tokenizer: Any, pooling: str, template: str, identity: Identity
    ) -> None:
        self._model, self._preprocess, self._tokenizer = model, preprocess, tokenizer
        self._pooling, self._template = pooling, template
        self.identity = identity
        self.capabilities = Capabilities(score=True)

    @torch.inference_mode()
    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """One forward for all images and one for all captions; what is no caption or no single image is a fault."""
        found: list[OptionScores | Fault | None] = [_unfit(prompt) for prompt in prompts]
        fit = [k for k, fault in enumerate(found) if fault is None]
        if fit:
            pixels = torch.stack([self._preprocess(image(prompts[k])) for k in fit]).to(self.identity.device or "cpu")
            features = self._features(pixels)
            for k, image_PF in zip(fit, features, strict=True):
                found[k] = self._scores(image_PF, options(prompts[k]))
        return [one for one in found if one is not None]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """An encoder says nothing."""
        del max_new_tokens
        return [Fault(kind="unfit", reason="clip: an encoder writes no text; use --mode score") for _ in prompts]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """An encoder has no likelihood of a text."""
        del targets
        return [Fault(kind="unfit", reason="clip: an encoder has no likelihood of a text") for _ in prompts]

    def unfit(self, trial: Trial) -> str | None:
        """Why a trial cannot be put to an encoder: several images, no one thing in question, or no captions."""
        if len(trial.segments) != 1:
            return f"clip: takes one image with one frame, and a prompt holds {len(trial.segments)} segments"
        if trial.probe.thing is None:
            return NO_THING
        fault = no_caption(trial.options, adapter="clip", remedy=REMEDY, letters=False)
        return fault.reason if fault else None

    @torch.inference_mode()
    def fit(self, pixels_BCHW: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
        """How well each caption fits each image, [B, captions]: scaled cosines of images that are already processed."""
        return self._fit(self._features(pixels_BCHW), captions)

    def _fit(self, image_BPF: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
        words = self._tokenizer([self._template.format(caption) for caption in captions])
        text_OF = self._model.encode_text(words.to(image_BPF.device), normalize=True)
        # Over patches a caption takes the one that fits it best.
        fit_BO: torch.Tensor = (image_BPF @ text_OF.T).amax(dim=1) * self._model.logit_scale.exp()
        return fit_BO

    def _scores(self, image_PF: torch.Tensor, captions: Sequence[str]) -> OptionScores | Fault:
        logprobs = tuple(float(x) for x in self._fit(image_PF[None], captions)[0].double().log_softmax(-1))
        bad = [x for x in logprobs if not np.isfinite(x)]
        return nonfinite(bad[0]) if bad else OptionScores(logprobs=logprobs, level="exact", n_tokens=len(image_PF))

    def _features(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        """[B, 1, F], or [B, patches, F]: patch tokens through the projection that the pooled one goes through."""
        visual = self._model.visual
        if self._pooling == "pooled":
            image_B1F = self._model.encode_image(pixels_BCHW)[:, None]
        else:
            visual.output_tokens = True
            try:
                _, tokens_BPW = visual(pixels_BCHW)
            finally:
                visual.output_tokens = False
            image_B1F = tokens_BPW if visual.proj is None else tokens_BPW @ visual.proj
        return torch.nn.functional.normalize(image_B1F, dim=-1)


def load(
    *,
    arch: str | None = None,
    pretrained: str | None = None,
    pooling: Literal["pooled", "patches"] = "pooled",
    template: str = "{}",
    device: str = "cpu",
    **unknown: object,
) -> ClipModel:
    """Any architecture of open_clip with the weights of a file or of one of open_clip's tags, or a folder with both.

    `pretrained` is a folder with open_clip_config.json and open_clip_model.safetensors, a weights' file, or a tag
    (then open_clip may have to fetch it); a file and a tag need `arch`. `pooling=patches` scores a caption by its
    best patch. `template` holds `{}` for the caption. Raises ModelError, before weights are read where it can.
    """
    if unknown:
        known = [name for name in inspect.signature(load).parameters if name != "unknown"]
        raise ModelError(f"clip: unknown argument {min(unknown)!r}; {nearest(min(unknown), known)}")
    if pooling not in POOLINGS:
        raise ModelError(f"clip: pooling {pooling!r} is unknown; known: {', '.join(POOLINGS)}")
    if template.count("{}") != 1:
        raise ModelError(f"clip: template {template!r} needs {{}} once, for the caption")
    name, weights = _named(arch, pretrained)
    try:
        model, preprocess = open_clip.create_model_from_pretrained(name, pretrained=weights, device=device)
        tokenizer = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ModelError(f"clip: {arch or pretrained}: cannot be loaded: {error}") from error
    if pooling == "patches" and not (hasattr(model.visual, "output_tokens") and hasattr(model.visual, "proj")):
        raise ModelError(f"clip: {arch or pretrained}: its image tower gives no patch tokens; use pooling=pooled")
    identity = Identity(
        adapter="clip",
        name=f"{pretrained or arch}",
        weights_sha256=_hash(pretrained),
        family=f"open_clip, {pooling}",
        dtype="float32",
        device=device,
        engine="open_clip",
        engine_version=open_clip.__version__,
        n_parameters=sum(p.numel() for p in model.parameters()),
    )
    return ClipModel(
        model.eval(), preprocess=preprocess, tokenizer=tokenizer, pooling=pooling, template=template, identity=identity
    )


def _named(arch: str | None, pretrained: str | None) -> tuple[str, str | None]:
    """What open_clip calls the model and its weights."""
    if pretrained is None:
        raise ModelError("clip: pretrained is missing; give a folder, a weights' file, or a tag of open_clip")
    folder = Path(pretrained)
    if folder.is_dir():
        if not (folder / _CONFIG).is_file():
            raise ModelError(f"clip: {folder} is no open_clip folder: it has no {_CONFIG}")
        return f"local-dir:{folder}", None
    if arch is None:
        raise ModelError(f"clip: {pretrained!r} is no folder; give arch too, as arch=ViT-B-32")
    if arch not in open_clip.list_models():
        raise ModelError(f"clip: unknown arch {arch!r}; {nearest(arch, open_clip.list_models())}")
    if not folder.is_file() and pretrained not in open_clip.list_pretrained_tags_by_model(arch):
        tags = open_clip.list_pretrained_tags_by_model(arch)
        raise ModelError(f"clip: {pretrained!r} is neither a file nor a tag of {arch}; {nearest(pretrained, tags)}")
    return arch, pretrained


def _hash(pretrained: str | None) -> str | None:
    path = Path(pretrained or "")
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path] if path.is_file() else []
    return sha256_of_file(*files) if files else None


def _unfit(prompt: Prompt) -> Fault | None:
    if image(prompt) is None:
        n = sum(part.frames is not None for part in prompt.parts)
        return Fault(kind="unfit", reason=f"clip: takes one image with one frame, found {n} segments")
    if prompt.trial and prompt.trial.probe.thing is None:
        return Fault(kind="unfit", reason=NO_THING)
    return no_caption(options(prompt), adapter="clip", remedy=REMEDY, letters=False)

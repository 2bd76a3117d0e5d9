"""Any image-text-to-text model of the Hugging Face layout, asked with frames, scored from its logits."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig

from vlbias.errors import ModelError
from vlbias.models._batch import Fit, collate, halving, in_groups, shape_key
from vlbias.models._chat import Dialect, Encoded, dialect, encode
from vlbias.models._compose import Mismatch
from vlbias.models._encoder import Encoder
from vlbias.models._features import FeatureCache, cache
from vlbias.models._grounding import format_of, reply
from vlbias.models._loading import DTYPES, Source, check, config, context_window, identity, processor, weights
from vlbias.models._options import Variants
from vlbias.models._outcomes import longest_tail, nonfinite, scores, too_long, unfit
from vlbias.models._positions import RULES, apply_rule
from vlbias.models._proof import proven
from vlbias.models._room import room
from vlbias.models._separate import Options, logprobs, row_key, row_length, tail_logprobs
from vlbias.models._separate import Ready as Ready
from vlbias.models._shared import Question
from vlbias.models._sharing import Sharing, patched
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply

SHARING, CACHES = ("auto", "off"), ("device", "host")
Watch = Callable[[Sequence[Ready], Mapping[str, torch.Tensor]], None]


def load(
    *,
    pretrained: str,
    revision: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    attn_implementation: str | None = None,
    position_rule: str = "hf",
    trust_remote_code: bool = False,
    local_files_only: bool = False,
    threads: int | None = None,
    sharing: str = "auto",
    cache_gb: float = 2.0,
    cache_on: str = "device",
    box_format: str | None = None,
    **unknown: object,
) -> HFModel:
    """A model from a folder or a hub id, on CUDA where there is one.

    `position_rule=official` lets Qwen2-VL and Qwen2.5-VL go on after a clip as Qwen's own code does. `threads` sets
    the CPU threads of torch for the whole process. `sharing=off` asks every prompt apart; else what prompts have in
    common is computed once, where a trial shows that this is exact. `cache_gb` bounds the features kept of encoded
    segments, on the device or (`cache_on=host`) beside it. `box_format` is how the model writes boxes, where its family
    does not tell. Raises ModelError before any weight is read for pickled weights, code of a repository's own, a path
    that holds no model, another kind of model and unknown arguments.
    """
    allowed = {"dtype": (dtype, DTYPES), "position_rule": (position_rule, RULES), "sharing": (sharing, SHARING)}
    allowed |= {"cache_on": (cache_on, CACHES)}
    check(unknown, allowed, known=inspect.signature(load).parameters)
    source = Source(
        pretrained=pretrained,
        revision=revision,
        trust_remote_code=trust_remote_code,
        local_files_only=local_files_only or os.environ.get("HF_HUB_OFFLINE") == "1",
    )
    found = config(source)
    box_format = format_of(box_format, found.model_type)
    reader = processor(source)
    if threads is not None:
        torch.set_num_threads(threads)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = weights(source, dtype=dtype, device=place, attention=attn_implementation)
    apply_rule(model, position_rule)
    told = replace(_told(model, found, source), position_rule=position_rule, box_format=box_format)
    kept = cache(cache_gb, on=torch.device("cpu") if cache_on == "host" else place) if sharing == "auto" else None
    return HFModel(model=model, processor=reader, identity=told, features=kept)


def _told(model: Any, found: Any, source: Source) -> Identity:
    attention, window = model.config._attn_implementation, context_window(found)
    return replace(identity(model, found, source), attention=attention, context_window=window)


def tokens(prompts: Sequence[Prompt], **model_args: Any) -> list[int]:
    """The length of every prompt in tokens, from the processor alone: no weights are read."""
    given = {name: model_args[name] for name in inspect.signature(Source).parameters if name in model_args}
    defaults = {"revision": None, "trust_remote_code": False, "local_files_only": False}
    source = Source(**{**defaults, **given})
    config(source)
    reader = processor(source)
    style = dialect(reader)
    return [encode(reader, prompt, style).n_tokens for prompt in prompts]


class HFModel:
    """A loaded model. `model` and `processor` are the Hugging Face objects, for patches that work inside.

    A patch that must know where the segments of a batch lie sets `watch`: it is called with the prompts (and the tokens
    appended to them) and the padded batch before every forward. While it is set nothing is shared between prompts, and
    every forward over a prompt holds the whole prompt.
    """

    def __init__(self, *, model: Any, processor: Any, identity: Identity, features: FeatureCache | None = None) -> None:
        self.model = model
        self.processor = processor
        self.capabilities = Capabilities(score=True, generate=True, nll=True)
        self.watch: Watch | None = None
        self._style: Dialect = dialect(processor)
        self._accepts = inspect.signature(model.forward).parameters
        self._has_rope_index = hasattr(model.model, "get_rope_index")
        self.sharing: Sharing | None = None
        self._fit, self._room = Fit(), room(model.device)
        self._variants = Variants(processor.tokenizer)
        self._processing = threading.Lock()
        reason = "off: not asked for"
        if features is not None:
            sharing = Sharing(
                model=model,
                processor=processor,
                style=self._style,
                encoder=Encoder(model, self._batch, room(model.device)),
                features=features,
                processing=self._processing,
            )
            self.sharing, reason = proven(model, sharing, self._logprobs_apart)
        self.identity = replace(identity, sharing=reason)

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option as the first words of the answer, natural logarithm.

        An option counts in each of its token variants (`_options.variants`: with and without a space before it); its
        probability is their sum, less what goes on to a longer option that begins with it. What prompts have in
        common is computed once where `identity.sharing` says so and nothing is patched into the model. A prompt that
        cannot be put to the model is a Fault of its own.
        """
        if self.sharing is None or self.watch is not None or patched(self.model):
            return self.score_apart(prompts)
        return self._score_shared(prompts, self.sharing)

    def prepare(self, prompts: Sequence[Prompt]) -> None:
        """Processes the segments of prompts that `score` will be given, in another thread than the one that asks."""
        if self.sharing is not None and self.watch is None:
            self.sharing.prepare(prompts)

    def score_apart(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The same as `score`, every prompt in a row of its own: the reference for what sharing gives."""
        ready = [self._prepared(prompt) for prompt in prompts]
        asked = [pair for pair in ready if not isinstance(pair, Fault)]
        found = iter(logprobs([prompt for prompt, _ in asked], [own for _, own in asked], self._logits, self._room))
        return [
            pair if isinstance(pair, Fault) else scores(next(found), n_tokens=pair[0].n_tokens, spans=pair[0].spans)
            for pair in ready
        ]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The most likely next tokens, one by one, whatever the model's own generation settings say."""
        ready = [self._ready(prompt) for prompt in prompts]
        rows = [prompt for prompt in ready if isinstance(prompt, Encoded)]

        def run(part: list[Encoded]) -> list[Reply]:
            return self._generate(part, max_new_tokens)

        def size(prompt: Encoded) -> int:
            return prompt.n_tokens + max_new_tokens

        replies: Iterator[Reply | Fault] = iter(in_groups(rows, key=shape_key, size=size, run=run, room=self._room))
        return [prompt if isinstance(prompt, Fault) else next(replies) for prompt in ready]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """The negative log-likelihood of the tokens of each target after its prompt, in nats, summed."""
        if len(prompts) != len(targets):
            raise ModelError(f"hf: {len(prompts)} prompts and {len(targets)} targets; give one target per prompt")
        tails = [tuple(self.processor.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in targets]
        if not all(tails):
            raise ModelError(f"hf: target {tails.index(())} has no tokens; give the text to score")
        ready = [self._ready(prompt, longest=len(tail)) for prompt, tail in zip(prompts, tails)]
        rows = [(prompt, tail) for prompt, tail in zip(ready, tails) if isinstance(prompt, Encoded)]
        run = partial(tail_logprobs, logits=self._logits)
        sums: Iterator[float | Fault] = iter(in_groups(rows, key=row_key, size=row_length, run=run, room=self._room))
        found = [prompt if isinstance(prompt, Fault) else next(sums) for prompt in ready]
        return [x if isinstance(x, Fault) else -x if abs(x) < float("inf") else nonfinite(x) for x in found]

    def encoded(self, prompt: Prompt, *, longest: int = 0) -> Encoded | Fault:
        """The prompt as tensors, or why it is too long for the model with `longest` tokens of an answer after it."""
        with self._processing:
            found = encode(self.processor, prompt, self._style)
        return self._too_long(found.n_tokens, longest) or found

    def _score_shared(self, prompts: Sequence[Prompt], sharing: Sharing) -> list[OptionScores | Fault]:
        """Prompts that sharing does not hold for are asked apart."""
        found: dict[int, OptionScores | Fault] = {}
        asked: list[tuple[int, Question]] = []
        apart: list[int] = []
        encoded = sharing.encode(prompts)
        for number, prompt in enumerate(prompts):
            try:
                with self._processing:
                    question = sharing.question(prompt, self._variants.of(prompt.options), encoded)
            except Mismatch:
                apart.append(number)
                continue
            except ModelError as error:
                found[number] = unfit(error)
                continue
            if isinstance(question, Fault):
                found[number] = question
            elif fault := self._too_long(question.n_tokens, longest_tail(question.variants)):
                found[number] = fault
            else:
                asked.append((number, question))
        rows = [question for _, question in asked]
        results = halving(rows, sharing.logprobs, self._fit, shrink=sharing.walker.shrink)
        for (number, question), result in zip(asked, results):
            found[number] = scores(result, n_tokens=question.n_tokens, spans=question.layout.composed.spans)
        found.update(zip(apart, self.score_apart([prompts[number] for number in apart])))
        return [found[number] for number in range(len(prompts))]

    def _prepared(self, prompt: Prompt) -> tuple[Encoded, Options] | Fault:
        try:
            options = self._variants.of(prompt.options)
            found = self.encoded(prompt, longest=longest_tail(options))
        except ModelError as error:
            return unfit(error)
        return found if isinstance(found, Fault) else (found, options)

    def _ready(self, prompt: Prompt, *, longest: int = 0) -> Encoded | Fault:
        try:
            return self.encoded(prompt, longest=longest)
        except ModelError as error:
            return unfit(error)

    def _too_long(self, n_tokens: int, longest: int) -> Fault | None:
        return too_long(n_tokens, longest, self.identity.context_window)

    def _logprobs_apart(self, prompts: Sequence[Prompt], options: Sequence[Options]) -> list[tuple[float, ...] | Fault]:
        encoded = [encode(self.processor, prompt, self._style) for prompt in prompts]
        return logprobs(encoded, options, self._logits, self._room)

    @torch.inference_mode()
    def _logits(self, rows: Sequence[Ready], keep: int) -> torch.Tensor:
        batch = self._batch(rows)
        if "logits_to_keep" in self._accepts:
            batch["logits_to_keep"] = keep
        logits: torch.Tensor = self.model(**batch, use_cache=False).logits
        return logits[:, -keep:]

    @torch.inference_mode()
    def _generate(self, prompts: list[Encoded], max_new_tokens: int) -> list[Reply]:
        batch = self._batch([(prompt, ()) for prompt in prompts])
        batch.pop("position_ids", None)
        ends = self.model.generation_config.eos_token_id or self.processor.tokenizer.eos_token_id
        settings = GenerationConfig(
            max_new_tokens=max_new_tokens, do_sample=False, num_beams=1, eos_token_id=ends, pad_token_id=self._pad_id
        )
        out_BL = self.model.generate(**batch, generation_config=settings)
        stops = {ends} if isinstance(ends, int) else set(ends or ())
        replies = out_BL[:, batch["input_ids"].shape[1] :].tolist()
        return [reply(self.processor, prompt, new, stops=stops) for prompt, new in zip(prompts, replies)]

    def _batch(self, rows: Sequence[Ready]) -> dict[str, Any]:
        batch: dict[str, Any] = dict(collate(rows, pad_id=self._pad_id))
        if self._has_rope_index:
            # The delta of an earlier batch is state of the model; it must not reach this one.
            self.model.model.rope_deltas = None
        elif "position_ids" in self._accepts:
            batch["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        if self.watch is not None:
            self.watch(rows, batch)
        known = {name: value for name, value in batch.items() if name in self._accepts}
        return {
            name: value.to(self.model.device, self.model.dtype if value.is_floating_point() else None)
            for name, value in known.items()
        }

    @property
    def _pad_id(self) -> int:
        # Padding is masked, so any token serves where the tokenizer names none.
        pad = self.processor.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)

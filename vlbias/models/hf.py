"""Any image-text-to-text model of the Hugging Face layout, asked with frames, scored from its logits."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers
from transformers import GenerationConfig

from vlbias.errors import ModelError, nearest
from vlbias.models._batch import collate, in_groups, shape_key
from vlbias.models._chat import Dialect, Encoded, dialect, encode
from vlbias.models._loading import DTYPES, Source, config, context_window, processor, weights, weights_sha256
from vlbias.models._options import Tokens, all_variants
from vlbias.models._positions import RULES, apply_rule
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply

Ready = tuple[Encoded, Tokens]
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
    **unknown: object,
) -> HFModel:
    """A model from a folder or a hub id, on CUDA where there is one.

    `position_rule=official` lets Qwen2-VL and Qwen2.5-VL go on after a clip as Qwen's own code does. `threads` sets
    the CPU threads of torch for the whole process. Raises ModelError before any weight is read for pickled weights,
    code of a repository's own, a path that holds no model, another kind of model and unknown arguments.
    """
    _check_arguments(unknown, dtype=dtype, position_rule=position_rule)
    source = Source(
        pretrained=pretrained,
        revision=revision,
        trust_remote_code=trust_remote_code,
        local_files_only=local_files_only or os.environ.get("HF_HUB_OFFLINE") == "1",
    )
    found = config(source)
    reader = processor(source)
    if threads is not None:
        torch.set_num_threads(threads)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = weights(source, dtype=dtype, device=place, attention=attn_implementation)
    apply_rule(model, position_rule)
    identity = Identity(
        adapter="hf",
        name=pretrained,
        revision=getattr(found, "_commit_hash", None) or revision,
        weights_sha256=weights_sha256(pretrained),
        family=found.model_type,
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(place),
        engine="transformers",
        engine_version=transformers.__version__,
        attention=model.config._attn_implementation,
        position_rule=position_rule,
        n_parameters=model.num_parameters(),
        context_window=context_window(found),
    )
    return HFModel(model=model, processor=reader, identity=identity)


def tokens(prompts: Sequence[Prompt], **model_args: Any) -> list[int]:
    """The length of every prompt in tokens, from the processor alone: no weights are read."""
    known = set(inspect.signature(Source).parameters)
    given = {name: value for name, value in model_args.items() if name in known}
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

    def __init__(self, *, model: Any, processor: Any, identity: Identity) -> None:
        self.model = model
        self.processor = processor
        self.identity = identity
        self.capabilities = Capabilities(score=True, generate=True, nll=True)
        self.watch: Watch | None = None
        self._style: Dialect = dialect(processor)
        self._accepts = inspect.signature(model.forward).parameters
        self._has_rope_index = hasattr(model.model, "get_rope_index")

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option as the first words of the answer, natural logarithm.

        An option counts in each of its token variants (`_options.variants`: with and without a space before it); its
        probability is their sum. Single-token variants are read from one forward over the batch. Variants of more
        tokens are teacher-forced, in one more forward over prompts with the variant appended.
        """
        ready = [self.encoded(prompt) for prompt in prompts]
        sequences = [all_variants(self.processor.tokenizer, prompt.options) for prompt in prompts]
        rows: list[Ready] = []
        owners: list[tuple[int, int]] = []
        for number, (prompt, options) in enumerate(zip(ready, sequences)):
            if isinstance(prompt, Fault):
                continue
            rows.append((prompt, ()))
            owners.append((number, -1))
            for k, found in enumerate(options):
                longer = [ids for ids in found if len(ids) > 1]
                rows += [(prompt, ids) for ids in longer]
                owners += [(number, k)] * len(longer)
        scored = self._run_rows(rows, sequences, owners)
        return [
            prompt if isinstance(prompt, Fault) else self._option_scores(prompt, len(options), scored[number])
            for number, (prompt, options) in enumerate(zip(ready, sequences))
        ]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The most likely next tokens, one by one, whatever the model's own generation settings say."""
        ready = [self.encoded(prompt) for prompt in prompts]
        rows = [prompt for prompt in ready if isinstance(prompt, Encoded)]

        def run(part: list[Encoded]) -> list[Reply]:
            return self._generate(part, max_new_tokens)

        replies: Iterator[Reply | Fault] = iter(in_groups(rows, key=shape_key, run=run))
        return [prompt if isinstance(prompt, Fault) else next(replies) for prompt in ready]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """The negative log-likelihood of the tokens of each target after its prompt, in nats, summed."""
        if len(prompts) != len(targets):
            raise ModelError(f"hf: {len(prompts)} prompts and {len(targets)} targets; give one target per prompt")
        tails = [tuple(self.processor.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in targets]
        if not all(tails):
            raise ModelError(f"hf: target {tails.index(())} has no tokens; give the text to score")
        ready = [self.encoded(prompt) for prompt in prompts]
        rows = [(prompt, tail) for prompt, tail in zip(ready, tails) if isinstance(prompt, Encoded)]
        sums: Iterator[float | Fault] = iter(in_groups(rows, key=_row_key, run=self._tail_logprobs))
        found = [prompt if isinstance(prompt, Fault) else next(sums) for prompt in ready]
        return [x if isinstance(x, Fault) else -x if abs(x) < float("inf") else _nonfinite(x) for x in found]

    def encoded(self, prompt: Prompt) -> Encoded | Fault:
        """The prompt as tensors, or why it is too long for the model."""
        found = encode(self.processor, prompt, self._style)
        window = self.identity.context_window
        if window is not None and found.n_tokens > window:
            reason = f"the prompt has {found.n_tokens} tokens, the model's context window {window}"
            return Fault(kind="too_long", reason=reason)
        return found

    def _run_rows(
        self, rows: list[Ready], sequences: Sequence[tuple[tuple[Tokens, ...], ...]], owners: list[tuple[int, int]]
    ) -> dict[int, list[tuple[int, float] | Fault]]:
        """By prompt: (option, log-probability of one of its variants), or the fault that stopped it."""
        found: dict[int, list[tuple[int, float] | Fault]] = {}
        heads = [(i, row[0]) for i, row in enumerate(rows) if not row[1]]
        tails = [(i, row) for i, row in enumerate(rows) if row[1]]
        nexts = in_groups([p for _, p in heads], key=shape_key, run=self._next_logprobs)
        for (i, _), result in zip(heads, nexts):
            number = owners[i][0]
            one = [(k, ids[0]) for k, found_k in enumerate(sequences[number]) for ids in found_k if len(ids) == 1]
            if isinstance(result, Fault):
                found[number] = [result]
            else:
                found[number] = [(k, float(result[token])) for k, token in one]
        sums = in_groups([row for _, row in tails], key=_row_key, run=self._tail_logprobs)
        for (i, _), total in zip(tails, sums):
            number, k = owners[i]
            found[number].append(total if isinstance(total, Fault) else (k, total))
        return found

    def _option_scores(
        self, prompt: Encoded, n_options: int, scored: list[tuple[int, float] | Fault]
    ) -> OptionScores | Fault:
        values: list[list[float]] = [[] for _ in range(n_options)]
        for item in scored:
            if isinstance(item, Fault):
                return item
            values[item[0]].append(item[1])
        logprobs = tuple(float(torch.logsumexp(torch.tensor(v, dtype=torch.float64), 0)) for v in values)
        bad = [x for x in logprobs if not abs(x) < float("inf")]
        if bad:
            return _nonfinite(bad[0])
        return OptionScores(logprobs=logprobs, level="exact", n_tokens=prompt.n_tokens, segment_spans=prompt.spans)

    def _next_logprobs(self, prompts: list[Encoded]) -> list[torch.Tensor]:
        logits_BLV = self._logits([(prompt, ()) for prompt in prompts], keep=1)
        return list(logits_BLV[:, -1].float().log_softmax(-1).cpu())

    def _tail_logprobs(self, rows: list[Ready]) -> list[float]:
        longest = max(len(tail) for _, tail in rows)
        logits_BLV = self._logits(rows, keep=longest + 1)
        found = []
        for logits_LV, (_, tail) in zip(logits_BLV, rows):
            logprobs_LV = logits_LV[-len(tail) - 1 : -1].float().log_softmax(-1)
            ids_L = torch.tensor(tail, device=logprobs_LV.device)
            found.append(float(logprobs_LV.gather(1, ids_L[:, None]).double().sum()))
        return found

    @torch.inference_mode()
    def _logits(self, rows: Sequence[Ready], *, keep: int) -> torch.Tensor:
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
        found = []
        for prompt, new in zip(prompts, out_BL[:, batch["input_ids"].shape[1] :].tolist()):
            stop = next((i for i, token in enumerate(new) if token in stops), len(new))
            text = self.processor.tokenizer.decode(new[:stop], skip_special_tokens=True)
            n_new = min(stop + 1, len(new))
            found.append(Reply(text=text, n_tokens=prompt.n_tokens, n_new_tokens=n_new, segment_spans=prompt.spans))
        return found

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


def _row_key(row: Ready) -> Any:
    return shape_key(row[0])


def _nonfinite(value: float) -> Fault:
    return Fault(kind="nonfinite", reason=f"the model gave {value} where a finite log-probability is expected")


def _check_arguments(unknown: dict[str, object], *, dtype: str, position_rule: str) -> None:
    if unknown:
        known = [name for name in inspect.signature(load).parameters if name != "unknown"]
        raise ModelError(f"hf: unknown argument {min(unknown)!r}; {nearest(min(unknown), known)}")
    for name, value, allowed in (("dtype", dtype, DTYPES), ("position_rule", position_rule, RULES)):
        if value not in allowed:
            raise ModelError(f"hf: {name}={value!r}; {nearest(str(value), allowed)}")

"""One run is one config: YAML keys and command-line flags of the same names, read into a strict frozen record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vlbias.errors import BadConfig, nearest
from vlbias.records import digest
from vlbias.strictyaml import read

AUTO_PROMPTS = 132  # eleven slots, three questions, four orders of options
Scalar = str | int | float | bool | None


class RunConfig(BaseModel):
    """What decides the answers of a run. Anything that only decides how it is shown or where it is kept is not here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "hf"
    model_args: dict[str, Scalar] = Field(default_factory=dict)
    tasks: str
    task_args: dict[str, Scalar] = Field(default_factory=dict)
    metrics: tuple[str, ...] | None = None  # None: those of the kind of probe
    limit: str | None = None
    positions: str = "all"
    repeats: int = Field(default=0, ge=0, le=100)  # how often one trial of each probe is asked again, unchanged
    option_orders: Literal["cyclic", "full", "gold_moving"] | int | None = None  # an int: that many orders of chance
    num_frames: int | None = Field(default=None, ge=1, le=4096)
    sampling: Literal["midpoints", "linspace"] | None = None
    frame_size: tuple[int, int] | None = None
    video_backend: str = "av"
    decode_limit_s: float = Field(default=30.0, gt=0)
    decode_workers: int = Field(default=1, ge=1, le=64)  # decoders that read clips at once, each a process
    prompt_style: Literal["letters", "listed", "cloze"] | None = None
    system_instruction: str | None = None
    mode: Literal["score", "generate"] = "score"
    max_new_tokens: int = Field(default=16, ge=1)
    batch_size: int = Field(default=AUTO_PROMPTS, ge=1)  # prompts handed over at once; auto: whole sweeps
    device: str | None = None
    cache_gb: float | None = Field(default=None, ge=0)  # most memory for encoded segments; None: the adapter's own
    verify: int = Field(default=0, ge=0)  # that many random prompts are also asked apart, and must have one answer
    debias: str | None = None  # a correction saved by `vlbias debias`, or a method with its options
    seed: int = Field(default=0, ge=0)

    @field_validator("limit", mode="before")
    @classmethod
    def _limit_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("option_orders", mode="before")
    @classmethod
    def _count_of_orders(cls, value: Any) -> Any:
        count = int(value) if isinstance(value, str) and value.isdigit() else value
        if isinstance(count, int) and not isinstance(count, bool) and count < 2:
            raise ValueError("give cyclic, full, gold_moving or a number of orders from 2")
        return count

    @field_validator("batch_size", mode="before")
    @classmethod
    def _auto(cls, value: Any) -> Any:
        return AUTO_PROMPTS if value == "auto" else value

    @property
    def sha256(self) -> str:
        """The config's hash: what makes two runs the same run."""
        return digest(self.model_dump(mode="json"))


def load(path: Path | None, overrides: dict[str, Any]) -> RunConfig:
    """The config of a file with command-line flags on top; None among the flags means not given."""
    given = {key: value for key, value in overrides.items() if value is not None}
    start = read(path, RunConfig).model_dump() if path else {}
    merged = {**start, **given}
    for key in ("model_args", "task_args"):
        if start.get(key) and given.get(key):
            same_model = key != "model_args" or given.get("model", start["model"]) == start["model"]
            merged[key] = {**start[key], **given[key]} if same_model else given[key]
    if path and given.get("model", start.get("model")) != start.get("model") and "model_args" not in given:
        merged["model_args"] = {}
    return check(merged, where=str(path) if path else "command line")


def check(values: dict[str, Any], *, where: str) -> RunConfig:
    """The config that `values` make; every problem in one message."""
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise BadConfig("\n".join(_problem(e, where) for e in error.errors())) from error


def _problem(error: Any, where: str) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}; {nearest(key, RunConfig.model_fields)}"
    if error["type"] == "missing":
        return f"{where}: {key} is missing; name a suite (vlbias ls tasks)"
    return f"{where}: {key}: {error['msg']}; found {error.get('input')!r}"


def key_values(text: str, *, flag: str) -> dict[str, Scalar]:
    """`k=v,k=v` or a JSON object, as the flags `--model_args` and `--task_args` take it.

    >>> key_values("pretrained=Qwen/Qwen2.5-VL-7B-Instruct,threads=2", flag="--model_args")
    {'pretrained': 'Qwen/Qwen2.5-VL-7B-Instruct', 'threads': 2}
    """
    if text.lstrip().startswith("{"):
        try:
            loaded = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadConfig(f"{flag}: not JSON: {error}; give k=v,k=v or a JSON object") from error
        return {str(key): value for key, value in loaded.items()}
    pairs: dict[str, Scalar] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise BadConfig(f"{flag}: {item!r} is not k=v; give k=v,k=v or a JSON object")
        pairs[key.strip()] = _scalar(value.strip())
    return pairs


def _scalar(text: str) -> Scalar:
    words: dict[str, Scalar] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

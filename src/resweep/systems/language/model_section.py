"""The model section."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from resweep.config.section import (
    LABEL,
    MOST_SIZE,
    PATH_ONLY,
    Above0,
    AsBefore,
    BelowOne,
    Int,
    Misfit,
    OnlyFor,
    Section,
    Size,
    as_tuple,
)
from resweep.errors import shortened
from resweep.systems.language.data_section import BYTE_TOKENS


class Model(Section):
    """A causal language model: our own GPT, or any model of transformers."""

    name: Annotated[str | None, LABEL] = Field(None, description="label for tables")
    kind: Literal["gpt", "hf"] = Field(
        "gpt",
        description="gpt: like GPT-2, pre-norm, GELU-tanh, tied embeddings; hf: of transformers",
    )
    n_layer: Annotated[Size, OnlyFor("gpt")] = Field(4, description="gpt: transformer blocks")
    n_head: Annotated[Size, OnlyFor("gpt")] = Field(
        4, description="gpt: attention heads; must divide n_embd"
    )
    n_embd: Annotated[Size, OnlyFor("gpt")] = Field(128, description="gpt: width")
    config: Annotated[dict[str, Any], OnlyFor("hf"), PATH_ONLY] = Field(
        {}, description="hf: as in config.json: model_type, and keys that differ from its defaults"
    )
    name_or_path: Annotated[str | None, LABEL, OnlyFor("hf")] = Field(
        None, min_length=1, description="hf: initial weights: a folder, or a name on the hub"
    )
    context_length: Size = Field(128, description="tokens per sequence")
    vocab_size: Annotated[Int, Field(ge=BYTE_TOKENS, le=MOST_SIZE)] | None = Field(
        None, description="at least the data's; null: from the weights, else from the data"
    )
    dropout: BelowOne = Field(0.0, description="on embeddings, attention and residual branches")
    bias: Annotated[bool, OnlyFor("gpt")] = Field(
        True, description="gpt: biases in linear layers and layer norms"
    )
    lora_rank: Annotated[Size | None, OnlyFor("hf"), AsBefore(None)] = Field(
        None, description="hf: train adapters of this rank on frozen weights; null: all weights"
    )
    lora_alpha: Annotated[Above0, OnlyFor("hf"), AsBefore(16.0)] = Field(
        16.0, description="hf: adapters are scaled by lora_alpha / lora_rank"
    )
    lora_dropout: Annotated[BelowOne, OnlyFor("hf"), AsBefore(0.0)] = Field(
        0.0, description="hf: dropout on adapter inputs"
    )
    lora_targets: Annotated[
        tuple[str, ...] | None,
        BeforeValidator(as_tuple, json_schema_input_type=str | tuple[str, ...] | None),
        OnlyFor("hf"),
        AsBefore(None),
    ] = Field(None, description="hf: names of layers, or all-linear; null: peft's default")

    @model_validator(mode="after")
    def _fields_fit_kind(self) -> "Model":
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            for mark in field.metadata:
                if not isinstance(mark, OnlyFor) or self.kind in mark.values:
                    continue
                if value != field.default:
                    given = f"{name} = {shortened(repr(value))}"
                    raise Misfit(f"{given} is for kind: {mark.values[0]}", "kind", name)
        return self

    @model_validator(mode="after")
    def _lora_fields_need_a_rank(self) -> "Model":
        if self.lora_rank is None:
            for name in ("lora_alpha", "lora_dropout", "lora_targets"):
                value = getattr(self, name)
                if value != type(self).model_fields[name].default:
                    given = f"{name} = {shortened(repr(value))}"
                    raise Misfit(f"{given} needs lora_rank", "lora_rank", name)
        return self

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Model":
        require_heads_divide_width(self.n_embd, self.n_head)
        return self


def require_heads_divide_width(n_embd: int, n_head: int) -> None:
    """Raise Misfit where a width cannot be split into heads."""
    if n_embd % n_head:
        hint = f"n_embd = {n_embd} should be a multiple of n_head = {n_head}"
        raise Misfit(hint, "n_embd", "n_head")

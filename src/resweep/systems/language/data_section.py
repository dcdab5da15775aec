"""The data section: source and tokens of the text."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from resweep.config.section import (
    MOST_SIZE,
    PATH_ONLY,
    AsBefore,
    Int,
    Misfit,
    OnlyFor,
    ReadWith,
    Section,
    Text,
    as_tuple,
)
from resweep.violations import violations

OF_HUB = ReadWith("source", ("hub",))
AS_PATHS = BeforeValidator(as_tuple, json_schema_input_type=Text | tuple[Text, ...])
BUILT_IN = ("networkx-docs", "python-docs")
BYTE_TOKENS = 257  # 256 bytes and end-of-text: the smallest vocabulary

# Settings that first_data may have: its text is cut into the tokens of the data beside it.
FIRST_DATA = (
    "source",
    "paths",
    "val_paths",
    "test_paths",
    "dataset",
    "dataset_config",
    "dataset_split",
    "dataset_revision",
    "text_field",
    "documents",
    "split",
    "val_fraction",
    "test_fraction",
)


class Data(Section):
    """Where text comes from, how it is split and turned into tokens."""

    source: Annotated[
        Literal["networkx-docs", "python-docs", "text", "jsonl", "hub"], PATH_ONLY
    ] = Field(
        "networkx-docs",
        description="documentation of the package NetworkX, or that of the Python it runs on; text "
        "files, JSON lines, or a data set of the Hugging Face hub",
    )
    paths: Annotated[
        tuple[Text, ...],
        AS_PATHS,
        PATH_ONLY,
        OnlyFor("text", "jsonl", field="source"),
    ] = Field((), description="files or globs, for text and jsonl")
    val_paths: Annotated[
        tuple[Text, ...],
        AS_PATHS,
        AsBefore([]),
        PATH_ONLY,
        OnlyFor("text", "jsonl", field="source"),
    ] = Field(
        (),
        description="files or globs of an existing validation split; all of `paths` is then for "
        "training",
    )
    test_paths: Annotated[
        tuple[Text, ...],
        AS_PATHS,
        AsBefore([]),
        PATH_ONLY,
        OnlyFor("text", "jsonl", field="source"),
    ] = Field((), description="the same for testing, together with `val_paths`")
    dataset: Annotated[str | None, AsBefore(None), PATH_ONLY, OnlyFor("hub", field="source")] = (
        Field(None, min_length=1, description="hub: name of the data set, or path of a local copy")
    )
    dataset_config: Annotated[Text | None, AsBefore(None), OF_HUB] = Field(
        None, description="hub: configuration of the data set"
    )
    dataset_split: Annotated[Text, AsBefore("train"), OF_HUB] = Field(
        "train", description="hub: split to read, which `split` then divides"
    )
    dataset_revision: Annotated[Text | None, AsBefore(None), OF_HUB] = Field(
        None, description="hub: branch, tag or commit; null: the latest at the time of reading"
    )
    text_field: Annotated[Text, ReadWith("source", ("jsonl", "hub"))] = Field(
        "text", description="jsonl, hub: the key or column that holds a document's text"
    )
    documents: Annotated[
        Literal["file", "blank_line"], PATH_ONLY, ReadWith("source", ("text",))
    ] = Field("file", description="text: what counts as one document")
    split: Annotated[Literal["document", "contiguous"], PATH_ONLY] = Field(
        "document",
        description="whole documents go to one split; contiguous: the head of all text trains, "
        "the tail validates and tests (for a single long text)",
    )
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.1, description="fraction of bytes for validation"
    )
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.05, description="fraction of bytes for testing"
    )
    tokens: Literal["bytes", "bpe", "tokenizer"] = Field(
        "bytes",
        description="bytes: 256 byte values and end-of-text; bpe: trained on the training split; "
        "tokenizer: an existing one",
    )
    bpe_vocab_size: Annotated[
        Int,
        Field(ge=BYTE_TOKENS, le=MOST_SIZE),
        AsBefore(4096),
        ReadWith("tokens", ("bpe",)),
    ] = Field(4096, description="bpe: vocabulary size; smaller if there is too little text")
    tokenizer: Annotated[
        str | None, AsBefore(None), PATH_ONLY, OnlyFor("tokenizer", field="tokens")
    ] = Field(None, min_length=1, description="tokenizer: folder, or name on the hub")

    first_data: Annotated[dict[str, Any], AsBefore({}), PATH_ONLY] = Field(
        {},
        description="settings of other data (the keys above, except those of tokens); its "
        "validation loss is measured too, as `first_data/loss`. A fine-tuning sets it to the data "
        "that its weights were trained on, to show what they forget",
    )

    @model_validator(mode="after")
    def _first_data_is_data(self) -> "Data":
        if self.first_data:
            for name in self.first_data:
                if name not in FIRST_DATA:
                    known = ", ".join(FIRST_DATA)
                    raise Misfit(f"first_data.{name} is not among {known}", "first_data", name)
            try:
                Data(**self.first_data)
            except ValidationError as error:
                first = violations(error, self.first_data)[0]
                place = f"first_data.{first.key}" if first.key else "first_data"
                raise Misfit(f"{place} {first.hint}", "first_data") from None
        return self

    @model_validator(mode="after")
    def _paths_fit_source(self) -> "Data":
        if self.source in BUILT_IN and self.paths:
            hint = f"paths are for source: text or jsonl; {self.source} is built in"
            raise Misfit(hint, "source", "paths")
        if self.source == "hub" and self.paths:
            hint = "paths are for source: text or jsonl; hub takes dataset: NAME or PATH"
            raise Misfit(hint, "source", "paths")
        if self.source in ("text", "jsonl") and not self.paths:
            hint = f"source: {self.source} needs paths: [FILE or GLOB, ...]"
            raise Misfit(hint, "source", "paths")
        for name in ("val_paths", "test_paths"):
            if self.source not in ("text", "jsonl") and getattr(self, name):
                hint = f"{name} are for source: text or jsonl, not {self.source}"
                raise Misfit(hint, "source", name)
        if self.test_paths and not self.val_paths:
            raise Misfit("test_paths need val_paths beside them", "test_paths", "val_paths")
        if self.source == "hub" and self.dataset is None:
            raise Misfit("source: hub needs dataset: NAME or PATH", "source", "dataset")
        if self.source != "hub" and self.dataset is not None:
            raise Misfit(f"dataset is for source: hub, not {self.source}", "source", "dataset")
        return self

    @model_validator(mode="after")
    def _tokenizer_fits_tokens(self) -> "Data":
        if self.tokens == "tokenizer" and self.tokenizer is None:
            raise Misfit("tokens: tokenizer needs tokenizer: NAME or PATH", "tokens", "tokenizer")
        if self.tokens != "tokenizer" and self.tokenizer is not None:
            hint = f"tokenizer is for tokens: tokenizer, not {self.tokens}"
            raise Misfit(hint, "tokens", "tokenizer")
        return self


def first_data_from(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return complete settings as first data: without tokens, and without defaults."""
    default = {name: Data.model_fields[name].default for name in FIRST_DATA}
    given = {name: settings[name] for name in FIRST_DATA if name in settings}
    kept = {
        name: value
        for name, value in given.items()
        if value != (list(default[name]) if isinstance(default[name], tuple) else default[name])
    }
    return {"source": settings["source"], **kept}


def first_data_of(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the complete settings of the first data; None without any."""
    given = settings.get("first_data")
    return Data(**given).model_dump(mode="json") if given else None

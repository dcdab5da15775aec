"""The data section: source and tokens of the text."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from resweep.config.section import (
    MOST_SIZE,
    PATH_ONLY,
    AsBefore,
    Int,
    Misfit,
    ReadWith,
    Section,
    Text,
    as_tuple,
)

OF_HUB = ReadWith("source", ("hub",))
BYTE_TOKENS = 257  # 256 bytes and end-of-text: the smallest vocabulary


class Data(Section):
    """Where text comes from, how it is split and turned into tokens."""

    source: Annotated[Literal["python-docs", "text", "jsonl", "hub"], PATH_ONLY] = Field(
        "python-docs",
        description="Python's own documentation, text files, JSON lines, or a data set of the "
        "Hugging Face hub",
    )
    paths: Annotated[tuple[Text, ...], BeforeValidator(as_tuple), PATH_ONLY] = Field(
        (), description="files or globs, for text and jsonl"
    )
    dataset: Annotated[str | None, AsBefore(None), PATH_ONLY] = Field(
        None, min_length=1, description="hub: name of the data set, or path of a local copy"
    )
    dataset_config: Annotated[Text | None, AsBefore(None), OF_HUB] = Field(
        None, description="hub: configuration of the data set"
    )
    dataset_split: Annotated[Text, AsBefore("train"), OF_HUB] = Field(
        "train", description="hub: split to read, which `split` then divides"
    )
    dataset_revision: Annotated[Text | None, AsBefore(None), OF_HUB] = Field(
        None, description="hub: branch, tag or commit; null: the latest when it is read"
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
    tokenizer: Annotated[str | None, AsBefore(None), PATH_ONLY] = Field(
        None, min_length=1, description="tokenizer: folder, or name on the hub"
    )

    @model_validator(mode="after")
    def _paths_fit_source(self) -> "Data":
        if self.source == "python-docs" and self.paths:
            hint = "paths are for source: text or jsonl; python-docs is built in"
            raise Misfit(hint, "source", "paths")
        if self.source == "hub" and self.paths:
            hint = "paths are for source: text or jsonl; hub takes dataset: NAME or PATH"
            raise Misfit(hint, "source", "paths")
        if self.source in ("text", "jsonl") and not self.paths:
            hint = f"source: {self.source} needs paths: [FILE or GLOB, ...]"
            raise Misfit(hint, "source", "paths")
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

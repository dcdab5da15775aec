"""The sections of a predictive-coding configuration: images, model, inference, training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from resweep.config.section import (
    LABEL,
    MOST_SIZE,
    PATH_ONLY,
    Above0,
    BelowOne,
    Fraction,
    Int,
    Misfit,
    NonNegative,
    OnlyFor,
    ReadWith,
    Section,
    Seed,
    Size,
    Text,
)
from resweep.config.training_section import Training

DIGITS_SIDE = 8  # pixels along an edge of the embedded images
POSITION_PARTS = 4  # sine and cosine of row and column
MOST_BLOCKS = 1000

Filled = Annotated[Size | None, PATH_ONLY]


class Data(Section):
    """Where images come from, how they are split and cut into patches."""

    source: Annotated[Literal["digits", "npz", "folder"], PATH_ONLY] = Field(
        "digits", description="embedded digits of 8 x 8, an NPZ file, or a folder of images"
    )
    path: Annotated[Text | None, PATH_ONLY, OnlyFor("npz", "folder", field="source")] = Field(
        None,
        description="npz: the file, with `images` and `labels`; folder: PNG, PGM, PPM below it",
    )
    labels: bool = Field(
        True,
        description="images have classes, for the probe: `labels` of an NPZ file, or subfolders",
    )
    patch_size: Size = Field(4, description="pixels along an edge of a patch")
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.15, description="fraction of images for validation"
    )
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.15, description="fraction of images for testing"
    )
    split_seed: Seed = Field(0, description="which images are in which split")

    @model_validator(mode="after")
    def _path_fits_source(self) -> "Data":
        if self.source == "digits" and self.path is not None:
            raise Misfit("path is for source: npz or folder; digits are built in", "source", "path")
        if self.source != "digits" and self.path is None:
            raise Misfit(f"source: {self.source} needs path: FILE or FOLDER", "source", "path")
        if self.source == "digits" and DIGITS_SIDE % self.patch_size:
            raise Misfit(
                f"patch_size = {self.patch_size} should divide {DIGITS_SIDE}, the height and width "
                "of the digits",
                "patch_size",
                "source",
            )
        return self


class Model(Section):
    """A decoder from latents, through residual transformer blocks, to patches of pixels."""

    num_blocks: Annotated[Int, Field(ge=0, le=MOST_BLOCKS)] = Field(
        2, description="transformer blocks; 0: two linear maps"
    )
    hidden_size: Size = Field(32, description="width; a multiple of 4 and of num_heads")
    num_heads: Size = Field(4, description="attention heads; must divide hidden_size")
    mlp_ratio: Annotated[float, Field(gt=0, le=1024)] = Field(
        4.0, description="width of a block's MLP, as a multiple of hidden_size"
    )
    intermediate_l1_coeff: NonNegative = Field(
        0.0, description="weight in the energy of the absolute values of all states but z0"
    )
    intermediate_l2_coeff: NonNegative = Field(0.0, description="weight of their squares, likewise")
    height: Filled = Field(None, description="of an image: filled in from the data")
    width: Filled = Field(None, description="likewise")
    channels: Filled = Field(None, description="1: gray, 3: RGB; likewise")

    @model_validator(mode="after")
    def _width_can_be_split(self) -> "Model":
        if self.hidden_size % self.num_heads:
            raise Misfit(
                f"num_heads = {self.num_heads} must divide hidden_size = {self.hidden_size}",
                "num_heads",
                "hidden_size",
            )
        if self.hidden_size % POSITION_PARTS:
            raise Misfit(
                f"hidden_size = {self.hidden_size} must be a multiple of {POSITION_PARTS}: sines "
                "and cosines of rows and columns",
                "hidden_size",
            )
        if self.mlp_size < 1:
            raise Misfit(
                f"mlp_ratio = {self.mlp_ratio:g} of hidden_size = {self.hidden_size} leaves no "
                "unit in the MLP",
                "mlp_ratio",
                "hidden_size",
            )
        if max(self.hidden_size, self.mlp_size) * self.hidden_size > MOST_SIZE:
            raise Misfit(
                f"a matrix of hidden_size = {self.hidden_size:,} by {self.mlp_size:,} has more "
                f"than {MOST_SIZE:,} numbers",
                "hidden_size",
                "mlp_ratio",
            )
        return self

    @property
    def mlp_size(self) -> int:
        """Units of a block's MLP."""
        return round(self.mlp_ratio * self.hidden_size)


class Inference(Section):
    """How the states of a batch are found: gradient descent on the energy, with momentum."""

    steps: Annotated[Size, PATH_ONLY] = Field(20, description="steps for each batch")
    rate: Annotated[Above0, PATH_ONLY] = Field(
        0.095, description="learning rate of the states next to the image"
    )
    rate_factor: Above0 = Field(1.25, description="the rate grows by this from level to level")
    momentum: Annotated[BelowOne, PATH_ONLY] = Field(0.4, description="of the states' updates")
    norm_clip: NonNegative = Field(
        1.0, description="maximum norm of an image's gradient at a level; 0: off"
    )


class PredictiveCodingTraining(Training):
    """The shared section, with the defaults of predictive coding."""

    batch_size: Size = Field(200, description="images per accumulated batch")
    eval_batch_size: Annotated[Size, LABEL] = Field(
        200, description="images at a time in evaluations"
    )
    learning_rate: Above0 = Field(1e-3, description="peak learning rate of the weights")
    min_lr_ratio: Annotated[Fraction, ReadWith("scheduler", ("linear", "cosine", "wsd"))] = Field(
        0.5, description="final learning rate as a fraction of its peak"
    )
    weight_decay: NonNegative = Field(2e-4, description="on matrices only")
    beta2: BelowOne = Field(0.999, description="Adam: decay rate of the mean of squared gradients")

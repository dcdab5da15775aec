"""Prepared images: writing a folder of the data store, and reading it in trainings.

    train.npy val.npy test.npy          (n, height, width, channels) of float32, from 0 to 1
    train-labels.npy ...                (n,) of int64, if images have classes

Images are split by their content: the digests of different images are sorted by a keyed hash, and
cut where the shares are reached. So equal images are always in the same split.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.canonical import canonical_json
from resweep.data.description import FIX
from resweep.data.store import Prepared
from resweep.errors import DamagedFile, DataError
from resweep.plurals import counted
from resweep.systems.predictive_coding.images import read_images

SPLITS = ("train", "val", "test")
HINTS = {  # where a split has no image
    "train": "lower one of them",
    "val": "raise data.val_fraction",
    "test": "raise data.test_fraction (data.test_fraction: 0 leaves it out)",
}


class Counts(TypedDict):
    """Images per split."""

    train: int
    val: int
    test: int


@with_config(ConfigDict(extra="allow"))
class ImagesDescribed(TypedDict):
    """What data.json says of images, as far as trainings and reports read it."""

    digest: str
    height: int
    width: int
    channels: int
    classes: list[str]
    images: Counts
    mean_image_mse: float
    largest_class: float


SHAPE: TypeAdapter[ImagesDescribed] = TypeAdapter(ImagesDescribed)


class ImageData:
    """Prepared images.

    Args:
        prepared: A folder that `prepare_images` filled.
    """

    def __init__(self, prepared: Prepared):
        self.folder = prepared.folder
        about = prepared.about
        self.shape: tuple[int, int, int] = (about["height"], about["width"], about["channels"])
        self.classes: list[str] = about["classes"]
        self.counts: Mapping[str, int] = about["images"]

    def pixels(self, split: str) -> np.ndarray:
        """Return the images of a split: (n, height, width, channels) of float32, not in memory.

        Raises:
            DamagedFile: The file is not what was written.
        """
        return self._load(f"{split}.npy", (self.counts[split], *self.shape), np.float32)

    def labels(self, split: str) -> np.ndarray | None:
        """Return the classes of a split: (n,) of int64; None without classes.

        Raises:
            DamagedFile: The file is not what was written.
        """
        if not self.classes:
            return None
        return self._load(f"{split}-labels.npy", (self.counts[split],), np.int64)

    def _load(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        path = self.folder / name
        if shape[0] == 0:  # cannot be mapped
            return np.zeros(shape, dtype)
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DamagedFile(path, f"is not an array ({error})", FIX) from None
        if array.shape != shape or array.dtype != dtype:
            what = f"is {array.dtype} of {array.shape} instead of {np.dtype(dtype)} of {shape}"
            raise DamagedFile(path, what, FIX)
        return array


def prepare_images(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read and split images, and write them into a folder; returns the content of data.json.

    Raises:
        DataError: They cannot be read, cut into patches, or split.
    """
    images = read_images(settings)
    _, height, width, channels = images.pixels.shape
    patch = settings["patch_size"]
    if height % patch or width % patch:
        hint = f"should divide the height and width of the images, {height} and {width}"
        raise DataError(f"data.patch_size = {patch} {hint}")
    if settings["labels"] and len(images.classes) < 2:
        hint = "a probe needs two classes; set data.labels: false"
        raise DataError(f"all images are of class {images.classes[0]!r}: {hint}")
    members = split_by_content(images.pixels, settings)
    total = hashlib.sha256(canonical_json([height, width, channels]).encode())
    for name, chosen in members.items():
        parts = {f"{name}.npy": images.pixels[chosen]}
        if images.labels is not None:
            parts[f"{name}-labels.npy"] = images.labels[chosen]
        for file, array in parts.items():
            np.save(folder / file, array)
            total.update(f"{file} {len(array)}".encode())
            total.update(np.ascontiguousarray(array).tobytes())
    train, val = images.pixels[members["train"]], images.pixels[members["val"]]
    from_mean = np.square(val - train.mean(0, dtype=np.float64)).mean()
    return {
        "digest": total.hexdigest(),
        "height": height,
        "width": width,
        "channels": channels,
        "classes": list(images.classes),
        "images": {name: len(chosen) for name, chosen in members.items()},
        "mean_image_mse": float(from_mean),
        "largest_class": _largest_class(images.labels, members),
    }


def _largest_class(labels: np.ndarray | None, members: Mapping[str, np.ndarray]) -> float:
    """Return the accuracy on validation images of guessing training's largest class."""
    if labels is None:
        return 0.0
    largest = np.bincount(labels[members["train"]]).argmax()
    return float((labels[members["val"]] == largest).mean())


def split_by_content(pixels: np.ndarray, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the positions of each split's images, in a random order.

    Args:
        pixels: (n, height, width, channels).
        settings: The data section.

    Raises:
        DataError: A split that should have images has none.
    """
    key = f"{settings['split_seed']} ".encode()
    order: dict[bytes, list[int]] = {}
    for position, image in enumerate(pixels):
        content = hashlib.sha256(key + np.ascontiguousarray(image).tobytes()).digest()
        order.setdefault(content, []).append(position)
    groups = [order[content] for content in sorted(order)]
    ends = np.cumsum([len(group) for group in groups])
    val_end = settings["val_fraction"] * len(pixels)
    test_end = val_end + settings["test_fraction"] * len(pixels)
    # A group belongs to the split in which its middle falls: rounding is fair to all of them.
    middles = ends - np.array([len(group) for group in groups]) / 2
    of_group = np.where(middles < val_end, 1, np.where(middles < test_end, 2, 0))
    members = {
        name: np.array([p for group, of in zip(groups, of_group, strict=True) if of == index
                        for p in group], np.int64)
        for index, name in enumerate(SPLITS)
    }  # fmt: skip
    for name, needed in (("train", True), ("val", True), ("test", settings["test_fraction"] > 0)):
        if needed and not len(members[name]):
            different = counted(len(groups), "different image")
            fractions = {key: settings[f"{key}_fraction"] for key in ("val", "test")}
            given = " and ".join(f"data.{key}_fraction = {fractions[key]:g}" for key in fractions)
            raise DataError(
                f"{given}: no image is left for the {name} split (of {different}; equal ones stay "
                f"together); {HINTS[name]}, or add images"
            )
    return members

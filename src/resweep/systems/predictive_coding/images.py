"""Reading images: the embedded digits, an NPZ file, or a folder.

    digits    digits.npz beside this module (digits.md says where they are from)
    npz       `images` of (n, height, width) or (n, height, width, channels), `labels` of (n,)
    folder    PNG, PGM and PPM below it, in the order of their paths; the folder of an image is its
              class; hidden files and folders are left out, as those of editors and notebooks

Pixels are numbers from 0 to 1: those of uint8 are divided by 255, those of the digits by 16.
"""

import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resweep.errors import DataError, one_line, shortened
from resweep.plurals import counted

DIGITS = Path(__file__).with_name("digits.npz")
DIGITS_MAXIMUM = 16.0
SUFFIXES = (".png", ".pgm", ".ppm")
# Of images that are not read, so that none is left out of a data set without a word: the pixels of
# some depend on the library that decodes them.
REFUSED = (".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pbm", ".pnm")
CHANNELS = (1, 3)
MODES = ("L", "RGB")  # of Pillow: 8 bits per channel
# What numpy and zipfile raise for files that are damaged, encrypted, or no arrays of numbers.
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    AttributeError,
    RuntimeError,
    MemoryError,  # for a shape that the file does not have
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images of one size.

    Attributes:
        pixels: (n, height, width, channels) of float32, from 0 to 1.
        labels: (n,) of int64, 0 to classes - 1; None without classes.
        classes: Names of the classes.
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]


def source_files(settings: Mapping[str, Any]) -> list[Path]:
    """Return the files that images are read from, sorted; none for the digits.

    Raises:
        DataError: There are none.
    """
    if settings["source"] == "digits":
        return []
    path = Path(settings["path"]).expanduser()
    if settings["source"] == "npz":
        if not path.is_file():
            raise DataError(f"data.path = {str(path)!r}: no such file")
        return [path]
    if not path.is_dir():
        raise DataError(f"data.path = {str(path)!r}: no such folder")
    found = sorted(
        file
        for file in path.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    for link in (file for file in found if file.is_symlink()):
        if link.is_dir():
            hint = "leads to a folder, and only images are read through links; move the folder here"
            raise DataError(f"{link}: {hint}")
        if link.suffix.lower() in SUFFIXES and not link.exists():
            raise DataError(f"{link}: leads to no file; remove the link, or restore the image")
    refused = next((f for f in found if f.suffix.lower() in REFUSED and f.is_file()), None)
    if refused is not None:
        hint = "only PNG, PGM and PPM images are read; convert it, or move it elsewhere"
        raise DataError(f"{refused}: {hint}")
    files = [file for file in found if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not files:
        raise DataError(f"data.path = {str(path)!r}: no PNG, PGM or PPM image below it")
    return files


def read_images(settings: Mapping[str, Any]) -> Images:
    """Return the images of a data section.

    Raises:
        DataError: They are missing, differ in size, or cannot be read.
    """
    if settings["source"] == "digits":
        pixels, labels = _read_arrays(DIGITS, settings["labels"])
        return _complete(pixels / np.float32(DIGITS_MAXIMUM), labels)
    if settings["source"] == "folder":
        return _read_folder(settings)
    file = source_files(settings)[0]
    pixels, labels = _read_arrays(file, settings["labels"])
    if settings["labels"] and labels is None:
        raise DataError(f"{file}: has no `labels`; add them, or set data.labels: false")
    if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] not in CHANNELS):
        shape = _shape_text(pixels)
        hint = "should be n x height x width, or n x height x width x channels, of 1 or 3"
        raise DataError(f"{file}: `images` is {shape}; it {hint}")
    if pixels.size == 0:
        raise DataError(f"{file}: `images` is empty")
    return _complete(_to_unit(pixels, file), labels)


def _read_arrays(file: Path, classes: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the images of an NPZ file, and its labels if they are wanted and there."""
    if not zipfile.is_zipfile(file):
        raise DataError(f"{file}: not an NPZ file; `numpy.savez(FILE, images=...)` writes one")
    wanted = ("images", "labels") if classes else ("images",)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            names = arrays.files
            found = {name: arrays[name] for name in wanted if name in names}
    except UNREADABLE as error:
        raise DataError(f"{file}: not an NPZ file of numbers ({error})") from None
    if "images" not in found:
        there = one_line(shortened(", ".join(names))) or "nothing"
        raise DataError(f"{file}: has no `images`, but {there}; rename the images in it")
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # numpy returns other content as bytes
            raise DataError(f"{file}: `{name}` is not an array of numpy")
        if array.ndim == 0:
            raise DataError(f"{file}: `{name}` is a single value instead of one for each image")
    pixels, labels = found["images"], found.get("labels")
    if labels is not None and labels.shape != (len(pixels),):
        hint = f"should be one class for each of {counted(len(pixels), 'image')}"
        raise DataError(f"{file}: `labels` is {_shape_text(labels)}; it {hint}")
    if labels is not None and labels.dtype.kind not in "iuU":
        raise DataError(f"{file}: `labels` is of {labels.dtype}; it should be integers or text")
    return pixels, labels


def _shape_text(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape))


def _to_unit(pixels: np.ndarray, file: Path) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    if pixels.dtype.kind != "f":
        hint = "should be uint8, or floating-point numbers from 0 to 1"
        raise DataError(f"{file}: `images` is of {pixels.dtype}; it {hint}")
    least, most = float(pixels.min()), float(pixels.max())
    if np.isnan(least):
        raise DataError(f"{file}: some pixels are nan; they should be 0 to 1")
    if not (least >= 0 and most <= 1):
        raise DataError(f"{file}: pixels are {least:g} to {most:g}; they should be 0 to 1")
    return pixels.astype(np.float32) + np.float32(0)  # -0 becomes 0: equal images, equal bytes


def _read_folder(settings: Mapping[str, Any]) -> Images:
    root = Path(settings["path"]).expanduser()
    files = source_files(settings)
    names = [file.parent.relative_to(root).as_posix() for file in files]
    if settings["labels"] and "." in names:
        loose = files[names.index(".")]
        hint = "is in no subfolder, which would be its class; move it, or set data.labels: false"
        raise DataError(f"{loose}: {hint}")
    first = _read_file(files[0])
    pixels = np.empty((len(files), *first.shape), np.uint8)
    for index, file in enumerate(files):
        image = _read_file(file)
        if image.shape != first.shape:
            is_, other = (" x ".join(map(str, shape)) for shape in (image.shape, first.shape))
            raise DataError(f"{file}: is {is_}, but {files[0]} is {other}; they should agree")
        pixels[index] = image
    labels = np.array(names) if settings["labels"] else None
    return _complete(_to_unit(pixels, root), labels)


def _read_file(file: Path) -> np.ndarray:
    """Return an image: (height, width, channels) of uint8."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=("PNG", "PPM")) as image:
            if image.mode not in MODES or "transparency" in image.info:
                more = ", with a transparent color" if "transparency" in image.info else ""
                hint = "it should be gray or RGB, with 8 bits per channel and no transparency"
                raise DataError(f"{file}: is of Pillow's mode {image.mode}{more}; {hint}")
            pixels = np.asarray(image)
    except (
        OSError,
        SyntaxError,  # of a broken PNG
        ValueError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(f"{file}: cannot be read as an image ({error})") from None
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _complete(pixels: np.ndarray, labels: np.ndarray | None) -> Images:
    if pixels.ndim == 3:
        pixels = pixels[:, :, :, None]
    if labels is None:
        return Images(pixels=pixels, labels=None, classes=())
    classes, positions = np.unique(labels, return_inverse=True)
    names = tuple(str(name) for name in classes.tolist())
    return Images(pixels=pixels, labels=positions.astype(np.int64), classes=names)

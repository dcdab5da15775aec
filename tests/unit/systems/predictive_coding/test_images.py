"""Reading images, and splitting them by their content."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from resweep.errors import DamagedFile, DataError
from resweep.systems.predictive_coding.image_data import (
    SPLITS,
    ImageData,
    prepare_images,
    split_by_content,
)
from resweep.systems.predictive_coding.images import DIGITS, read_images
from resweep.systems.predictive_coding.sections import Data
from tests.support.predictive_coding import configure, prepare

DIGITS_DIGEST = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
RANDOM = np.random.default_rng(4)


def settings(**fields):
    return Data(**fields).model_dump(mode="json")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return settings(source="npz", path=str(path))


def error(given):
    with pytest.raises(DataError) as raised:
        read_images(given)
    (line,) = str(raised.value).splitlines()
    return line


def gray(count, side=8):
    return RANDOM.integers(0, 256, (count, side, side)).astype(np.uint8)


def test_the_digits_are_those_of_their_source():
    with np.load(DIGITS, allow_pickle=False) as arrays:
        content = arrays["images"].tobytes() + arrays["labels"].tobytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS_DIGEST
    images = read_images(settings())
    assert images.pixels.shape == (1797, 8, 8, 1) and images.pixels.max() == 1.0
    assert images.pixels[0, 0, :, 0].tolist() == [v / 16 for v in (0, 0, 5, 13, 9, 1, 0, 0)]
    assert images.labels is not None and images.labels[:5].tolist() == [0, 1, 2, 3, 4]
    assert images.classes == tuple("0123456789")


def test_an_npz_file_of_bytes_or_of_numbers_from_0_to_1(tmp_path):
    pixels, labels = gray(6), np.array(["a", "b", "c"] * 2)
    of_bytes = read_images(npz(tmp_path / "a.npz", images=pixels, labels=labels))
    assert of_bytes.classes == ("a", "b", "c") and of_bytes.pixels.shape == (6, 8, 8, 1)
    numbers = (pixels / 255).astype(np.float32)[:, :, :, None]
    assert np.allclose(of_bytes.pixels, numbers)
    of_numbers = read_images(npz(tmp_path / "b.npz", images=numbers, labels=labels))
    assert np.array_equal(of_numbers.pixels, numbers)


def test_a_folder_of_images_with_a_folder_for_each_class(tmp_path):
    pixels = RANDOM.integers(0, 256, (3, 4, 6, 3)).astype(np.uint8)
    for image, name in zip(pixels, ("cat/1.png", "dog/1.ppm", "dog/2.PNG"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "dog/notes.txt").write_text("not an image")
    images = read_images(settings(source="folder", path=str(tmp_path)))
    assert images.classes == ("cat", "dog")
    assert images.labels is not None and images.labels.tolist() == [0, 1, 1]
    assert np.array_equal((images.pixels * 255).round().astype(np.uint8), pixels)


def test_gray_images_without_classes_lie_anywhere(tmp_path):
    for name in ("1.pgm", "more/2.pgm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(gray(1)[0]).save(tmp_path / name)
    given = settings(source="folder", path=str(tmp_path), labels=False)
    images = read_images(given)
    assert images.pixels.shape == (2, 8, 8, 1) and images.labels is None
    line = error({**given, "labels": True})
    assert "1.pgm" in line and "data.labels: false" in line


@pytest.mark.parametrize("name", ["b.jpg", "more/c.JPEG", "d.bmp", "e.webp"])
def test_no_image_of_another_format_is_left_out(tmp_path, name):
    Image.fromarray(gray(1)[0]).save(tmp_path / "a.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"never read")
    line = error(settings(source="folder", path=str(tmp_path), labels=False))
    assert name in line and "convert it" in line


def test_a_transparent_color_is_refused_as_other_transparency(tmp_path):
    Image.fromarray(gray(1)[0]).save(tmp_path / "a.png", transparency=3)
    line = error(settings(source="folder", path=str(tmp_path), labels=False))
    assert "a.png" in line and "transparent" in line


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ({"val_fraction": 1e-6}, ["val_fraction = 1e-06", "val split", "raise data.val_fraction"]),
        ({"test_fraction": 1e-6}, ["test_fraction = 1e-06", "test split", "0 leaves it out"]),
        ({"val_fraction": 0.499, "test_fraction": 0.499}, ["train split", "lower one of them"]),
    ],
)
def test_a_fraction_that_leaves_a_split_empty_is_named(fractions, words):
    with pytest.raises(DataError) as raised:
        split_by_content(gray(8), settings(**fractions))
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pixels": gray(2), "y": gray(2)}, ["no `images`, but pixels, y"]),
        ({"images": gray(2)}, ["no `labels`", "data.labels: false"]),
        ({"images": gray(2), "labels": np.arange(3)}, ["3", "2 images"]),
        ({"images": gray(2), "labels": np.zeros(2)}, ["float64", "integers"]),
        ({"images": gray(2)[0], "labels": np.arange(8)}, ["8 x 8", "n x height x width"]),
        ({"images": np.zeros((2, 8, 8, 4)), "labels": np.arange(2)}, ["2 x 8 x 8 x 4"]),
        ({"images": gray(2).astype(np.int32), "labels": np.arange(2)}, ["int32", "uint8"]),
        ({"images": gray(2) * 1.0, "labels": np.arange(2)}, ["0 to 1"]),
        ({"images": np.full((2, 8, 8), np.nan), "labels": np.arange(2)}, ["nan", "0 to 1"]),
        ({"images": gray(0), "labels": np.arange(0)}, ["empty"]),
        ({"images": np.array([None, {}]), "labels": np.arange(2)}, ["not an NPZ file of numbers"]),
        ({"images": np.float32(1), "labels": np.arange(2)}, ["`images` is a single value"]),
        ({"images": gray(2), "labels": np.int64(1)}, ["`labels` is a single value"]),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, arrays, words):
    line = error(npz(tmp_path / "x.npz", **arrays))
    assert "x.npz" in line and all(word in line for word in words), line


def test_labels_that_are_not_wanted_are_not_read(tmp_path):
    given = npz(tmp_path / "x.npz", images=gray(2), labels=np.array([None, {}, 1]))
    assert read_images(given | {"labels": False}).labels is None


def test_a_file_that_is_none(tmp_path):
    given = settings(source="npz", path=str(tmp_path / "x.npz"))
    array = io.BytesIO()
    np.save(array, gray(2))
    for content in (b"PK nothing", b"", array.getvalue()):
        (tmp_path / "x.npz").write_bytes(content)
        line = error(given)
        assert "not an NPZ file" in line and "pickle" not in line
    assert "no such file" in error(settings(source="npz", path=str(tmp_path / "y.npz")))
    assert "no such folder" in error(settings(source="folder", path=str(tmp_path / "y")))
    assert "no PNG" in error(settings(source="folder", path=str(tmp_path)))


def damaged(content):
    return content[:80] + bytes([content[80] ^ 255]) + content[81:]


def encrypted(content):
    entry = content.index(b"PK\x01\x02")  # flags are in the header of a member, and in this list
    return b"".join([content[:6], b"\1", content[7 : entry + 8], b"\1", content[entry + 9 :]])


@pytest.mark.parametrize(
    ("compression", "change", "words"),
    [
        (zipfile.ZIP_STORED, encrypted, "encrypted"),
        (zipfile.ZIP_LZMA, damaged, "not an NPZ file of numbers"),
        (zipfile.ZIP_BZIP2, damaged, "not an NPZ file of numbers"),
    ],
)
def test_a_file_that_cannot_be_unpacked(tmp_path, compression, change, words):
    array, packed = io.BytesIO(), io.BytesIO()
    np.save(array, gray(4))
    with zipfile.ZipFile(packed, "w", compression) as archive:
        archive.writestr("images.npy", array.getvalue())
    (tmp_path / "x.npz").write_bytes(change(packed.getvalue()))
    assert words in error(settings(source="npz", path=str(tmp_path / "x.npz"), labels=False))


def test_a_member_that_is_no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", b"text")
    assert "`images` is not" in error(settings(source="npz", path=str(tmp_path / "x.npz")))


def test_links_and_hidden_files_below_a_folder(tmp_path):
    folder = tmp_path / "images"
    for name in ("a/1.png", "b/1.png", ".ipynb_checkpoints/1.png", "a/.1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gray(1)[0]).save(folder / name)
    given = settings(source="folder", path=str(folder))
    (folder / "b/2.png").symlink_to("../a/1.png")
    images = read_images(given)
    assert images.classes == ("a", "b") and len(images.pixels) == 3
    (folder / "b/3.png").symlink_to("nothing")
    assert "3.png: leads to no file" in error(given)
    (folder / "b/3.png").unlink()
    (folder / "c").symlink_to("a")
    assert "c: leads to a folder" in error(given)


def test_a_name_with_line_breaks_is_one_line(tmp_path):
    for name, side in (("1.png", 8), ("2\n\x1b.png", 10)):
        Image.fromarray(gray(1, side)[0]).save(tmp_path / name, "PNG")
    line = error(settings(source="folder", path=str(tmp_path), labels=False))
    assert r"2\n\x1b.png: is 10 x 10 x 1" in line


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (Image.fromarray(gray(1, side=10)[0]), ["10 x 10 x 1", "8 x 8 x 1"]),
        (Image.new("RGBA", (8, 8)), ["RGBA", "transparency"]),
        (Image.new("I;16", (8, 8)), ["8 bits"]),
        (b"\x89PNG broken", ["cannot be read"]),
    ],
)
def test_a_folder_of_different_images(tmp_path, second, words):
    Image.fromarray(gray(1)[0]).save(tmp_path / "1.png")
    if isinstance(second, bytes):
        (tmp_path / "2.png").write_bytes(second)
    else:
        second.save(tmp_path / "2.png")
    line = error(settings(source="folder", path=str(tmp_path), labels=False))
    assert "2.png" in line and all(word in line for word in words), line


def test_splits_have_their_shares_and_no_image_twice():
    pixels = read_images(settings()).pixels
    members = split_by_content(pixels, settings(val_fraction=0.2, test_fraction=0.1))
    assert [len(members[name]) for name in SPLITS] == pytest.approx([1258, 359, 180], abs=1)
    assert sorted(np.concatenate([*members.values()]).tolist()) == list(range(1797))


def test_equal_images_are_always_in_one_split():
    # Each image is there one to six times, in a random order.
    pixels = RANDOM.permutation(np.repeat(gray(60), RANDOM.integers(1, 7, 60), axis=0))
    for seed in range(5):
        members = split_by_content(pixels, settings(split_seed=seed, test_fraction=0.2))
        contents = [{pixels[p].tobytes() for p in chosen} for chosen in members.values()]
        assert sum(map(len, contents)) == 60
        assert not contents[0] & contents[1] | contents[0] & contents[2] | contents[1] & contents[2]


def test_zero_and_minus_zero_are_equal(tmp_path):
    zeros = np.zeros((8, 8, 8), np.float32)
    zeros[::2] *= -1
    given = npz(tmp_path / "x.npz", images=np.concatenate([zeros, gray(92) / 255]))
    pixels = read_images(given | {"labels": False}).pixels
    members = split_by_content(pixels, given)
    assert sum(bool((pixels[chosen] == 0).all((1, 2, 3)).any()) for chosen in members.values()) == 1


def test_a_split_depends_on_images_and_not_on_their_order():
    pixels = gray(50)
    other = RANDOM.permutation(50)
    given = settings()
    before, after = split_by_content(pixels, given), split_by_content(pixels[other], given)
    for name in SPLITS:
        assert np.array_equal(pixels[before[name]], pixels[other][after[name]])
    seeded = split_by_content(pixels, settings(split_seed=1))
    assert not np.array_equal(before["val"], seeded["val"])


def test_too_few_different_images(tmp_path):
    same = np.repeat(gray(1), 20, axis=0)
    given = npz(tmp_path / "x.npz", images=same, labels=np.arange(20))
    with pytest.raises(DataError, match=r"for the val split \(of 1 different image;"):
        prepare_images(given, tmp_path)
    few = npz(tmp_path / "y.npz", images=gray(20)) | {"labels": False, "test_fraction": 1e-9}
    with pytest.raises(DataError, match=r"for the test split .*data.test_fraction: 0"):
        prepare_images(few, tmp_path)


def test_a_patch_has_to_divide_the_images(tmp_path):
    given = npz(tmp_path / "x.npz", images=gray(20), labels=np.arange(20)) | {"patch_size": 3}
    with pytest.raises(DataError, match=r"data.patch_size = 3 .* 8 and 8"):
        prepare_images(given, tmp_path)


def test_a_probe_needs_two_classes(tmp_path):
    given = npz(tmp_path / "x.npz", images=gray(20), labels=np.zeros(20, int))
    with pytest.raises(DataError, match=r"class '0': .* data.labels: false"):
        prepare_images(given, tmp_path)


def test_prepared_images_are_read_again(tmp_path):
    prepared = prepare(configure(), tmp_path)
    data = ImageData(prepared)
    assert data.shape == (8, 8, 1) and sum(data.counts.values()) == 1797
    train = data.pixels("train")
    assert train.shape == (data.counts["train"], 8, 8, 1)
    assert data.labels("val").shape == (data.counts["val"],)
    assert 0 < prepared.about["mean_image_mse"] < 0.1
    np.save(prepared.folder / "val.npy", np.zeros((3, 8, 8, 1), np.float32))
    with pytest.raises(DamagedFile, match="instead of"):
        data.pixels("val")

"""load: real sets from local files, a folder of one's own images, and errors that say what to do."""

from __future__ import annotations

import pickle
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data import DataNotFound, DataWarning, load, torchvision_sets


@pytest.fixture(autouse=True)
def no_cache_no_network(tmp_path, monkeypatch):
    """An empty cache of downloads, and a network that is not there."""

    def offline(*arguments, **options):
        raise OSError("network is unreachable")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(socket, "create_connection", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.delenv("COURSE_DATA", raising=False)


def write_idx(path, array):
    """A file in the format of MNIST: magic number with type and rank, big-endian sizes, bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_mnist(folder, *, count=40):
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (count, 28, 28)), np.arange(count) % 10
    for kind in ("train", "t10k"):
        write_idx(folder / f"{kind}-images-idx3-ubyte", pictures)
        write_idx(folder / f"{kind}-labels-idx1-ubyte", labels)
    return pictures, labels


def write_folder(folder, classes=("cat", "dog"), count=3, size=(40, 30)):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 40, (size[1], size[0], 3)) + 100 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / split / name / f"{k}.png")
    return folder


# --- which data set --------------------------------------------------------------------------------------------------


def test_glyphs_are_the_default(monkeypatch):
    assert load(n=5).name == "glyphs"
    monkeypatch.setenv("COURSE_DATASET", "nothing")
    with pytest.raises(ValueError, match=r"'nothing'.*glyphs, digits, mnist, fashion_mnist, cifar10, folder"):
        load(n=5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("minst", "no data set 'minst'; .* Did you mean 'mnist'?"),
        ("Fashion-MNIST", "Did you mean 'fashion_mnist'?"),
        ("CIFAR 10", "Did you mean 'cifar10'?"),
        ("photographs", r"For images of your own: load\('folder', folder=...\)"),
        (5, "no data set '5'"),
    ],
)
def test_an_unknown_name_says_which_is_close(name, says):
    with pytest.raises(ValueError, match=says):
        load(name)


def test_a_path_in_place_of_a_name_says_how_to_give_it(tmp_path, monkeypatch):
    for given in (tmp_path, str(tmp_path)):
        with pytest.raises(ValueError, match=r"For the images in that folder: load\('folder', folder='.*'\)"):
            load(given)
    monkeypatch.setenv("COURSE_DATASET", "digit")
    with pytest.raises(ValueError, match=r"no data set 'digit', which COURSE_DATASET names; .* mean 'digits'?"):
        load()


def test_unknown_splits_and_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mnist has train, test\. split_labels\(\) holds images"):
        load("mnist", split="validation")
    with pytest.raises(ValueError, match="mnist takes no option 'style'"):
        load("mnist", style="filled")
    with pytest.raises(
        ValueError, match=r"'folder' takes no option 'colour'.*size, channels, record_as and value_range"
    ):
        load("folder", folder=tmp_path, colour=1)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
@pytest.mark.parametrize("download", [True, False])
def test_offline_without_files_names_the_default_that_works(name, download, tmp_path):
    with pytest.raises(DataNotFound, match=r"(?s)not in .*COURSE_DATASET=glyphs.*COURSE_DATA"):
        load(name, folder=tmp_path / "empty", download=download)


def test_downloads_go_where_files_can_be_written(tmp_path, monkeypatch):
    """A class's data folder is often read-only: then the course's own cache takes the files."""
    targets = []
    monkeypatch.setattr(torchvision_sets, "_download", lambda name, split, place: targets.append(place))
    for writable, expected in ((True, tmp_path / "class"), (False, tmp_path / "cache" / "learning-with-few-labels")):
        monkeypatch.setattr("os.access", lambda path, mode, w=writable: w or "class" not in str(path))
        (tmp_path / "class").mkdir(exist_ok=True)
        with pytest.raises(DataNotFound, match="cannot be found there"):
            load("mnist", folder=tmp_path / "class")
        assert targets[-1] == expected


# --- MNIST and CIFAR-10 from files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["MNIST/raw", "raw", "."])
def test_mnist_is_found_in_its_folder_and_above(where, tmp_path, monkeypatch):
    pictures, labels = write_mnist(tmp_path / where)
    data = load("mnist", folder=tmp_path)
    assert data.name == "mnist" and data.images.shape == (40, 1, 28, 28)
    assert np.array_equal(data.images[:, 0].numpy(), pictures) and data.labels.tolist() == labels.tolist()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert torch.equal(load("mnist", split="test").images, data.images)


def test_mnist_and_fashion_mnist_are_not_mistaken_for_each_other(tmp_path):
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    assert load("fashion_mnist", folder=tmp_path).class_names[9] == "ankle boot"
    for folder in (tmp_path, tmp_path / "FashionMNIST", tmp_path / "FashionMNIST" / "raw"):
        with pytest.raises(DataNotFound):
            load("mnist", folder=folder, download=False)


def test_n_is_a_balanced_subset_by_seed(tmp_path):
    write_mnist(tmp_path, count=200)
    first, again, other = (load("mnist", folder=tmp_path, n=50, seed=seed) for seed in (0, 0, 1))
    assert first.labels.bincount().tolist() == [5] * 10
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)
    whole = load("mnist", folder=tmp_path)
    known = {image.numpy().tobytes(): int(label) for image, label in zip(whole.images, whole.labels)}
    assert all(known[image.numpy().tobytes()] == int(label) for image, label in zip(first.images, first.labels))
    with pytest.warns(DataWarning, match=r"mnist \(train\) has fewer than the 250 .* all 200 are taken, 20 per class"):
        assert len(load("mnist", folder=tmp_path, n=250)) == 200


def test_a_damaged_file_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"not an idx file")
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.*not a readable MNIST file"):
        load("mnist", folder=tmp_path)


def test_cifar10_is_read_from_its_python_batches(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (10, 3072), dtype=np.uint8)
    for name in ("data_batch_1", "test_batch"):
        (batches / name).write_bytes(pickle.dumps({"data": pixels, "labels": list(range(10))}))
    meta = {"filename": "batches.meta", "key": "label_names", "md5": None}
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": ["x"] * 10}))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", meta)
    for folder in (tmp_path, batches):
        data = load("cifar10", folder=folder)
        assert data.images.shape == (10, 3, 32, 32) and data.class_names[0] == "airplane"
        assert np.array_equal(data.images.numpy().reshape(10, -1), pixels)


def test_an_incomplete_cifar10_is_said(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(ValueError, match="not a whole copy of CIFAR-10"):
        load("cifar10", folder=tmp_path)


def test_real_mnist(shared_data, monkeypatch):
    if not (shared_data / "MNIST" / "raw").is_dir():
        pytest.skip(f"needs MNIST/raw in {shared_data}")
    monkeypatch.setenv("COURSE_DATA", str(shared_data))
    train, test = load("mnist"), load("mnist", split="test")
    assert len(train) == 60_000 and len(test) == 10_000
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # the well-known beginning of the file
    assert abs(float(train.images.double().mean()) / 255 - 0.1307) < 1e-4  # and its well-known mean


# --- a folder of one's own images ------------------------------------------------------------------------------------


def test_a_folder_of_images_is_read_resized_and_named(tmp_path):
    folder = write_folder(tmp_path / "pets")
    data = load("folder", folder=folder, size=16)
    assert data.name == "pets" and data.class_names == ("cat", "dog")
    assert data.images.shape == (6, 3, 16, 16) and data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    brightness = data.images.double().mean((1, 2, 3))
    assert brightness[:3].max() < 60 and brightness[3:].min() > 90  # images kept their labels
    assert load("folder", folder=folder, record_as="animals", channels=1).images.shape == (6, 1, 32, 32)
    assert load("folder", folder=folder, record_as="animals").name == "animals"
    assert load("folder", folder=folder, split="test", n=4).labels.bincount().tolist() == [2, 2]


def test_the_right_size_is_read_pixel_by_pixel(tmp_path):
    folder = write_folder(tmp_path / "pets", size=(16, 16))
    data = load("folder", folder=folder, size=16)
    original = np.asarray(Image.open(folder / "train" / "cat" / "1.png"))
    assert np.array_equal(data.images[1].permute(1, 2, 0).numpy(), original)


def test_oblong_images_are_cropped_in_the_middle(tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    pixels = np.zeros((20, 60, 3), dtype=np.uint8)
    pixels[:, 20:40] = 200
    Image.fromarray(pixels).save(tmp_path / "train" / "a" / "wide.png")
    assert (load("folder", folder=tmp_path, size=20).images == 200).all()


def test_course_data_is_the_folder_when_none_is_given(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="COURSE_DATA"):
        load("folder")
    monkeypatch.setenv("COURSE_DATA", str(write_folder(tmp_path / "pets")))
    monkeypatch.setenv("COURSE_DATASET", "folder")
    assert load().name == "pets"


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(DataNotFound, match=r"no folder .*train.*does not exist"):
        load("folder", folder=tmp_path / "nowhere")
    (tmp_path / "train").mkdir()
    with pytest.raises(DataNotFound, match=r"train holds no images.*<class>"):
        load("folder", folder=tmp_path)
    (tmp_path / "train" / "cat").mkdir()
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    with pytest.raises(DataNotFound, match=r"class folder .*cat holds no images.*\.jpg"):
        load("folder", folder=tmp_path)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
def test_one_corrupt_image_is_named(damage, tmp_path):
    folder = write_folder(tmp_path / "pets")
    file = folder / "train" / "dog" / "1.png"
    whole = file.read_bytes()
    file.write_bytes({"garbage": b"not an image", "truncated": whole[: len(whole) // 2], "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"dog.1\.png cannot be read as an image"):
        load("folder", folder=folder)


def test_bad_sizes_and_channels_are_refused(tmp_path):
    folder = write_folder(tmp_path / "pets", count=1)
    with pytest.raises(ValueError, match=r"channels must be 1 \(gray\) or 3"):
        load("folder", folder=folder, channels=4)
    with pytest.raises(ValueError, match="size must be a positive"):
        load("folder", folder=folder, size=0)


def test_real_cifar10_jpeg(shared_data, tmp_path):
    """A few images of each class of the JPEG copy, unpacked as a user would, under the name its results go by."""
    import tarfile

    archive = shared_data / "cifar10-jpeg.tar.xz"
    if not archive.is_file():
        pytest.skip(f"needs {archive.name} in {shared_data}")
    folder, counts = tmp_path / "cifar10-jpeg", {}
    with tarfile.open(archive) as tar:
        for member in tar:
            kind = member.name.rsplit("/", 1)[0]
            counts[kind] = counts.get(kind, 0) + 1
            if counts[kind] <= 3:
                tar.extract(member, folder, filter="data")
            if kind == "test/automobile" and counts[kind] == 3:
                break  # the rest of the archive takes seconds to unpack, and shows nothing new
    data = load("folder", folder=folder, split="test")
    assert data.name == "cifar10-jpeg" and data.class_names == ("airplane", "automobile")
    assert data.images.shape == (6, 3, 32, 32)


def test_names_of_the_sets():
    assert list(torchvision_sets.TITLES) == ["mnist", "fashion_mnist", "cifar10"]
    assert all(len(names) == 10 for names in torchvision_sets.CLASSES.values())

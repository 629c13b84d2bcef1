"""A folder of one's own images: one number per class, and nothing that lies there is passed over unsaid."""

from __future__ import annotations

import unicodedata
import warnings

import numpy as np
import pytest
from PIL import Image

from course_lib.data import DataNotFound, DataWarning, load


def make(folder, **counts):
    """Makes images; counts: train={"cat": 3, "dog": 2}, test=... The shade of an image is that of its class's name."""
    for split, classes in counts.items():
        for name, count in classes.items():
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                shade = np.full((8, 8), 20 * (sum(map(ord, name)) % 10), dtype=np.uint8)
                Image.fromarray(shade).save(folder / split / name / f"{number}.png")
    return folder


def quietly(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return load("folder", *arguments, **options)


def told(**options):
    """The sentences of the one warning that a load gives."""
    with pytest.warns(DataWarning) as given:
        load("folder", size=8, **options)
    (warning,) = given
    return str(warning.message)


# --- the numbers of classes ---


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ({"cat": 2, "dog": 2}, {"dog": 2}),
        ({"dog": 2}, {"cat": 1, "dog": 2}),
        ({"ant": 1, "cat": 1}, {"bee": 1, "dog": 1}),
        ({"ant": 2, "cat": 2, "dog": 2}, {"ant": 1, "dog": 1, "eel": 3}),
    ],
)
def test_a_class_has_one_number_in_both_splits(train, test, tmp_path):
    make(tmp_path, train=train, test=test)
    sets = {split: quietly(folder=tmp_path, split=split, size=8) for split in ("train", "test")}
    names = tuple(sorted(train | test))
    for split, counts in (("train", train), ("test", test)):
        data = sets[split]
        assert data.class_names == names
        assert {names[label]: int((data.labels == label).sum()) for label in data.labels.unique()} == counts
        shades = {names[label]: int(image.max()) for label, image in zip(data.labels, data.images)}
        assert shades == {name: 20 * (sum(map(ord, name)) % 10) for name in counts}


def test_a_class_that_a_split_lacks_is_said_there(tmp_path):
    make(tmp_path, train={"cat": 2, "dog": 2}, test={"dog": 2, "emu": 1})
    assert "train has no images of emu, of which there are in test" in told(folder=tmp_path)
    assert "test has no images of cat, of which there are in train" in told(folder=tmp_path, split="test")


def test_an_empty_class_folder_counts_as_a_class_that_the_split_lacks(tmp_path):
    make(tmp_path, train={"cat": 2, "dog": 2}, test={"cat": 0, "dog": 2})
    assert "test has no images of cat" in told(folder=tmp_path, split="test")
    assert quietly(folder=tmp_path, split="test").class_names == ("cat", "dog")
    make(tmp_path, train={"emu": 0}, test={"emu": 0})
    with pytest.raises(DataNotFound, match=r"class folder .*emu holds no images"):
        load("folder", folder=tmp_path)


def test_a_class_is_the_same_however_its_accents_are_written(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Käse") for form in ("NFC", "NFD"))
    make(tmp_path, train={composed: 1, "Apfel": 1}, test={decomposed: 1, "Apfel": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sets = [load("folder", folder=tmp_path, split=split) for split in ("train", "test")]
    assert sets[0].class_names == sets[1].class_names == ("Apfel", composed)


def test_the_numbers_are_the_same_when_few_images_are_taken(tmp_path):
    make(tmp_path, train={"ant": 3, "cat": 3, "dog": 3}, test={"cat": 2, "dog": 2})
    data = quietly(folder=tmp_path, split="test", n=2)
    assert data.labels.sort().values.tolist() == [1, 2] and data.class_names == ("ant", "cat", "dog")


# --- at most n ---


@pytest.mark.parametrize(
    ("counts", "n", "taken", "says"),
    [
        ((5, 2, 1), 1000, (5, 2, 1), r"pets \(train\) has fewer than the 1,000 .* all 8 are taken, 1 to 5 per .*ss c2"),
        ((3, 3, 3), 10, (3, 3, 3), "all 9 are taken, 3 per class"),
        ((9, 2, 9), 12, (5, 2, 5), "too few images of some classes, so the 12 taken are 2 to 5 per class"),
        ((9, 2, 9), 20, (9, 2, 9), "so the 20 taken are 2 to 9 per class"),
        ((9, 2, 9), 5, (2, 2, 1), None),
        ((9, 3, 9), 10, (4, 3, 3), None),
    ],
)
def test_n_is_at_most(counts, n, taken, says, tmp_path):
    folder = make(tmp_path / "pets", train={f"c{k}": count for k, count in enumerate(counts)})
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        data = load("folder", folder=folder, n=n, size=8)
    assert tuple(data.labels.bincount(minlength=len(counts)).tolist()) == taken
    assert len(given) == (says is not None)
    if says is not None:
        with pytest.warns(DataWarning, match=says):
            again = load("folder", folder=folder, n=n, size=8)
        assert again.labels.tolist() == data.labels.tolist()
        assert given[0].filename == __file__  # it points at the call, not into the library


def test_one_load_gives_one_warning(tmp_path):
    make(tmp_path, train={"cat": 3, "dog": 1}, test={"dog": 1, "emu": 1})
    (tmp_path / "train" / "cat" / "notes.txt").write_text("")
    said = told(folder=tmp_path, n=100)
    assert all(part in said for part in ("1 .txt", "no images of emu", "all 4 are taken")) and said.count(". ") >= 2


# --- what else lies there ---


def test_files_outside_of_classes_and_in_their_subfolders(tmp_path):
    make(tmp_path, train={"cat": 2, "cat/more": 3, "cat/.ipynb_checkpoints": 1, "__MACOSX": 1, ".hidden": 1})
    Image.new("L", (8, 8)).save(tmp_path / "train" / "stray.png")
    (tmp_path / "train" / "desktop.ini").write_text("")
    with pytest.warns(DataWarning, match="train: 1 file is not taken: 1 outside of a class folder"):
        data = load("folder", folder=tmp_path, size=8)
    assert data.class_names == ("cat",) and len(data) == 5


def test_a_split_is_found_however_it_is_capitalized(tmp_path):
    make(tmp_path, Train={"cat": 1}, TEST={"cat": 2})
    assert len(load("folder", folder=tmp_path)) == 1 and len(load("folder", folder=tmp_path, split="test")) == 2


def test_a_missing_split_says_what_is_there(tmp_path):
    make(tmp_path / "pets", train={"cat": 1}, valid={"cat": 1})
    assert len(load("folder", folder=tmp_path / "pets")) == 1
    with pytest.raises(DataNotFound, match="only train, valid; if valid is what you mean, rename it to test"):
        load("folder", folder=tmp_path / "pets", split="test")
    with pytest.raises(DataNotFound, match=r"only pets; did you mean .*pets\?"):
        load("folder", folder=tmp_path)
    with pytest.raises(DataNotFound, match=r"did you mean .*pets\?"):
        load("folder", folder=tmp_path / "pets" / "train")
    (tmp_path / "pets.zip").write_text("")
    with pytest.raises(DataNotFound, match=r"pets\.zip is a file; unpack it, and name the folder"):
        load("folder", folder=tmp_path / "pets.zip")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataNotFound, match=r"file is a file\. Expected"):
        load("folder", folder=tmp_path / "file")


@pytest.mark.parametrize("split", ["train", "test"])
def test_classes_without_splits_are_said_with_what_to_do(split, tmp_path):
    make(tmp_path, **{"pets": {"cat": 2, "dog": 2}})
    with pytest.raises(DataNotFound, match="only cat, dog; if these are classes, move them into a new folder train"):
        load("folder", folder=tmp_path / "pets", split=split)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataNotFound, match=r"only cat\. Expected image files in"):
        load("folder", folder=tmp_path / "empty", split=split)

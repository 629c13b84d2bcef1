"""A folder of your own images: `train/<class>/*.jpg`, `test/<class>/*.png`, and so on."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.data.errors import DataNotFound
from course_lib.data.image_files import HOW_TO_READ, SUFFIXES, can_be_read

SPLITS = ("train", "test")
_ALIKE = {"train": ("training", "train_set"), "test": ("testing", "test_set", "val", "valid", "validation")}
_OF_THE_SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")  # as hidden as what begins with a dot


@dataclass(frozen=True)
class ImageFolder:
    """What lies in a folder of images.

    Attributes:
        path: the folder that holds train and test.
        class_names: those of both splits together, sorted, so that a class has one number in both.
        files: by split and class name; a split that is not there is missing.
        notes: a sentence for each thing that is there and not taken, by split.
    """

    path: Path
    class_names: tuple[str, ...]
    files: dict[str, dict[str, tuple[Path, ...]]]
    notes: dict[str, tuple[str, ...]]

    def of_split(self, split: str) -> tuple[list[Path], list[int]]:
        """The files of a split, class by class, and their class numbers."""
        files = self.files[split]
        labels = [label for label, name in enumerate(self.class_names) for _ in files.get(name, ())]
        return [file for name in self.class_names for file in files.get(name, ())], labels

    def all_files(self) -> Iterator[Path]:
        """The files of both splits."""
        for files in self.files.values():
            for images in files.values():
                yield from images


def look_into(folder: Path, split: str) -> ImageFolder:
    """Finds the image files of `folder/train/<class>/` and `folder/test/<class>/`, subfolders of a class included.

    A class may be missing in one of the splits; that is noted. Hidden files are passed over.

    Args:
        folder: what holds the folders train and test.
        split: the one that must be there.

    Raises:
        DataNotFound: that split is not there or has no images, or a class folder has none in either split.
    """
    places = {name: place for name in SPLITS if (place := split_folder(folder, name)) is not None}
    layout = f"Expected image files in {folder / split}/<class>/, ending in {', '.join(SUFFIXES[:4])}, ..."
    if split not in places:
        raise DataNotFound(f"There is no folder {folder / split}: {_what_is_there(folder, split)}. {layout}")
    files: dict[str, dict[str, tuple[Path, ...]]] = {}
    notes: dict[str, list[str]] = {}
    empty: dict[str, Path] = {}  # class folders without images
    for name, place in places.items():
        files[name], left_out = {}, Counter[str]()
        for entry in _visible(place):
            if not entry.is_dir():
                left_out["outside of a class folder"] += 1
                continue
            class_name = unicodedata.normalize("NFC", entry.name)  # macOS writes accents in another way than others
            images, others = _images_in(entry)
            left_out += others
            if images:
                files[name][class_name] = (*files[name].get(class_name, ()), *images)
            else:
                empty[class_name] = entry
        notes[name] = [f"{place}: {_listed(left_out)}"] if left_out else []
    class_names = sorted({name for split_files in files.values() for name in split_files})
    for class_name, entry in empty.items():
        if class_name not in class_names:
            _, others = _images_in(entry)
            there = f", only {_counted(others)}" if others else ""
            raise DataNotFound(f"The class folder {entry} holds no images{there}. {layout}")
    if not files[split]:
        raise DataNotFound(f"The folder {places[split]} holds no images. {layout}")
    for name, other in (("train", "test"), ("test", "train")):
        missing = [] if len(places) < 2 else [c for c in class_names if c not in files[name]]
        if missing:
            theirs = f"{_shortened(missing)}, of which there are in {places[other].name}"
            notes[name].append(f"{places[name]} has no images of {theirs}; classes have the same numbers in both")
    return ImageFolder(folder, tuple(class_names), files, {name: tuple(said) for name, said in notes.items()})


def split_folder(folder: Path, split: str) -> Path | None:
    """The folder of a split; "Train" counts as "train", as it does on Windows and macOS."""
    if (folder / split).is_dir():
        return folder / split
    if not folder.is_dir():
        return None
    return next((entry for entry in _visible(folder) if entry.name.lower() == split and entry.is_dir()), None)


def _what_is_there(folder: Path, split: str) -> str:
    if not folder.exists():
        return f"{folder} does not exist"
    if not folder.is_dir():
        packed = folder.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".xz", ".7z", ".rar")
        return f"{folder} is a file" + ("; unpack it, and name the folder" if packed else "")
    inner = [entry.name for entry in _visible(folder) if entry.is_dir()]
    only = f", only {_shortened(inner)}" if inner else ""
    return f"{folder} exists, but has no such subfolder{only}{_hint(folder, inner, split)}"


def _hint(folder: Path, inner: list[str], split: str) -> str:
    """What to do about a folder without the split, where its subfolders tell."""
    deeper = next((folder / name for name in inner if split_folder(folder / name, "train")), None)
    if folder.name.lower() in SPLITS and split_folder(folder.parent, "train"):
        deeper = folder.parent
    if deeper is not None:
        return f"; did you mean {deeper}?"
    alike = next((name for name in inner if name.lower() in _ALIKE[split]), None)
    if alike is not None:
        return f"; if {alike} is what you mean, rename it to {split}"
    if not any(split_folder(folder, name) for name in SPLITS) and any(_images_in(folder / name)[0] for name in inner):
        return "; if these are classes, move them into a new folder train, and a fifth of each one's images into test"
    return ""


def _visible(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in entries if entry.name.lower() not in _OF_THE_SYSTEM)


def _images_in(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The images of a class in the order of their names, and how many other files of which kind there are."""
    images: list[Path] = []
    others: Counter[str] = Counter()
    for file in _files_below(folder, ()):
        suffix = file.suffix.lower()
        if suffix in SUFFIXES and can_be_read(suffix):
            images.append(file)
        else:
            others[suffix or "without an ending"] += 1
    return sorted(images, key=lambda file: file.relative_to(folder).as_posix()), others


def _files_below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link that leads back
        return
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _files_below(entry, (*above, real))
        else:
            yield entry


# --- sentences ---


def _listed(left_out: Counter[str]) -> str:
    """Such as "12 files are not taken: 10 .heic (...), 2 .txt (no image)"."""
    total = sum(left_out.values())
    return f"{total} {'file is' if total == 1 else 'files are'} not taken: {_counted(left_out)}"


def _counted(others: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}{_why(kind)}" for kind, count in others.most_common())


def _why(kind: str) -> str:
    if kind in HOW_TO_READ:
        return f" (cannot be read here; save them as JPEG, or: pip install {HOW_TO_READ[kind]})"
    if kind in SUFFIXES:
        return " (cannot be read here; save them as JPEG or PNG)"
    return " (no ending of an image)" if kind.startswith(".") else ""


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")

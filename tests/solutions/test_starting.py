"""Every notebook starts on digits and on a folder of one's own images, however few and uneven these are."""

from __future__ import annotations

import warnings

import own_images
import pytest

from course_lib import protocol, records, settings
from course_lib.authoring import conversion, sources
from course_lib.data import DataWarning
from course_lib.exercises import units

# A unit about data of another kind, such as text, reads those whatever images COURSE_DATASET names; a notebook that
# needs glyphs says so to its learners.
ON_IMAGES = [unit for unit in units() if records.main_dataset(unit) in settings.DATASETS]
NOTEBOOKS = [
    (unit, path.stem)
    for unit in ON_IMAGES
    for path in sources.source_files(sources.folder_of(unit))
    if "`COURSE_DATASET` is ignored" not in path.read_text(encoding="utf-8")
]
FOLDERS = {
    "300 images": {
        "train": {f"class {k}": 30 for k in range(10)},
        "test": {f"class {k}": 10 for k in range(10)},
    },
    "uneven, and not all in both": {
        "train": {"ant": 90, "bee": 1, "cat": 40, "dog": 3},
        "test": {"ant": 30, "cat": 2, "dog": 1, "eel": 4},
    },
    "two classes": {"train": {"ant": 12, "bee": 12}, "test": {"ant": 5, "bee": 5}},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: own_images.make(tmp_path_factory.mktemp("own"), **counts) for name, counts in FOLDERS.items()}


@pytest.mark.parametrize("images", ["digits", *FOLDERS])
@pytest.mark.parametrize(("unit", "name"), NOTEBOOKS, ids=[name for _, name in NOTEBOOKS])
def test_the_set_up_of_a_notebook_runs(unit, name, images, folders, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    monkeypatch.setenv("COURSE_DATASET", "digits" if images == "digits" else "folder")
    if images != "digits":
        monkeypatch.setenv("COURSE_DATA", str(folders[images]))
    protocol.setting.cache_clear()  # of another folder
    cells = [c for c in conversion.solution_notebooks(unit)[name].cells if "setup" in c.metadata.get("tags", ())]
    loads = ("load(", "protocol.setting(", "capstone.project(")
    assert len(cells) >= 2 and any(call in cell.source for cell in cells for call in loads)
    names: dict[str, object] = {}
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", DataWarning)
        for cell in cells:
            exec(compile(cell.source, name, "exec"), names)
    assert images == "digits" or any("that were asked for" in str(each.message) for each in given)

"""A site of the tiny course."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
import tiny_course

from course_lib import files
from course_lib.authoring import release, website

UNIT = tiny_course.UNIT
missing = [name for name in website.EXTRA if not importlib.util.find_spec(name)]
needs_extra = pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: pip install -e '.[site]'")

FIGURE = """from course_lib import plots
noise = torch.rand(2, 1, 8, 8)
plots.show(plots.image_grid(noise, title="Noise", alt="Two images of noise."))"""
SOURCE = tiny_course.SOURCE.replace('raise RuntimeError("training cells are not part of a check")', FIGURE).replace(
    "# $$y = 0.5 \\cdot 4 x$$", "# $$y = 0.5 \\cdot 4 x$$\n#\n# With $\\hat y_n = \\arg\\max_k z_{nk}$."
)


def write_sources(root: Path, source: str = SOURCE) -> None:
    """What a site is made of, under `root`: the tiny unit and the project's own docs/."""
    tiny_course.write_unit(root, source)
    shutil.copytree(tiny_course.PROJECT / "docs", root / "docs", dirs_exist_ok=True)


def write_release(root: Path) -> None:
    for name, content in release.build_unit(UNIT, root=root, exercises=tiny_course.EXERCISES).items():
        files.replace(root / "notebooks" / UNIT / name, content)

"""The site: pages that need nothing from elsewhere, answers folded, every picture with its text, every link alive; and
a build that executes what changed and nothing else, and leaves the old site when something is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import tiny_course

from course_lib import records
from course_lib.authoring import release, site

UNIT = tiny_course.UNIT
missing = [name for name in site.EXTRA if not site.importlib.util.find_spec(name)]
needs_extra = pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}: pip install -e '.[site]'")

FIGURE = """from course_lib import plots
plots.show(plots.image_grid(torch.rand(2, 1, 8, 8), title="Noise", alt="Two images of noise."))"""
SOURCE = tiny_course.SOURCE.replace('raise RuntimeError("training cells are not part of a check")', FIGURE).replace(
    "# $$y = 0.5 \\cdot 4 x$$", "# $$y = 0.5 \\cdot 4 x$$\n#\n# With $\\hat y_n = \\arg\\max_k z_{nk}$."
)


def write_sources(root: Path, source: str = SOURCE) -> None:
    """What a site is made of, under `root`: the tiny unit and the project's own docs/."""
    tiny_course.write_unit(root, source)
    shutil.copytree(tiny_course.PROJECT / "docs", root / "docs", dirs_exist_ok=True)


def write_release(root: Path) -> None:
    for name, content in release.build_unit(UNIT, root=root, exercises=tiny_course.EXERCISES).items():
        release.write_atomically(root / "notebooks" / UNIT / name, content)


# --- the pages


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, list[str]]:
    """A site of the tiny unit and the real library, nothing executed, and what was said meanwhile."""
    root = tmp_path_factory.mktemp("course")
    write_sources(root)
    write_release(root)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_ROOT", str(root))
        exercises = tiny_course.install(patch)
        leveled = tuple(dataclasses.replace(exercise, difficulty=2) for exercise in exercises.values())
        patch.setattr("course_lib.exercises._registry", lambda: {UNIT: leveled})
        site.build(root=root, execute=False, say=said.append)
    return root, said


def page_of(built: tuple[Path, list[str]], name: str) -> str:
    return (built[0] / "site" / name).read_text(encoding="utf-8")


@needs_extra
def test_every_page_is_there_and_sphinx_warns_of_nothing(built):
    root, said = built
    wanted = ["index", "map", "results", *site.PEOPLE, f"units/{UNIT}/{UNIT}", "search", "genindex"]
    wanted += [f"reference/{module}" for module in site.MODULES]
    assert [name for name in wanted if not (root / "site" / f"{name}.html").is_file()] == []
    assert [line for line in said if line.startswith("Warning")] == []
    assert {path.name for path in (root / ".cache/site").iterdir()} == set()


@needs_extra
def test_nothing_is_fetched_and_every_link_and_picture_is_right(built):
    # `build` refuses a site with problems; here the check itself is seen to have read the pages.
    assert site.check(built[0] / "site") == []
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    (built[0] / "site" / "worse.html").write_text(page.replace('src="', 'src="https://example.org/'))
    assert any("from another site" in problem for problem in site.check(built[0] / "site"))
    (built[0] / "site" / "worse.html").unlink()


@needs_extra
def test_answers_are_folded_under_what_was_asked(built):
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    folded = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert "twice_as_much" in page and "one is not enough" in page
    for answer in ("twice_as_much", "all_of_it", "one is not enough"):
        assert answer in "".join(folded) and answer not in re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    outside = re.sub(r"<details.*?</details>|<[^>]+>", "", page, flags=re.DOTALL)
    assert "Twice x, as a new tensor" in outside and "Why is twice not half?" in outside
    assert "Show an answer" in page and "Show sample answers" in page


@needs_extra
def test_formulas_are_mathml(built):
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    assert page.count("<math") == 2 and "\\cdot" not in page and "MathJax" not in page and "mathjax@" not in page
    assert '<math display="block"' in page and "<mover" in page


@needs_extra
def test_a_formula_that_cannot_be_read_is_a_warning_and_stays_legible(tmp_path):
    (tmp_path / "in" / "extra").mkdir(parents=True)
    (tmp_path / "in" / "site.css").touch()
    (tmp_path / "in" / "site.js").touch()
    (tmp_path / "in" / "index.md").write_text("# Here\n\n$\\nosuchcommand{x}$\n")
    (warning,) = [line for line in site._run_sphinx(tmp_path / "in", tmp_path / "out") if "formula" in line]
    assert "index.md:3" in warning and "\\nosuchcommand{x}" in warning
    assert "<code>\\nosuchcommand{x}</code>" in (tmp_path / "out/index.html").read_text()


@needs_extra
def test_the_map_lists_exercises_and_the_reference_has_the_docstrings(built):
    page = page_of(built, "map.html")
    assert "Tiny: two functions" in page and "90.2" in page and ">total<" in page and "core" in page
    assert "One training loop for the whole course" in page_of(built, "reference/training.html")
    assert 'id="course_lib.plots.label_curve"' in page_of(built, "reference/plots.html")
    assert "mpltype" not in page_of(built, "reference/plots.html")  # nothing of other libraries


@needs_extra
def test_the_notebook_without_answers_can_be_downloaded(built):
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    assert f'href="../../files/{UNIT}.ipynb" download' in page
    assert "twice_as_much" not in (built[0] / f"site/files/{UNIT}.ipynb").read_text()


def test_results_are_a_picture_with_its_text_and_a_table_with_the_columns_it_needs(tmp_path, monkeypatch):
    def curve(*x: float) -> records.Curve:
        return records.Curve(x, (0.5,) * len(x), (0.01,) * len(x), ((0.5, 0.51),) * len(x), 2)

    rows = [
        records.TableRow("04_b", "Rotation, fine-tuned", "glyphs", "laptop", "rotation_finetuned", curve(1, 780)),
        records.TableRow("04_b", "From scratch", "glyphs", "laptop", "scratch", curve(1)),
        records.TableRow("04_b", "From scratch", "mnist", "full", "scratch", curve(10)),
    ]
    monkeypatch.setattr(records, "table_rows", lambda: rows)
    text = site._results({}, tmp_path)
    first, second = text.split("## mnist, full profile")
    assert "| Method | 1 | 780 | Seeds |" in first and "| From scratch | 50 ± 1\N{NO-BREAK SPACE}% | – | 2 |" in first
    assert len(list(tmp_path.iterdir())) == 1 and 'alt="Unit 04 on glyphs: test accuracy' in first
    assert "| Method | 10 | Seeds |" in second and "<img" not in second


# --- what is wrong with a page

GOOD = (
    '<html lang="en"><body id="top"><img src="a.png" alt="A hill."><a href="https://example.org">x</a>{}</body></html>'
)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('<a href="#top">x</a><a href="other.html#place">x</a><a href="folder/">x</a>', None),
        ('<a href="gone.html">x</a>', "gone.html leads to no file"),
        ('<a href="other.html#gone">x</a>', "other.html#gone leads to no place on its page"),
        ('<a href="#gone">x</a>', "#gone leads to no place on its page"),
        ('<img src="a.png">', "a picture without alt text: a.png"),
        ('<img src="a.png" alt=" ">', "a picture without alt text: a.png"),
        ('<img src="gone.png" alt="A hill.">', "gone.png leads to no file"),
        ('<script src="https://cdn.example.org/x.js"></script>', "would fetch https://cdn.example.org/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/css">', "would fetch //fonts.example.org/css"),
        ('<p style="background: url(http://example.org/a.png)">', "would fetch http://example.org/a.png"),
        ("<style>@import 'https://example.org/a.css';</style>", "would fetch https://example.org/a.css"),
        ('<img alt="A hill." srcset="a.png 1x, gone.png 2x" src="a.png">', "gone.png leads to no file"),
    ],
)
def test_what_is_wrong_with_a_page_is_named(tmp_path, inside, said):
    (tmp_path / "a.png").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/index.html").write_text(GOOD.format("").replace("a.png", "../a.png"))
    (tmp_path / "other.html").write_text(GOOD.format('<p id="place">'))
    (tmp_path / "page.html").write_text(GOOD.format("\n" + inside))
    problems = site.check(tmp_path)
    if said is None:
        assert problems == []
    else:
        assert len(problems) == 1 and problems[0].startswith("page.html: line 2: ") and said in problems[0]


def test_a_style_sheet_and_a_page_without_language_are_looked_at_too(tmp_path):
    (tmp_path / "page.html").write_text(GOOD.format("").replace(' lang="en"', "").replace("a.png", "page.html"))
    (tmp_path / "a.css").write_text("p { background: url('https://example.org/a.png') } a { src: url(gone.woff) }")
    problems = "\n".join(site.check(tmp_path))
    assert "does not say its language" in problems
    assert "a.css: the page would fetch https://example.org/a.png" in problems and "gone.woff leads to" in problems


# --- pictures


def test_pictures_go_into_files_with_their_text_and_size(tmp_path):
    torch = pytest.importorskip("torch")
    from course_lib import plots

    data, metadata = plots.mime_bundle(plots.image_grid(torch.rand(2, 1, 8, 8), alt='Two "images" of noise.'))
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    light = site._light(output, tmp_path)
    (file,) = tmp_path.iterdir()
    assert list(light.data) == ["text/html"] and "base64" not in light.data["text/html"]
    assert f'src="../../files/{file.name}"' in light.data["text/html"]
    assert 'alt="Two &quot;images&quot; of noise."' in light.data["text/html"]
    width = int(re.search(r'width="(\d+)"', light.data["text/html"]).group(1))
    assert width > 100 and file.read_bytes().startswith(b"\x89PNG")
    assert "base64" in output.data["text/html"]  # what is kept stays whole


# --- executing what changed, and nothing else


@pytest.fixture
def project(tmp_path) -> Path:
    root = tmp_path / "a course"
    tiny_course.write_project(root)
    write_sources(root)
    write_release(root)
    return root


def executed_by(root: Path, monkeypatch: pytest.MonkeyPatch, **options: bool | str) -> int:
    """How many notebooks a build executes, with an executor that only pretends to."""
    done = []

    def pretend(notebook: nbformat.NotebookNode, *_: object) -> list[list[nbformat.NotebookNode]]:
        done.append(notebook)
        return [[nbformat.v4.new_output("stream", text=f"run {len(done)}")] for _ in site._code(notebook)]

    monkeypatch.setattr(site, "_executed", pretend)
    monkeypatch.setattr(site, "_run_sphinx", lambda source, new: shutil.copytree(source, new) and [])
    site.build(root=root, say=lambda line: None, **{"profile": "smoke", **options})
    return len(done)


def test_notebooks_are_executed_once_until_their_code_changes(tmp_path, monkeypatch):
    write_sources(tmp_path)
    write_release(tmp_path)
    monkeypatch.setattr(site, "EXTRA", ())
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    leveled = [dataclasses.replace(e, difficulty=2) for e in tiny_course.install(monkeypatch).values()]
    monkeypatch.setattr("course_lib.exercises._registry", lambda: {UNIT: tuple(leveled)})
    page = tmp_path / f"site/units/{UNIT}/{UNIT}.ipynb"

    assert executed_by(tmp_path, monkeypatch, execute=False) == 0 and "was not executed" in page.read_text()
    assert executed_by(tmp_path, monkeypatch) == 1 and "run 1" in page.read_text()
    (tmp_path / "site" / "old.html").touch()
    write_sources(tmp_path, SOURCE.replace("It is used here.", "Here it is used, in new words."))
    assert executed_by(tmp_path, monkeypatch) == 0
    assert "run 1" in page.read_text() and "in new words" in page.read_text()
    assert not (tmp_path / "site" / "old.html").exists()
    assert executed_by(tmp_path, monkeypatch, profile="laptop") == 1
    assert executed_by(tmp_path, monkeypatch) == 0  # each profile keeps its own
    assert executed_by(tmp_path, monkeypatch, fresh=True) == 1
    write_sources(tmp_path, SOURCE.replace("torch.ones(2)", "torch.ones(3)"))
    assert executed_by(tmp_path, monkeypatch, execute=False) == 0 and "run 1" not in page.read_text()
    assert executed_by(tmp_path, monkeypatch) == 1 and "run 1" in page.read_text()
    write_sources(tmp_path, SOURCE.replace("torch.ones(2)))", "torch.ones(3)))  # three"))
    assert executed_by(tmp_path, monkeypatch) == 0
    split = SOURCE.replace("import plots\n", 'import plots\n\n# %% [markdown]\n# So:\n\n# %% tags=["demo"]\n')
    write_sources(tmp_path, split)
    assert executed_by(tmp_path, monkeypatch) == 1  # the same code in other cells
    (tmp_path / "results" / UNIT).mkdir(parents=True)
    (tmp_path / "results" / UNIT / "a.glyphs.laptop.json").write_text("{}")
    monkeypatch.setattr(records, "table_rows", lambda: [])
    assert executed_by(tmp_path, monkeypatch) == 1  # a notebook may draw what is recorded
    (tmp_path / f".cache/site/smoke/{UNIT}.json").write_text("{half")
    assert executed_by(tmp_path, monkeypatch) == 1


@needs_extra
@pytest.mark.slow
def test_a_build_from_the_command_line_and_one_that_fails_after_it(project):
    done = tiny_course.run_course(project, "site", "--profile", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (project / f"site/units/{UNIT}/{UNIT}.html").read_text(encoding="utf-8")
    assert 'data-state="right"' in page and 'alt="Two images of noise."' in page and "tensor([2., 2.])" in page
    assert f"{UNIT}: executed in" in done.stdout and not (project / "work").exists()

    write_sources(project, tiny_course.SOURCE)  # its training cell raises
    done = tiny_course.run_course(project, "site", "--profile", "smoke")
    assert done.returncode == 1 and f"{UNIT} stops with an error" in done.stderr
    assert "training cells are not part" in done.stderr
    assert "tensor([2., 2.])" in (project / f"site/units/{UNIT}/{UNIT}.html").read_text(encoding="utf-8")


SLEEPER = """# %% [markdown]
# # Tiny, second part

# %% tags=["demo"]
import os, pathlib, time
pathlib.Path(os.environ["COURSE_ROOT"], "kernel").write_text(str(os.getpid()))
time.sleep(300)
"""


@needs_extra
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends the signal of Ctrl-C")
def test_ctrl_c_keeps_the_notebooks_that_are_done(project):
    folder = project / "solutions" / UNIT
    (folder / f"{UNIT}.py").rename(folder / f"{UNIT}_1.py")
    (folder / f"{UNIT}_2.py").write_text(SLEEPER)
    write_release(project)
    environment = {**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "course_lib", "site", "--profile", "smoke"]
    process = subprocess.Popen(
        command, cwd=project, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    kernel = project / "kernel"  # is there as soon as the second notebook runs
    try:
        until = time.monotonic() + 120
        while not (kernel.is_file() and kernel.read_text()) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.rstrip().endswith("Interrupted.") and "Traceback" not in errors
    assert len(json.loads((project / f".cache/site/smoke/{UNIT}_1.json").read_text())["outputs"]) > 3
    assert {path.name for path in (project / ".cache/site").iterdir()} == {"smoke"} and not (project / "site").exists()
    until = time.monotonic() + 20
    while is_running(int(kernel.read_text())) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_running(int(kernel.read_text()))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_old_site_comes_back_when_the_new_one_cannot_take_its_place(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "old.html").touch()
    with pytest.raises(FileNotFoundError):
        site._replace(tmp_path / "site", tmp_path / "nothing")
    assert (tmp_path / "site" / "old.html").exists()


def test_what_is_missing_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "EXTRA", ("no_such_module",))
    with pytest.raises(site.SiteError, match=r"no_such_module not installed.*pip install -e '\.\[site\]'"):
        site.build(root=tmp_path)
    monkeypatch.setattr(site, "EXTRA", ())
    with pytest.raises(site.SiteError, match="Unknown profile 'fast'"):
        site.build(root=tmp_path, profile="fast")
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    write_sources(tmp_path)
    tiny_course.install(monkeypatch)
    with pytest.raises(site.SiteError, match=f"notebooks/{UNIT}/{UNIT}.ipynb is missing: run `course release`"):
        site.build(root=tmp_path, execute=False)


def test_an_old_release_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "EXTRA", ())
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    write_sources(tmp_path)
    write_release(tmp_path)
    tiny_course.install(monkeypatch)
    write_sources(tmp_path, SOURCE.replace("Why is twice not half?", "Why?"))
    with pytest.raises(site.SiteError, match="is not up to date: run `course release` first"):
        site.build(root=tmp_path, execute=False, say=lambda line: None)

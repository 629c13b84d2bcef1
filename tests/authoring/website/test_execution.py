"""A build executes what changed and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import tiny_course
import tiny_site

from course_lib import records
from course_lib.authoring import code_hash, website
from course_lib.authoring.website import execution, sphinx_pages

UNIT = tiny_course.UNIT


@pytest.fixture
def project(tmp_path) -> Path:
    root = tmp_path / "a course"
    tiny_course.write_project(root)
    tiny_site.write_sources(root)
    tiny_site.write_release(root)
    return root


def executed_by(root: Path, monkeypatch: pytest.MonkeyPatch, **options: bool | str) -> int:
    """How many notebooks a build executes, with an executor that only pretends to."""
    done = []

    def pretend(notebook: nbformat.NotebookNode, *_: object) -> list[list[nbformat.NotebookNode]]:
        done.append(notebook)
        return [[nbformat.v4.new_output("stream", text=f"run {len(done)}")] for _ in execution.code_cells(notebook)]

    monkeypatch.setattr(execution, "executed", pretend)
    monkeypatch.setattr(sphinx_pages, "run_sphinx", lambda source, new: shutil.copytree(source, new) and [])
    website.build(root=root, say=lambda line: None, **{"profile": "smoke", **options})
    return len(done)


def test_notebooks_are_executed_once_until_their_code_changes(tmp_path, monkeypatch):
    tiny_site.write_sources(tmp_path)
    tiny_site.write_release(tmp_path)
    monkeypatch.setattr(website, "EXTRA", ())
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    leveled = [dataclasses.replace(e, difficulty=2) for e in tiny_course.install(monkeypatch).values()]
    monkeypatch.setattr("course_lib.exercises._registry", lambda: {UNIT: tuple(leveled)})
    page = tmp_path / f"site/units/{UNIT}/{UNIT}.ipynb"

    assert executed_by(tmp_path, monkeypatch, execute=False) == 0 and "was not executed" in page.read_text()
    assert executed_by(tmp_path, monkeypatch) == 1 and "run 1" in page.read_text()
    (tmp_path / "site" / "old.html").touch()
    tiny_site.write_sources(tmp_path, tiny_site.SOURCE.replace("It is used here.", "Here it is used, in new words."))
    assert executed_by(tmp_path, monkeypatch) == 0
    assert "run 1" in page.read_text() and "in new words" in page.read_text()
    assert not (tmp_path / "site" / "old.html").exists()
    assert executed_by(tmp_path, monkeypatch, profile="laptop") == 1
    assert executed_by(tmp_path, monkeypatch) == 0  # each profile keeps its own
    assert executed_by(tmp_path, monkeypatch, fresh=True) == 1
    tiny_site.write_sources(tmp_path, tiny_site.SOURCE.replace("torch.ones(2)", "torch.ones(3)"))
    assert executed_by(tmp_path, monkeypatch, execute=False) == 0 and "run 1" not in page.read_text()
    assert executed_by(tmp_path, monkeypatch) == 1 and "run 1" in page.read_text()
    tiny_site.write_sources(tmp_path, tiny_site.SOURCE.replace("torch.ones(2)))", "torch.ones(3)))  # three"))
    assert executed_by(tmp_path, monkeypatch) == 0
    split = tiny_site.SOURCE.replace("import plots\n", 'import plots\n\n# %% [markdown]\n# So:\n\n# %% tags=["demo"]\n')
    tiny_site.write_sources(tmp_path, split)
    assert executed_by(tmp_path, monkeypatch) == 1  # the same code in other cells
    (tmp_path / "results" / UNIT).mkdir(parents=True)
    (tmp_path / "results" / UNIT / "a.glyphs.laptop.json").write_text("{}")
    monkeypatch.setattr(records, "table_rows", lambda: [])
    assert executed_by(tmp_path, monkeypatch) == 1  # a notebook may draw what is recorded
    (tmp_path / f".cache/site/smoke/{UNIT}.json").write_text("{half")
    assert executed_by(tmp_path, monkeypatch) == 1


@tiny_site.needs_extra
@pytest.mark.slow
def test_a_build_from_the_command_line_and_one_that_fails_after_it(project):
    done = tiny_course.run_course(project, "site", "--profile", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (project / f"site/units/{UNIT}/{UNIT}.html").read_text(encoding="utf-8")
    assert 'data-state="right"' in page and 'alt="Two images of noise."' in page and "tensor([2., 2.])" in page
    assert f"{UNIT}: executed in" in done.stdout and not (project / "work").exists()

    tiny_site.write_sources(project, tiny_course.SOURCE)  # its training cell raises
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


@tiny_site.needs_extra
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends the signal of Ctrl-C")
def test_ctrl_c_keeps_the_notebooks_that_are_done(project):
    folder = project / "solutions" / UNIT
    (folder / f"{UNIT}.py").rename(folder / f"{UNIT}_1.py")
    (folder / f"{UNIT}_2.py").write_text(SLEEPER)
    tiny_site.write_release(project)
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


def test_the_hash_of_a_text_follows_what_it_calls_and_not_its_comments(tmp_path):
    library = tmp_path / "course_lib"
    library.mkdir()
    (library / "__init__.py").touch()
    (library / "helper.py").write_text("def used(x):\n    return x + 1\n\n\ndef other(x):\n    return x\n")
    text = "from course_lib import helper\nprint(helper.used(1))"
    before = code_hash.text_hash(text, library=library)
    assert code_hash.text_hash(f"# a comment\n{text}", library=library) == before
    assert code_hash.text_hash(text.replace("used(1)", "used(2)"), library=library) != before
    (library / "helper.py").write_text("def used(x):\n    return x + 1\n\n\ndef other(x):\n    return -x\n")
    assert code_hash.text_hash(text, library=library) == before
    (library / "helper.py").write_text("def used(x):\n    return x + 2\n\n\ndef other(x):\n    return -x\n")
    assert code_hash.text_hash(text, library=library) != before

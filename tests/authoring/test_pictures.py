"""README.md and its company: what they show is what the course gives, and what they promise is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import course_lib
from course_lib.authoring import openings, pictures, sources, topics
from course_lib.desk import cli, set_up

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("README.md", "CONTRIBUTING.md", "results/README.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of what `course pictures` reads and writes."""
    root = tmp_path_factory.mktemp("project")
    for name in ("solutions", "results/pictures", "results/benchmarks", "docs"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "README.md", root)
    return root


def test_pictures_alt_texts_and_units_are_up_to_date():
    assert pictures.stale(ROOT) == [], "run `course pictures` and commit what it wrote"


def test_what_is_stale_is_found_and_written_anew(project, monkeypatch):
    (project / pictures.CARD).unlink()
    readme = project / "README.md"
    readme.write_text(re.sub(r"!\[[^\]]*\]\(results/pictures/label", "![](results/pictures/label", TEXTS["README.md"]))
    assert pictures.stale(project) == [pictures.CARD, "README.md"]
    written = pictures.write(project)
    assert {path.relative_to(project).as_posix() for path in written} == {pictures.CARD, "README.md"}
    assert pictures.stale(project) == [] and readme.read_text(encoding="utf-8") == TEXTS["README.md"]
    monkeypatch.setattr(pictures, "CURVE_METHODS", ("scratch_weak", "random_frozen"))
    assert pictures.stale(project) == [pictures.CURVE, "README.md"]


def test_the_table_of_the_graders_says_what_the_records_say(project):
    guide = project / pictures.INSTRUCTOR
    file = project / "results/benchmarks/grading_corpus.json"
    kept, record = file.read_text(), json.loads(file.read_text())
    record["summary"]["nbgrader"]["marked_down"] = 4321
    file.write_text(json.dumps(record))
    assert pictures.stale(project) == [pictures.INSTRUCTOR]
    pictures.write(project)
    assert "| right work marked down | 0 | 4321 |" in guide.read_text(encoding="utf-8")
    file.write_text(kept)
    pictures.write(project)
    assert guide.read_text(encoding="utf-8") == TEXTS[pictures.INSTRUCTOR]


def test_every_notebook_says_where_its_idea_works_and_where_it_fails(project):
    page = (project / pictures.TOPICS).read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\([^)]*\) (.*) \|$", page, re.MULTILINE)
    listed = [each.number for each in openings.notebooks(ROOT)]
    assert [number for number, _ in rows] == listed == list(topics.FOUND)
    for number, row in rows:
        _, written, works, fails = row.split(" | ")
        assert written.startswith("`") and all(re.search(r"\d", text) for text in (works, fails)), number
    assert len(re.findall(r"^\d+\. ", page, re.MULTILINE)) == len(topics.TAKE_HOME) == 10


def test_a_unit_without_an_opening_is_named(project, tmp_path):
    shutil.copytree(project / "solutions", tmp_path / "solutions")
    source = tmp_path / "solutions/00_first_steps/00_first_steps.py"
    source.write_text(source.read_text(encoding="utf-8").replace("**Time**", "Time"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"00_first_steps\.py: its first cell"):
        pictures.units_table(tmp_path)


def test_the_card_is_a_picture_that_speaks():
    root = ElementTree.parse(ROOT / pictures.CARD).getroot()
    assert root.attrib["role"] == "img" and "Not right yet" in root.attrib["aria-label"]
    assert "mean cross-entropy" in "".join(root.itertext())
    assert "<script" not in (ROOT / pictures.CARD).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TEXTS)
def test_every_picture_has_alt_text_and_every_link_leads_somewhere(name):
    text = TEXTS[name]
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    assert all(len(alt) > 60 and (ROOT / path).is_file() for alt, path in pictures)
    headings = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", text, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert ((ROOT / name).parent / target).exists(), target


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_that_is_promised_exists(name):
    blocks = re.findall(r"^ *```\w*\n(.*?)```", TEXTS[name], re.S | re.M)
    code = "\n".join(blocks + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", TEXTS[name]))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([a-z-]+)", code, re.M)) <= targets
    command = r"^(?:\.venv/bin/course|course|(?:python|python3|py) -m course_lib) ([a-z][a-z-]*)"
    commands = set(re.findall(command, code, re.M))
    assert commands <= set(cli.cli.commands)
    sheets = ("docs/glossary.md", "docs/prerequisites.md", "docs/cheat_sheet.md", "docs/topics.md")
    without = (*sheets, "docs/index.md", "docs/open_brief.md", "results/README.md")
    assert len(commands) > 3 or name in without


def test_the_example_for_authors_keeps_the_rules_of_style():
    blocks = re.findall(r"^```python\n(.*?)^```", TEXTS["CONTRIBUTING.md"], re.S | re.M)
    assert len(blocks) == 6, "cells, exercise.py, judge.py, two right answers in mistakes.md, and a check to be written"
    for block in blocks:
        compile(block, "CONTRIBUTING.md", "exec")
        assert max(map(len, block.splitlines())) <= 120


def test_every_notebook_is_in_the_list_of_units():
    for unit in sources.unit_folders(ROOT):
        for path in (ROOT / "notebooks" / unit).glob("*.ipynb"):
            assert f"(notebooks/{unit}/{path.name})" in TEXTS["README.md"]


def test_what_other_machines_read_agrees_with_the_package():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make set-up" and container["image"] == "python:3.12"
    assert set_up.OLDEST <= (3, 12) <= set_up.NEWEST
    binder = (ROOT / ".binder/environment.yml").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = {line.split(">=")[0]: line.split(">=")[1] for line in project["dependencies"]}
    assert f"python{project['requires-python']}" in binder
    assert f"pytorch-cpu>={bounds['torch']}" in binder and f"torchvision>={bounds['torchvision']}" in binder
    if os.name != "nt":
        assert os.access(ROOT / ".binder/postBuild", os.X_OK)
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {course_lib.__version__}\n" in citation and f"license: {project['license']}\n" in citation


def test_the_readme_is_read_in_a_few_minutes():
    prose = re.sub(r"!\[[^\]]*\]\([^)]*\)|^\|.*$", "", TEXTS["README.md"], flags=re.M)
    assert len(prose.split()) <= 800 and len(TEXTS["README.md"].split()) <= 2_200


def test_first_contact_is_short():
    """From opening the README to the first check: few words to read, few cells to run, none that computes."""
    start = TEXTS["README.md"].partition("`make lab`")[0]
    read = len(re.sub(r"!\[[^\]]*\]\([^)]*\)", "", start).split())
    run = 0
    for cell in json.loads((ROOT / "notebooks/00_first_steps/00_first_steps.ipynb").read_text())["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id", "").startswith("check_"):
            break
        run += 1
        read += len("".join(cell["source"]).split()) if cell["cell_type"] == "markdown" else 0
        assert not {"demo", "train"} & set(cell["metadata"].get("tags", []))
    assert read <= 350 and run <= 6, (read, run)

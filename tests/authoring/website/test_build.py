"""A site whose pages need nothing from elsewhere, and a build that leaves the old one when something is wrong."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import tiny_course
import tiny_site

from course_lib.authoring import website
from course_lib.authoring.website import links, overview_pages, sphinx_pages

UNIT = tiny_course.UNIT


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, list[str]]:
    """A site of the tiny unit and the real library, nothing executed, and what was said meanwhile."""
    root = tmp_path_factory.mktemp("course")
    tiny_site.write_sources(root)
    tiny_site.write_release(root)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_ROOT", str(root))
        exercises = tiny_course.install(patch)
        leveled = tuple(dataclasses.replace(exercise, difficulty=2) for exercise in exercises.values())
        patch.setattr("course_lib.exercises._registry", lambda: {UNIT: leveled})
        website.build(root=root, execute=False, say=said.append)
    return root, said


def page_of(built: tuple[Path, list[str]], name: str) -> str:
    return (built[0] / "site" / name).read_text(encoding="utf-8")


@tiny_site.needs_extra
def test_every_page_is_there_and_sphinx_warns_of_nothing(built):
    root, said = built
    pages = ["index", "map", "mistakes", "results", "search", "genindex", *overview_pages.SHEETS]
    wanted = [*pages, *overview_pages.PEOPLE, f"units/{UNIT}/{UNIT}"]
    wanted += [f"reference/{module}" for module in overview_pages.MODULES]
    assert [name for name in wanted if not (root / "site" / f"{name}.html").is_file()] == []
    assert [line for line in said if line.startswith("Warning")] == []
    assert {path.name for path in (root / ".cache/site").iterdir()} == set()


@tiny_site.needs_extra
def test_nothing_is_fetched_and_every_link_and_picture_is_right(built):
    # `build` refuses a site with problems; here the check itself is seen to have read the pages.
    assert links.check(built[0] / "site") == []
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    (built[0] / "site" / "worse.html").write_text(page.replace('src="', 'src="https://example.org/'))
    assert any("from another site" in problem for problem in links.check(built[0] / "site"))
    (built[0] / "site" / "worse.html").unlink()


@tiny_site.needs_extra
def test_answers_are_folded_under_what_was_asked(built):
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    folded = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert "twice_as_much" in page and "one is not enough" in page
    for answer in ("twice_as_much", "all_of_it", "one is not enough"):
        assert answer in "".join(folded) and answer not in re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    outside = re.sub(r"<details.*?</details>|<[^>]+>", "", page, flags=re.DOTALL)
    assert "Twice x, as a new tensor" in outside and "Why is twice not half?" in outside
    assert "Show an answer" in page and "Show sample answers" in page


@tiny_site.needs_extra
def test_formulas_are_mathml(built):
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    assert page.count("<math") == 2 and "\\cdot" not in page and "MathJax" not in page and "mathjax@" not in page
    assert '<math display="block"' in page and "<mover" in page


@tiny_site.needs_extra
def test_a_formula_that_cannot_be_read_is_a_warning_and_stays_legible(tmp_path):
    (tmp_path / "in" / "extra").mkdir(parents=True)
    (tmp_path / "in" / "site.css").touch()
    (tmp_path / "in" / "site.js").touch()
    (tmp_path / "in" / "index.md").write_text("# Here\n\n$\\nosuchcommand{x}$\n")
    (warning,) = [line for line in sphinx_pages.run_sphinx(tmp_path / "in", tmp_path / "out") if "formula" in line]
    assert "index.md:3" in warning and "\\nosuchcommand{x}" in warning
    assert "<code>\\nosuchcommand{x}</code>" in (tmp_path / "out/index.html").read_text()


@tiny_site.needs_extra
def test_the_map_lists_exercises_and_the_reference_has_the_docstrings(built):
    page = page_of(built, "map.html")
    assert "Tiny: two functions" in page and "90.2" in page and ">total<" in page and "core" in page
    assert "training loop for the whole course" in page_of(built, "reference/training.html")
    assert 'id="course_lib.plots.label_curve"' in page_of(built, "reference/plots.html")
    assert "mpltype" not in page_of(built, "reference/plots.html")  # nothing of other libraries


@tiny_site.needs_extra
@tiny_site.needs_extra
def test_known_mistakes_are_folded_under_their_sentences(built):
    page = page_of(built, "mistakes.html")
    assert 'id="mistakes-double"' in page
    for sentence, line in (("You halved it.", "+    return x / 2"), ("You averaged.", "+    return float(x.mean())")):
        inside = page[page.index(f"<details><summary>{sentence}</summary>") :].partition("</details>")[0]
        assert line in re.sub("<[^>]*>", "", inside)


def test_the_notebook_without_answers_can_be_downloaded(built):
    page = page_of(built, f"units/{UNIT}/{UNIT}.html")
    assert f'href="../../files/{UNIT}.ipynb" download' in page
    assert "twice_as_much" not in (built[0] / f"site/files/{UNIT}.ipynb").read_text()


def test_the_old_site_comes_back_when_the_new_one_cannot_take_its_place(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "old.html").touch()
    with pytest.raises(FileNotFoundError):
        website.put_in_place(tmp_path / "site", tmp_path / "nothing")
    assert (tmp_path / "site" / "old.html").exists()


def test_what_is_missing_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(website, "EXTRA", ("no_such_module",))
    with pytest.raises(website.SiteError, match=r"no_such_module not installed.*pip install -e '\.\[site\]'"):
        website.build(root=tmp_path)
    monkeypatch.setattr(website, "EXTRA", ())
    with pytest.raises(website.SiteError, match="Unknown profile 'fast'"):
        website.build(root=tmp_path, profile="fast")
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    tiny_site.write_sources(tmp_path)
    tiny_course.install(monkeypatch)
    with pytest.raises(website.SiteError, match=f"notebooks/{UNIT}/{UNIT}.ipynb is missing: run `course release`"):
        website.build(root=tmp_path, execute=False)


def test_an_old_release_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(website, "EXTRA", ())
    monkeypatch.setenv("COURSE_ROOT", str(tmp_path))
    tiny_site.write_sources(tmp_path)
    tiny_site.write_release(tmp_path)
    tiny_course.install(monkeypatch)
    tiny_site.write_sources(tmp_path, tiny_site.SOURCE.replace("Why is twice not half?", "Why?"))
    with pytest.raises(website.SiteError, match="is not up to date: run `course release` first"):
        website.build(root=tmp_path, execute=False, say=lambda line: None)

"""docs/glossary.md: terms that a learner can search for, and where each one is taught."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
ROWS = re.findall(
    r"^\| (.+?) \| (.+?) \| (.+?) \| \[(.+?), section (\d+)\]\((.+?)\) \|$",
    (DOCS / "glossary.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
)


def source_of(link: str) -> str:
    notebook = (DOCS / link).resolve()
    return (DOCS.parent / "solutions" / notebook.parent.name / f"{notebook.stem}.py").read_text(encoding="utf-8")


def test_there_are_sixty_terms_and_none_stands_twice():
    terms = [row[0] for row in ROWS]
    assert len(terms) >= 60
    assert len(terms) == len(set(terms))
    table_lines = [line for line in (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines() if "](.." in line]
    assert len(table_lines) == len(ROWS)  # no row is of another shape


@pytest.mark.parametrize(("term", "chinese", "meaning", "unit", "section", "link"), ROWS, ids=[row[0] for row in ROWS])
def test_a_term_leads_to_a_section_that_is_there(term, chinese, meaning, unit, section, link):
    assert (DOCS / link).is_file()
    assert re.search(rf"^# ## {section}\. ", source_of(link), flags=re.MULTILINE), f"{link} has no section {section}"
    assert meaning.endswith(".")
    assert chinese.strip()

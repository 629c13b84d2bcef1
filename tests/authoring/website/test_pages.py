"""Pictures and tables on the pages."""

from __future__ import annotations

import re
from types import SimpleNamespace

import nbformat
import pytest
import tiny_course

from course_lib import records
from course_lib.authoring.website import notebook_pages, overview_pages


def test_results_are_a_picture_with_its_text_and_a_table_with_the_columns_it_needs(tmp_path, monkeypatch):
    def curve(*x: float) -> records.Curve:
        return records.Curve(x, (0.5,) * len(x), (0.01,) * len(x), ((0.5, 0.51),) * len(x), 2)

    rows = [
        records.TableRow("04_b", "Rotation, fine-tuned", "glyphs", "laptop", "rotation_finetuned", curve(1, 780)),
        records.TableRow("04_b", "From scratch", "glyphs", "laptop", "scratch", curve(1)),
        records.TableRow("04_b", "From scratch", "mnist", "full", "scratch", curve(10)),
    ]
    monkeypatch.setattr(records, "table_rows", lambda: rows)
    text = overview_pages.results_page({}, tmp_path)
    first, second = text.split("## mnist, full profile")
    assert "| Method | 1 | 780 | Seeds |" in first and "| From scratch | 50 ± 1\N{NO-BREAK SPACE}% | – | 2 |" in first
    assert len(list(tmp_path.iterdir())) == 1 and 'alt="Unit 04 on glyphs: test accuracy' in first
    assert "| Method | 10 | Seeds |" in second and "<img" not in second


def test_pictures_go_into_files_with_their_text_and_size(tmp_path):
    torch = pytest.importorskip("torch")
    from course_lib import plots

    data, metadata = plots.mime_bundle(plots.image_grid(torch.rand(2, 1, 8, 8), alt='Two "images" of noise.'))
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    light = notebook_pages.without_inline_pictures(output, tmp_path)
    (file,) = tmp_path.iterdir()
    assert list(light.data) == ["text/html"] and "base64" not in light.data["text/html"]
    assert f'src="../../files/{file.name}"' in light.data["text/html"]
    assert 'alt="Two &quot;images&quot; of noise."' in light.data["text/html"]
    width = int(re.search(r'width="(\d+)"', light.data["text/html"]).group(1))
    assert width > 100 and file.read_bytes().startswith(b"\x89PNG")
    assert "base64" in output.data["text/html"]  # what is kept stays whole


def test_pages_of_docs_lead_to_pages_of_the_site(monkeypatch):
    tiny_course.install(monkeypatch)
    unit = tiny_course.UNIT
    page = SimpleNamespace(stem=unit, document=f"units/{unit}/{unit}")
    text = (
        f"[90](../notebooks/{unit}/{unit}.ipynb), [91](../notebooks/91_no/91_no.ipynb), [`double.half`](../course_lib/"
        "exercises/tiny/double/mistakes.md), [`no.half`](../course_lib/exercises/tiny/no/mistakes.md), [a](author.md)"
    )
    linked = f"[90](/units/{unit}/{unit}.ipynb), 91, [`double.half`](#mistakes-double), `no.half`, [a](author.md)"
    assert overview_pages.with_links(text, {unit: [page]}) == linked

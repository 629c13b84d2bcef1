"""Docstrings as text: what is read and left out, missing libraries, files that cannot be read, and the cache."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest
import torch

from course_lib.data import DataNotFound, DataWarning, text
from course_lib.data.text import docstrings

SENTENCE = "A word and another word and then some more words follow until there are enough of them here"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text("raise SystemExit('a library that is read must not be imported')\n")
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content)


def documented(words: str) -> str:
    return f'"""{words}"""\n'


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Two made libraries, red and blue."""
    for name in ("red", "blue"):
        write(tmp_path / "site" / name, first=documented(f"{name} {SENTENCE}"), second=documented(f"{SENTENCE} {name}"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def load(**options):
    return text.load_docstrings(**{"libraries": ("red", "blue"), **options})


def test_a_library_is_read_and_not_imported(libraries):
    data = load()
    assert data.class_names == ("red", "blue") and "red" not in sys.modules
    assert set(data.files) == {f"{name}/{file}.py" for name in ("red", "blue") for file in ("first", "second")}
    assert [file.split("/")[0] for file in data.files] == [data.class_names[k] for k in data.labels]
    assert data.versions == {"red": "unknown", "blue": "unknown"}
    assert data.texts[0].split() == list(data.snippets[0])


def test_the_courses_own_libraries_give_eight_classes():
    """Whatever their versions are: each has texts, in many files, and its name does not stand in them."""
    data = text.load_docstrings(files_per_library=20)
    assert data.class_names == tuple(text.LIBRARIES)
    assert data.labels.bincount(minlength=8).min() >= 20
    words = {word for words in data.snippets for word in words}
    assert not words & {"numpy", "np", "scipy", "sklearn", "matplotlib", "torch", "sympy", "networkx", "sqlalchemy"}
    assert text.NAME in words and all(12 <= len(snippet) <= 32 for snippet in data.snippets)
    assert all(version[0].isdigit() for version in data.versions.values())
    assert len(set(data.snippets)) == len(data)


def test_a_missing_library_is_left_out_with_a_message(libraries):
    with pytest.warns(DataWarning, match="green is not installed, so its class is left out"):
        data = load(libraries=("red", "green", "blue"))
    assert data.class_names == ("red", "blue") and set(data.labels.tolist()) == {0, 1}
    with pytest.warns(DataWarning), pytest.raises(DataNotFound, match="give 1 classes"):
        load(libraries=("red", "green"))


@pytest.mark.parametrize(
    "options",
    [
        {"classes": "module"},
        {"length": 0},
        {"files_per_library": 0},
        {"minimum": 0},
        {"libraries": ["red.a"]},
    ],
    ids=str,
)
def test_an_argument_that_does_not_fit_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        load(**options)


def test_a_library_without_docstrings_is_left_out_with_a_message(libraries):
    write(libraries / "green", code="x = 1\n", short=documented("too short"))
    with pytest.warns(DataWarning, match="green has no docstring of at least 12 words .* so its class is left out"):
        data = load(libraries=("green", "red", "blue"))
    assert data.class_names == ("red", "blue") and set(data.labels.tolist()) == {0, 1}
    assert "green" not in data.versions
    with pytest.warns(DataWarning), pytest.raises(DataNotFound, match="give 1 classes, and at least two are needed"):
        load(libraries=("red", "green"))


def test_a_library_may_be_a_single_file(libraries):
    (libraries / "lonely.py").write_text(documented("one file " + SENTENCE))
    assert {f for f in load(libraries=("red", "lonely")).files if "lonely" in f} == {"lonely/lonely.py"}
    with pytest.warns(DataWarning, match="sys is not installed"):  # in the interpreter, without a file
        assert load(libraries=("red", "sys", "blue")).class_names == ("red", "blue")


def test_a_file_that_cannot_be_parsed_and_a_test_are_passed_over(libraries):
    write(libraries / "red" / "tests", inner=documented("inside " + SENTENCE))
    write(libraries / "red", broken="def (:\n", test_it=documented("tested " + SENTENCE), nul="\0")
    write(libraries / "red", nested=documented("nested " + SENTENCE) + "-" * 100_000 + "1")
    (libraries / "red" / "gone.py").symlink_to(libraries / "nowhere.py")
    assert {file for file in load().files if file.startswith("red")} == {"red/first.py", "red/second.py"}


@pytest.mark.parametrize(
    ("encoding", "declared", "is_read"),
    [("latin-1", True, True), ("utf-8-sig", False, True), ("latin-1", False, False), ("utf-16", False, False)],
)
def test_another_encoding_is_read_where_the_file_declares_it(libraries, encoding, declared, is_read):
    source = f"# -*- coding: {encoding} -*-\n" * declared + documented("Müller " + SENTENCE)
    (libraries / "red" / "other.py").write_bytes(source.encode(encoding))
    data = load()
    assert ("red/other.py" in data.files) is is_read
    assert any("ller" in snippet for snippet in data.snippets) is is_read


def test_the_first_files_are_those_of_every_machine(libraries):
    write(libraries / "red", **{f"file{k}": documented(f"number {'abcdefgh'[k]} {SENTENCE}") for k in range(8)})
    some, more = ({f for f in load(files_per_library=n).files if f.startswith("red")} for n in (3, 5))
    assert some < more and len(more) <= 5


def test_snippets_are_cut_and_short_ones_and_repeats_left_out(libraries):
    write(libraries / "red", third=documented(" ".join(f"w{'abcdefghij'[k % 10] * (k + 1)}" for k in range(50))))
    lengths = [len(s) for s, file in zip(load(length=20, minimum=11).snippets, load().files) if file]
    assert max(lengths) == 20 and 10 not in lengths
    write(libraries / "blue", third=(libraries / "red" / "first.py").read_text())
    assert len(load(length=40, minimum=5).snippets) == len(set(load(length=40, minimum=5).snippets))


def test_subpackages_are_classes(libraries):
    def many(word):
        return documented(" ".join(f"{word}{'abcdefghijklmnopqrst'[k % 20] * (1 + k // 20)}" for k in range(3_000)))

    for name in ("cold", "warm", "tiny"):
        write(libraries / "red" / name, mod=documented(SENTENCE) if name == "tiny" else many(name))
    data = load(libraries=("red",), classes="subpackage", length=12)
    assert data.class_names == ("cold", "warm")
    assert {file.split("/")[1] for file in data.files} == {"cold", "warm"}


def test_docstrings_are_found_where_python_has_them():
    source = b'''
"""module"""
class A:
    """class"""
    def f(self):
        """method"""
        "not one"
try:
    async def g():
        """coroutine"""
except ImportError:
    pass
x = """no docstring"""
'''
    assert sorted(text.docstrings_in(source)) == ["class", "coroutine", "method", "module"]
    assert list(text.docstrings_in(b"def (")) == []


def test_examples_formulas_and_links_are_not_words():
    docstring = textwrap.dedent("""\
        Title
        =====
        See :func:`~numpy.dot <here>` at https://example.org and $x^2$.
        >>> secret()
        output

        .. note:: hidden
        :param width: the width
        after
        """)
    words = text.words_of(text.cleaned(docstring))
    assert words == ["title", "see", text.NAME, "dot", "at", "and", "width", "the", "width", "after"]


@pytest.mark.parametrize("name", ["NumPy", "numpy", "np.", "PyTorch", "scikit-learn", "SciPy", "NetworkX", "TORCH_x"])
def test_names_of_libraries_are_hidden_in_any_writing(name):
    assert text.words_of(name)[0] == text.NAME
    assert text.NAME not in text.words_of(name, hide_names=False)
    assert text.words_of("snp torchlight numpyro") == ["snp", "torchlight", "numpyro"]


def test_a_subset_keeps_what_belongs_together(libraries):
    data = load()
    some = data.subset(torch.tensor([2, 0]))
    assert some.snippets == (data.snippets[2], data.snippets[0]) and some.files == (data.files[2], data.files[0])
    assert some.labels.tolist() == data.labels[[2, 0]].tolist() and "2 texts from 2 files" in repr(some)


# --- the cache


def test_the_second_call_reads_the_cache_and_another_version_does_not(libraries, monkeypatch):
    monkeypatch.setattr(docstrings, "_version_of", lambda library: "1.0")
    first = load()
    monkeypatch.setattr(docstrings, "docstrings_in", lambda source: iter(()))
    assert load().snippets == first.snippets
    monkeypatch.setattr(docstrings, "_version_of", lambda library: "2.0")
    with pytest.warns(DataWarning), pytest.raises(DataNotFound, match="give 0 classes"):
        load()


def test_a_damaged_cache_and_a_folder_that_cannot_be_written_do_not_stop_it(libraries, monkeypatch, tmp_path):
    monkeypatch.setattr(docstrings, "_version_of", lambda library: "1.0")
    first = load()
    (file, *_) = (tmp_path / "cache").rglob("red*.json")
    assert json.loads(file.read_text())
    file.write_text('[["half')
    assert load().snippets == first.snippets
    (tmp_path / "plain").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "plain"))
    assert load().snippets == first.snippets

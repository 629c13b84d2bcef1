"""Docstrings as text: what is read and left out, vocabulary, batches, the cache, and missing libraries."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest
import torch

from course_lib.data import DataNotFound, DataWarning, text

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
    "options", [{"classes": "module"}, {"length": 0}, {"files_per_library": 0}, {"minimum": 0}], ids=str
)
def test_an_argument_that_does_not_fit_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        load(**options)


def test_a_file_that_cannot_be_parsed_and_a_test_are_passed_over(libraries):
    write(libraries / "red" / "tests", inner=documented("inside " + SENTENCE))
    write(libraries / "red", broken="def (:\n", test_it=documented("tested " + SENTENCE), nul="\0")
    assert {file for file in load().files if file.startswith("red")} == {"red/first.py", "red/second.py"}


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


# --- the cache


def test_the_second_call_reads_the_cache_and_another_version_does_not(libraries, monkeypatch):
    monkeypatch.setattr(text, "_version_of", lambda library: "1.0")
    first = load()
    monkeypatch.setattr(text, "docstrings_in", lambda source: iter(()))
    assert load().snippets == first.snippets
    monkeypatch.setattr(text, "_version_of", lambda library: "2.0")
    assert len(load()) == 0


def test_a_damaged_cache_and_a_folder_that_cannot_be_written_do_not_stop_it(libraries, monkeypatch, tmp_path):
    monkeypatch.setattr(text, "_version_of", lambda library: "1.0")
    first = load()
    (file, *_) = (tmp_path / "cache").rglob("red*.json")
    assert json.loads(file.read_text())
    file.write_text('[["half')
    assert load().snippets == first.snippets
    (tmp_path / "plain").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "plain"))
    assert load().snippets == first.snippets


# --- data, vocabulary, batches


def test_a_subset_keeps_what_belongs_together(libraries):
    data = load()
    some = data.subset(torch.tensor([2, 0]))
    assert some.snippets == (data.snippets[2], data.snippets[0]) and some.files == (data.files[2], data.files[0])
    assert some.labels.tolist() == data.labels[[2, 0]].tolist() and "2 texts from 2 files" in repr(some)


def test_labels_and_files_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="labels must be int64"):
        text.TextData("x", (("a",),), torch.zeros(1), ("f",), ("k",), {})
    with pytest.raises(ValueError, match="give one per text"):
        text.TextData("x", (("a",),), torch.zeros(1).long(), (), ("k",), {})


def test_a_vocabulary_numbers_the_most_frequent_words():
    vocabulary = text.Vocabulary([("b", "a", "a"), ("c", "a", "b")], size=5)
    assert vocabulary.words == (*text.SPECIAL, "a", "b") and len(vocabulary) == 5
    ids = vocabulary.encode([("a", "c", "b"), (), ("b",) * 9], length=4)
    assert ids.tolist() == [[3, text.UNKNOWN, 4, 0], [0] * 4, [4] * 4] and ids.dtype == torch.int64
    assert vocabulary.decode(ids[0]) == "a <unknown> b" and vocabulary.number("zzz") == text.UNKNOWN
    with pytest.raises(ValueError, match="above 3"):
        text.Vocabulary([("a",)], size=3)


def test_batches_hold_each_text_once_with_its_label_in_the_generators_order():
    ids = torch.arange(80).reshape(40, 2)
    generator = torch.Generator().manual_seed(1)
    batches = text.TextBatches(ids, ids[:, 0], batch_size=3, shuffle=True, generator=generator)
    first, second = (list(batches) for _ in range(2))
    assert len(batches) == len(first) == 14
    for drawn in (first, second):
        assert sorted(int(k) for _, labels in drawn for k in labels) == ids[:, 0].tolist()
        assert all(torch.equal(some[:, 0], labels) for some, labels in drawn)
    assert not torch.equal(first[0][0], second[0][0])
    again = text.TextBatches(ids, batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(1))
    assert torch.equal(next(iter(again)), first[0][0])
    with pytest.raises(ValueError, match="int64"):
        text.TextBatches(ids.float(), batch_size=3)
    with pytest.raises(ValueError, match="label per text"):
        text.TextBatches(ids, ids[:3, 0], batch_size=3)
    with pytest.raises(ValueError, match="no batch"):
        text.TextBatches(ids[:0], batch_size=3)


def test_dropped_words_become_masks_and_padding_stays():
    ids = torch.randint(3, 50, (200, 20), generator=torch.Generator().manual_seed(0))
    ids[:, 15:] = text.PAD
    dropped = text.drop_words(ids, generator=torch.Generator().manual_seed(0), share=0.2)
    changed = dropped != ids
    assert (dropped[changed] == text.MASK).all() and not changed[:, 15:].any()
    assert abs(float(changed[:, :15].float().mean()) - 0.2) < 0.03


def test_neighbor_counts_are_symmetric_and_leave_special_entries_out():
    ids = torch.tensor([[3, 4, 0, 3], [5, 2, 4, 4]])
    counts = text.neighbor_counts(ids, 6, window=2)
    expected = torch.zeros(6, 6)
    for a, b in ((3, 4), (4, 3), (5, 4), (4, 4)):
        expected[a, b] += 1
        expected[b, a] += 1
    assert torch.equal(counts, expected) and torch.equal(counts, counts.T)
    assert text.neighbor_counts(ids[:, :1], 6).sum() == 0

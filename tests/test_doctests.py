"""The examples in the library's docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import course_lib.data
import course_lib.records
import course_lib.training

MODULES = ["evaluation", "files", "models", "settings", "data", "records", "training"]
for folder in (course_lib.data, course_lib.records, course_lib.training):
    MODULES += [f"{folder.__name__}.{inner.name}".partition(".")[2] for inner in pkgutil.iter_modules(folder.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_right(name):
    module = importlib.import_module(f"course_lib.{name}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_there_are_examples():
    found = [doctest.DocTestFinder().find(importlib.import_module(f"course_lib.{name}")) for name in MODULES]
    assert sum(len(test.examples) for tests in found for test in tests) >= 20

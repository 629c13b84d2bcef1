"""Result files: whole or absent, good for what they were computed from, one grader at a time."""

from __future__ import annotations

import errno
import json
import os

import pytest

from course_lib.grading.outside import results
from course_lib.grading.outside.results import ResultsError


def result(student: str = "ada", **more) -> dict:
    return {"schema": 1, "student": student, "unit": "u", "notebook": "n", "key": "k", "verdict": "right", **more}


def test_a_result_is_good_for_its_key_alone(tmp_path) -> None:
    results.write(tmp_path, result())
    asked = {"unit": "u", "notebook": "n", "student": "ada"}
    assert results.still_good(tmp_path, **asked, key="k") == result()
    assert results.still_good(tmp_path, **asked, key="other") is None
    assert results.still_good(tmp_path, **{**asked, "student": "bob"}, key="k") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 0}', "\xff"])
def test_half_a_file_is_no_result(tmp_path, text: str) -> None:
    path = results.write(tmp_path, result())
    path.write_text(text, encoding="latin-1")
    assert results.read(path) is None
    assert list(results.all_results(tmp_path)) == []


@pytest.mark.parametrize("student", ["../../etc", "a/b", "=1+1", "x" * 500, "ü,\n", "", "CON", "a b", "\udcff"])
def test_no_name_leaves_the_folder_and_none_collide(tmp_path, student: str) -> None:
    path = results.path_of(tmp_path, unit="u", notebook="n", student=student)
    assert path.parent == tmp_path / "u" / "n"
    assert path.name.isascii() and len(path.name) < 100
    results.write(tmp_path, result(student))
    results.write(tmp_path, result("_"))
    assert len(list(results.all_results(tmp_path))) == 2


def test_a_full_disk_leaves_the_old_result_whole(tmp_path, monkeypatch) -> None:
    path = results.write(tmp_path, result())

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match=r"'ada' could not be written .* No space left"):
        results.write(tmp_path, result(verdict="wrong"))
    assert results.read(path) == result()
    assert [p.name for p in path.parent.iterdir()] == ["ada.json"]


def test_the_bytes_do_not_depend_on_the_order_of_keys() -> None:
    turned = dict(reversed(result().items()))
    assert results.text_of(turned) == results.text_of(result())
    with pytest.raises(ValueError):
        results.text_of({"score": float("nan")})


def test_every_submission_is_in_one_shard() -> None:
    names = [f"student{n}/u/n" for n in range(300)]
    shards = [[n for n in names if results.in_shard(n, (k, 3))] for k in (1, 2, 3)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert all(60 < len(shard) < 140 for shard in shards)


def test_two_graders_at_once(tmp_path) -> None:
    with (
        results.only_grader(tmp_path, None),
        pytest.raises(ResultsError, match="another grader is at work"),
        results.only_grader(tmp_path, None),
    ):
        pass
    with results.only_grader(tmp_path, (1, 2)), results.only_grader(tmp_path, (2, 2)):
        pass


def test_the_secret_is_made_once_and_is_nobody_elses(tmp_path) -> None:
    path = tmp_path / "new" / "secret"
    first = results.secret(path)
    assert first == results.secret(path) and len(first) == 64
    assert path.stat().st_mode & 0o077 == 0
    assert results.seed_for(first, "a") != results.seed_for(first, "b") != results.seed_for(b"x" * 32, "b")
    path.write_text("short")
    with pytest.raises(ResultsError, match="shorter than 16"):
        results.secret(path)


def test_shards_are_merged(tmp_path) -> None:
    results.write(tmp_path / "a", result("ada"))
    results.write(tmp_path / "b", result("bob"))
    assert results.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all") == 2
    assert json.loads((tmp_path / "all" / "u" / "n" / "bob.json").read_text())["student"] == "bob"

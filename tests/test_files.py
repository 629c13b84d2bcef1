"""Files written whole or not at all."""

from __future__ import annotations

import os

import pytest

from course_lib import files


@pytest.mark.parametrize("write", [files.replace, files.create])
def test_a_file_is_written_with_its_folder_and_nothing_beside_it(tmp_path, write):
    path = tmp_path / "new" / "a.txt"
    write(path, "ü\r\n")
    assert path.read_bytes() == b"\xc3\xbc\r\n" and os.listdir(path.parent) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_replace_replaces_and_create_does_not(tmp_path):
    path = tmp_path / "a.txt"
    assert files.create(path, b"first") and not files.create(path, b"second")
    assert path.read_bytes() == b"first"
    files.replace(path, b"third", mode=0o600)
    assert path.read_bytes() == b"third" and path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, broken):
    path = tmp_path / "a.txt"
    files.replace(path, "before")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fails)
    with pytest.raises(OSError, match="No space"):
        files.replace(path, "after")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.txt"]


def test_a_file_system_without_links_is_written_to_as_well(tmp_path, monkeypatch):
    def fails(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fails)
    assert files.create(tmp_path / "a", "1") and not files.create(tmp_path / "a", "2")
    assert (tmp_path / "a").read_text() == "1" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_text_is_read_whatever_an_editor_saved_it_as(encoding):
    assert files.text_of("Größe: é, ñ".encode(encoding)) == "Größe: é, ñ"


def test_any_bytes_are_text_but_broken_utf_16():
    assert files.text_of(bytes(range(128, 256))).isprintable() is False
    with pytest.raises(UnicodeDecodeError):
        files.text_of(b"\xff\xfe\x00")

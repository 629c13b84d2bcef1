"""Files written whole or not at all: aside first, to the disk, then under their name; and read as text."""

from __future__ import annotations

import codecs
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

READABLE = 0o644  # mkstemp makes a file private; what the course writes is for everyone who reads the project


def text_of(content: bytes) -> str:
    """The text of a file that a person has edited, whatever their editor saved it as.

    UTF-8 with or without a byte order mark, UTF-16 with one; else the Western encoding of older programs on Windows.

    Raises:
        UnicodeDecodeError: it begins as UTF-16 and is none.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    for encoding in ("utf-8-sig", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode(encoding)
    return content.decode("latin-1")


@contextlib.contextmanager
def written_aside(path: Path, content: bytes | str, *, mode: int = READABLE) -> Iterator[Path]:
    """A new file beside `path` that holds the content and is on the disk; removed at the end if it still has its name.

    The folder is made. Text is written as UTF-8, its line ends as they are.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def replace(path: Path, content: bytes | str, *, mode: int = READABLE) -> None:
    """Writes a file, in place of one that may be there.

    Raises:
        OSError: it cannot be written; an older file is as it was.
    """
    with written_aside(path, content, mode=mode) as aside:
        os.replace(aside, path)


def create(path: Path, content: bytes | str, *, mode: int = READABLE) -> bool:
    """Writes a new file and never touches one that is there. Returns whether it was written.

    Raises:
        OSError: it cannot be written.
    """
    with written_aside(path, content, mode=mode) as aside:
        try:
            os.link(aside, path)  # unlike a rename, a link refuses to replace a file
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if os.path.lexists(path):
                return False
            os.replace(aside, path)
    return True

"""The files in what a teacher downloads: folders, zip archives, zips inside them, notebooks. Nothing is unpacked.

Every path, size and name in an archive is another person's word. So a path that leads out of the archive is not taken,
sizes count as they are read, and a name that is not UTF-8 is kept with the other ways to read it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from course_lib.grading.outside.cells import NOTEBOOK_BYTES
from course_lib.grading.outside.outputs import without_outputs
from course_lib.grading.outside.recognizing import may_be_a_notebook
from course_lib.grading.outside.submission import BadSubmissions

FILE_BYTES = 100 << 20  # of one file, unpacked
ARCHIVE_BYTES = 8 << 30  # of all that is read from one archive, unpacked
ENTRIES = 200_000
DEPTH = 10  # folders in each other
ZIPS = 2  # archives in each other, the outer one not counted
LARGE = 20 << 20
_OTHERS_FOLDERS = ("__MACOSX", "node_modules", "__pycache__", "autograded", "feedback")
# What programs write into a zip without saying which encoding it is; "cp437" is what the format itself demands.
_ENCODINGS = ("cp437", "cp850", "cp1252", "gbk", "shift_jis", "euc_kr")
_LINK = "it is a symbolic link; links are not followed"


class UploadError(Exception):
    """One file that cannot be read; the text says why and what to do."""


@dataclass(frozen=True)
class Upload:
    """One file of a download.

    Attributes:
        source: what the teacher gave, by its name.
        parts: the path below it.
        content: reads it.
        raw: the path as bytes, where it is not UTF-8.
    """

    source: str
    parts: tuple[str, ...]
    content: Callable[[], bytes] = field(repr=False, compare=False)
    raw: bytes | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """Where it lies, for reports and mapping files."""
        return "/".join((self.source, *self.parts))

    def spellings(self) -> list[tuple[str, ...]]:
        """The path, and the other ways to read its bytes where they are not UTF-8."""
        found = [self.parts]
        for encoding in _ENCODINGS if self.raw is not None else ():
            with contextlib.suppress(UnicodeDecodeError):
                found.append(_parts(self.raw.decode(encoding)))  # type: ignore[union-attr]
        return list(dict.fromkeys(each for each in found if each))


@dataclass
class Download:
    """All files of one folder, archive or notebook that the teacher gave.

    Attributes:
        uploads: its files, by path.
        repositories: the folders that are git repositories.
        refused: (path, why) of what is not read.
    """

    source: str
    uploads: list[Upload] = field(default_factory=list)
    repositories: set[tuple[str, ...]] = field(default_factory=set)
    refused: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path) -> Download:
    """The files of a folder, a zip archive or a notebook.

    Raises:
        BadSubmissions: there is no such file, or it is none of these.
    """
    download = Download(_shown(path.name) or str(path))
    if not path.exists():
        raise BadSubmissions(f"there is no file or folder {path}. Give the zip that you downloaded, or its folder.")
    if path.is_dir():
        _walk(download, path, ())
    elif zipfile.is_zipfile(path):
        try:
            _unzip(download, path, (), _Budget(), 0)
        except (OSError, zipfile.BadZipFile, NotImplementedError) as fault:
            raise BadSubmissions(
                f"{path} is a damaged zip archive ({fault}). Download it again. Nothing was collected."
            ) from None
    elif may_be_a_notebook(path.name):
        download.uploads.append(Upload(download.source, (), functools.partial(_file, str(path))))
    else:
        raise BadSubmissions(
            f"{path} is neither a zip archive nor a folder nor a notebook. Expected is what your platform gives out: "
            "the zip as you downloaded it, or the folder of it. Unpack a .tar.gz, .7z or .rar first."
        )
    download.uploads.sort(key=lambda each: each.parts)
    return download


def lean(data: bytes) -> tuple[bytes, str]:
    """A notebook that is kept as it is, or without its outputs where it is very large; and a note about that.

    Raises:
        UploadError: it is too large also without outputs.
    """
    if len(data) <= LARGE:
        return data, ""
    smaller = without_outputs(data)
    if len(smaller) > NOTEBOOK_BYTES:
        raise UploadError(
            f"it has {len(data) >> 20} MB, and {len(smaller) >> 20} MB without its outputs; at most "
            f"{NOTEBOOK_BYTES >> 20} MB are graded. Ask for the notebook alone, without data in its cells."
        )
    return smaller, f"{len(data) >> 20} MB: kept without its outputs, which no grade depends on"


# --- folders ----------------------------------------------------------------------------------------------------------


def _walk(download: Download, folder: str | Path, above: tuple[str, ...]) -> None:
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as fault:
        download.refused.append((_path(download, above), f"the folder cannot be read: {fault.strerror}"))
        return
    for entry in entries:
        raw = os.fsencode(entry.name)
        name, is_utf8 = _decoded(raw)
        parts = (*above, name)
        if entry.name == ".git":
            download.repositories.add(above)
        if entry.name.startswith(".") or entry.name in _OTHERS_FOLDERS:
            continue
        if entry.is_symlink():
            download.refused.append((_path(download, parts), _LINK))
        elif entry.is_dir():
            if len(parts) < DEPTH:
                _walk(download, entry.path, parts)
            else:
                download.refused.append((_path(download, parts), f"it lies more than {DEPTH} folders deep"))
        elif not entry.is_file():
            download.refused.append((_path(download, parts), "it is not a regular file"))
        elif len(download.uploads) >= ENTRIES:
            raise BadSubmissions(f"{folder} holds more than {ENTRIES} files. Give the folder of one hand-in.")
        else:
            content = functools.partial(_file, entry.path)
            whole = None if is_utf8 else b"/".join((*(os.fsencode(part) for part in above), raw))
            _take(download, Upload(download.source, parts, content, whole), _Budget(), 0)


def _file(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UploadError("it is not a regular file")
            return _limited(file)
    except OSError as fault:
        raise UploadError(f"it cannot be read: {fault.strerror}") from None


# --- archives ---------------------------------------------------------------------------------------------------------


class _Budget:
    """How much may still be unpacked from an archive: entries may share their bytes, and unpack to any size."""

    def __init__(self) -> None:
        self.left = ARCHIVE_BYTES

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise UploadError(
                f"more than {ARCHIVE_BYTES >> 30} GB would have to be unpacked from this archive. If it was not "
                "made to fill a disk, unpack it yourself and give the folder"
            )


def _unzip(download: Download, file: Path | IO[bytes], above: tuple[str, ...], budget: _Budget, depth: int) -> None:
    archive = zipfile.ZipFile(file)  # stays open: contents are read later
    entries = archive.infolist()
    if len(entries) + len(download.uploads) > ENTRIES:
        raise BadSubmissions(
            f"{download.source} holds more than {ENTRIES} files. Expected is the download of one hand-in."
        )
    for entry in entries:
        raw, name = _name_of(entry)
        parts = _parts(name)
        if not parts:
            download.refused.append((f"{download.source}: {name[:100]!r}", "its path leads out of the archive"))
        elif stat.S_ISLNK(entry.external_attr >> 16):
            download.refused.append(
                (_path(download, (*above, *parts)), "it is a symbolic link; links are not followed")
            )
        elif ".git" in parts:
            download.repositories.add((*above, *parts[: parts.index(".git")]))
        elif entry.is_dir() or any(part.startswith(".") or part in _OTHERS_FOLDERS for part in parts):
            continue
        elif len(parts) + len(above) > DEPTH:
            download.refused.append((_path(download, (*above, *parts)), f"it lies more than {DEPTH} folders deep"))
        else:
            content = functools.partial(_entry, archive, entry, budget)
            whole = None if raw is None else b"/".join((*(part.encode() for part in above), raw))
            _take(download, Upload(download.source, (*above, *parts), content, whole), budget, depth)


def _take(download: Download, upload: Upload, budget: _Budget, depth: int) -> None:
    """Adds a file, or the files of a zip that a student uploaded instead of a notebook."""
    if not upload.parts[-1].lower().endswith(".zip"):
        download.uploads.append(upload)
        return
    if depth >= ZIPS:
        download.refused.append((upload.path, f"it is an archive inside {depth} others; ask for the notebook itself"))
        return
    try:
        _unzip(download, io.BytesIO(upload.content()), upload.parts, budget, depth + 1)
    except (UploadError, OSError, zipfile.BadZipFile, NotImplementedError) as fault:
        download.refused.append((upload.path, f"the archive cannot be read ({fault}); ask for the notebook itself"))


def _name_of(entry: zipfile.ZipInfo) -> tuple[bytes | None, str]:
    """The bytes of an entry's name where it is not UTF-8, and the name.

    Without its flag for UTF-8 the format means code page 437, and most programs write something else.
    https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, appendix D
    """
    name = entry.orig_filename.partition("\0")[0]
    if entry.flag_bits & 0x800:
        return None, name
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return None, name
    decoded, is_utf8 = _decoded(raw)
    return (None if is_utf8 else raw), decoded


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: _Budget) -> bytes:
    try:
        with archive.open(entry) as file:
            data = _limited(file)
    except UploadError as fault:
        packed = max(entry.compress_size, 1)
        raise UploadError(f"{fault} (packed it has {packed / 1024:.0f} KB: is it made to fill a disk?)") from None
    except RuntimeError:
        raise UploadError("it is encrypted; ask for the notebook without a password") from None
    except Exception as fault:  # damaged, or packed in a way that is not known here
        raise UploadError(f"it cannot be read from the archive ({str(fault)[:120]}); download it again") from None
    budget.take(len(data))
    return data


def _limited(file: IO[bytes]) -> bytes:
    data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise UploadError(f"it holds more than {FILE_BYTES >> 20} MB; ask for the notebook without its outputs")
    return data


# --- names ------------------------------------------------------------------------------------------------------------


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a path in an archive; () for one that leads out of it."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or any(part[1:2] == ":" for part in path.parts[:1]):
        return ()
    return tuple(map(_shown, path.parts))


def _decoded(raw: bytes) -> tuple[str, bool]:
    try:
        return _shown(raw.decode()), True
    except UnicodeDecodeError:
        return _shown(raw.decode("cp437")), False


def _shown(name: str) -> str:
    """A name in one spelling: macOS writes an accent as a character of its own. Control characters are left out."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Zl", "Zp"))


def _path(download: Download, parts: tuple[str, ...]) -> str:
    return "/".join((download.source, *parts))


def notebooks(download: Download) -> Iterator[Upload]:
    """The uploads whose names are those that programs give to notebooks."""
    return (each for each in download.uploads if may_be_a_notebook((each.parts or (each.source,))[-1]))

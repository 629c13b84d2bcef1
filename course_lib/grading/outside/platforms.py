"""What the names in a download say: which student handed a file in, when, and in which attempt.

Where each form comes from, as the platforms write it:

- Moodle, *Download all submissions*: a folder per student, `Full Name_12345_assignsubmission_file_/x.ipynb`, or without
  folders `Full Name_12345_assignsubmission_file_x.ipynb`. The number is the participant's for this assignment only, and
  the grading worksheet has it as `Participant 12345`. With blind marking the name is `Participant`.
  https://docs.moodle.org/en/Using_Assignment
- Canvas, *Download Submissions*: `lovelaceada_LATE_123_456_x-1.ipynb`: the sortable name in small letters without
  spaces, a mark where it is late, the user's id, the file's id, and the student's own name for the file, to which
  Canvas adds the number of a resubmission. Anonymous: `anon_Ab1cD_456_x.ipynb`. `lib/content_zipper.rb` in
  https://github.com/instructure/canvas-lms
- Gradescope, *Export Submissions*: folders `submission_123/` and a `submission_metadata.yml` with `:submitters:` (each
  `:name:`, `:sid:`, `:email:`), `:created_at:` and `:history:` (the attempts before) of each folder.
  https://guides.gradescope.com/hc/en-us/articles/22066784117901
- Google Classroom's folder in Drive: `Ada Lovelace - x.ipynb` for copies that the teacher made for each student; what
  students add keeps its own name, which names no student. https://support.google.com/edu/classroom/answer/6020285
- GitHub Classroom, `gh classroom clone student-repos`: `x-submissions/x-username/`, each a git repository.
  https://docs.github.com/en/education/manage-coursework-with-github-classroom
- nbgrader's exchange: `inbound/username+unit+2026-03-01 12:00:00.000000 UTC+random/`, and Blackboard's names, which its
  `zip_collect` has as an example: `unit_username_attempt_2026-03-01-12-00-00_x.ipynb`.
  https://nbgrader.readthedocs.io/en/stable/user_guide/managing_assignment_files_manually.html
- Folders by hand: `student/unit/x.ipynb`, or `unit/student/x.ipynb`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from course_lib.grading.outside.finding import around_all
from course_lib.grading.outside.recognizing import Catalogue, copy_number, without_ending
from course_lib.grading.outside.roster import plain, time_of
from course_lib.grading.outside.uploads import Download, Upload, UploadError, notebooks

METADATA = "submission_metadata.yml"


class Platform(StrEnum):
    """Where a download comes from."""

    MOODLE = "moodle"
    CANVAS = "canvas"
    GRADESCOPE = "gradescope"
    CLASSROOM = "google"
    GITHUB = "github"
    EXCHANGE = "nbgrader"
    BLACKBOARD = "blackboard"
    FOLDERS = "folders"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Owner:
    """What a file's place says about the student who handed it in.

    Attributes:
        key: the student, as the platform's names have them; a mapping file's row says who this is.
        names: full names, where the platform shows them; several where a name is not UTF-8.
        ids: identifiers that stay the same for a student.
        identifier: what the platform wants back with a grade.
        time: when it was handed in, where the platform says so.
        late: the platform says that it is late.
        attempt: its number, where the platform numbers attempts.
        whole: whether the place is enough to name the student without a roster.
        file: the student's own name for the file, where the platform put something before it.
    """

    platform: Platform
    key: str = ""
    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    identifier: str = ""
    time: datetime | None = None
    late: bool = False
    attempt: int = 0
    whole: bool = True
    file: str = ""


_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_.*)?", re.DOTALL)
_CANVAS = re.compile(r"(?:(?P<name>\w+?)_)?(?P<late>LATE_)?(?P<user>\d+|anon_[A-Za-z0-9]+)_\d+_(?P<rest>.+)", re.DOTALL)
_BLACKBOARD = re.compile(r".*_(?P<user>[^_]+)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_.*)?", re.DOTALL)
_EXCHANGE = re.compile(
    r"(?P<user>.+)\+(?P<unit>[^+]+)\+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^+]*)(?:\+.*)?", re.DOTALL
)
_CLASSROOM = re.compile(r"(?P<name>[^-]{2,80}?) [-–] (?P<rest>.+)", re.DOTALL)


def owners(download: Download, catalogue: Catalogue) -> Iterator[tuple[Upload, list[Owner]]]:
    """Each notebook of a download with the students who handed it in: one, several for a group, none where unknown."""
    gradescope = _gradescope(download)
    found = list(notebooks(download))
    slugs = _slugs(download)
    around = _around(found, catalogue)
    for upload in found:
        yield upload, _owners(upload, catalogue, gradescope, slugs, around)


def _owners(
    upload: Upload,
    catalogue: Catalogue,
    gradescope: Mapping[tuple[str, ...], list[Owner]],
    slugs: Mapping[tuple[str, ...], str],
    around: _Around,
) -> list[Owner]:
    parts = upload.parts or (upload.source,)
    for depth in range(len(parts) - 1, 0, -1):
        if parts[:depth] in gradescope:
            return gradescope[parts[:depth]]
    for depth in range(1, len(parts)):
        if parts[:depth] in slugs:
            user = parts[depth - 1].removeprefix(slugs[parts[:depth]])
            return [Owner(Platform.GITHUB, key=parts[depth - 1], ids=(user, parts[depth - 1]), identifier=user)]
    by_spelling = [_by_names(spelling, catalogue) for spelling in (upload.spellings() if upload.parts else [parts])]
    named = [owner for owner in by_spelling if owner is not None]
    by_folder = _by_folder(upload, catalogue, around)
    if named and (named[0].whole or by_folder is None or not by_folder.whole):
        names = tuple(dict.fromkeys(name for owner in named for name in owner.names))
        return [replace(named[0], names=names, whole=named[0].whole and upload.raw is None)]
    return [by_folder or _by_what_is_left(upload, parts[-1], catalogue)]


def _by_names(parts: Sequence[str], catalogue: Catalogue) -> Owner | None:
    for part in parts:
        if found := _MOODLE.fullmatch(part):
            number = found["id"]
            key = f"{found['name']}_{number}"
            blind = found["name"].strip().lower() == "participant"
            identifier = f"Participant {number}"
            return Owner(
                Platform.MOODLE,
                key,
                names=() if blind else (found["name"],),
                ids=(identifier,),
                identifier=identifier,
                whole=not blind,
            )
        if found := _EXCHANGE.fullmatch(part):
            time = time_of(found["time"])
            return Owner(Platform.EXCHANGE, found["user"], ids=(found["user"],), identifier=found["user"], time=time)
        if found := _BLACKBOARD.fullmatch(part):
            time = _blackboards(found["time"])
            return Owner(Platform.BLACKBOARD, found["user"], ids=(found["user"],), identifier=found["user"], time=time)
    last = parts[-1]
    if found := _CANVAS.fullmatch(last):
        name, user = found["name"] or "", found["user"]
        return Owner(
            Platform.CANVAS,
            key=f"{name}_{user}".strip("_"),
            names=(name,) if name else (),
            ids=(user.removeprefix("anon_"),),
            identifier=user,
            late=bool(found["late"]),
            attempt=copy_number(found["rest"]),
            whole=bool(name),
            file=found["rest"],
        )
    found = _CLASSROOM.fullmatch(without_ending(last))
    name = found["name"].strip() if found else ""
    # "x - Copy" is a copy of the notebook x, and "Copy of" begins no name.
    if not found or catalogue.unit_called(name) is not None or name.lower().startswith("copy of"):
        return None
    return Owner(Platform.CLASSROOM, name, names=(name,), identifier=name, whole=_is_ours(found, catalogue))


def _is_ours(found: re.Match[str], catalogue: Catalogue) -> bool:
    """Whether what follows a name is the name of a notebook of the course, as in copies that the teacher made."""
    return catalogue.by_name(found["rest"] + ".ipynb", None) is not None


@dataclass(frozen=True)
class _Around:
    """The folders around all students' folders; `several` where more than one folder lies in them."""

    path: tuple[str, ...]
    several: bool


def _around(uploads: Sequence[Upload], catalogue: Catalogue) -> _Around:
    paths = [upload.parts for upload in uploads if upload.parts]
    around = around_all(paths, catalogue)
    below = {path[len(around)] for path in paths if len(path) > len(around) + 1 and path[: len(around)] == around}
    return _Around(around, len(below) > 1)


def _by_folder(upload: Upload, catalogue: Catalogue, around: _Around) -> Owner | None:
    """The folder that is a student's: the one above the unit's, else below it, else the first below all others.

    A single folder that does not belong to a unit may be a student's or that of the whole class, so it is not enough.
    """
    found: list[tuple[str, bool]] = []
    for spelling in upload.spellings():
        folders = spelling[:-1]
        units = [place for place, name in enumerate(folders) if catalogue.unit_called(name)]
        if units and units[0] > 0:
            found.append((folders[units[0] - 1], True))
        elif units and len(folders) > 1:
            found.append((folders[1], True))
        elif not units and len(folders) > len(around.path):
            found.append((folders[len(around.path)], around.several))
    if not found:
        return None
    names = tuple(dict.fromkeys(name for name, _ in found))
    whole = found[0][1] and upload.raw is None
    return Owner(Platform.FOLDERS, names[0], names=names, ids=names, identifier=names[0], whole=whole)


def _by_what_is_left(upload: Upload, name: str, catalogue: Catalogue) -> Owner:
    """A loose file: what its name holds besides that of a notebook may be its student."""
    left = f" {plain(without_ending(name))} "
    for which in catalogue.notebooks:
        for part in (which.notebook, which.unit):
            left = left.replace(f" {plain(part)} ", " ")
    names = (left.strip(),) if left.strip() else ()
    return Owner(Platform.UNKNOWN, upload.path, names=names, ids=names, whole=False)


# --- Gradescope -------------------------------------------------------------------------------------------------------


def _gradescope(download: Download) -> dict[tuple[str, ...], list[Owner]]:
    """The students of each folder of a Gradescope export, by the folder's path."""
    found: dict[tuple[str, ...], list[Owner]] = {}
    for upload in download.uploads:
        if not upload.parts or upload.parts[-1] != METADATA:
            continue
        try:
            about = _yaml(upload.content())
        except (UploadError, ValueError) as fault:
            download.refused.append((upload.path, f"it is not a list of Gradescope's submissions: {fault}"))
            continue
        for folder, entry in about.items():
            if isinstance(entry, Mapping):
                found[(*upload.parts[:-1], str(folder))] = list(_submitters(str(folder), entry))
    return found


def _submitters(folder: str, entry: Mapping[Any, Any]) -> Iterator[Owner]:
    time = _moment(entry.get(":created_at"))
    history = entry.get(":history")
    number = folder.rpartition("_")[2]
    for submitter in entry.get(":submitters") or ():
        if not isinstance(submitter, Mapping):
            continue
        name, sid, email = (str(submitter.get(key) or "").strip() for key in (":name", ":sid", ":email"))
        yield Owner(
            Platform.GRADESCOPE,
            key=email or sid or name,
            names=(name,) if name else (),
            ids=tuple(filter(None, (sid, email))),
            identifier=number,
            time=time,
            attempt=len(history) + 1 if isinstance(history, list) else 0,
        )


def _yaml(content: bytes) -> Mapping[Any, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C reads a large class in a tenth of the time
    try:
        about = yaml.load(content, Loader=loader)
    except (yaml.YAMLError, RecursionError) as fault:
        raise ValueError(" ".join(str(fault).split())[:200]) from None
    if not isinstance(about, Mapping):
        raise ValueError("expected is an entry per folder submission_N")
    return about


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        with contextlib.suppress(OverflowError, OSError):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        return None
    return time_of(str(value)) if value else None


def _blackboards(text: str) -> datetime | None:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.strptime(text, "%Y-%m-%d-%H-%M-%S").astimezone(UTC)
    return None


# --- GitHub -----------------------------------------------------------------------------------------------------------


def _slugs(download: Download) -> dict[tuple[str, ...], str]:
    """The beginning that the repositories of one assignment have in common, by the path of each repository.

    `x-submissions/x-username`: the folder above says it; elsewhere it is what all the names share up to a hyphen.
    """
    found = {}
    for path in download.repositories:
        if not path:
            continue
        beside = [other[-1] for other in download.repositories if other and other[:-1] == path[:-1]]
        above = path[-2] if len(path) > 1 else download.source
        slug = f"{above.removesuffix('-submissions')}-" if above.endswith("-submissions") else ""
        if not slug or not all(name.startswith(slug) for name in beside):
            slug = _shared(beside) if len(beside) > 1 else ""
        found[path] = slug
    return found


def _shared(names: Sequence[str]) -> str:
    """What all names begin with, up to a hyphen."""
    first, last = min(names), max(names)
    length = next(
        (place for place, pair in enumerate(zip(first, last)) if pair[0] != pair[1]), min(len(first), len(last))
    )
    return first[: first[:length].rfind("-") + 1]

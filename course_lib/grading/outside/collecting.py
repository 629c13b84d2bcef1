"""`course collect`: hand-ins as platforms give them out, into class/, where everything else reads them.

Which student, which notebook, which attempt and when is found in the names and lists that platforms write (`platforms`)
and in the notebooks themselves (`recognizing`). Where a student is not clear, nothing is guessed: the upload becomes a
row of a mapping file, and the next run takes it for whom the teacher named there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from course_lib.grading.outside import attempts, uploads
from course_lib.grading.outside.attempts import Attempt, Shelf
from course_lib.grading.outside.gradebook import refusal
from course_lib.grading.outside.gradebook_access import writer_lock
from course_lib.grading.outside.platforms import Owner, Platform, owners
from course_lib.grading.outside.recognizing import Catalogue, Which, copy_number, holds_cells, without_ending
from course_lib.grading.outside.roster import LEAVE_OUT, Named, Person, Roster, ask, time_of
from course_lib.grading.outside.spreadsheets import cell_text
from course_lib.grading.outside.submission import BadSubmissions, Packed, packed, unpacked
from course_lib.grading.outside.uploads import Download, Upload, UploadError

AHEAD = timedelta(days=1)  # a time of a hand-in may be so far in the future, for clocks and zones that differ
FIRST = datetime(2010, 1, 1, tzinfo=UTC)


class Fate(StrEnum):
    """What became of a file."""

    COUNTS = "counts"
    EARLIER = "kept, a later attempt counts"
    THERE = "was collected before"
    UNCLEAR = "whose is it"
    NOT_READ = "not read"
    LEFT_OUT = "left out"
    PASSED = "passed over"


NEEDS_A_PERSON = (Fate.UNCLEAR, Fate.NOT_READ)


@dataclass(frozen=True)
class Outcome:
    """What became of one file of a download, for one student."""

    path: str
    fate: Fate
    why: str = ""
    student: str = ""
    unit: str = ""
    notebook: str = ""
    attempt: int = 0
    time: datetime | None = None
    late: bool = False
    platform: str = ""

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain data."""
        told = {key: value for key, value in vars(self).items() if value not in ("", 0, None, False)}
        told |= {"fate": self.fate.name.lower()}
        return told | ({"time": attempts.stamp_of(self.time)} if self.time else {})


@dataclass
class Report:
    """What `collect` did.

    Attributes:
        outcomes: one per file, and per student of a group.
        questions: rows that were added to the mapping file.
        mapping: the mapping file.
        nothing_from: students of the roster without any hand-in of a unit that was collected, by unit.
        stopped: why the run ended before its end; "" when it did not.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    questions: int = 0
    mapping: Path | None = None
    nothing_from: dict[str, list[str]] = field(default_factory=dict)
    stopped: str = ""

    @property
    def needs_a_person(self) -> bool:
        return bool(self.stopped) or any(each.fate in NEEDS_A_PERSON for each in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "files": [each.as_json() for each in self.outcomes],
            "mapping": str(self.mapping) if self.questions else None,
            "nothing_from": self.nothing_from,
            "stopped": self.stopped or None,
        }


@dataclass
class _Piece:
    """One notebook of a download for one student, in the making."""

    upload: Upload
    owner: Owner
    data: bytes | Packed
    which: Which
    student: str
    note: str = ""

    def order(self) -> tuple[Any, ...]:
        """The order in which attempts are kept: the one that counts comes last."""
        name = self.owner.file or (self.upload.parts or (self.upload.source,))[-1]
        time = self.owner.time or FIRST
        is_named_right = without_ending(name) == self.which.notebook
        return (time, self.owner.attempt, holds_cells(self.data), is_named_right, copy_number(name), self.upload.path)


def collect(
    paths: Sequence[Path],
    *,
    catalogue: Catalogue,
    folder: Path,
    roster: Roster | None = None,
    mapping: Mapping[str, Named] | None = None,
    mapping_file: Path | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Report:
    """Collects downloads into the class folder.

    Args:
        paths: zip archives, folders and notebooks as they were downloaded.
        catalogue: the notebooks of the course.
        folder: the class folder.
        roster: the students of the class; without any, students are called what the platform calls them.
        mapping: what the teacher said about uploads before.
        mapping_file: where questions are written; None writes none.
        dry_run: write nothing.
        now: the time, for what is noted and for times that cannot be.

    Raises:
        BadSubmissions: a path is of no use, or holds no notebook at all. Nothing was collected.
        GradebookError: another process writes to the class folder. Nothing was collected.
    """
    downloads = [uploads.read(path) for path in paths]
    for path, download in zip(paths, downloads):
        if not any(True for _ in uploads.notebooks(download)) and not download.refused:
            raise BadSubmissions(_no_hand_in(path, download))
    now = now or datetime.now(UTC)
    run = _Run(catalogue, folder, roster or Roster(), mapping or {}, now)
    pieces = run.identified(downloads)
    report = Report(run.outcomes, mapping=mapping_file)
    with contextlib.nullcontext() if dry_run else writer_lock(folder, wait=10):
        try:
            run.keep(pieces, write=not dry_run)
            if mapping_file is not None and run.questions and not dry_run:
                report.questions = ask(mapping_file, run.questions)
        except OSError as fault:
            where = fault.filename or folder
            report.stopped = (
                f"{where} cannot be written: {fault.strerror}. What was collected until then is kept. Make room, or "
                "see who may write there, then run the same command again: it goes on from there."
            )
    report.outcomes.sort(key=lambda each: (each.path, each.student))
    units = {each.unit for each in report.outcomes if each.fate in (Fate.COUNTS, Fate.EARLIER, Fate.THERE)}
    for unit in sorted(units):
        have = {each.student for each in report.outcomes if each.unit == unit}
        have |= {path.parent.name for path in (folder / "submitted").glob(f"*/{unit}")}
        report.nothing_from[unit] = sorted(p.student for p in run.roster.people if p.student not in have)
    return report


def _no_hand_in(path: Path, download: Download) -> str:
    names = sorted({upload.parts[-1] for upload in download.uploads if upload.parts})
    there = f"it has {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else "it is empty"
    return (
        f"{path} holds no notebook (.ipynb): {there}. Expected is what your platform gives out for a unit of this "
        "course, such as Moodle's Download all submissions. Nothing was collected."
    )


class _Run:
    """One run of the command: who is who, and what becomes of each file."""

    def __init__(
        self, catalogue: Catalogue, folder: Path, roster: Roster, mapping: Mapping[str, Named], now: datetime
    ) -> None:
        self.catalogue, self.folder, self.roster, self.mapping, self.now = catalogue, folder, roster, mapping, now
        self.outcomes: list[Outcome] = []
        self.questions: list[tuple[str, str, str, str, str]] = []
        self._asked: set[str] = set()
        self._before = attempts.records(folder)
        self._marks: dict[tuple[str, tuple[str, ...]], Upload] = {}  # nbgrader's own files
        self._keys: dict[tuple[Platform, str], set[str]] = {}  # the keys under which a name is there

    # --- who, and which ---

    def identified(self, downloads: Iterable[Download]) -> list[_Piece]:
        """The notebooks whose student and unit are known; of all others it is noted why not."""
        found: list[tuple[Upload, list[Owner]]] = []
        for download in downloads:
            found += owners(download, self.catalogue)
            self._marks |= {
                (upload.source, upload.parts): upload
                for upload in download.uploads
                if upload.parts and upload.parts[-1] in (attempts.SECRET, attempts.STAMP)
            }
            taken = {upload.parts for upload in uploads.notebooks(download)}
            self.outcomes += [Outcome(path, Fate.NOT_READ, why) for path, why in download.refused]
            self.outcomes += [
                Outcome(upload.path, Fate.PASSED, "it is not a notebook")
                for upload in download.uploads
                if upload.parts not in taken
            ]
        for _, theirs in found:
            for owner in theirs:
                for name in owner.names:
                    self._keys.setdefault((owner.platform, name), set()).add(owner.key)
        pieces: list[_Piece] = []
        for upload, theirs in found:
            pieces += self._pieces(upload, theirs)
        return pieces

    def _pieces(self, upload: Upload, theirs: Sequence[Owner]) -> list[_Piece]:
        try:
            data, note = uploads.lean(upload.content())
        except UploadError as fault:
            self.outcomes.append(Outcome(upload.path, Fate.NOT_READ, str(fault), platform=theirs[0].platform))
            return []
        if not holds_cells(data):
            why = f"it is called like a notebook and is none{_begins(data)}; ask for the .ipynb file that Jupyter saves"
            if not (upload.parts or (upload.source,))[-1].lower().endswith(".ipynb"):
                self.outcomes.append(Outcome(upload.path, Fate.PASSED, "it is not a notebook"))
                return []
            self.outcomes.append(Outcome(upload.path, Fate.NOT_READ, why, platform=theirs[0].platform))
            return []
        which = self._which(upload, theirs[0], data)
        kept = packed(data)
        pieces = []
        for owner in theirs:
            student, why = self._student(upload, owner, which)
            if which is None and student != LEAVE_OUT:
                why = "it does not say which notebook of the course it is, nor does its name"
                self._ask(upload.path, owner, student, [])
                self.outcomes.append(Outcome(upload.path, Fate.UNCLEAR, why, student, platform=owner.platform))
            elif student == LEAVE_OUT:
                self.outcomes.append(Outcome(upload.path, Fate.LEFT_OUT, "the mapping file says so"))
            elif not student:
                unit, notebook = which or ("", "")
                self.outcomes.append(
                    Outcome(upload.path, Fate.UNCLEAR, why, "", unit, notebook, platform=owner.platform)
                )
            else:
                assert which is not None
                timed, late_note = self._timed(upload, owner)
                pieces.append(_Piece(upload, timed, kept, which, student, "; ".join(filter(None, (note, late_note)))))
        return pieces

    def _which(self, upload: Upload, owner: Owner, data: bytes) -> Which | None:
        said = self._said(upload, owner).notebook
        if said:
            for which in self.catalogue.notebooks:
                if said in (which.notebook, f"{which.unit}/{which.notebook}", f"{which.notebook}.ipynb"):
                    return which
        found = self.catalogue.by_content(data)
        if found is not None and found.notebook:
            return found
        unit = next((unit for unit in map(self.catalogue.unit_called, upload.parts[:-1]) if unit), None)
        return self.catalogue.by_name(owner.file or (upload.parts or (upload.source,))[-1], unit)

    def _said(self, upload: Upload, owner: Owner) -> Named:
        by_file, by_owner = (self.mapping.get(cell_text(key), Named()) for key in (upload.path, owner.key))
        return Named(by_file.student or by_owner.student, by_file.notebook or by_owner.notebook)

    def _student(self, upload: Upload, owner: Owner, which: Which | None) -> tuple[str, str]:
        """The student, or "" and why it is not clear who it is."""
        said = self._said(upload, owner).student
        if said == LEAVE_OUT:
            return LEAVE_OUT, ""
        if said:
            people = self.roster.with_id(said) or self.roster.called(said)
            if self.roster and len(people) != 1:
                return "", f"the mapping file says {said!r}, and the roster has no such student. Correct one of them"
            return self._fit(upload, owner, people[0].student if people else said)
        if self.roster:
            people = self.roster.with_id(*owner.ids) or self.roster.called(*owner.names)
            other = self._is_of_another_assignment(owner, people)
            if other:
                self._ask(owner.key, owner, "", [person.student for person in self.roster.called(*owner.names)])
                return "", other
            if len(people) == 1:
                return self._fit(upload, owner, people[0].student)
            if people:
                self._ask(owner.key, owner, "", [person.student for person in people])
                return "", f"{len(people)} students of the roster are called {owner.names[0]!r}"
            close = [each for name in owner.names for each in self.roster.close_to(name)]
            self._ask(owner.key, owner, "", close)
            what = owner.names[0] if owner.names else owner.key
            return "", f"{what!r} is not in the roster" if owner.platform != Platform.UNKNOWN else _UNNAMED
        if not owner.whole:
            self._ask(owner.key, owner, "", [])
            return "", _NOT_UTF8 if upload.raw is not None else _UNNAMED
        student = owner.key if owner.platform not in (Platform.MOODLE, Platform.CANVAS) else owner.names[0]
        others = self._keys[owner.platform, owner.names[0]] - {owner.key} if owner.names else set()
        if which is not None and owner.platform in (Platform.MOODLE, Platform.CANVAS):
            others |= self._others_before(student, which, owner)
        if others:
            self._ask(owner.key, owner, "", [])
            return "", f"two students are called {student!r}: {', '.join(sorted({owner.key, *others})[:4])}"
        return self._fit(upload, owner, student)

    def _is_of_another_assignment(self, owner: Owner, people: Sequence[Person]) -> str:
        """Why Moodle's number names no student: it is that of one assignment, and has another name in the roster."""
        if owner.platform != Platform.MOODLE or not owner.names or not people:
            return ""
        if any(person in self.roster.called(*owner.names) for person in people):
            return ""
        return (
            f"the roster has {owner.identifier} as {people[0].name!r}, and not as {owner.names[0]!r}: is it the "
            "worksheet of another assignment? Export that of this one"
        )

    def _others_before(self, student: str, which: Which, owner: Owner) -> set[str]:
        """Keys under which this platform had this student before. Moodle's numbers are those of one assignment."""
        return {
            str(attempt.record.get("key"))
            for (who, unit, notebook), theirs in self._before.items()
            for attempt in theirs
            if who == student
            and attempt.record.get("platform") == owner.platform
            and attempt.record.get("key") != owner.key
            and (owner.platform == Platform.CANVAS or (unit, notebook) == which)
        }

    def _fit(self, upload: Upload, owner: Owner, student: str) -> tuple[str, str]:
        why = refusal(student)
        if why:
            self._ask(owner.key, owner, "", [])
            return "", f"{student!r} cannot be a student's name here: {why}. Give another one in the mapping file"
        return student, ""

    def _ask(self, key: str, owner: Owner, student: str, maybe: Collection[str]) -> None:
        if key not in self._asked:
            self._asked.add(key)
            self.questions.append((key, " / ".join(owner.names[:3]), " / ".join(dict.fromkeys(maybe)), student, ""))

    def _timed(self, upload: Upload, owner: Owner) -> tuple[Owner, str]:
        """When it was handed in, by its place, by nbgrader's file beside it or by a roster of this very assignment."""
        time = owner.time or time_of(self._beside(upload, attempts.STAMP))
        if time is None:
            people = self.roster.with_id(*owner.ids)
            listed = owner.platform in (Platform.MOODLE, Platform.GITHUB)
            time = people[0].time if listed and len(people) == 1 else None
        if time is not None and time > self.now + AHEAD:
            told = f"its time, {attempts.stamp_of(time)}, is in the future and is not used: is this clock right?"
            return replace(owner, time=None), told
        if time is not None and time < FIRST:
            return replace(owner, time=None), f"its time, {attempts.stamp_of(time)}, cannot be, and is not used"
        late = "the platform calls it late, but not when it came" if owner.late and time is None else ""
        return replace(owner, time=time), late

    # --- keeping ---

    def keep(self, pieces: Sequence[_Piece], *, write: bool) -> None:
        """Keeps all attempts, and puts those that count where they are graded.

        Raises:
            OSError: something cannot be written.
        """
        groups: dict[tuple[str, Which], list[_Piece]] = {}
        for piece in pieces:
            groups.setdefault((piece.student, piece.which), []).append(piece)
        for (student, which), group in sorted(groups.items()):
            shelf = Shelf(self.folder, student, which)
            digests = {attempts.digest_of(unpacked(piece.data)) for piece in group}
            adopted = shelf.adopt(but=digests, write=write)
            kept: list[tuple[_Piece, Attempt, bool]] = []
            for piece in sorted(group, key=_Piece.order):
                data = unpacked(piece.data)
                known = shelf.known(data)
                if known is not None and write and known.record.get("platform") in (None, attempts.BY_HAND):
                    shelf.note(
                        known.number, self._record(piece)
                    )  # an earlier run was stopped before it, or did not know
                attempt = known or shelf.add(data, self._record(piece), write=write)
                kept.append((piece, attempt, known is not None))
            if write:
                shelf.put_out()
                names = [each.notebook for each in self.catalogue.notebooks if each.unit == which.unit]
                attempts.put_out_marks(self.folder, student, which.unit, names)
            best = shelf.counting()
            if adopted is not None:
                path = f"submitted/{student}/{which.unit}/{which.notebook}.ipynb"
                fate = Fate.COUNTS if adopted is best else Fate.EARLIER
                why = "it lay there before, and is kept as an attempt"
                self.outcomes.append(Outcome(path, fate, why, student, *which, adopted.number))
            for piece, attempt, was_there in kept:
                fate = Fate.COUNTS if attempt is best else Fate.EARLIER
                outcome = Outcome(piece.upload.path, Fate.THERE if was_there else fate, piece.note, student, *which)
                outcome = replace(outcome, attempt=attempt.number, time=piece.owner.time, late=piece.owner.late)
                self.outcomes.append(replace(outcome, platform=piece.owner.platform))

    def _beside(self, upload: Upload, name: str) -> str:
        """What nbgrader put beside a notebook: when it was handed in, and the secret that its feedback is found by."""
        mark = self._marks.get((upload.source, (*upload.parts[:-1], name)))
        with contextlib.suppress(UploadError, UnicodeDecodeError):
            return mark.content()[:200].decode("ascii").strip() if mark is not None else ""
        return ""

    def _record(self, piece: _Piece) -> dict[str, Any]:
        owner = piece.owner
        return {
            "platform": str(owner.platform),
            "key": owner.key,
            "names": list(owner.names),
            "ids": list(owner.ids),
            "identifier": owner.identifier,
            "time": attempts.stamp_of(owner.time) if owner.time else None,
            "late": owner.late,
            "attempt": owner.attempt,
            "file": piece.upload.path,
            "secret": self._beside(piece.upload, attempts.SECRET) or None,
            "readable": holds_cells(piece.data),
            "collected": attempts.stamp_of(self.now),
        }


_UNNAMED = "its name and folder name no student"
_NOT_UTF8 = "its name is not UTF-8, so how the student is called is not certain"


def _begins(data: bytes) -> str:
    if not data.strip():
        return " (it is empty)"
    beginning = "".join(c if c.isprintable() else "?" for c in data[:20].decode("latin-1"))
    return f" (it begins with {beginning!r})"

"""A small class that is served: its folder, its pages over HTTP, and people who visit them."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():  # from 1.0 on Starlette asks for another client, which older ones do not take
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent.parent / "grading"))

import class_notebooks
from class_notebooks import UNIT

from course_lib.grading.inside.protocol import Limits
from course_lib.serving import queue, roster
from course_lib.serving.app import application
from course_lib.serving.classroom import Classroom, Place
from course_lib.serving.protection import INSTRUCTOR
from course_lib.serving.visiting import Web

UNITS = str(Path(__file__).parent.parent / "grading" / "unit")
ROSTER = b"student,name,email\nada,Ada Lovelace,ada@example.org\nbo,Bo Diddley,bo@example.org\n"
LIMITS = Limits(
    cells_seconds=2, exercise_seconds=2, wall_seconds=60, memory_bytes=300 << 20, processes=12, file_bytes=8 << 20
)


def notebook(**answers: Any) -> bytes:
    """A notebook that a student hands in; right where nothing else is said."""
    return class_notebooks.as_bytes(class_notebooks.answered(**answers))


class Browser:
    """A person's browser: keeps cookies, follows redirects, and sends forms from the page that it has."""

    def __init__(self, app: Any, address: str = "http://testserver", **more: Any) -> None:
        self.client = TestClient(app, base_url=address, raise_server_exceptions=False, **more)
        self.page: Any = None

    def get(self, path: str, **more: Any) -> Any:
        self.page = self.client.get(path, **more)
        return self.page

    @property
    def word(self) -> str:
        """The hidden word of the forms on the page."""
        found = re.search(r'name="word" value="([^"]+)"', self.page.text if self.page else "")
        return found[1] if found else ""

    def send(self, path: str, *, files: Any = None, word: str | None = None, **fields: str) -> Any:
        """Sends a form from the page that is open."""
        data = {"word": self.word if word is None else word, **fields}
        self.page = self.client.post(path, data=data, files=files or {"nothing": ("", b"")})
        return self.page

    def hand_in(self, data: bytes, name: str = "unit.ipynb", **more: Any) -> Any:
        self.get("/")
        return self.send("/hand-in", files={"notebook": (name, data)}, **more)


class Served:
    """A class folder with a roster of two, and the application on it."""

    def __init__(self, folder: Path, release: Path, *, url: str = "", content: bytes = ROSTER) -> None:
        self.place = Place(
            folder=folder, release=release, url=url, exercise_folders=(UNITS,), limits=LIMITS
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.room = Classroom(self.place, make=True)
        if content:
            roster.take_roster(self.room, content)
        self.web = Web(self.room)
        self.app = application(self.web)

    def link(self, student: str = "ada") -> str:
        """The path of a personal link."""
        if student == "instructor":
            return f"/in/{self.web.keys.link(INSTRUCTOR, roster.instructors_mark(self.room))}"
        with self.room.database.reading() as connection:
            row = roster.student_called(connection, student)
        return f"/in/{self.web.keys.link(row['id'], row['mark'])}"

    def browser(self, student: str = "ada", **more: Any) -> Browser:
        """A browser in which a person has opened their link."""
        browser = Browser(self.app, **more)
        assert browser.get(self.link(student)).status_code == 200
        return browser

    def row(self, attempt: int) -> Any:
        """An attempt as the data base has it."""
        from sqlalchemy import select

        from course_lib.serving.database import attempts

        with self.room.database.reading() as connection:
            return connection.execute(select(attempts).where(attempts.c.id == attempt)).mappings().first()

    def grade(self, attempt: int = 1, *, score: float = 5.0, blocks: list[dict[str, str]] | None = None) -> None:
        """Stands for a worker: takes what waits next, which must be this attempt, and records a made-up result."""
        taken = queue.claim(self.room.database, "worker-of-the-test")
        assert taken is not None and taken.attempt == attempt
        record = {"score": score, "points": 5.0}
        assert queue.finish(self.room.database, taken, record, (json.dumps(record), json.dumps(blocks or [])))

    def files(self) -> set[str]:
        """What lies in the folder of attempts."""
        found = (self.folder / "attempts").rglob("*") if (self.folder / "attempts").is_dir() else ()
        return {path.name for path in found if path.is_file()}


def text_of(page: Any) -> str:
    """What a page says, without its tags."""
    import html

    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


__all__ = ["LIMITS", "ROSTER", "UNIT", "UNITS", "Browser", "Served", "class_notebooks", "notebook", "text_of"]

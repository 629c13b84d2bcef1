"""nbgrader's exchange from end to end, as a class on a JupyterHub uses it, with `course grade` in its middle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_class
from nbgrader.apps import NbGraderAPI
from nbgrader.auth import Authenticator
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import default as exchange
from small_class import DOUBLE, TOTAL, UNIT, WHY
from traitlets.config import Config

from course_lib import exercises
from course_lib.grading.outside import command
from course_lib.grading.outside.standings import standings
from course_lib.notebooks import tools_on_path

HALF = "def double(x):\n    return x / 2\n"


class Hub:
    """A hub with one course: its exchange, the instructor's folder and a home for each student."""

    def __init__(self, folder: Path, released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.released, self._patch = folder, released, monkeypatch
        self.klass = folder / "instructor" / "class"
        self.inbound = folder / "exchange" / "few-labels" / "inbound"
        for place in (folder / "exchange", self.klass):
            place.mkdir(parents=True)
        (folder / "exchange").chmod(0o777)

    def does(self, what: str, who: str) -> None:
        """A step of the exchange, by a person in their home."""
        home = self.folder / who
        home.mkdir(exist_ok=True)
        self._patch.chdir(home)
        self._patch.setattr("nbgrader.utils.get_osusername", lambda: "jovyan")  # as in a hub's containers
        self._patch.setenv("JUPYTERHUB_USER", who)
        config = self.config()
        config.Exchange.cache = str(home / ".cache")
        directory, kind = CourseDirectory(config=config), getattr(exchange, what)
        kind(coursedir=directory, authenticator=Authenticator(config=config), config=config).start()

    def config(self) -> Config:
        config = Config()
        config.Exchange.root = str(self.folder / "exchange")
        config.ExchangeCollect.check_owner = False  # here all students are one user of the machine
        directory = config.CourseDirectory
        directory.course_id, directory.assignment_id = "few-labels", UNIT
        directory.root, directory.db_url = str(self.klass.parent), f"sqlite:///{self.klass / 'gradebook.db'}"
        directory.release_directory = str(self.released)
        for name in ("submitted", "autograded", "feedback"):
            setattr(directory, f"{name}_directory", str(self.klass / name))
        return config

    def works(self, who: str, **answers: str) -> None:
        """A student fetches the unit, answers and hands it in."""
        self.does("ExchangeFetchAssignment", who)
        path = self.folder / who / UNIT / f"{UNIT}.ipynb"
        path.write_text(json.dumps(small_class.notebook(self.released, **answers)))
        self.does("ExchangeSubmit", who)


@pytest.mark.slow
def test_release_fetch_submit_collect_grade_and_feedback(tmp_path, released, monkeypatch) -> None:
    hub = Hub(tmp_path, released, monkeypatch)
    hub.does("ExchangeReleaseAssignment", "instructor")
    hub.works("ada", double=DOUBLE, total=TOTAL, why=WHY)
    hub.works("bo", double=HALF)
    hub.does("ExchangeCollect", "instructor")
    assert (hub.klass / "submitted" / "ada" / UNIT / "timestamp.txt").exists()

    (tmp_path / "secret").write_text("the secret of this test\n")
    monkeypatch.setenv("COURSE_SECRET", str(tmp_path / "secret"))
    monkeypatch.setattr("gc.freeze", lambda: None)
    units = Path(list(exercises.__path__)[-1])  # of the tiny unit
    choices = command.Choices(
        units=(UNIT,), workers=1, isolation="none", out=hub.klass / "results", release=released, folders=(units,),
        gradebook=True, quiet=True,
    )  # fmt: skip
    report = command.run(hub.klass / "submitted", choices)
    assert not report.failed and {r["student"]: r["score"] for r in report.results} == {"ada": 5.0, "bo": 1.0}
    grades = {(each.student, each.name): each.auto_score for each in standings(hub.klass / "gradebook.db")}
    assert grades["ada", "check_double"] == 3 and grades["bo", "check_total"] == 0

    with tools_on_path():
        assert NbGraderAPI(config=hub.config()).generate_feedback(UNIT)["success"]
    hub.does("ExchangeReleaseFeedback", "instructor")
    for who, said in (("ada", "Twice is a sum."), ("bo", "You halved it.")):
        hub.does("ExchangeFetchFeedback", who)
        (page,) = (tmp_path / who / UNIT / "feedback").rglob(f"{UNIT}.html")
        assert said in page.read_text()


def test_collecting_from_the_inbound_folder_keeps_what_feedback_needs(tmp_path, released, monkeypatch) -> None:
    from course_lib.grading.outside.collecting import collect
    from course_lib.grading.outside.recognizing import Catalogue
    from course_lib.grading.outside.submission import read_release

    hub = Hub(tmp_path, released, monkeypatch)
    hub.does("ExchangeReleaseAssignment", "instructor")
    hub.works("ada", double=DOUBLE)
    catalogue = Catalogue({UNIT: read_release(released, UNIT)})
    assert not collect([hub.inbound], catalogue=catalogue, folder=hub.klass).needs_a_person
    theirs = hub.klass / "submitted" / "ada" / UNIT
    (sent,) = hub.inbound.glob("ada+*")
    assert (theirs / "submission_secret.txt").read_text() == (sent / "submission_secret.txt").read_text()
    assert (theirs / "timestamp.txt").read_text()[:19] == (sent / "timestamp.txt").read_text()[:19]

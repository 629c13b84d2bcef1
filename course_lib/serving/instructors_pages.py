"""What the instructor sees: how things stand, students and links, dates, attempts, the report, everything as a zip."""

from __future__ import annotations

import functools
import os
import tempfile
from datetime import date
from typing import Any

from sqlalchemy import select
from starlette.background import BackgroundTask
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from course_lib.grading.outside import dates
from course_lib.grading.outside.spreadsheets import csv_text
from course_lib.grading.outside.submission import BadSubmissions
from course_lib.serving import drawing, queue, roster, taking_out
from course_lib.serving.database import attempts, students
from course_lib.serving.protection import STYLE_IN_THE_PAGE, policy
from course_lib.serving.students_pages import as_file, with_lateness
from course_lib.serving.visiting import NOT_FOUND, Said, Visitor, Web, instructor, takes_form, web_of

PER_PAGE = 100


def overview(request: Request) -> Response:
    """How things stand: the queue, the units with their dates, and what needs a person."""
    return _overview(request, instructor(request))


def _overview(request: Request, who: Visitor, *, told: str = "", wrong: str = "", status: int = 200) -> Response:
    web = web_of(request)
    faults = [web.keeper.fault] if web.keeper and web.keeper.fault else []
    calendar = web.room.calendar()
    if web.room.calendar_fault:
        faults.append(web.room.calendar_fault)
    with web.room.database.reading() as connection:
        counts = queue.counts(connection)
        count = len(connection.execute(select(students.c.id)).all())
    now = web.room.clock.now()
    units = [(unit, dates.of(calendar, unit), dates.of(calendar, unit).is_open(now)) for unit in web.room.by_unit]
    return drawing.page(
        "class.html", status=status, who=who, path="/class", units=units, counts=counts, students=count,
        faults=[*faults, *web.room.clock.jumps], told=told, wrong=wrong,
    )  # fmt: skip


@takes_form(instructor)
def change_dates(request: Request, who: Visitor, form: FormData) -> Response:
    """Writes the dates of a unit into class/dates.csv, which `course release` and `course grade` read too."""
    room, unit = web_of(request).room, str(form.get("unit", ""))
    if unit not in room.by_unit:
        raise NOT_FOUND
    try:
        dates.change(room.folder, unit, **{name: str(form.get(name, "")) for name in dates.COLUMNS[1:]})
    except BadSubmissions as fault:
        return _overview(request, who, wrong=str(fault), status=400)
    return _overview(request, who, told=f"The dates of {unit} are written.")


# --- students and links -----------------------------------------------------------------------------------------------


def students_page(request: Request) -> Response:
    """All students with their links."""
    return _students(request, instructor(request))


def _students(
    request: Request, who: Visitor, *, told: list[str] | None = None, wrong: str = "", status: int = 200
) -> Response:
    web = web_of(request)
    with web.room.database.reading() as connection:
        rows = roster.all_students(connection)
    listed = [{**row, "link": _link(request, web, row)} for row in rows]
    return drawing.page(
        "students.html", status=status, who=who, path="/class/students", students=listed, told=told or [], wrong=wrong
    )


def _link(request: Request, web: Web, row: Any) -> str:
    return link_of(web, str(request.base_url), row)


def link_of(web: Web, address: str, row: Any) -> str:
    """A student's link; "" where it was taken back."""
    return f"{address.rstrip('/')}/in/{web.keys.link(row['id'], row['mark'])}" if row["has_link"] else ""


@takes_form(instructor)
def take_roster(request: Request, who: Visitor, form: FormData) -> Response:
    """Takes in a roster."""
    upload = form.get("roster")
    if not isinstance(upload, UploadFile) or not upload.filename:
        return _students(request, who, wrong="No file was chosen.", status=400)
    try:
        taken = roster.take_roster(web_of(request).room, upload.file.read())
    except BadSubmissions as fault:
        return _students(request, who, wrong=f"{fault} Nothing was changed.", status=400)
    return _students(request, who, told=taken.lines())


@takes_form(instructor)
def change_link(request: Request, who: Visitor, form: FormData) -> Response:
    """Takes a student's link back, or gives another one."""
    room = web_of(request).room
    try:
        with room.database.writing() as connection:
            student = roster.student_called(connection, str(form.get("student", "")))
            change = {"renew": roster.renew, "revoke": roster.revoke}[str(form.get("what", ""))]
            change(connection, student["id"])
    except (BadSubmissions, KeyError):
        raise NOT_FOUND from None
    void = "The old link and all browsers that came in by it are locked out."
    new = "has a new link" if change is roster.renew else "has no link now"
    return _students(request, who, told=[f"{student['student']} {new}. {void}"])


def links(request: Request) -> Response:
    """All links as a table, to be mailed."""
    instructor(request)
    web = web_of(request)
    return as_file(links_table(web, str(request.base_url)).encode(), "links.csv")


def links_table(web: Web, address: str) -> str:
    """The links of all students as CSV."""
    with web.room.database.reading() as connection:
        rows = roster.all_students(connection)
    cells = [[row["student"], row["name"], row["email"], link_of(web, address, row)] for row in rows]
    return csv_text(("student", "name", "email", "link"), cells)


# --- attempts ---------------------------------------------------------------------------------------------------------


def attempts_page(request: Request) -> Response:
    """Attempts, the newest first, of a student or a unit if asked for."""
    return _attempts(request, instructor(request))


def _attempts(request: Request, who: Visitor, told: str = "") -> Response:
    room, asked = web_of(request).room, request.query_params
    query = select(attempts, students.c.student, students.c.name).join(students).order_by(attempts.c.id.desc())
    for name, column in (("unit", attempts.c.unit), ("student", students.c.student), ("state", attempts.c.state)):
        if asked.get(name):
            query = query.where(column == asked[name])
    page = int(asked["page"]) if asked.get("page", "").isdecimal() and len(asked["page"]) < 6 else 1
    with room.database.reading() as connection:
        rows = list(connection.execute(query.limit(PER_PAGE + 1).offset((max(page, 1) - 1) * PER_PAGE)).mappings())
    calendar = room.calendar()
    listed = [with_lateness(row, dates.of(calendar, row["unit"])) for row in rows[:PER_PAGE]]
    return drawing.page(
        "attempts.html", who=who, path="/class/attempts", attempts=listed, units=list(room.by_unit), told=told,
        asked={name: asked.get(name, "") for name in ("unit", "student", "state")}, states=list(queue.State),
        page=max(page, 1), more=len(rows) > PER_PAGE,
    )  # fmt: skip


@takes_form(instructor)
def regrade(request: Request, who: Visitor, form: FormData) -> Response:
    """Has one attempt graded again, or all of a unit."""
    room = web_of(request).room
    number, unit = str(form.get("attempt", "")), str(form.get("unit", ""))
    if number.isdecimal() and len(number) < 10:
        chosen = attempts.c.id == int(number)
    elif unit in room.by_unit:
        chosen = attempts.c.unit == unit
    else:
        raise NOT_FOUND
    with room.database.writing() as connection:
        ids = [row.id for row in connection.execute(select(attempts.c.id).where(chosen))]
        count = queue.again(connection, ids)
    if number:
        return RedirectResponse(f"/attempts/{number}", status_code=303)
    return _attempts(request, who, f"Attempts that are graded again: {count}. Until then the old results stand.")


# --- the report, everything -------------------------------------------------------------------------------------------


def report(request: Request) -> Response:
    """The report of `course report`, made now."""
    instructor(request)
    return HTMLResponse(
        _report(web_of(request), anonymous="anonymous" in request.query_params),
        headers={"Content-Security-Policy": policy(STYLE_IN_THE_PAGE)},
    )


def _report(web: Web, *, anonymous: bool) -> str:
    # Imported here, since it takes seconds: the exercises' judges, and torch with them.
    from course_lib.grading.outside import report as reporting
    from course_lib.grading.outside import report_page
    from course_lib.grading.outside.options import use_exercise_folders
    from course_lib.grading.outside.results import all_results
    from course_lib.grading.outside.standings import standings

    use_exercise_folders(web.room.place.exercise_folders)
    folder = web.room.folder
    results, book = list(all_results(folder / "results")), folder / "gradebook.db"
    if not results:
        raise Said(404, "No report yet", "There is one as soon as an attempt has been graded.")
    with web.room.database.reading() as connection:
        people = [row["student"] for row in roster.all_students(connection)]
    reports = reporting.build(
        results,
        units=(),
        standings=standings(book) if book.is_file() else (),
        roster=people,
        attempts=reporting.attempts_of(folder),
        questions=reporting.questions_in(reporting.teaching_page()),
        anonymous=anonymous,
    )
    return report_page.page(reports, anonymous=anonymous, made=date.today())


def everything(request: Request) -> Response:
    """What was handed in as a zip; with `every`, all attempts."""
    instructor(request)
    every = "every" in request.query_params
    handle, path = tempfile.mkstemp(prefix="course-serve-", suffix=".zip")
    remove = functools.partial(os.unlink, path)
    try:
        with os.fdopen(handle, "wb") as file:
            taking_out.write(web_of(request).room.folder, file, every=every)
    except OSError:
        remove()
        raise
    name = "all-attempts.zip" if every else "submitted.zip"
    return FileResponse(path, media_type="application/zip", filename=name, background=BackgroundTask(remove))


ROUTES = [
    Route("/class", overview),
    Route("/class/dates", change_dates, methods=["POST"]),
    Route("/class/students", students_page),
    Route("/class/roster", take_roster, methods=["POST"]),
    Route("/class/link", change_link, methods=["POST"]),
    Route("/class/links.csv", links),
    Route("/class/attempts", attempts_page),
    Route("/class/regrade", regrade, methods=["POST"]),
    Route("/class/report", report),
    Route("/class/everything.zip", everything),
]

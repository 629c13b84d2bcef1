"""What a student sees: the units with their dates, the form to hand in, attempts and their feedback."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

from sqlalchemy import Connection, select
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from course_lib.grading.outside import attempts as kept
from course_lib.grading.outside import dates
from course_lib.grading.outside.recognizing import Which
from course_lib.notebooks import released_files
from course_lib.serving import drawing, handing_in, queue
from course_lib.serving.classroom import Classroom
from course_lib.serving.database import attempts, students
from course_lib.serving.protection import STYLE_IN_THE_PAGE, policy
from course_lib.serving.visiting import NOT_FOUND, Said, Visitor, takes_form, visitor, web_of

LARGEST = 2**31 - 1  # number that a data base takes
REFRESH = 2  # seconds until the page of an attempt that waits looks again


def home(request: Request) -> Response:
    """A student's units; the instructor goes to the class."""
    who = visitor(request)
    if who.is_instructor:
        return RedirectResponse("/class", status_code=303)
    return drawing.page("student.html", who=who, path="/", **_overview(web_of(request).room, who.student))


def _overview(room: Classroom, student: Any) -> dict[str, Any]:
    calendar, now = room.calendar(), room.clock.now()
    with room.database.reading() as connection:
        query = select(attempts).where(attempts.c.student_id == student["id"]).order_by(attempts.c.id.desc())
        rows = list(connection.execute(query).mappings())
    units = []
    for unit in room.by_unit:
        held = dates.of(calendar, unit)
        theirs = [with_lateness(row, held) for row in rows if row["unit"] == unit]
        if held.is_open(now) or theirs:
            past = held.due is not None and now > held.due
            units.append({"unit": unit, "dates": held, "past": past, "attempts": theirs, "open": held.is_open(now),
                          "solutions": held.shows_solutions(now)})  # fmt: skip
    later = [(unit, dates.of(calendar, unit).opens) for unit in room.by_unit]
    coming = sorted((opens, unit) for unit, opens in later if opens and now < opens)
    return {"units": units, "coming": coming, "most": handing_in.MOST_BYTES // 10**6}


def with_lateness(row: Any, held: dates.Dates) -> dict[str, Any]:
    """A row of an attempt, and whether it came after the deadline."""
    time = handing_in.time_received(row)
    return {**row, "late": bool(time and held.is_late(time))}


@takes_form(visitor)
def hand_in(request: Request, who: Visitor, form: FormData) -> Response:
    """Takes an upload, and goes on to the page where its student sees it graded."""
    web = web_of(request)
    if who.is_instructor:
        raise Said(400, "Only students hand in", "Open the personal link of a student in another browser to try it.")
    seconds = web.uploads.wait(who.student["student"])
    if seconds:
        raise Said(
            429,
            "Too many uploads",
            f"You have handed in many times within a few minutes. Wait {seconds} seconds, then try again. What you "
            "handed in before is kept.",
        )
    upload = form.get("notebook")
    if not isinstance(upload, UploadFile) or not (upload.filename or "").strip():
        raise Said(400, "No file was chosen", "Go back, choose your notebook, and hand it in.")
    try:
        taken = handing_in.take(web.room, who.student, upload.file.read(), upload.filename or "")
    except handing_in.Refused as refused:
        raise Said(400, "This file was not handed in", str(refused)) from None
    return RedirectResponse(f"/attempts/{taken.attempt}" + ("?again=1" if taken.again else ""), status_code=303)


def attempt(request: Request) -> Response:
    """The page of an attempt: where it is in the queue, or the feedback."""
    who = visitor(request)
    room = web_of(request).room
    with room.database.reading() as connection:
        row = attempt_of(connection, request, who)
        result = queue.latest_result(connection, row["id"])
        before = queue.before(connection, row) if row["state"] == queue.State.QUEUED else 0
    waits = row["state"] in (queue.State.QUEUED, queue.State.RUNNING)
    which = Which(row["unit"], row["notebook"])
    counting = kept.Shelf(room.folder, row["student"], which).counting()
    counts = counting is not None and counting.number == row["number"]
    return drawing.page(
        "attempt.html",
        style=STYLE_IN_THE_PAGE,
        who=who,
        path="",
        attempt=with_lateness(row, dates.of(room.calendar(), row["unit"])),
        blocks=json.loads(result["blocks"]) if result else [],
        refresh=REFRESH if waits else 0,
        before=before,
        counts=counts,
        given=given_by_hand(room, row["student"], row["unit"]) if counts else {},
        again="again" in request.query_params,
    )


def attempt_of(connection: Connection, request: Request, who: Visitor) -> Any:
    """The row of the attempt that an address names, if it is the visitor's own or the visitor is the instructor.

    Raises:
        Said: it is not; that it exists is not told.
    """
    number = request.path_params["number"]
    if number > LARGEST:
        raise NOT_FOUND
    query = select(attempts, students.c.student, students.c.name).join(students).where(attempts.c.id == number)
    if not who.is_instructor:
        query = query.where(attempts.c.student_id == who.student["id"])
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NOT_FOUND
    return row


def notebook(request: Request) -> Response:
    """The file of an attempt, as it was handed in."""
    who = visitor(request)
    room = web_of(request).room
    with room.database.reading() as connection:
        row = attempt_of(connection, request, who)
    which = Which(row["unit"], row["notebook"])
    path = kept.Shelf(room.folder, row["student"], which).path(row["number"])
    if not path.is_file():
        raise Said(404, "The file is gone", "The notebook of this attempt does not lie on the server any more.")
    return as_file(path.read_bytes(), f"{row['notebook']}.{row['number']:03}.ipynb")


def unit_zip(request: Request) -> Response:
    """The notebooks of a unit that is open, as they are handed out."""
    who = visitor(request)
    room, unit = web_of(request).room, request.path_params["unit"]
    if unit not in room.by_unit or not (who.is_instructor or dates.of(room.calendar(), unit).is_open(room.clock.now())):
        raise NOT_FOUND
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(released_files(room.place.release / unit).items()):
            archive.writestr(f"{unit}/{name}", path.read_bytes())
    return as_file(stream.getvalue(), f"{unit}.zip")


def solutions(request: Request) -> Response:
    """The solutions of a unit, once their date has come."""
    from course_lib.authoring import solution_page

    who = visitor(request)
    room, unit = web_of(request).room, request.path_params["unit"]
    shows = unit in room.by_unit and dates.of(room.calendar(), unit).shows_solutions(room.clock.now())
    if not shows and not (who.is_instructor and unit in room.by_unit):
        raise NOT_FOUND
    text = solution_page.kept_page(unit, room.folder)
    if text is None:
        raise Said(404, "No solutions", f"The solutions of {unit} do not lie on this server.")
    return HTMLResponse(text, headers={"Content-Security-Policy": policy(STYLE_IN_THE_PAGE)})


def as_file(content: bytes, name: str) -> Response:
    """A file to keep; a browser never shows it."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{plain}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


def given_by_hand(room: Classroom, student: str, unit: str) -> dict[str, str]:
    """The points of written answers by name, as class/grades.csv has them; {} where there is none yet."""
    path = room.folder / "grades.csv"
    if not path.is_file():
        return {}
    for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
        if row.get("student") == student:
            begin = f"{unit}/"
            return {name.removeprefix(begin): text for name, text in row.items() if text and name.startswith(begin)}
    return {}


ROUTES = [
    Route("/hand-in", hand_in, methods=["POST"]),
    Route("/attempts/{number:int}", attempt),
    Route("/attempts/{number:int}/notebook", notebook),
    Route("/units/{unit}.zip", unit_zip),
    Route("/units/{unit}/solutions", solutions),
]

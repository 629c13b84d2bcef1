"""Who visits: what a request may do, by its cookie, and how a form is let in."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from course_lib.serving import protection, roster
from course_lib.serving.classroom import Classroom
from course_lib.serving.keeper import Keeper
from course_lib.serving.protection import INSTRUCTOR, Keys, Limit


class Said(Exception):
    """An answer that is a sentence: a page with a title and a text."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(text)
        self.status, self.title, self.text = status, title, text


NOT_FOUND = Said(404, "Not found", "There is nothing at this address, or it is not yours to see.")
NO_LINK = Said(
    403,
    "Open your personal link first",
    "This page needs your personal link, which your instructor has sent to you. If you have it and it does not work, "
    "ask for a new one.",
)
NOT_OURS = Said(
    403,
    "This form cannot be taken",
    "It came from another page, or your session has ended meanwhile. Nothing was changed. Open your personal link "
    "again, and send the form from the page that you see then.",
)


@dataclass
class Web:
    """What all pages share.

    Attributes:
        hosts: the names that the server answers to; empty for any.
    """

    room: Classroom
    keeper: Keeper | None = None
    hosts: frozenset[str] = frozenset()
    uploads: Limit = field(default_factory=lambda: Limit(10, 20.0))
    wrong_links: Limit = field(default_factory=lambda: Limit(30, 4.0))
    visits: Limit = field(default_factory=lambda: Limit(300, 0.2))

    def __post_init__(self) -> None:
        self.keys = Keys(self.room.secret)


@dataclass(frozen=True)
class Visitor:
    """Who sent a request.

    Attributes:
        student: their row; None for the instructor.
        word: what their forms carry.
    """

    student: Any
    word: str

    @property
    def is_instructor(self) -> bool:
        return self.student is None


def web_of(request: Request) -> Web:
    """What all pages share."""
    web: Web = request.app.state.web
    return web


def cookie_name(request: Request) -> str:
    """The cookie's name, which over https is one that no other host can set."""
    return protection.SECURE_COOKIE if request.url.scheme == "https" else protection.COOKIE


def visitor(request: Request) -> Visitor:
    """Who sent a request, by the cookie and by what the data base says of it now.

    Raises:
        Said: who sent it may not come in, or asks too often.
        DatabaseError: it cannot be asked.
    """
    web = web_of(request)
    cookie = request.cookies.get(cookie_name(request), "")
    said = web.keys.of_cookie(cookie)
    if said is None:
        raise NO_LINK
    student = admitted(web.room, said)
    if web.visits.wait(str(said.number)):
        raise Said(429, "Too many requests", "Wait a minute, then load the page again.")
    return Visitor(student, web.keys.form_word(cookie))


def admitted(room: Classroom, said: protection.Pass) -> Any:
    """The student that a pass lets in, or None for the instructor.

    Raises:
        Said: the link was taken back.
    """
    with room.database.reading() as connection:
        if said.number == INSTRUCTOR:
            if said.mark and said.mark == roster.setting(connection, roster.INSTRUCTOR):
                return None
        else:
            student = roster.student_with(connection, said.number)
            if student is not None and student["has_link"] and student["mark"] == said.mark:
                return student
    raise NO_LINK


def instructor(request: Request) -> Visitor:
    """The instructor; for all others there is nothing here.

    Raises:
        Said: it is another one.
    """
    found = visitor(request)
    if not found.is_instructor:
        raise NOT_FOUND
    return found


def takes_form(
    who: Callable[[Request], Visitor],
) -> Callable[[Callable[[Request, Visitor, FormData], Response]], Callable[[Request], Awaitable[Response]]]:
    """Makes an endpoint of a function that takes a form: the visitor is known and the form is from our own page.

    Who may not send it is told so before the body is read.
    """

    def decorate(handle: Callable[[Request, Visitor, FormData], Response]) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(handle)
        async def endpoint(request: Request) -> Response:
            if protection.is_from_elsewhere(request.headers):
                raise NOT_OURS
            sender = await run_in_threadpool(who, request)
            async with request.form(max_files=1, max_fields=10, max_part_size=64 << 10) as form:
                cookie = request.cookies.get(cookie_name(request), "")
                if not web_of(request).keys.fits(cookie, str(form.get("word", ""))):
                    raise NOT_OURS
                return await run_in_threadpool(handle, request, sender, form)

        return endpoint

    return decorate

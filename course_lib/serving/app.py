"""The web application: its addresses, how one comes in, and what is said when something goes wrong."""

from __future__ import annotations

import logging
from typing import Any

from python_multipart.exceptions import MultipartParseError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from course_lib.grading.outside.submission import BadSubmissions
from course_lib.serving import drawing, handing_in, instructors_pages, protection, students_pages
from course_lib.serving.database import DatabaseError
from course_lib.serving.protection import BodyLimit, BodyTooLarge, BodyTooSlow, SafeHeaders
from course_lib.serving.visiting import (
    NO_LINK,
    NOT_FOUND,
    Said,
    Web,
    admitted,
    cookie_name,
    takes_form,
    visitor,
    web_of,
)

_log = logging.getLogger("course.serve")


def application(web: Web) -> Starlette:
    """The application of a class."""
    app = Starlette(
        routes=[
            Route("/", students_pages.home),
            Route("/in/{text}", come_in),
            Route("/out", takes_form(visitor)(go_out), methods=["POST"]),
            Route("/style.css", style),
            Route("/robots.txt", lambda request: PlainTextResponse("User-agent: *\nDisallow: /\n")),
            Route("/health", health),
            *students_pages.ROUTES,
            *instructors_pages.ROUTES,
        ],
        middleware=[Middleware(SafeHeaders), Middleware(BodyLimit, most=_most)],
        exception_handlers={
            Said: _said,
            DatabaseError: _database,
            BodyTooLarge: _too_large,
            BodyTooSlow: _too_slow,
            BadSubmissions: _not_set_up,
            MultipartParseError: _no_form,
            OSError: _disk,
            HTTPException: _http,
            500: _broken,
        },
    )
    app.state.web = web
    return app


# --- in and out -------------------------------------------------------------------------------------------------------


def come_in(request: Request) -> Response:
    """A personal link: a cookie for this browser, and then the page without the link in its address."""
    web = web_of(request)
    _check_host(request, web)
    said = web.keys.of_link(request.path_params["text"])
    try:
        if said is None:
            raise NO_LINK
        admitted(web.room, said)
    except Said:
        address = request.client.host if request.client else ""
        if web.wrong_links.wait(address):
            raise Said(
                429, "Too many links that do not work", "Wait some minutes, then open your link again."
            ) from None
        raise
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        cookie_name(request), web.keys.cookie(said.number, said.mark), max_age=protection.KEPT, httponly=True,
        # Not "strict": a link in a mail would lead to a page that does not know its student.
        samesite="lax", secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


def go_out(request: Request, who: Any, form: Any) -> Response:
    """Takes the cookie away."""
    answer = drawing.page(
        "message.html", title="Signed out", text="Open your personal link to come back.", who=None, path=""
    )
    answer.delete_cookie(cookie_name(request), httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


def _check_host(request: Request, web: Web) -> None:
    """Refuses a name that is not ours: another site could have given it our address."""
    if web.hosts and (request.url.hostname or "") not in web.hosts:
        raise Said(400, "Another name is expected", f"Open the link as it was given to you: {request.url.hostname}?")


def style(request: Request) -> Response:
    """The style of all pages."""
    return Response(drawing.STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def health(request: Request) -> Response:
    """For a proxy or a monitor: whether the data base answers. Says nothing else."""
    with web_of(request).room.database.reading():
        return PlainTextResponse("ok\n")


def _most(path: str) -> int:
    """The bytes that are taken at an address: of a hand-in those of a notebook, and the form around it."""
    return handing_in.MOST_BYTES + (64 << 10) if path == "/hand-in" else protection.MOST_OF_A_FORM


# --- what goes wrong --------------------------------------------------------------------------------------------------


def _answer(status: int, title: str, text: str, **headers: str) -> Response:
    answer = drawing.page("message.html", status=status, title=title, text=text, who=None, path="")
    answer.headers.update(headers)
    return answer


def _said(request: Request, error: Any) -> Response:
    return _answer(error.status, error.title, error.text)


def _http(request: Request, error: Any) -> Response:
    if error.status_code == 404:
        return _said(request, NOT_FOUND)
    if error.status_code == 405:
        return _answer(405, "Not here", "This address takes no such request.")
    return _answer(error.status_code, "This request cannot be taken", str(error.detail))


def _no_form(request: Request, error: Any) -> Response:
    return _answer(400, "This form cannot be read", "It was damaged on its way. Nothing was changed: send it again.")


def _database(request: Request, error: Any) -> Response:
    _log.error("%s", error)
    text = (
        "The server's list of hand-ins cannot be used at this moment. If you have just handed in: look at your page in "
        "a minute. If your attempt is not there, hand in again; the same file twice counts once. What was handed in "
        "before is kept. If this goes on, tell your instructor."
    )
    return _answer(503, "Please try again in a minute", text, **{"Retry-After": "30"})


def _disk(request: Request, error: Any) -> Response:
    _log.error("%s: %s", request.url.path, error)
    if request.method != "POST":
        return _broken(request, error)
    text = (
        "The server cannot write to its disk, which may be full. This was not taken, and what was handed in before is "
        "kept. Tell your instructor, and keep your file until you see your attempt on this page."
    )
    return _answer(507, "The server's disk cannot be written to", text)


def _too_large(request: Request, error: Any) -> Response:
    return _answer(413, "The file is too large", handing_in.too_large(error.args[0]))


def _too_slow(request: Request, error: Any) -> Response:
    return _answer(408, "The upload took too long", "Nothing was taken. Look at your connection, and try again.")


def _not_set_up(request: Request, error: Any) -> Response:
    _log.error("%s", error)
    text = "Something in the class's own files is wrong. Nothing was changed. The server's log says what it is."
    return _answer(500, "The server is not set up right", text)


def _broken(request: Request, error: Any) -> Response:
    return _answer(500, "Something went wrong here", "This is not your fault. Tell your instructor what you did.")

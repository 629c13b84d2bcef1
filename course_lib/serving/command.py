"""`course serve` and its parts. Imports nothing of the extra until it is known to be there."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from course_lib.grading.inside.protocol import Isolation
from course_lib.grading.outside.isolation import AUTO
from course_lib.grading.outside.submission import BadSubmissions

if TYPE_CHECKING:
    from course_lib.serving.classroom import Classroom, Place
    from course_lib.serving.visiting import Web

EXTRA = ("itsdangerous", "python_multipart", "starlette", "uvicorn")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXIES = "127.0.0.1,::1"  # that are believed with --behind-proxy


def _with_extra() -> None:
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"`course serve` needs {', '.join(missing)}, which is not installed. Install the course's extra `serve` in "
            "the project's folder: pip install -e '.[serve]'"
        )


def _told(function: Callable[..., None]) -> Callable[..., None]:
    """Turns what is known to go wrong into a sentence and an exit code: 2 for what must be set right first."""

    @wraps(function)
    def told(*arguments: Any, **named: Any) -> None:
        _with_extra()
        from course_lib.serving.database import DatabaseError

        try:
            function(*arguments, **named)
        except BadSubmissions as fault:
            raise click.UsageError(str(fault)) from None
        except DatabaseError as fault:
            raise click.ClickException(str(fault)) from None

    return told


@click.group("serve", invoke_without_command=True)
@click.option("--class", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: class.")
@click.option("--release", type=click.Path(path_type=Path, file_okay=False), help="Default: notebooks.")
@click.option("--database", "url", metavar="URL", help="Default: SQLite in the class folder; postgresql+psycopg://...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 is every one.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--behind-proxy", is_flag=True, help="Believe a proxy on this machine about scheme and client.")
@click.option("--workers", type=click.IntRange(1), help="Processes that grade; default: one per CPU core.")
@click.option("--scheduler", metavar="ADDRESS", default="", help="Grade on a Dask scheduler, tcp://10.0.0.5:8786.")
@click.option("--isolation", type=click.Choice([AUTO, *map(str, Isolation)]), default=AUTO, show_default=True,
              help="As for `course grade`.")  # fmt: skip
@click.option("--exercises", "folders", multiple=True, type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A further folder of units.")  # fmt: skip
@click.pass_context
def serve_command(context: click.Context, /, **options: Any) -> None:
    """A place where a class hands in: students upload by a personal link and read the feedback in seconds.

    The first start prints your own link. Save your roster as class/roster.csv before, or take it in on the page. What
    is handed in lies in class/, as `course collect` puts it there, so `course grade`, `course report` and `course
    grades` work beside the server. It can be killed at any time: nothing that a student was told of is lost.

    \b
    Examples:
      course serve
      course serve --host 0.0.0.0 --port 80
      course serve --behind-proxy              with https, by a proxy on this machine
      course serve links --address https://hand-in.example.org > links.csv

    \b
    Ends with
      0  it was stopped;
      1  it could not go on, or its data base cannot be used;
      2  it did not start: the message says what to set right.
    """
    context.obj = options
    if context.invoked_subcommand is None:
        _told(_serve)(options)


def place_of(options: dict[str, Any]) -> Place:
    """Where the class lies, from the command's options."""
    from course_lib import settings
    from course_lib.serving.classroom import Place

    return Place(
        folder=(options["folder"] or settings.root() / "class").absolute(),
        release=(options["release"] or settings.root() / "notebooks").absolute(),
        url=options["url"] or "",
        exercise_folders=tuple(str(folder.resolve()) for folder in options["folders"]),
        isolation=options["isolation"],
        scheduler=options["scheduler"],
    )


def _room(options: dict[str, Any]) -> Classroom:
    from course_lib.serving.classroom import Classroom

    return Classroom(place_of(options), make=True)


# --- the server -------------------------------------------------------------------------------------------------------


def _serve(options: dict[str, Any]) -> None:
    import uvicorn

    from course_lib.serving import keeper, queue, roster
    from course_lib.serving.app import application
    from course_lib.serving.visiting import Web

    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    room = _room(options)
    with keeper.only_server(room.place.own):
        room.calendar()  # dates that cannot be read are told before anyone comes
        put_back = queue.put_back(room.database, None)
        found = roster.take_changed_roster(room)
        lost = roster.enter_lost_attempts(room)
        for line in found.lines() if found else ():
            click.echo(line)
        if put_back or lost:
            click.echo(f"From the last run: {put_back} attempts are graded again, {lost} are entered again.")
        count = 1 if room.place.scheduler else options["workers"] or os.cpu_count() or 1
        own = options["host"] in LOOPBACK and not options["behind_proxy"]
        watch = keeper.Keeper(room, count)
        web = Web(room, watch, frozenset(LOOPBACK) if own else frozenset())
        listening = _listening(options["host"], options["port"])
        config = uvicorn.Config(
            application(web), access_log=False, log_config=None, lifespan="off", server_header=False,
            proxy_headers=options["behind_proxy"], forwarded_allow_ips=PROXIES, timeout_keep_alive=15,
            limit_concurrency=500, timeout_graceful_shutdown=10,
        )  # fmt: skip
        server = uvicorn.Server(config)
        click.echo(f"Serving {room.folder} at http://{_shown(options)}/, {count} workers. Stop with Ctrl-C.")
        click.echo(f"Your own link, to keep to yourself: http://{_shown(options)}/in/{_instructors(web)}")
        if not own and not options["behind_proxy"]:
            click.echo("Note: without https, links and notebooks can be read on the network. Use a proxy with https.")
        watch.start()
        # A worker must be ended by us, not left behind.
        signal.signal(signal.SIGTERM, server.handle_exit)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            click.echo("Stopped.")
        finally:
            watch.stop()
            room.database.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as fault:
        listening.close()
        raise BadSubmissions(
            f"port {port} of {host} cannot be used: {fault.strerror}. Is another server there? Give another --port."
        ) from None
    return listening


def _shown(options: dict[str, Any]) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(options["host"], options["host"])
    return f"[{host}]:{options['port']}" if ":" in host else f"{host}:{options['port']}"


def _instructors(web: Web) -> str:
    from course_lib.serving import roster
    from course_lib.serving.protection import INSTRUCTOR

    return web.keys.link(INSTRUCTOR, roster.instructors_mark(web.room))


# --- its parts --------------------------------------------------------------------------------------------------------


@serve_command.command("students")
@click.argument("roster_file", metavar="ROSTER", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.pass_obj
@_told
def students_command(options: dict[str, Any], roster_file: Path) -> None:
    """Take in a roster: any CSV that `course collect` reads."""
    from course_lib.serving import roster

    for line in roster.take_roster(_room(options), roster_file.read_bytes()).lines():
        click.echo(line)


@serve_command.command("links")
@click.option("--address", metavar="URL", help="What students see of the server; default: http://HOST:PORT.")
@click.option("--instructor", is_flag=True, help="Your own link instead.")
@click.option("--new", "renewed", metavar="STUDENT", multiple=True, help="Another link; the old one is void.")
@click.option("--take-back", metavar="STUDENT", multiple=True, help="No link any more; the work stays.")
@click.option("--new-instructor", is_flag=True, help="Another link of your own; the old one is void.")
@click.pass_obj
@_told
def links_command(
    options: dict[str, Any], address: str | None, instructor: bool, new_instructor: bool, **changed: tuple[str, ...]
) -> None:
    """Print all links as a table (CSV), to be mailed; or change some."""
    from course_lib.serving import roster
    from course_lib.serving.instructors_pages import links_table
    from course_lib.serving.visiting import Web

    room = _room(options)
    for what, names in (("renewed", changed["renewed"]), ("take_back", changed["take_back"])):
        with room.database.writing() as connection:
            for name in names:
                student = roster.student_called(connection, name)
                (roster.renew if what == "renewed" else roster.revoke)(connection, student["id"])
    if new_instructor:
        roster.instructors_mark(room, renewed=True)
    web, address = Web(room), address or f"http://{_shown(options)}"
    if instructor or new_instructor:
        click.echo(f"{address.rstrip('/')}/in/{_instructors(web)}")
    else:
        click.echo(links_table(web, address), nl=False)


@serve_command.command("dates")
@click.argument("unit")
@click.option("--open", "opens", metavar="DATE", help='When students may have it, such as "2026-10-12 09:00".')
@click.option("--due", metavar="DATE", help="The deadline.")
@click.option("--solutions", metavar="DATE", help='When its solutions are shown, or "never"; default: the deadline.')
@click.pass_obj
@_told
def dates_command(options: dict[str, Any], unit: str, opens: str | None, **changed: str | None) -> None:
    """Write dates of UNIT into class/dates.csv, as `course release` does; "" takes one out."""
    from course_lib.grading.outside import dates

    room = _room(options)
    if unit not in room.by_unit:
        raise BadSubmissions(f"there is no unit {unit!r}; there are {', '.join(room.by_unit)}.")
    given = {name: text for name, text in {"open": opens, **changed}.items() if text is not None}
    found = dates.change(room.folder, unit, **given)
    for name, time in (("opens", found.opens), ("due", found.due), ("solutions", found.solutions_from)):
        click.echo(f"{unit}: {name} {dates.shown(time) if time else '–'}")


@serve_command.command("regrade")
@click.argument("unit")
@click.option("--student", help="Only this student's attempts.")
@click.pass_obj
@_told
def regrade_command(options: dict[str, Any], unit: str, student: str | None) -> None:
    """Have all attempts of UNIT graded again, by the server that runs or by the next one."""
    from sqlalchemy import select

    from course_lib.serving import queue, roster
    from course_lib.serving.database import attempts

    room = _room(options)
    if unit not in room.by_unit:
        raise BadSubmissions(f"there is no unit {unit!r}; there are {', '.join(room.by_unit)}.")
    with room.database.writing() as connection:
        query = select(attempts.c.id).where(attempts.c.unit == unit)
        if student:
            query = query.where(attempts.c.student_id == roster.student_called(connection, student)["id"])
        count = queue.again(connection, [row.id for row in connection.execute(query)])
    click.echo(f"Attempts that are graded again: {count}.")


@serve_command.command("download")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--every", is_flag=True, help="Every attempt, as `course collect` reads them.")
@click.pass_obj
@_told
def download_command(options: dict[str, Any], file: Path, every: bool) -> None:
    """Write what was handed in to the zip FILE: what counts, as `course grade` reads it."""
    from course_lib.serving import taking_out

    aside = file.with_name(f".{file.name}.part")
    try:
        with open(aside, "wb") as stream:
            count = taking_out.write(place_of(options).folder, stream, every=every)
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)
    click.echo(f"{file}: {count} notebooks")

"""The command `course`: its groups of commands, and how errors are told.

The commands stand in `for_learners`, `for_authors` and `for_instructors`. Imports are made inside the commands, so that
`course --help` answers at once.

Exit codes: 0 all right, 1 something is wrong (an answer, a stale file, a failed run), 2 the command was not used right.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import click

from course_lib import __version__
from course_lib.desk import for_authors, for_instructors, for_learners, predicting, set_up

# What is told as one sentence, by the name of its class, since importing the classes would take a second.
NOT_USED_RIGHT = {"NotANotebookError", "ValueError", "FileNotFoundError", "IsADirectoryError", "UnicodeDecodeError",
                  "NotAModel"}
WENT_WRONG = {
    "ReleaseError", "WorkspaceError", "AuthoringError", "RecordError", "AnswerFileError", "DemoError",
    "GradebookError", "KernelError", "SiteError",
}  # fmt: skip


class Course(click.Group):
    """A group that keeps the order of its commands and turns errors into one clear paragraph."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)
        except Exception as error:
            if os.environ.get("COURSE_TRACEBACK"):
                raise
            code = _exit_code(error)
            if code is None:
                click.echo(f"Error: {type(error).__name__}: {error}", err=True)
                click.echo("This may be a fault of the course. COURSE_TRACEBACK=1 shows where it happened.", err=True)
                ctx.exit(1)
            click.echo(f"Error: {_sentence(error)}", err=True)
            ctx.exit(code)


def _exit_code(error: Exception) -> int | None:
    """2 for a question that makes no sense, 1 for work that failed; None for any other error."""
    name = type(error).__name__
    if name in NOT_USED_RIGHT:
        return 2
    return 1 if name in WENT_WRONG or isinstance(error, OSError) else None


def _sentence(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"There is no file {error.filename}."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    text = str(error)
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


@click.group(cls=Course, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="course")
def cli() -> None:
    """Learning with Few Labels: learn, check your answers, teach, and add to the course."""
    from course_lib import settings

    settings.language()  # a COURSE_LANGUAGE that the course does not speak is told at once


# In the order in which `course --help` lists them.
for command in (
    for_learners.lab, for_learners.check, for_learners.exercises, for_learners.progress, for_learners.reset,
    predicting.predict,
    for_learners.set_up_command, for_learners.doctor, for_authors.release_command, for_authors.results,
    for_authors.messages_command, for_authors.pictures, for_authors.new, for_instructors.demo, for_authors.site,
    for_instructors.explain, for_instructors.collect, for_instructors.grades, for_instructors.report,
):  # fmt: skip
    cli.add_command(command)
with contextlib.suppress(ModuleNotFoundError):  # a student's copy has neither grader nor server
    from course_lib.grading.outside.command import grade_command
    from course_lib.serving.command import serve_command

    cli.add_command(grade_command)
    cli.add_command(serve_command)


def main() -> None:
    """Entry point of the console command."""
    set_up.show_any_text()
    cli(prog_name="course")


if __name__ == "__main__":
    main()

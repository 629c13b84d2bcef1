"""`course serve` in a real browser: an instructor sets a class up, a student hands in; a phone, and the dark theme."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra serve: pip install -e '.[serve]'")

pytestmark = pytest.mark.browser

UNIT = "00_first_steps"
ANSWER = "def accuracy(logits, labels):\n    return (logits.argmax(1) == labels).float().mean().item()\n"
EVIL = "print('<script>document.title = \"broken in\"</script>')\n"
ROSTER = "student,name,email\nada,Ada Lovelace,ada@example.org\nbo,Bo Diddley,bo@example.org\n"
PHONE = {"width": 390, "height": 844}


class Served:
    """`course serve`, as a person starts it."""

    def __init__(self, course: Any, folder: Path) -> None:
        self.course, self.log = course, folder / "server.log"
        command = [sys.executable, "-m", "course_lib", "serve", "--port", "8765", "--workers", "1"]
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, cwd=course.root, env=course.variables, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        end = time.monotonic() + 120
        while not (found := re.search(r"http://\S+/in/\S+", self.log.read_text())):
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.2)
        self.link = found[0]

    def stop(self) -> None:
        """As Ctrl-C does; all workers must be gone with it."""
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(60) == 0, self.log.read_text()
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)


@pytest.fixture(scope="module")
def server(course, tmp_path_factory) -> Iterator[Served]:
    started = Served(course, tmp_path_factory.mktemp("serve"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def handed_in(course, tmp_path_factory) -> Path:
    """A notebook of the first unit with one right answer, one cell that prints markup, and the rest blank."""
    notebook = json.loads((course.root / "notebooks" / UNIT / f"{UNIT}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "accuracy":
            cell["source"] = EVIL + ANSWER
    path = tmp_path_factory.mktemp("student") / "my notebook (2).ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def fits(page: Any) -> bool:
    """Whether nothing on the page is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_class_from_roster_to_report(server, page, screenshots, handed_in, tmp_path):
    # The instructor: roster, a date, links.
    page.goto(server.link)
    assert page.title().startswith("Class") and "/in/" not in page.url
    page.get_by_role("link", name="Students").click()
    (tmp_path / "roster.csv").write_text(ROSTER)
    page.get_by_label("Roster").set_input_files(tmp_path / "roster.csv")
    page.get_by_role("button", name="Take it in").click()
    assert "Students that are new: 2" in page.content()
    ada = page.get_by_role("textbox", name="Link of Ada Lovelace").input_value()
    page.screenshot(path=screenshots / "serve_students.png", full_page=True)
    page.get_by_role("link", name="Class", exact=True).click()
    form = page.get_by_role("group", name=re.compile("^01_autoencoders"))
    form.get_by_label("Opens").fill("2100-01-01 09:00")
    form.get_by_role("button", name="Save").click()
    assert "held back" in page.get_by_role("group", name=re.compile("^01_autoencoders")).inner_text()
    page.screenshot(path=screenshots / "serve_class.png", full_page=True)

    # The student, in a browser of their own, by keyboard where that is shorter.
    context = page.context.browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    student, errors = context.new_page(), []
    student.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    student.on("pageerror", lambda error: errors.append(str(error)))
    student.goto(ada)
    assert "01_autoencoders opens on" in student.content() and student.get_by_text("Ada Lovelace").is_visible()
    student.get_by_label("Your notebook").set_input_files(handed_in)
    student.screenshot(path=screenshots / "serve_hand_in.png", full_page=True)
    student.get_by_role("button", name="Hand in").press("Enter")
    student.get_by_text("You may close this page", exact=False).or_(student.get_by_text("Points for code")).wait_for()
    student.screenshot(path=screenshots / "serve_waits.png")
    student.get_by_text("Points for code").wait_for(timeout=240_000)
    assert "2 of 19" in student.content() and "broken in" not in student.title()
    assert student.locator("script").count() == 0
    assert "<script>document.title" in student.locator("pre").all_inner_texts()[1]
    student.screenshot(path=screenshots / "serve_feedback.png", full_page=True)
    student.get_by_role("link", name="My units").click()
    assert "2 of 19" in student.get_by_role("row", name=re.compile("attempt 1")).inner_text()
    for scheme, size, name in (("light", PHONE, "phone"), ("dark", PHONE, "phone_dark"), ("dark", None, "dark")):
        student.emulate_media(color_scheme=scheme)
        student.set_viewport_size(size or {"width": 1280, "height": 900})
        for path, what in (("/", "student"), ("/attempts/1", "feedback")):
            student.goto(ada.partition("/in/")[0] + path)
            assert fits(student), (name, what)
            student.screenshot(path=screenshots / f"serve_{what}_{name}.png", full_page=what == "student")
    context.close()
    assert not errors, errors

    # The instructor again: attempts, the attempt itself, the report, another link.
    page.get_by_role("link", name="Attempts", exact=True).click()
    assert "Ada Lovelace" in page.get_by_role("row", name=re.compile("attempt 1")).inner_text()
    page.screenshot(path=screenshots / "serve_attempts.png", full_page=True)
    page.get_by_role("link", name=re.compile("attempt 1")).click()
    assert page.get_by_role("button", name="Grade it again").is_visible()
    page.set_default_timeout(120_000)
    page.goto(server.link.partition("/in/")[0] + "/class/report")
    assert "Begin with" in page.content() and "accuracy" in page.content()
    page.screenshot(path=screenshots / "serve_report.png")
    for scheme, path, name in (("light", "/class", "class"), ("dark", "/class/students", "students"),
                               ("dark", "/class/attempts", "attempts")):  # fmt: skip
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(PHONE)
        page.goto(server.link.partition("/in/")[0] + path)
        assert fits(page), path
        page.screenshot(path=screenshots / f"serve_{name}_phone_{scheme}.png", full_page=True)
    page.goto(server.link.partition("/in/")[0] + "/class/students")
    page.get_by_role("button", name="Take back the link of Ada Lovelace").click()
    assert "taken back" in page.content() and page.context.request.get(ada).status == 403


def test_all_that_can_be_used_is_reached_and_named_without_a_mouse(server, page):
    page.goto(server.link)
    for path in ("/class", "/class/students", "/class/attempts"):
        page.goto(server.link.partition("/in/")[0] + path)
        fields = page.locator("input:not([type=hidden]), select, button, a[href]")
        for number in range(fields.count()):
            name = fields.nth(number).evaluate(
                "e => e.labels?.[0]?.innerText || e.getAttribute('aria-label') || e.innerText"
            )
            assert name.strip(), fields.nth(number).evaluate("e => e.outerHTML")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"

"""The corpus through stock nbgrader, one case at a time, in a throw-away container."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from course_lib.grading.outside import kernelspec
from course_lib.grading.outside.gradebook_access import GradebookError

from .grading_corpus_cases import NAME, NEIGHBOR, POINTS, UNIT, Kind, leaks, outcome, put, scores_of, scratch

CELL_SECONDS, RUN_SECONDS = 30, 180  # nbgrader's own timeout of a cell; what its whole run may take here
MEMORY, FILE_SIZE, DISK, PROCESSES = 4 << 30, 512 << 20, 1 << 30, 120  # of the container
USER = 54_321  # whom the container runs as where it is started by root: no other user's processes count as theirs

INSIDE = rf"""
cp -r /template/. /course && cd /course || exit 9
timeout -k 5 {RUN_SECONDS} {{python}} -m nbgrader autograde {UNIT} --Execute.timeout={CELL_SECONDS} \
    --Execute.iopub_timeout={CELL_SECONDS} >log.txt 2>&1 </dev/null
echo $? >status.txt
if [ -n "$FEEDBACK" ]; then
    timeout -k 5 60 {{python}} -m nbgrader generate_feedback {UNIT} >>log.txt 2>&1 </dev/null
fi
sleep {{linger}}
kill -9 -1 2>/dev/null
exec tar -cf - --ignore-failed-read log.txt status.txt class
"""


def container(template: Path, *, linger: float = 0.0, with_feedback: bool = False) -> list[str]:
    """The command that runs nbgrader on a copy of a course, where nothing of this machine can be written to."""
    limits = [f"--data={MEMORY}", f"--fsize={FILE_SIZE}", "--core=0", "--nofile=1024"]
    command = [shutil.which("prlimit") or "prlimit", *limits, shutil.which("bwrap") or "bwrap"]
    root = os.geteuid() == 0
    # Root inside is the same root outside, whom no limit on processes holds: it becomes another user instead.
    command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += (
        ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user"]
    )
    command += ["--die-with-parent", "--new-session", "--clearenv", "--proc", "/proc", "--dev", "/dev"]
    for path in ("/tmp", "/course"):
        command += ["--perms", "1777", "--size", str(DISK), "--tmpfs", path]
    for folder in (sys.base_prefix, sys.prefix):  # what bwrap makes by itself, only root may enter
        for parent in reversed(Path(folder).parents[:-1]):
            command += ["--perms", "0755", "--dir", str(parent)]
    command += kernelspec.environment_bound()
    command += ["--ro-bind", str(template), "/template", "--perms", "1777", "--dir", kernelspec.HOME]
    variables = {
        **kernelspec.VARIABLES, "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "PYTHONPATH": "/course",
        "COURSE_ROOT": "/course", "FEEDBACK": "yes" if with_feedback else "",
    }  # fmt: skip
    del variables["PYTHONSAFEPATH"]  # stock kernels find modules beside the notebook
    for name, value in variables.items():
        command += ["--setenv", name, value]
    inside = INSIDE.format(python=sys.executable, linger=linger)
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"] if root else []
    return [*command, "--", *become, "prlimit", f"--nproc={PROCESSES}", "bash", "-c", inside]


def by_nbgrader(kind: Kind, course: Path, folder: Path) -> dict[str, Any]:
    """One case and its neighbor through stock nbgrader."""
    template = folder / "template"
    shutil.copytree(course, template, symlinks=True)
    student = kind.student or "ada"
    put(kind, template / "class" / "submitted", student)
    if os.geteuid() == 0:
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    script = kind.name == "rich output with a script"
    linger = 3.0 if "later" in kind.name else 0.0
    command = container(template, linger=linger, with_feedback=script)
    began = time.perf_counter()
    ended, archive = "", folder / "out.tar"
    with open(archive, "wb") as out, open(folder / "err.txt", "wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            process.wait(RUN_SECONDS + 90)
        except subprocess.TimeoutExpired:
            ended = "timed out"
        finally:
            process.kill()
            process.wait()
    seconds = time.perf_counter() - began
    back = folder / "back"
    back.mkdir()
    with contextlib.suppress(tarfile.TarError, OSError), tarfile.open(archive) as opened:
        opened.extractall(back, filter="data")
    status = (back / "status.txt").read_text().strip() if (back / "status.txt").is_file() else ""
    if status in ("124", "137"):
        ended = "timed out"
    theirs = back / "class"
    scores: dict[str, float | None] = {}
    neighbor: dict[str, float | None] = {}
    if (theirs / "gradebook.db").is_file():
        with contextlib.suppress(GradebookError):
            scores = scores_of(theirs / "gradebook.db", student)
            neighbor = scores_of(theirs / "gradebook.db", NEIGHBOR)
    page = theirs / "autograded" / student / UNIT / NAME
    if not (theirs / "autograded" / NEIGHBOR / UNIT / NAME).is_file():
        neighbor = {}
    text = page.read_text(errors="replace") if page.is_file() else ""
    pages = "\n".join(p.read_text(errors="replace") for p in theirs.glob(f"feedback/{student}/**/*.html"))
    log = (back / "log.txt").read_text(errors="replace") if (back / "log.txt").is_file() else ""
    return {
        "scores": {name: _plain(value) for name, value in scores.items()},
        "neighbor": {name: _plain(value) for name, value in neighbor.items()},
        "outcome": ended or outcome(kind, scores, neighbor, page.is_file()),
        "status": status,
        "seconds": round(seconds, 1),
        "leaked": leaks(text + pages),
        "script": "<script>alert(1)" in pages,
        "said": last_error(log),
    }


def alone(kind: Kind, template: Path) -> dict[str, Any]:
    """`by_nbgrader` in a folder of its own; once more when the neighbor suffered, which may be the machine's fault."""
    for _ in range(2):
        with scratch() as folder:
            said = by_nbgrader(kind, template, folder)
        if said["neighbor"] == POINTS:
            break
    return said


def _plain(value: float | None) -> float | str | None:
    """A score as JSON can hold it."""
    return value if value is None or abs(value) < 1e9 else str(value)


def last_error(log: str) -> str:
    """The last error that nbgrader's log names."""
    lines = [
        line.strip() for line in log.splitlines() if re.match(r"\s*[\w.]*(Error|Exception|Interrupt|TooNew)\w*:?", line)
    ]
    return lines[-1][:160] if lines else ""

"""The corpus: every kind of notebook gets exactly its verdicts and scores, and nothing is left behind."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import class_notebooks as notebooks
import pytest
from class_notebooks import answered
from corpus import handed_in
from corpus.attacks import ALL, MANY_CELLS, WAITING
from corpus.handed_in import HANDED_IN
from corpus.kinds import Kind

from course_lib.grading.outside import grade, hidden_cases, sessions
from course_lib.grading.outside.finding import find


def has_what_it_must(result: dict, kind: Kind) -> None:
    double, scale = result["exercises"]
    assert (double["verdict"], double["score"]) == kind.double, (double, result["cells"])
    assert (scale["verdict"], scale["score"]) == kind.scale, (scale, result["cells"])
    assert result["score"] == kind.double[1] + kind.scale[1]
    assert result["points"] == 5
    assert "judge_failed" not in double | scale
    assert len(json.dumps(result)) < 300_000
    said = "; ".join(result["tampered"])
    assert kind.tampered in said and bool(kind.tampered) == bool(said), said


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_corpus(graded, kind: Kind) -> None:
    has_what_it_must(graded(kind.notebook), kind)


@pytest.mark.parametrize("kind", WAITING, ids=lambda kind: kind.name)
def test_corpus_of_those_that_wait(graded, zygote, monkeypatch, kind: Kind) -> None:
    limits = dataclasses.replace(zygote.options.limits, wall_seconds=3)
    monkeypatch.setattr(zygote, "options", dataclasses.replace(zygote.options, limits=limits))
    test_corpus(graded, kind)


def test_many_cells_each_just_under_the_limit(graded) -> None:
    result = graded(MANY_CELLS.notebook)
    has_what_it_must(result, MANY_CELLS)
    assert {name for name, cell in result["cells"].items() if cell["error"]} == {f"b{n}" for n in range(16)}


@pytest.mark.parametrize("kind", HANDED_IN, ids=lambda kind: kind.name)
def test_corpus_of_files_and_folders(zygote, release, tmp_path, kind: Kind) -> None:
    handed_in.hand_in(kind, tmp_path)
    (submission,) = find(tmp_path, [notebooks.UNIT], {notebooks.UNIT: [release]}).submissions
    has_what_it_must(grade.grade_submission(zygote, release, submission, key="key"), kind)


@pytest.mark.parametrize(("data", "words"), handed_in.UNREADABLE.values(), ids=[*handed_in.UNREADABLE])
def test_what_cannot_be_read_is_malformed(graded, data: bytes, words: str) -> None:
    result = graded(data)
    assert (result["verdict"], result["score"]) == ("malformed", 0)
    assert words in result["problem"]


def test_nothing_is_kept_that_is_another_each_time(graded) -> None:
    where = "import course_lib\nprint(course_lib.__file__, object())\n"
    result = graded(answered(extra=f"{where}from course_lib.exercises import nothing_there"))["cells"]["3f2a1b"]
    assert result["printed"] == "library/course_lib/__init__.py <object object at 0x...>\n"
    assert result["not_run"][0]["text"].endswith("(library/course_lib/exercises/__init__.py)")


def test_no_text_of_a_student_keeps_the_judge_busy() -> None:
    for text in (
        "/a" * 2_000_000,
        "/var/tmp/course-grading-1-" * 200_000,
        "/var/tmp/course-grading-1-" + "a" * 4_000_000,
    ):
        assert sessions.same_each_time(text) == text


def test_output_is_cut_short(graded) -> None:
    result = graded(answered(extra="for _ in range(100): print('x' * 1_000_000)"))
    assert 20_000 < len(result["cells"]["3f2a1b"]["printed"]) < 20_100


def test_right_answers_share_a_process_and_others_get_their_own(graded) -> None:
    says_where = "import os\ndef {}:\n    print(os.getpid())\n    return {}\n"
    double, scale = says_where.format("double(x)", "2 * x"), says_where.format("scale(images)", "images / 255")

    def places(*answers: str) -> list[set[str]]:
        return [set(each["printed"].split()) for each in graded(answered(*answers))["exercises"]]

    together = places(double, scale)
    assert together[0] == together[1] and len(together[0]) == 1
    apart = places(double.replace("2 *", "3 *"), scale)
    assert apart[1] == together[0] and apart[0] != apart[1] and len(apart[0]) == 1


def test_what_is_wrong_alone_is_wrong_in_company(graded) -> None:
    """Both wrong: looked at together once more, in the other order, and alone where that was not the same."""
    tripled, halved = "def double(x):\n    return 3 * x\n", "def scale(images):\n    return images / 127\n"
    spoils = "def double(x):\n    globals()['scale'] = None\n    return 3 * x\n"
    alone = [graded(answered(tripled))["exercises"][0], graded(answered(scale=halved))["exercises"][1]]
    assert graded(answered(tripled, halved))["exercises"] == alone
    spoiled = graded(answered(spoils, halved))["exercises"]
    assert spoiled[1] == alone[1] and spoiled[0]["score"] == alone[0]["score"]


def test_a_reply_too_many_makes_doubtful_what_was_said_before(graded) -> None:
    extra = """
from course_lib.grading.inside import transport
heard = transport.receive
def receive(channel, **options):
    try:
        return heard(channel, **options)
    except transport.Closed:
        transport.send(channel, {"defined": False})
        raise
transport.receive = receive
"""
    assert [e["verdict"] for e in graded(answered(extra=extra))["exercises"]] == ["crashed", "crashed"]


def test_the_same_result_every_time(graded) -> None:
    notebook = answered("def double(x):\n    raise ValueError(object())", extra="print(object())")
    assert json.dumps(graded(notebook)) == json.dumps(graded(notebook))


def test_a_submission_sees_nothing_of_others_and_leaves_nothing(graded, zygote) -> None:
    leave = "import os, time\nopen('left', 'w').write('x')\nif os.fork() == 0: time.sleep(9999)"
    graded(answered(extra=leave))
    seen = graded(answered(extra="import os\nprint(os.path.exists('left'), [k for k in globals() if k == 'leaked'])"))
    assert seen["cells"]["3f2a1b"]["printed"] == "False []\n"
    mine = f"{zygote._folder}"
    alive = [p for p in Path("/proc").glob("[0-9]*/cmdline") if mine.encode() in _read(p)]
    assert len(alive) == 3  # the process that loads, the one that serves, and the unit's


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_nothing_to_steal(graded, zygote, tmp_path, monkeypatch) -> None:
    """A submission looks everywhere it can: files, memory, environment."""
    # it reads every file that the sandbox shows, which takes longer than the other tests' one second
    patient = dataclasses.replace(zygote.options.limits, cells_seconds=120, wall_seconds=240)
    monkeypatch.setattr(zygote, "options", dataclasses.replace(zygote.options, limits=patient))
    (tmp_path / "other.txt").write_text("another student's file")
    search = f"""
import gc, os, sys
found = []
for folder, _, names in os.walk('/'):
    if 'site-packages' in folder or '/lib/' in folder: continue
    for name in names:
        path = os.path.join(folder, name)
        try: text = open(path, 'rb').read(1_000_000)
        except OSError: continue
        if b'THE_REFERENCE' + b'_OF_DOUBLE' in text or b'the secret of ' + b'the tests' in text: found.append(path)
found += [p for p in ({str(tmp_path)!r}, {str(Path(__file__).parent)!r}, '/etc/shadow', '/home') if os.path.exists(p)]
found += [o for o in gc.get_objects() if getattr(o, '__name__', '') in ('reference_of_' + 'double', 'judge')]
found += [n for n in sys.modules if n.endswith('.judge')]
found += [v for v in os.environ.values() if 'the secret of ' + 'the tests' in v]
print(found)
"""
    result = graded(answered(extra=search))
    if zygote.level != "namespaces":
        pytest.skip("without namespaces, names of files can be seen though not their contents")
    assert result["cells"]["3f2a1b"] == {"printed": "[]\n", "error": None}


def test_hidden_inputs_differ_from_the_public_ones_and_depend_on_the_secret(unit_known) -> None:
    hidden = hidden_cases.under_test("double", b"a" * 32).cases[0].inputs["x"]
    other = hidden_cases.under_test("double", b"b" * 32).cases[0].inputs["x"]
    public = hidden_cases.registry.exercise_named("double").cases(0)[0].inputs["x"]
    assert not any(a.equal(b) for a, b in ((hidden, other), (hidden, public), (other, public)))


def test_mistakes_are_named(graded) -> None:
    result = graded(answered("def double(x):\n    return x * x", "def scale(images):\n    return images.float()"))
    assert [e["mistake"] for e in result["exercises"]] == ["squares", "forgets_to_divide"]
    assert [e["message"]["id"] for e in result["exercises"]] == [
        "double.mistake.squares",
        "scale.mistake.forgets_to_divide",
    ]


def test_a_judge_that_fails_costs_nobody_else_anything(graded, monkeypatch) -> None:
    def broken(exercise, judge, observed, **options):
        if exercise.name == "double":
            raise ZeroDivisionError("oh")
        return judged(exercise, judge, observed, **options)

    judged = hidden_cases.judge_observations
    monkeypatch.setattr(hidden_cases, "judge_observations", broken)
    double, scale = graded(answered())["exercises"]
    assert double["judge_failed"] and double["message"]["id"] == "contract.judge_failed"
    assert scale["verdict"] == "right"


# Half a second of computing in all, and a warning per call: what must not depend on who else uses the machine.
WARNS = """
import sys, time, warnings
def double(x):
    warnings.warn("this is fine")
    print("so is this", file=sys.stderr)
    until = time.process_time() + 0.08
    while time.process_time() < until:
        pass
    return 2 * x
"""


def test_right_answers_that_warn_on_a_busy_machine_get_full_marks(graded) -> None:
    """Four busy loops slow honest work down, and the limits are CPU seconds."""
    loops = []
    try:
        for _ in range(4):
            loops.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        result = graded(answered(WARNS))
        assert [loop.poll() for loop in loops] == [None] * 4
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    assert (result["verdict"], result["score"]) == ("right", 5)

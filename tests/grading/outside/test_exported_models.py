"""The hidden test of the open brief: models run in the sandbox, scored outside, sorted by the lower end."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from course_lib import exported
from course_lib.grading.outside import exported_models
from course_lib.grading.outside.command import grade_command
from course_lib.grading.outside.exported_models import Score
from course_lib.grading.outside.submission import BadSubmissions

pytestmark = pytest.mark.slow


class Always(nn.Module):
    """Predicts one class for every image."""

    def __init__(self, number, classes=10):
        super().__init__()
        self.register_buffer("answer", torch.eye(classes)[number])

    def forward(self, images):
        return images.float().flatten(1).sum(dim=1, keepdim=True) * 0 + self.answer


def write(folder, student, module, names):
    path = folder / student / "12_capstone" / "model.pt2"
    example = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    exported.save(program, path, class_names=names, shape=(1, 28, 28))


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("submitted")
    names = exported_models.hidden_images(b"any").class_names
    write(folder, "ada", Always(3), names)
    write(folder, "bo", Always(3), (*names[1:], names[0]))  # other order: it predicts the class behind
    write(folder, "cy", Always(0, 3), names[:3])
    for student, content in (("di", b"no model"), ("ed", b"x" * (5 << 20))):
        (folder / student / "12_capstone").mkdir(parents=True)
        (folder / student / "12_capstone" / "model.pt2").write_bytes(content)
    (folder / "flo" / "12_capstone").mkdir(parents=True)
    return folder


def test_models_are_scored_by_name_and_what_is_wrong_is_told(submissions, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_SECRET", str(tmp_path / "secret"))
    out = tmp_path / "class" / "results"
    done = CliRunner().invoke(grade_command, [str(submissions), "--models", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    found = {row["student"]: row for row in json.loads(done.output)}
    assert set(found) == {"ada", "bo", "cy", "di", "ed"}
    from course_lib.grading.outside import results

    data = exported_models.hidden_images(results.secret())
    counts = data.labels.bincount().tolist()
    assert found["ada"]["right"] == counts[3] and found["bo"]["right"] == counts[4] and found["ada"]["total"] == 1000
    assert "no class of the brief" in found["cy"]["problem"] and "not a .pt2 file" in found["di"]["problem"]
    assert "4 MB" in found["ed"]["problem"]
    lows = [row["interval"][0] for row in json.loads(done.output)]
    assert lows == sorted(lows, reverse=True)
    assert (tmp_path / "class" / "models.csv").read_text().startswith("student,right,total,accuracy,low,high,problem\n")


def test_a_small_sharp_score_stands_above_a_large_vague_one():
    scores = [Score("few", 9, 10), Score("many", 850, 1000), Score("none", problem="the file is empty")]
    assert [s.student for s in sorted(scores, key=lambda s: -s.interval[0])] == ["many", "few", "none"]
    table = exported_models.as_table(scores)
    assert "90.0%" in table[1] and "few" in table[1] and "the file is empty" in table[3]
    assert not any("few" in line for line in exported_models.as_table(scores, named=False))
    assert exported_models.as_csv(scores).splitlines()[1].startswith("few,9,10,0.9000,0.5958,")


def test_another_secret_draws_other_images_of_the_same_classes():
    one, two = (exported_models.hidden_images(secret, 20) for secret in (b"a", b"b"))
    assert not torch.equal(one.images, two.images) and one.class_names == two.class_names
    assert torch.equal(one.images, exported_models.hidden_images(b"a", 20).images)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(BadSubmissions, match=r"STUDENT/12_capstone/model\.pt2"):
        exported_models.files_in(tmp_path)

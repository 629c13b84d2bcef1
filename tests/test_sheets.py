"""docs/cheat_sheet.md and docs/prerequisites.md: each rule holds for its right line and breaks for its wrong one."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn, optim
from torch.nn import functional as F

from course_lib import settings
from course_lib.exercises import exercises

DOCS = settings.root() / "docs"
SHEET = (DOCS / "cheat_sheet.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| `(.+?)` \| `(.+?)` \| \[`(\w+)`\]\((.+?)\) \|$", SHEET, flags=re.MULTILINE)
QUESTIONS = (DOCS / "prerequisites.md").read_text(encoding="utf-8")


class Net(nn.Module):
    """A layer that notes whether gradients were recorded when it was used."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 4)
        self.first.requires_grad_(False)
        self.recorded = []

    def forward(self, x):
        self.recorded.append(torch.is_grad_enabled())
        return self.last(self.first(x))


def world():
    """What the lines of the sheet are about."""
    torch.manual_seed(1)
    model = Net()
    w = torch.tensor(3.0, requires_grad=True)
    w.grad = torch.tensor(5.0)
    x = torch.randn(5, 3)
    teacher, student = (torch.randn(4, requires_grad=True) for _ in range(2))
    return {
        "torch": torch, "F": F, "optim": optim, "model": model.eval(), "encoder": model, "part": model.first, "n": 5,
        "x": x, "y": torch.arange(5) % 4, "x_hat": x + 1, "logits": torch.randn(5, 4) * 3, "means": [1.0, 4.0],
        "sizes": [3, 1], "w": w, "loss": w**2, "optimizer": optim.SGD([w], lr=0.1), "student": student,
        "teacher": teacher, "generator": torch.Generator().manual_seed(3),
    }  # fmt: skip


def run(line):
    """The world after a line of the sheet, its value under "value" where it has one; `~` before is the world before."""
    names = world()
    before = {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in names.items()}
    code = line.replace("): z", "):\n    z") if line.startswith("with ") else line
    try:
        names["value"] = eval(code, names)
    except SyntaxError:
        exec(code, names)
    return names, before


def restored(names, before):
    return names["model"].training is False and len(names["model"].recorded) == 1


def pairs_kept(names, before):
    return all(
        any((x == a).all() and y == b for a, b in zip(before["x"], before["y"])) for x, y in zip(names["x"], names["y"])
    )


def is_a_copy(names, before):
    kept = {name: value.clone() for name, value in names["best"].items()}
    with torch.no_grad():
        names["model"].last.weight.add_(1)
    return all(torch.equal(kept[name], value) for name, value in names["best"].items())


def no_gradient_to_the_teacher(names, before):
    names["value"].backward()
    return names["teacher"].grad is None and names["student"].grad is not None


def by_the_generator(names, before):
    expected = torch.randn(5, generator=torch.Generator().manual_seed(3))
    return torch.equal(names["e"], expected)


HOLDS = {
    1: lambda names, before: names["value"].item() == pytest.approx(3.0),
    2: lambda names, before: names["value"] == pytest.approx(1.75),
    3: restored,
    4: lambda names, before: names["model"].recorded == [False],
    5: lambda names, before: names["w"].grad.item() == pytest.approx(6.0),
    6: lambda names, before: torch.isclose(
        names["value"], -before["logits"].log_softmax(1)[torch.arange(5), before["y"]].mean()
    ),
    7: lambda names, before: all(p.requires_grad for g in names["value"].param_groups for p in g["params"]),
    8: lambda names, before: not names["part"].training and not names["part"].weight.requires_grad,
    9: pairs_kept,
    10: no_gradient_to_the_teacher,
    11: is_a_copy,
    12: by_the_generator,
}


def test_there_are_twelve_rules():
    assert [int(row[0]) for row in ROWS] == list(HOLDS) == list(range(1, 13))


@pytest.mark.parametrize("row", ROWS, ids=[row[4] + row[0] for row in ROWS])
def test_a_rule_holds_for_the_right_line_and_breaks_for_the_wrong_one(row):
    number, _, wrong, right, _, _ = row
    holds = HOLDS[int(number)]
    assert holds(*run(right)), right
    assert not holds(*run(wrong)), wrong


@pytest.mark.parametrize("row", ROWS, ids=[row[4] + row[0] for row in ROWS])
def test_its_exercise_is_in_the_notebook_that_it_leads_to(row):
    assert row[4] in exercises()
    notebook = (DOCS / row[5]).resolve()
    assert f'"grade_id": "{row[4]}"' in notebook.read_text(encoding="utf-8")


def test_ten_questions_each_with_an_answer_that_is_folded_and_a_refresher():
    assert re.findall(r"^\*\*(\d+)\.", QUESTIONS, flags=re.MULTILINE) == [str(k) for k in range(1, 11)]
    answers = re.findall(r"<details><summary>Answer</summary>\n\n(.*?)\n\n</details>", QUESTIONS, flags=re.DOTALL)
    assert len(answers) == 10
    assert all(re.search(r"\[Refresher: [^\]]+\]\(https://\S+\)", answer) for answer in answers)


def test_its_numbers_are_right():
    x, conv = torch.zeros(8, 3, 28, 28), nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1)
    w = torch.tensor(3.0, requires_grad=True)
    for _ in range(2):
        (w**2).backward()
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    assert torch.equal(logits[torch.arange(6), labels], logits.gather(1, labels[:, None]).squeeze(1))
    facts = (
        tuple(x.flatten(1).shape), tuple(x.mean(dim=(2, 3)).shape), tuple((torch.zeros(5, 1) - torch.zeros(5)).shape),
        tuple(conv(x[:, :1]).shape),
    )  # fmt: skip
    assert all(f"`{fact}`" in QUESTIONS for fact in facts)
    assert f"make {sum(p.numel() for p in conv.parameters())}" in QUESTIONS
    assert f"about {math.log(10):.2f} nats" in QUESTIONS and f"\n{w.grad:.0f}. The derivative" in QUESTIONS


def test_learners_are_led_to_both():
    learner = (DOCS / "learner.md").read_text(encoding="utf-8")
    assert "(prerequisites.md)" in learner and "(cheat_sheet.md)" in learner
    first = Path(settings.root() / "notebooks" / "00_first_steps")
    assert "(prerequisites.md)" in (first / "00_first_steps.ipynb").read_text(encoding="utf-8").split('"cell_type"')[1]
    assert (first / "prerequisites.md").read_text(encoding="utf-8") == QUESTIONS

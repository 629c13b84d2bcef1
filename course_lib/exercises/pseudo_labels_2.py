"""Unit 07, second notebook, consistency: what a learner is asked for, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import gradient_of, state_of

UNIT = "07_pseudo_labels"


def _backward(loss: Any) -> str:
    """Goes backward when there is something to go backward from; says whether."""
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
        return "yes"
    return "no"


# --- ramp_up --------------------------------------------------------------------------------------------------------


def _ramp_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    length, maximum = number(40, 200), number(2, 40) / 4
    quarter = max(1, length // 4)
    return [
        Case("begins", {"step": 0, "ramp_steps": length, "maximum": maximum}),
        Case("first_step", {"step": 1, "ramp_steps": length, "maximum": maximum}),
        Case("early", {"step": quarter, "ramp_steps": length, "maximum": maximum}),
        Case("half_way", {"step": length // 2, "ramp_steps": length, "maximum": 1.0}),
        Case("late", {"step": length - 2, "ramp_steps": length, "maximum": maximum}),
        Case("ends", {"step": length, "ramp_steps": length, "maximum": maximum}),
        Case("a_little_after", {"step": length + quarter, "ramp_steps": length, "maximum": maximum}),
        Case("long_after", {"step": 12 * length, "ramp_steps": length, "maximum": 1.0}),
        Case("no_ramp", {"step": number(1, 9), "ramp_steps": 0, "maximum": maximum}),
        Case("no_ramp_begins", {"step": 0, "ramp_steps": 0, "maximum": maximum}),
    ]


def _observe_ramp(fn: Callable[..., Any], case: Case) -> Values:
    weight = fn(case.inputs["step"], case.inputs["ramp_steps"], maximum=case.inputs["maximum"])
    return {"weight": int(weight) if isinstance(weight, bool) else weight}


ramp_up = Exercise(
    name="ramp_up",
    unit=UNIT,
    title="The weight of the unlabeled loss, step by step",
    signature="ramp_up(step, ramp_steps, *, maximum=1.0)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "First a share t of the ramp, from 0 at its first step to 1 at its end and ever after. Then the curve, "
            "which is a function of t alone. Two places need a line of their own: the very first step, and a ramp of "
            "no length."
        ),
        api="`math.exp`, `min`; an early `return` for each of the two special places",
        skeleton=(
            "if ramp_steps == 0:\n    return ...\nif step == 0:\n    return ...\n"
            "t = min(..., 1.0)\nreturn maximum * math.exp(...)"
        ),
    ),
    takeaway=(
        "A network that knows nothing has nothing to teach itself: its own opinion begins to count when it has one. "
        "And after the ramp the weight stays, which a formula alone does not do."
    ),
    cases=_ramp_cases,
    observe=_observe_ramp,
    on_gpu=False,
)


# --- semi_supervised_loss -------------------------------------------------------------------------------------------

TERMS = ("pseudo_label", "reconstruction", "clustering")


def _semi_cases(seed: int) -> list[Case]:
    generator, _, draw = drawing(seed)

    def case(
        name: str, term: str, n: int, m: int, k: int, *, weight: float, shape: tuple[int, int, int] = (1, 4, 5),
        double: bool = False,
    ) -> Case:  # fmt: skip
        inputs: Values = {
            "logits": 2 * draw(n, k),
            "labels": torch.randint(0, k, (n,), generator=generator),
            "unlabeled_logits": 2 * draw(m, k),
            "x_hat": draw(m, *shape),
            "images": draw(m, *shape).sigmoid(),
        }
        if double:
            inputs = {key: value if key == "labels" else value.double() for key, value in inputs.items()}
        return Case(name, {**inputs, "weight": weight, "term": term})

    def without_gradient(found: Case) -> Case:
        """The gradient of an entropy is infinite where a probability is 0: here only the value is asked for."""
        return Case(found.name, {**found.inputs, "constant": "unlabeled_logits"})

    weight = int(torch.randint(25, 95, (), generator=generator)) / 100
    one_sided = case("one_class_everywhere", "clustering", 4, 6, 3, weight=1.5)
    one_sided.inputs["unlabeled_logits"][:] = torch.tensor([3.0, 0.0, -1.0])  # all images alike: nothing is clustered
    sure = case("certain", "clustering", 3, 8, 4, weight=1.0)
    sure.inputs["unlabeled_logits"].copy_(200.0 * torch.eye(4).repeat(2, 1))  # probabilities of exactly 0 and 1
    unused = case("a_class_of_nobody", "clustering", 3, 6, 4, weight=1.25)
    unused.inputs["unlabeled_logits"].copy_(200.0 * torch.eye(4)[:3].repeat(2, 1))
    return [
        case("pseudo_label", "pseudo_label", 6, 9, 4, weight=weight),
        case("reconstruction", "reconstruction", 6, 9, 4, weight=weight),
        case("clustering", "clustering", 6, 9, 4, weight=weight),
        case("pseudo_label_weight_0", "pseudo_label", 5, 7, 3, weight=0.0),
        case("reconstruction_color", "reconstruction", 3, 5, 3, weight=2.5, shape=(3, 4, 3)),
        case("one_of_each", "pseudo_label", 1, 1, 5, weight=0.5),
        one_sided,
        sure,
        case("clustering_float64", "clustering", 4, 5, 5, weight=0.75, double=True),
        case("as_many_of_both", "pseudo_label", 4, 4, 4, weight=3.0),
        without_gradient(unused),
    ]


_DIFFERENTIABLE = ("logits", "unlabeled_logits", "x_hat")


def _observe_semi(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    watched = {name: given[name].requires_grad_(name != given.get("constant")) for name in _DIFFERENTIABLE}
    loss = fn(
        given["logits"], given["labels"], given["unlabeled_logits"], given["x_hat"], given["images"],
        term=given["term"], weight=given["weight"],
    )  # fmt: skip
    seen: Values = {"loss": loss.clone() if isinstance(loss, Tensor) else loss, "went_backward": _backward(loss)}
    return {**seen, **{f"gradient_{name}": gradient_of(tensor) for name, tensor in watched.items()}}


semi_supervised_loss = Exercise(
    name="semi_supervised_loss",
    unit=UNIT,
    title="Supervised loss plus one of three that need no label",
    signature="semi_supervised_loss(logits, labels, unlabeled_logits, x_hat, images, *, term, weight)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "The sum has two parts, and only the second has a weight. Each part is a mean over its own images. For the "
            "clustering term compute one table of probabilities; its rows give the first entropy, the mean of its rows "
            "the second."
        ),
        api=(
            "`F.cross_entropy`, `Tensor.argmax`, `F.mse_loss`, `Tensor.softmax(dim=1)`, `F.log_softmax` (safe where "
            "`softmax(...).log()` is not), `torch.special.entr` (-p log p)"
        ),
        skeleton=(
            "supervised = F.cross_entropy(..., ...)\n"
            'if term == "pseudo_label":\n    unsupervised = F.cross_entropy(unlabeled_logits, ...)\n'
            'elif term == "reconstruction":\n    unsupervised = ...\n'
            "else:\n    p = unlabeled_logits.softmax(dim=1)  # (M, K)\n"
            "    of_each = -(p * F.log_softmax(...)).sum(dim=1)  # (M,)\n"
            "    unsupervised = of_each.mean() - ...\n"
            "return supervised + ..."
        ),
    ),
    takeaway=(
        "One frame holds them all: labels, plus a weight times something that needs none. What differs is the belief "
        "behind the second term, and only some of these beliefs are about classes."
    ),
    cases=_semi_cases,
    observe=_observe_semi,
)


# --- fixmatch_loss --------------------------------------------------------------------------------------------------


def _fixmatch_cases(seed: int) -> list[Case]:
    draw = drawing(seed).normal

    def case(name: str, n: int, k: int, *, sure: int, threshold: float = 0.9, double: bool = False) -> Case:
        """`sure` of the n images have a clear opinion in the weak view; the strong view knows nothing of it."""
        weak, strong = 0.3 * draw(n, k), 1.5 * draw(n, k)
        top = draw(n, k).argmax(dim=1)
        weak[torch.arange(sure), top[:sure]] += 6.0
        if n > 1:  # a strong view that is sure where the weak one is not
            strong[-1, (int(top[-1]) + 1) % k] += 8.0
        order = draw(n).argsort()
        weak, strong = weak[order], strong[order]
        if double:
            weak, strong = weak.double(), strong.double()
        return Case(name, {"weak_logits": weak, "strong_logits": strong, "threshold": threshold})

    large = case("large_logits", 6, 4, sure=0)
    large.inputs["weak_logits"][:3] += 25.0  # as unsure as before: softmax takes differences
    large.inputs["weak_logits"][3:] += 1.2
    exactly = case("exactly_at_the_threshold", 4, 2, sure=0, threshold=0.5)
    exactly.inputs["weak_logits"].copy_(torch.tensor([[1.0, 1.0], [-2.0, -2.0], [9.0, 0.0], [0.0, 9.0]]))
    flipped = case("transposed", 5, 7, sure=3)
    flipped = Case(
        "transposed",
        {k: v.T.contiguous().T if isinstance(v, Tensor) else v for k, v in flipped.inputs.items()},
    )
    opposed = case("certain_of_something_else", 5, 4, sure=5)
    guesses = opposed.inputs["weak_logits"].argmax(dim=1)
    opposed.inputs["strong_logits"].copy_(200.0 * nn.functional.one_hot((guesses + 1) % 4, 4))
    return [
        case("some_sure", 8, 5, sure=3),
        case("all_sure", 6, 4, sure=6),
        case("none_sure", 7, 5, sure=0),
        case("one_sure", 1, 6, sure=1),
        case("one_unsure", 1, 6, sure=0),
        case("as_many_images_as_classes", 5, 5, sure=2),
        case("low_threshold", 6, 3, sure=2, threshold=0.0),
        large,
        exactly,
        flipped,
        case("float64", 6, 4, sure=3, threshold=0.95, double=True),
        opposed,
    ]


def _observe_fixmatch(fn: Callable[..., Any], case: Case) -> Values:
    weak, strong = case.inputs["weak_logits"].requires_grad_(), case.inputs["strong_logits"].requires_grad_()
    loss = fn(weak, strong, threshold=case.inputs["threshold"])
    seen: Values = {"loss": loss.clone() if isinstance(loss, Tensor) else loss, "went_backward": _backward(loss)}
    seen |= {"gradient_weak": gradient_of(weak), "gradient_strong": gradient_of(strong)}
    return seen


fixmatch_loss = Exercise(
    name="fixmatch_loss",
    unit=UNIT,
    title="The weak view teaches the strong view",
    signature="fixmatch_loss(weak_logits, strong_logits, *, threshold)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Three questions about the weak view: how probable is its best class, which class is that, and is that "
            "enough? One cross-entropy an image of the strong view. Images that are not sure enough count with 0, but "
            "they count."
        ),
        api="`Tensor.detach`, `Tensor.softmax(dim=1)`, `Tensor.max(dim=1)`, `F.cross_entropy(..., reduction='none')`",
        skeleton=(
            "confidence, guess = weak_logits.detach().softmax(dim=...).max(dim=...)  # (N,), (N,)\n"
            "mask = confidence >= ...  # (N,)\n"
            "losses = F.cross_entropy(..., ..., reduction=...)  # (N,)\n"
            "return (losses * mask)..."
        ),
    ),
    takeaway=(
        "Divided by the whole batch, the loss is small while few images are sure, and grows with the network's "
        "knowledge: a ramp-up that nobody has to set. Divided by the sure ones it would be NaN when there are none."
    ),
    cases=_fixmatch_cases,
    observe=_observe_fixmatch,
)


# --- ema_update -----------------------------------------------------------------------------------------------------


class _Net(nn.Module):
    """A network with all that a state has: weights, a frozen weight, running statistics, a count, a constant."""

    def __init__(self, features: int, generator: torch.Generator, batches: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3)
        self.norm = nn.BatchNorm1d(3)
        self.scale = nn.Parameter(torch.empty(3), requires_grad=False)
        self.register_buffer("history", torch.empty(2, 3))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            for name in ("norm.running_mean", "norm.running_var", "history"):
                buffer = self.get_buffer(name)
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.1)
            self.norm.get_buffer("num_batches_tracked").fill_(batches)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.norm(self.linear(x)) + self.get_buffer("history").sum()


def _ema_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(name: str, decay: float, **options: Any) -> Case:
        features, draw = int(torch.randint(2, 7, (), generator=generator)), seed + len(name)
        inputs: Values = {"decay": decay, "features": features, "seed": draw, "calls": 1}
        return Case(name, inputs | {"frozen": "yes", "double": "no", "modes": "eval train"} | options)

    return [
        case("usual", 0.9),
        case("slow", 0.99),
        case("keeps_all", 1.0),
        case("follows_at_once", 0.0),
        case("three_times", 0.5, calls=3, modes="train eval"),
        case("teacher_with_gradients_on", 0.75, frozen="no"),
        case("float64", 0.8, double="yes"),
    ]


def _observe_ema(fn: Callable[..., Any], case: Case) -> Values:
    given = case.inputs
    generator = seeded(given["seed"])
    teacher, student = _Net(given["features"], generator, 7), _Net(given["features"], generator, 40)
    if given["double"] == "yes":
        teacher, student = teacher.double(), student.double()
    if given["frozen"] == "yes":
        teacher.requires_grad_(False)
    for model, mode in zip((teacher, student), given["modes"].split(), strict=True):
        model.train(mode == "train")
    held = {**dict(teacher.named_parameters()), **dict(teacher.named_buffers())}  # what an evaluation may hold on to
    asks = {name: int(p.requires_grad) for name, p in teacher.named_parameters()}
    before, student_before = state_of(teacher), state_of(student)
    for _ in range(given["calls"]):
        fn(teacher, student, given["decay"])
    after = state_of(teacher)
    seen: Values = {
        "teacher_before": before,
        "teacher_after": after,
        "held_after": {name: value.detach().clone() for name, value in held.items()},
        "dtypes_after": {name: str(value.dtype) for name, value in after.items()},
        "student_before": student_before,
        "student_after": state_of(student),
        "requires_grad_before": asks,
        "requires_grad_after": {name: int(p.requires_grad) for name, p in teacher.named_parameters()},
        "with_history": [n for n, v in held.items() if v.grad_fn is not None]
        + [n for n, v in (*teacher.named_parameters(), *teacher.named_buffers()) if v.grad_fn is not None],
        "mode_after": ["train" if model.training else "eval" for model in (teacher, student)],
    }
    with torch.no_grad():  # the student goes on learning: a teacher that shares its memory moves along
        for value in student.state_dict().values():
            value.add_(5)
    return {**seen, "teacher_when_student_moves": state_of(teacher)}


ema_update = Exercise(
    name="ema_update",
    unit=UNIT,
    title="A teacher that follows its student slowly",
    signature="ema_update(teacher, student, decay)",
    minutes=12,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "Walk through everything the two networks hold, side by side: parameters, and buffers too. A number with "
            "decimals is mixed; a whole number, such as a count of batches, cannot be mixed and is taken over. Write "
            "into the teacher's own tensors, and let autograd look away."
        ),
        api=(
            "`Module.parameters`, `Module.buffers` (or `Module.state_dict`, whose tensors are the module's own), `zip`,"
            " `Tensor.is_floating_point`, `Tensor.mul_`, `Tensor.add_(..., alpha=...)`, `Tensor.copy_`, "
            "`torch.no_grad`"
        ),
        skeleton=(
            "with torch.no_grad():\n"
            "    for slow, fast in zip(teacher.state_dict().values(), ...):\n"
            "        if slow.is_floating_point():\n"
            "            slow.mul_(...).add_(..., alpha=...)\n"
            "        else:\n"
            "            slow...."
        ),
    ),
    takeaway=(
        "An average of the last networks, for the price of one addition a step. A teacher whose parameters are "
        "averaged and whose running statistics are forgotten looks healthy and guesses."
    ),
    cases=_ema_cases,
    observe=_observe_ema,
    on_gpu=False,
)


# --- mean_teacher_loss ----------------------------------------------------------------------------------------------


class _Small(nn.Module):
    """Pixels to logits through batch normalization; it keeps a diary of who was asked what, and in which mode."""

    def __init__(self, pixels: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(pixels, classes)
        self.norm = nn.BatchNorm1d(classes)
        self.calls = 0
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(classes, pixels, generator=generator))
            self.linear.bias.copy_(torch.randn(classes, generator=generator))
            self.norm.get_buffer("running_mean").copy_(torch.randn(classes, generator=generator))
            self.norm.get_buffer("running_var").copy_(0.3 + torch.rand(classes, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return 1.5 * self.norm(self.linear(x.flatten(1)))


def _teacher_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def case(
        name: str, n: int, k: int, shape: tuple[int, int, int], *, mode: str = "eval", same: bool = False,
        double: bool = False,
    ) -> Case:  # fmt: skip
        weak = torch.rand(n, *shape, generator=generator)
        strong = weak.clone() if same else torch.rand(n, *shape, generator=generator)
        if double:
            weak, strong = weak.double(), strong.double()
        options: Values = {"num_classes": k, "teacher_mode": mode, "frozen": "no" if name == "alive" else "yes"}
        return Case(name, {"weak": weak, "strong": strong, **options, "seed": seed + len(name)})

    return [
        case("plain", 6, 4, (1, 4, 5)),
        case("same_view", 5, 3, (1, 5, 4), same=True),
        case("alive", 7, 5, (1, 4, 4)),
        case("teacher_in_train_mode", 6, 3, (1, 3, 5), mode="train"),
        case("color", 8, 6, (3, 4, 3)),
        case("float64", 4, 3, (2, 3, 4), double=True),
    ]


def _observe_teacher(fn: Callable[..., Any], case: Case) -> Values:
    weak, strong = case.inputs["weak"], case.inputs["strong"]
    generator = seeded(case.inputs["seed"])
    pixels, classes = weak[0].numel(), case.inputs["num_classes"]
    student, teacher = (_Small(pixels, classes, generator).to(weak) for _ in range(2))
    if case.inputs["frozen"] == "yes":
        teacher.requires_grad_(False)
    student.train(), teacher.train(case.inputs["teacher_mode"] == "train")
    before = state_of(teacher)
    loss = fn(student, teacher, weak, strong)
    seen: Values = {"loss": loss.clone() if isinstance(loss, Tensor) else loss, "went_backward": _backward(loss)}
    grads = [p.grad for p in teacher.parameters() if p.grad is not None]
    return {
        **seen,
        "gradient_student": gradient_of(student.linear.weight),
        "gradient_teacher": sum((float(g.abs().sum()) for g in grads), 0.0),
        "calls": [student.calls, teacher.calls],
        "weights_before": before["linear.weight"],
        "weights_after": teacher.linear.weight,
        "student_mean_after": student.norm.get_buffer("running_mean"),
        "teacher_mean_after": teacher.norm.get_buffer("running_mean"),
        "mode_after": ["train" if model.training else "eval" for model in (student, teacher)],
        "requires_grad_after": [int(p.requires_grad) for p in (*student.parameters(), *teacher.parameters())],
    }


mean_teacher_loss = Exercise(
    name="mean_teacher_loss",
    unit=UNIT,
    title="Student and teacher must agree",
    signature="mean_teacher_loss(student, teacher, weak, strong)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Two networks, two views: the student answers for the strong view and learns, the teacher answers for the "
            "weak view and does not. Compare probabilities, not logits. The distance of an image is summed over its "
            "classes; then comes the mean over images."
        ),
        api="`torch.no_grad`, `Tensor.softmax(dim=1)`, `Tensor.pow`, `Tensor.sum(dim=1)`, `Tensor.mean`",
        skeleton=(
            "with torch.no_grad():\n"
            "    target = teacher(...).softmax(dim=1)  # (N, K)\n"
            "p = ...  # (N, K)\n"
            "return (p - target).pow(2).sum(dim=...)..."
        ),
    ),
    takeaway=(
        "A consistency loss of exactly 0 in the first step is no success but a wiring error: someone is being compared "
        "with itself. Print it once before a long run."
    ),
    cases=_teacher_cases,
    observe=_observe_teacher,
)

EXERCISES = (ramp_up, semi_supervised_loss, fixmatch_loss, ema_update, mean_teacher_loss)

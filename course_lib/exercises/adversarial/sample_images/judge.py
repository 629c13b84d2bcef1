"""`sample_images`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.exercises.asking import everywhere, is_independent, is_standard_normal, of_this_network, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Passes, Trial, Values, close


def reference(generator, count, code_dim, *, rng):
    """The modes put back one by one, without the course's `eval_mode`."""
    parts, weight = list(generator.modules()), next(generator.parameters())
    modes = [part.training for part in parts]
    generator.eval()
    with torch.inference_mode():
        images = generator(torch.randn(count, code_dim, generator=rng).to(weight))
    for part, mode in zip(parts, modes, strict=True):
        part.training = mode
    return images.clone()


def is_drawn_anew(case: Case, seen: Values, expected: Values) -> bool:
    """Whether the codes are standard normal numbers from the generator that was passed, new in every call."""
    codes, count = seen["codes"], case.inputs["count"]
    shaped = codes.shape == (count, case.inputs["code_dim"]) and seen["images"].shape == expected["images"].shape
    new = not close(seen["images"], seen["next_images"])
    same = close(seen["images"], seen["images_of_the_same_seed"]) or "train" in seen["modes_during"]
    return shaped and new and same and seen["global_generator"] == "untouched"


def is_normal(case: Case, seen: Values, expected: Values) -> bool:
    codes = seen["codes"]
    return is_standard_normal(codes) and (len(codes) == 1 or is_independent(codes))


def draws_in_eval_mode(case: Case, seen: Values, expected: Values) -> bool:
    return seen["modes_during"] == "eval" and close(seen["images"], seen["images_of_the_first_codes"])


def leaves_no_trace(case: Case, seen: Values, expected: Values) -> bool:
    return seen["modes_after"] == seen["modes_before"] and all(seen["weights_require_grad_after"])


def without_gradients(case: Case, seen: Values, expected: Values) -> bool:
    return seen["gradients_during"] == "off" and not seen["images_require_grad"]


def _mean_and_spread(trial: Trial) -> tuple[float, float]:
    codes = trial.seen["codes"].double()
    return float(codes.mean()), float(codes.std())


def _as_uniform(trial: Trial) -> bool:
    mean, spread = _mean_and_spread(trial)
    return abs(spread - 12**-0.5) < 0.03 and (abs(mean - 0.5) < 0.05 or abs(mean) < 0.05)


def _one_code(trial: Trial) -> bool:
    codes: Tensor = trial.seen["codes"]
    return len(codes) > 1 and bool((codes == codes[:1]).all())


def _of_this(test: Passes) -> Passes:
    return of_this_network(test, "weights_before")


judge = Judge(
    reference=reference,
    criteria=(
        Criterion(
            "drawn",
            1,
            "one code per image, new in every call, from `rng` and not from torch's global generator",
            _of_this(is_drawn_anew),
        ),
        Criterion("normal", 1, "the codes are independent standard normal numbers", _of_this(is_normal), ("plain",)),
        Criterion("eval_mode", 1, "the images are drawn in eval mode, from these codes", _of_this(draws_in_eval_mode)),
        Criterion(
            "no_trace",
            1,
            "no gradients are recorded, and every part of the network has its old mode afterwards",
            lambda *seen: leaves_no_trace(*seen) and without_gradients(*seen),
            form=True,
        ),
    ),
    predicates={
        "same_every_time": everywhere(lambda t: close(t.seen["images"], t.seen["next_images"])),
        "global_numbers": everywhere(
            lambda t: (
                t.seen["global_generator"] == "used" and not close(t.seen["images"], t.seen["images_of_the_same_seed"])
            ),
            "in_eval_mode",
        ),
        "uniform_codes": everywhere(_as_uniform, "plain"),
        "one_code_for_all": somewhere(_one_code),
        "frozen_for_good": somewhere(lambda t: not all(t.seen["weights_require_grad_after"])),
        "train_mode": everywhere(lambda t: "train" in t.seen["modes_during"], "plain"),
        "left_in_train_mode": somewhere(
            lambda t: t.seen["modes_after"] != t.seen["modes_before"] and all(t.seen["modes_after"])
        ),
        "left_in_eval_mode": somewhere(
            lambda t: t.seen["modes_after"] != t.seen["modes_before"] and not any(t.seen["modes_after"])
        ),
        "gradients_recorded": somewhere(lambda t: "on" in t.seen["gradients_during"]),
        "wrong_scale": everywhere(lambda t: abs(_mean_and_spread(t)[1] - 1) > 0.2, "plain"),
    },
    exact=False,
)

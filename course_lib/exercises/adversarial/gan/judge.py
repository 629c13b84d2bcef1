"""`GAN`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import Tensor

from course_lib.exercises.adversarial.judge import reference_gan
from course_lib.exercises.asking import as_expected, everywhere, failed_with, inputs_kept, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close

NETWORKS, LEARNING = ("gray", "color_wide"), ("plain", "more_codes", "momentum", "double")
STEPPING = (*LEARNING, "in_eval_mode")


def _all_learn(seen: Values, name: str) -> bool:
    weights, reached = seen[f"{name}_weights"]
    return 0 < weights == reached


def images_right(case: Case, seen: Values, expected: Values) -> bool:
    drawn, large = seen["images"], seen["images_of_large_weights"]
    differ = drawn.shape == case.inputs["images"].shape and bool(drawn.double().std(dim=0).max() > 0)
    differ = differ and inputs_kept(case, seen, "images")
    return differ and inside(drawn) and inside(large) and _all_learn(seen, "images")


def inside(images: Tensor) -> bool:
    return bool(images.isfinite().all()) and float(images.min()) >= 0 and float(images.max()) <= 1


def logits_right(case: Case, seen: Values, expected: Values) -> bool:
    shaped = close(seen["logits"].shape, expected["logits"].shape) and inputs_kept(case, seen, "images")
    return shaped and is_open(seen) and _all_learn(seen, "logits")


def is_open(seen: Values) -> bool:
    """Whether logits leave the range from 0 to 1."""
    return not inside(seen["logits_of_large_weights"])


def in_their_places(case: Case, seen: Values, expected: Values) -> bool:
    cut_off = seen["backward_passes_of_the_generator"] == expected["backward_passes_of_the_generator"]
    return seen["modes"] == "train" and cut_off and not stays(seen, "generator")


def stays(seen: Values, part: str) -> bool:
    return close(seen[f"{part}_after_all_steps"], seen[f"{part}_before"], rtol=1e-9, atol=1e-9)


_d_learns, _g_learns = (
    as_expected(f"{p}_after_one_step", f"{p}_after_all_steps") for p in ("discriminator", "generator")
)

judge = Judge(
    reference=reference_gan(),
    building_on=reference_gan,
    criteria=(
        Criterion("generator", 1, "the generator draws images of `image_shape` in [0, 1]", images_right, NETWORKS),
        Criterion("discriminator", 1, "the discriminator returns one logit per image, `(N,)`", logits_right, NETWORKS),
        Criterion(
            "d_learns", 2, "first the discriminator learns from its own loss, in every step", _d_learns, LEARNING
        ),
        Criterion("g_learns", 2, "then the generator learns through the new discriminator", _g_learns, LEARNING),
        Criterion("losses", 1, "both losses are floats, the discriminator's first", as_expected("losses"), LEARNING),
        Criterion(
            "manner",
            1,
            "both networks learn in train mode, and the discriminator's loss does not reach the generator",
            in_their_places,
            STEPPING,
            form=True,
        ),
    ),
    predicates={
        "graph_used_twice": lambda trials: failed_with(trials, "backward through the graph a second time"),
        "generator_outside": somewhere(lambda t: "images" in t.seen and not inside(t.seen["images_of_large_weights"])),
        "probabilities": somewhere(lambda t: "logits" in t.seen and not is_open(t.seen)),
        "hard_coded_size": lambda trials: bool(named(trials, "gray")) and not named(trials, "color_wide"),
        "generator_never_moves": everywhere(lambda t: stays(t.seen, "generator"), *STEPPING),
        "discriminator_never_moves": everywhere(lambda t: stays(t.seen, "discriminator"), *STEPPING),
        "generator_first": everywhere(lambda t: t.seen["order"].startswith("G D"), *STEPPING),
        "left_in_eval_mode": somewhere(lambda t: t.seen["modes"] == "eval", "in_eval_mode"),
        "losses_as_tensors": everywhere(lambda t: all(isinstance(v, Tensor) for v in t.seen["losses"][0]), *STEPPING),
        "detach_forgotten": everywhere(
            lambda t: t.seen["backward_passes_of_the_generator"] > t.expected["backward_passes_of_the_generator"],
            *STEPPING,
        ),
    },
    exact=False,
)

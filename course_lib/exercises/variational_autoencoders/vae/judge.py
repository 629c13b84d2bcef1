"""`VAE`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import math

from course_lib.exercises import asking
from course_lib.exercises.asking import everywhere, global_state_kept, inputs_kept, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.variational_autoencoders import judge as models


def _two_heads(case: Case, seen: Values, expected: Values) -> bool:
    mu, logvar = seen["mu"], seen["logvar"]
    right = mu.shape == logvar.shape == expected["mu"].shape and not models.one_head(mu, logvar)
    return right and (case.name != "gray" or bool(logvar.min() < 0))


def _gives_logits(case: Case, seen: Values, expected: Values) -> bool:
    large = seen["large_logits"]
    return large.shape == case.inputs["images"].shape and bool(large.min() < -1 and large.max() > 1)


def _draws_once(case: Case, seen: Values, expected: Values) -> bool:
    came_back = [seen["returned_mu"], seen["returned_logvar"]]
    drawn = len(seen["drawn_from"]) == seen.get("draws_in_train_mode", 1) == 1
    drawn = drawn and close(seen["drawn_from"][0], came_back) and close(came_back, [seen["mu"], seen["logvar"]])
    follows = len(seen["mu"]) == 1 or bool(seen["mu"].std(dim=0).max() > 0 and seen["decoded"].std(dim=0).max() > 0)
    return drawn and follows and close(seen["logits"], seen["decoded"]) and inputs_kept(case, seen, "images")


def _learns(case: Case, seen: Values, expected: Values) -> bool:
    sums, bounds = seen.get("gradient_sums", [1.0]), seen.get("bounds", [0.0])[-10:]
    reached = all(0 <= g < math.inf for g in sums) and max(sums, default=0) > 0
    known = not seen["made_late"] and not seen.get("unknown_weights") and inputs_kept(case, seen, "images")
    return reached and known and sum(bounds) / len(bounds) < 0.9 * models.nats_by_pixel(case.inputs["images"])


def _from_the_prior(case: Case, seen: Values, expected: Values) -> bool:
    fresh = not close(seen["sample"], seen["next_sample"]) and global_state_kept(seen)
    fresh = fresh and inputs_kept(case, seen, "images")
    right = fresh and seen["sample"].shape == seen["of_the_prior"].shape and models.is_probability(seen["sample"])
    if not right or len(seen["sample"]) < 100:
        return right
    return models.same_moments(seen["sample"], seen["of_the_prior"])


def _at_rest(seen: Values) -> bool:
    return close(seen["sample"], seen["same_seed"], rtol=1e-3, atol=1e-4)


def _measured(case: Case, seen: Values, expected: Values) -> bool:
    return _at_rest(seen) and seen["modes_after"] == ["train", "eval"] and seen["sample_requires_grad"] == 0


judge = Judge(
    reference=models.SmallVAE,
    criteria=(
        Criterion("heads", 1, "`encode` gives `mu` and `logvar`, `(N, code_dim)`, of any sign", _two_heads, form=True),
        Criterion("logits", 1, "`decode` gives logits of any size, shaped like the images", _gives_logits, form=True),
        Criterion("draws", 1, "`forward` decodes one code of `draw(mu, logvar)`, in both modes", _draws_once),
        Criterion("learns", 1, "every weight learns, and 100 steps bring the bound below 0.9 of by pixels", _learns),
        Criterion("prior", 1, "`sample` gives probabilities for codes from the prior", _from_the_prior),
        Criterion("measured", 1, "`sample` uses eval mode and no gradients, mode restored", _measured, form=True),
    ),
    predicates={
        "one_head": somewhere(lambda t: models.one_head(t.seen["mu"], t.seen["logvar"])),
        "never_negative": everywhere(lambda t: bool((t.seen["logvar"] >= 0).all())),
        "encoder_rebuilds": somewhere(lambda t: t.seen["mu"].shape == t.case.inputs["images"].shape),
        "hard_coded_latents": somewhere(lambda t: t.seen["mu"].shape != t.expected["mu"].shape),
        "hard_coded_size": lambda trials: bool(named(trials, "gray")) and not named(trials, "color_wide"),
        "not_three": everywhere(lambda t: "result" in t.seen or close(t.seen["returned_logvar"], t.seen["mu"])),
        "squashed_logits": everywhere(lambda t: models.is_probability(t.seen["large_logits"])),
        "mean_in_eval_mode": somewhere(lambda t: not t.seen["drawn_from"] and t.seen.get("draws_in_train_mode") == 1),
        "never_drawn": everywhere(lambda t: not t.seen["drawn_from"]),
        "draws_from_another": somewhere(lambda t: not close(t.seen["drawn_from"][0], [t.seen["mu"], t.seen["logvar"]])),
        "skips_the_code": somewhere(lambda t: not close(t.seen["logits"], t.seen["decoded"])),
        "plain_list": somewhere(lambda t: t.seen.get("unknown_weights", 0) > 0),
        "made_late": somewhere(lambda t: t.seen["made_late"] > 0),
        "no_way_back": somewhere(lambda t: -1.0 in t.seen.get("gradient_sums", ())),
        "logits_sampled": somewhere(lambda t: models.logits_or_bits(t.seen["sample"])),
        "generator_ignored": somewhere(lambda t: not global_state_kept(t.seen)),
        "sample_with_gradients": everywhere(lambda t: t.seen["sample_requires_grad"] == 1),
        "left_in_eval": everywhere(lambda t: t.seen["modes_after"][0] == "eval"),
        "sampled_in_train_mode": lambda trials: (
            asking.failed_with(trials, "more than 1 value per channel")
            or asking.in_any(trials, lambda t: not _at_rest(t.seen))
        ),
    },
    exact=False,
)

"""Unit 02, variational autoencoders: what a learner is asked for, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.contract import Case, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import gradient_of, manual_seed

UNIT = "02_variational_autoencoders"


def _backward(value: Any) -> None:
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()


# --- 2.1 reparameterize ---------------------------------------------------------------------------------------------


def _reparameterize_cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, mu: Tensor, logvar: Tensor) -> Case:
        return Case(name, {"mu": mu, "logvar": logvar, "seed": seed + len(name)})

    def spread(*shape: int) -> Tensor:  # standard deviations from 0.2 to 2.7
        return -3.2 + 5.2 * uniform(*shape)

    return [
        case("many", 2 * normal(250, 12), spread(250, 12)),
        case("one_code_many_times", (2 * normal(1, 20)).repeat(150, 1), spread(1, 20).repeat(150, 1)),
        case("one", 2 * normal(1, 1500), spread(1, 1500)),
        case("as_many_images_as_latents", 2 * normal(40, 40), spread(40, 40)),
        case("transposed", 2 * normal(24, 90).t(), spread(24, 90).t()),
        case("float64", 2 * normal(120, 15).double(), spread(120, 15).double()),
    ]


def _observe_reparameterize(fn: Callable[..., Any], case: Case) -> Values:
    mu, logvar, seed = case.inputs["mu"], case.inputs["logvar"], case.inputs["seed"]
    mu_before, logvar_before, global_before = mu.clone(), logvar.clone(), torch.get_rng_state()
    generator = seeded(seed)
    z = fn(mu.requires_grad_(), logvar.requires_grad_(), generator=generator)
    global_after = torch.get_rng_state()
    _backward(z)
    z = z.detach().clone() if isinstance(z, Tensor) else z
    next_call = fn(mu_before.clone(), logvar_before.clone(), generator=generator)
    manual_seed(seed + 1)
    again = fn(mu_before.clone(), logvar_before.clone(), generator=seeded(seed))
    return {
        "z": z,
        "mu_gradient": gradient_of(mu),
        "logvar_gradient": gradient_of(logvar),
        "next_call": next_call,
        "same_seed": again,
        "mu_after": mu,
        "logvar_after": logvar,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


reparameterize = Exercise(
    name="reparameterize",
    unit=UNIT,
    title="Draw a code through which gradients flow",
    signature="reparameterize(mu, logvar, *, generator)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Draw the noise by itself, from a normal distribution that nobody has to learn. Then stretch it by the "
            "standard deviation and move it to the mean: both are ordinary arithmetic, which has gradients. `logvar` "
            "is the logarithm of the VARIANCE; the standard deviation is the variance's square root."
        ),
        api="`torch.randn(shape, generator=...)`, `Tensor.to`, `torch.exp`",
        skeleton=(
            "epsilon = torch.randn(..., generator=generator).to(mu)  # drawn on the CPU\n"
            "std = ...                                               # (N, code_dim)\n"
            "return ... + ... * epsilon"
        ),
    ),
    takeaway=(
        "The randomness comes in from outside, so the way from the loss back to `mu` and `logvar` is plain arithmetic: "
        "an encoder can be trained through a random draw."
    ),
    cases=_reparameterize_cases,
    observe=_observe_reparameterize,
)


# --- 2.2 kl_divergence ----------------------------------------------------------------------------------------------


def _kl_cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, *shape: int) -> Case:
        return Case(name, {"mu": 1.5 * normal(*shape), "logvar": -2.5 + 4 * uniform(*shape)})

    turned, doubled = case("transposed", 3, 5), case("float64", 4, 6)
    return [
        case("plain", 5, 3),
        Case("prior", {"mu": torch.zeros(4, 2), "logvar": torch.zeros(4, 2)}),
        Case("narrow", {"mu": 0.3 * normal(3, 4), "logvar": -4 - 8 * uniform(3, 4)}),
        case("one", 1, 4),
        case("as_many_images_as_latents", 4, 4),
        Case("transposed", {key: value.t() for key, value in turned.inputs.items()}),
        Case("float64", {key: value.double() for key, value in doubled.inputs.items()}),
    ]


def _observe_kl(fn: Callable[..., Any], case: Case) -> Values:
    mu, logvar = case.inputs["mu"].requires_grad_(), case.inputs["logvar"].requires_grad_()
    kl = fn(mu, logvar)
    _backward(kl)
    return {"kl": kl, "mu_gradient": gradient_of(mu), "logvar_gradient": gradient_of(logvar)}


kl_divergence = Exercise(
    name="kl_divergence",
    unit=UNIT,
    title="What a code costs, in nats",
    signature="kl_divergence(mu, logvar)",
    minutes=10,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "The formula holds for each latent by itself, so nothing is summed yet. Three terms: the mean squared, the "
            "variance, and the logarithm of the variance, which is `logvar` as it stands."
        ),
        api="`torch.exp`, `**`",
        skeleton="return 0.5 * (... ** 2 + ... - 1 - ...)  # (N, code_dim)",
    ),
    takeaway=(
        "Zero for a latent that says nothing (mean 0, variance 1), and growing with every nat that it tells about the "
        "image. Kept for each latent, it shows which of them are in use."
    ),
    cases=_kl_cases,
    observe=_observe_kl,
)


# --- 2.3 negative_elbo ----------------------------------------------------------------------------------------------


def _elbo_cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, *shape: int, latents: int = 3, beta: float = 1.0, gray: bool = False) -> Case:
        images = uniform(*shape) if gray else uniform(*shape).round()
        inputs = {"logits": 2 * normal(*shape), "images": images, "kl": 3 * uniform(shape[0], latents), "beta": beta}
        return Case(name, inputs)

    plain = case("plain", 4, 1, 5, 7)
    twice = {k: torch.cat([v, v]) if isinstance(v, Tensor) else v for k, v in plain.inputs.items()}
    collapsed, perfect = case("collapsed", 5, 1, 4, 6, latents=2), case("perfect", 4, 1, 6, 5, latents=5)
    confident, turned = case("confident", 3, 1, 6, 4), case("transposed", 3, 1, 4, 8, latents=4)
    doubled = case("float64", 6, 1, 3, 5, latents=2, beta=1.5)
    signs = 2 * perfect.inputs["images"] - 1  # sure enough to cost nothing, not so sure that a plain log fails
    return [
        plain,
        Case("twice_the_batch", twice),
        Case("collapsed", {**collapsed.inputs, "kl": torch.zeros(5, 2)}),
        Case("perfect", {**perfect.inputs, "logits": 14 * signs}),
        case("one", 1, 1, 6, 4, latents=6),
        case("color", 5, 3, 4, 6, latents=4),
        case("beta_small", 4, 1, 6, 5, beta=0.25),
        case("beta_large", 3, 2, 5, 5, latents=5, beta=6.0),
        case("as_many_latents_as_images", 4, 1, 4, 5, latents=4, beta=2.0),
        case("gray", 4, 1, 5, 6, latents=2, gray=True),
        Case("confident", {**confident.inputs, "logits": 30 * confident.inputs["logits"]}),
        Case("transposed", {**turned.inputs, **{k: turned.inputs[k].transpose(2, 3) for k in ("logits", "images")}}),
        Case("float64", {k: v.double() if isinstance(v, Tensor) else v for k, v in doubled.inputs.items()}),
    ]


def _observe_elbo(fn: Callable[..., Any], case: Case) -> Values:
    logits, kl = case.inputs["logits"].requires_grad_(), case.inputs["kl"].requires_grad_()
    loss = fn(logits, case.inputs["images"], kl, beta=case.inputs["beta"])
    if isinstance(loss, Tensor) and loss.numel() == 1:
        _backward(loss)
    return {"loss": loss, "logits_gradient": gradient_of(logits), "kl_gradient": gradient_of(kl)}


negative_elbo = Exercise(
    name="negative_elbo",
    unit=UNIT,
    title="The loss: reconstruction and KL, in the same unit",
    signature="negative_elbo(logits, images, kl, *, beta=1.0)",
    minutes=15,
    difficulty=2,
    points=5,
    hints=Hints(
        concept=(
            "Both terms are numbers an image before anything is averaged: cross-entropy summed over its pixels, KL "
            "summed over its latents. Weigh the second by `beta`, add them, and only then take the mean over images."
        ),
        api=(
            '`F.binary_cross_entropy_with_logits(..., reduction="none")`, `Tensor.flatten(1)`, `Tensor.sum(dim=1)`, '
            "`Tensor.mean`"
        ),
        skeleton=(
            "per_pixel = F.binary_cross_entropy_with_logits(..., ..., reduction=...)  # (N, C, H, W)\n"
            "reconstruction = per_pixel...   # (N,)\n"
            "cost = kl...                    # (N,)\n"
            "return (... + beta * ...)...    # one number"
        ),
    ),
    takeaway=(
        "Summed over pixels, summed over latents, averaged over images: both terms are nats an image, and `beta` says "
        "what a nat of code is worth in nats of picture."
    ),
    cases=_elbo_cases,
    observe=_observe_elbo,
)


# --- 2.4 kl_warmup --------------------------------------------------------------------------------------------------


def _warmup_cases(seed: int) -> list[Case]:
    generator = seeded(seed)

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def case(name: str, warmup_steps: int, beta: float) -> Case:
        half, more = warmup_steps // 2, warmup_steps + whole(2, 9)
        steps = sorted({0, 1, half, max(warmup_steps - 1, 0), warmup_steps, warmup_steps + 1, more, 3 * more})
        return Case(name, {"steps": steps, "warmup_steps": warmup_steps, "beta": beta})

    return [
        case("plain", whole(8, 20), 1.0),
        case("beta_large", whole(6, 30), 2.0 + whole(1, 6)),
        case("beta_small", 2 * whole(4, 9), 0.25),
        case("long", 100 * whole(5, 20), 1.0),
        case("one_step", 1, 1.5),
        case("no_warmup", 0, 1.0),
        case("no_warmup_beta", 0, 4.0),
    ]


def _observe_warmup(fn: Callable[..., Any], case: Case) -> Values:
    steps, warmup_steps, beta = case.inputs["steps"], case.inputs["warmup_steps"], case.inputs["beta"]
    return {"weights": [fn(step, warmup_steps, beta=beta) for step in steps]}


kl_warmup = Exercise(
    name="kl_warmup",
    unit=UNIT,
    title="Let the KL in slowly",
    signature="kl_warmup(step, warmup_steps, *, beta=1.0)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "A straight line from 0 at step 0 to `beta` at step `warmup_steps`, then flat. Think about the two ends: "
            "what keeps it from rising on, and what happens when there is no warm-up at all?"
        ),
        api="`min`, `max`, `if`",
        skeleton="if warmup_steps == 0:\n    return ...\nreturn beta * min(..., ... / ...)",
    ),
    takeaway=(
        "The decoder first learns to use the code; only then does the code have to pay. It costs a line, and more of "
        "the image gets into the code than with the full KL from the first step."
    ),
    cases=_warmup_cases,
    observe=_observe_warmup,
    on_gpu=False,
)


# --- 2.5 latent_traversal -------------------------------------------------------------------------------------------


def _traversal_cases(seed: int) -> list[Case]:
    _, uniform, normal = drawing(seed)

    def case(name: str, code: Tensor, dim: int, values: Tensor) -> Case:
        return Case(name, {"code": code, "dim": dim, "values": values})

    return [
        case("plain", normal(6), 2, 4 * uniform(5) - 2),
        case("first", normal(4), 0, 4 * uniform(7) - 2),
        case("last", normal(5), 4, 4 * uniform(3) - 2),
        case("as_many_values_as_latents", normal(5), 1, 4 * uniform(5) - 2),
        case("one_value", normal(3), 1, uniform(1)),
        case("not_contiguous", normal(6, 3).t()[1], 3, 4 * uniform(4) - 2),
        case("float64", normal(4).double(), 2, uniform(6).double()),
    ]


def _observe_traversal(fn: Callable[..., Any], case: Case) -> Values:
    code, values = case.inputs["code"], case.inputs["values"]
    codes = fn(code, case.inputs["dim"], values)
    return {"codes": codes, "code_after": code, "values_after": values}


latent_traversal = Exercise(
    name="latent_traversal",
    unit=UNIT,
    title="Turn one knob, leave the others alone",
    signature="latent_traversal(code, dim, values)",
    minutes=8,
    difficulty=1,
    points=3,
    hints=Hints(
        concept=(
            "As many copies of the code as there are values, one below the other; then one column of that table is "
            "replaced. They must be real copies: rows that share their memory all change together."
        ),
        api="`Tensor.repeat`, `Tensor.expand(...).clone()`, indexing with `[:, dim]`",
        skeleton="codes = code.repeat(..., ...)  # (K, code_dim)\ncodes[...] = ...\nreturn codes",
    ),
    takeaway="Decode these rows, and you see what this one latent means, at this place in the space of codes.",
    cases=_traversal_cases,
    observe=_observe_traversal,
)


# --- 2.6 importance_weighted_bound ----------------------------------------------------------------------------------


def _bound_cases(seed: int) -> list[Case]:
    normal = drawing(seed).normal

    def case(name: str, samples: int, images: int, level: float = -3.0) -> Case:
        return Case(
            name,
            {
                "log_px_given_z": level + 2 * normal(samples, images),
                "log_pz": -4 + normal(samples, images),
                "log_qz": -2 + normal(samples, images),
            },
        )

    turned, doubled = case("transposed", 6, 4), case("float64", 3, 5)
    return [
        case("plain", 5, 7),
        case("one_sample", 1, 6),
        case("as_many_samples_as_images", 4, 4),
        case("one_image", 8, 1),
        case("unlikely", 8, 5, level=-900.0),
        case("dense", 4, 6, level=300.0),
        Case("transposed", {key: value.t() for key, value in turned.inputs.items()}),
        Case("float64", {key: value.double() for key, value in doubled.inputs.items()}),
    ]


def _observe_bound(fn: Callable[..., Any], case: Case) -> Values:
    terms = [case.inputs[key].requires_grad_() for key in ("log_px_given_z", "log_pz", "log_qz")]
    bound = fn(*terms)
    _backward(bound)
    return {"bound": bound, "gradients": [gradient_of(term) for term in terms]}


importance_weighted_bound = Exercise(
    name="importance_weighted_bound",
    unit=UNIT,
    title="A tighter bound from several codes",
    signature="importance_weighted_bound(log_px_given_z, log_pz, log_qz)",
    minutes=12,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Each sample has a weight, $p(x|z)\\,p(z)\\,/\\,q(z|x)$; products and quotients become sums and "
            "differences of logarithms. The bound is the logarithm of the MEAN weight. Weights such as `exp(-900)` are "
            "zero for a computer, so the sum must be taken without leaving the logarithms."
        ),
        api="`torch.logsumexp`, `math.log`",
        skeleton=(
            "log_w = ... + ... - ...                          # (K, N)\n"
            "return torch.logsumexp(..., dim=...) - math.log(...)  # (N,)"
        ),
    ),
    takeaway=(
        "The logarithm of a mean is at least the mean of logarithms, so this bound is never looser than the ELBO; with "
        "one sample it is the ELBO."
    ),
    cases=_bound_cases,
    observe=_observe_bound,
)

EXERCISES = (reparameterize, kl_divergence, negative_elbo, kl_warmup, latent_traversal, importance_weighted_bound)

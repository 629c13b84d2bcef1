"""Unit 04, pretext tasks: what a learner is asked for, and how an answer is observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Exercise, Hints, Values, drawing, seeded
from course_lib.exercises.observing import dtype_name, manual_seed, two_values

UNIT = "04_pretext_tasks"


# --- 4.1 rotate_batch -----------------------------------------------------------------------------------------------


def _rotate_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, k: int) -> Case:
        return Case(name, {"images": images, "k": k})

    return [
        case("quarter_turn", draw(4, 1, 5, 7), 1),
        case("as_many_images_as_channels", draw(3, 3, 6, 6), 1),
        case("half_turn", draw(3, 1, 6, 4), 2),
        case("three_quarters", draw(2, 1, 4, 5), 3),
        case("no_turn", draw(3, 2, 5, 6), 0),
        case("one", draw(1, 1, 6, 6), 3),
        case("transposed", draw(2, 3, 7, 4).transpose(2, 3), 1),
        case("float64", draw(5, 2, 4, 6).double(), 1),
        case("backward", draw(2, 1, 5, 6), -1),
        case("more_than_once_around", draw(2, 1, 6, 5), 5),
    ]


def _observe_rotate(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    rotated = fn(images, case.inputs["k"])
    return {"rotated": rotated.clone() if isinstance(rotated, Tensor) else rotated, "images_after": images}


rotate_batch = Exercise(
    name="rotate_batch",
    unit=UNIT,
    title="Turn a batch of images by quarter turns",
    signature="rotate_batch(images, k)",
    minutes=8,
    difficulty=1,
    points=4,
    hints=Hints(
        concept=(
            "A quarter turn moves every pixel within its own image and its own channel: of the four dimensions only "
            "height and width take part. Their order says which way the image turns."
        ),
        api="`torch.rot90`: what are its default `dims`, and which dimensions are they here?",
        skeleton="return torch.rot90(images, ..., dims=(..., ...))",
    ),
    takeaway=(
        "The default dims of `torch.rot90` are those of a single matrix: on a batch they turn images into channels, "
        "in silence when there are equally many of both. Name the dimensions."
    ),
    cases=_rotate_cases,
    observe=_observe_rotate,
)


# --- 4.2 rotation_pretext -------------------------------------------------------------------------------------------


def _pretext_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform
    return [
        Case("plain", {"images": draw(5, 1, 6, 6)}),
        Case("one", {"images": draw(1, 1, 7, 7)}),
        Case("as_many_images_as_channels", {"images": draw(3, 3, 5, 5)}),
        Case("four_images", {"images": draw(4, 1, 6, 6)}),
        Case("transposed", {"images": draw(2, 2, 8, 8).transpose(2, 3)}),
        Case("float64", {"images": draw(6, 1, 4, 4).double()}),
    ]


def _observe_pretext(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    seen = two_values(fn(images), "x", "labels")
    return {**seen, "labels_dtype": dtype_name(seen["labels"]), "images_after": images}


rotation_pretext = Exercise(
    name="rotation_pretext",
    unit=UNIT,
    title="Four copies of each image, and the turn of each as its label",
    signature="rotation_pretext(images)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "The images come four times, copy after copy: first all of them upright, then all turned once, and so on. "
            "The labels stand in the same order: N zeros, N ones, N twos, N threes."
        ),
        api="`rotate_batch`, `torch.cat`, `torch.arange`, `Tensor.repeat_interleave` (not `Tensor.repeat`: compare)",
        skeleton=(
            "x = torch.cat([... for k in range(4)])  # (4N, C, H, W)\n"
            "labels = torch.arange(4, device=images.device)...  # (4N,)\n"
            "return x, labels"
        ),
    ),
    takeaway=(
        "Nobody had to label anything: the answer was known because you turned the image yourself. All four copies in "
        "one batch also keep batch normalization from guessing the turn by its company."
    ),
    cases=_pretext_cases,
    observe=_observe_pretext,
)


# --- 4.3 flip_pretext -----------------------------------------------------------------------------------------------


def _flip_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor) -> Case:
        return Case(name, {"images": images, "seed": seed + len(name)})

    return [
        case("many", draw(200, 1, 5, 6)),
        case("color", draw(24, 3, 6, 4)),
        case("as_many_images_as_channels_and_pixels", draw(6, 6, 6, 6)),
        case("one", draw(1, 1, 5, 7)),
        case("transposed", draw(30, 1, 6, 5).transpose(2, 3)),
        case("float64", draw(20, 2, 4, 5).double()),
    ]


def _observe_flip(fn: Callable[..., Any], case: Case) -> Values:
    images, seed = case.inputs["images"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = two_values(fn(images, generator=generator), "flipped", "labels")
    first = {key: value.clone() if isinstance(value, Tensor) else value for key, value in first.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    second = two_values(fn(before.clone(), generator=generator), "flipped", "labels")
    manual_seed(seed + 1)
    again = two_values(fn(before.clone(), generator=seeded(seed)), "flipped", "labels")
    return {
        **first,
        "labels_dtype": dtype_name(first["labels"]),
        "labels_of_next_call": second["labels"],
        "labels_of_same_seed": again["labels"],
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


flip_pretext = Exercise(
    name="flip_pretext",
    unit=UNIT,
    title="Mirrored, or upside down?",
    signature="flip_pretext(images, *, generator)",
    minutes=12,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "One coin for each image. The same coin decides twice: how this image is flipped, and what its label is. "
            "So draw once, keep the result, and use it for both."
        ),
        api="`torch.randint(0, 2, (n,), generator=...)`, `Tensor.flip`, `torch.where` (give the coins four dimensions)",
        skeleton=(
            "labels = torch.randint(0, 2, (len(images),), generator=generator).to(images.device)  # (N,)\n"
            "upside_down = labels[:, None, None, None] == 1  # (N, 1, 1, 1)\n"
            "flipped = torch.where(upside_down, ..., ...)\n"
            "return flipped, labels"
        ),
    ),
    takeaway=(
        "A label is only worth something when it was made by the same draw as its image. Two draws give perfect code "
        "for a task that nothing can learn."
    ),
    cases=_flip_cases,
    observe=_observe_flip,
)


# --- 4.4 mask_patches -----------------------------------------------------------------------------------------------


def _mask_cases(seed: int) -> list[Case]:
    draw = drawing(seed).uniform

    def case(name: str, images: Tensor, patch_size: int, ratio: float) -> Case:
        return Case(name, {"images": images, "patch_size": patch_size, "ratio": ratio, "seed": seed + len(name)})

    def bright(*shape: int) -> Tensor:
        return 0.2 + 0.6 * draw(*shape)  # no pixel is 0 before it is hidden

    return [
        case("wide", bright(16, 1, 8, 12), 4, 0.5),
        case("square", bright(12, 1, 16, 16), 4, 0.75),
        case("color", bright(8, 3, 12, 8), 2, 0.25),
        case("tall_patches_of_three", bright(6, 1, 12, 6), 3, 0.25),
        case("one", bright(1, 1, 16, 16), 2, 0.5),
        case("transposed", bright(6, 2, 12, 8).transpose(2, 3), 4, 0.5),
        case("float64", bright(4, 1, 8, 16).double(), 2, 0.75),
        case("nothing_hidden", bright(3, 1, 8, 8), 4, 0.0),
        case("all_hidden", bright(3, 2, 8, 4), 2, 1.0),
    ]


def _observe_mask(fn: Callable[..., Any], case: Case) -> Values:
    images, patch_size, ratio, seed = (case.inputs[key] for key in ("images", "patch_size", "ratio", "seed"))
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    first = two_values(fn(images, patch_size, ratio, generator=generator), "masked", "mask")
    first = {key: value.clone() if isinstance(value, Tensor) else value for key, value in first.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    second = two_values(fn(before.clone(), patch_size, ratio, generator=generator), "masked", "mask")
    manual_seed(seed + 1)
    again = two_values(fn(before.clone(), patch_size, ratio, generator=seeded(seed)), "masked", "mask")
    return {
        **first,
        "mask_dtype": dtype_name(first["mask"]),
        "mask_of_next_call": second["mask"],
        "mask_of_same_seed": again["mask"],
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


mask_patches = Exercise(
    name="mask_patches",
    unit=UNIT,
    title="Hide random patches of each image",
    signature="mask_patches(images, patch_size, ratio, *, generator)",
    minutes=15,
    difficulty=3,
    points=4,
    hints=Hints(
        concept=(
            "Think in a small grid with one cell a patch. In each row of random numbers, the cells with the lowest "
            "ranks are hidden: so exactly as many as you want, others in every image. At last each cell becomes a "
            "square of pixels."
        ),
        api=(
            "`torch.rand(n, cells, generator=...)`, `Tensor.argsort` (twice gives ranks), `Tensor.reshape`, "
            "`Tensor.repeat_interleave(size, dim=...)`, `Tensor.masked_fill`"
        ),
        skeleton=(
            "rows, columns = images.shape[2] // patch_size, ...\n"
            "rank = torch.rand(len(images), rows * columns, generator=generator).argsort(dim=1).argsort(dim=1)\n"
            "hidden = (rank < round(...)).reshape(-1, 1, rows, columns).to(images.device)  # (N, 1, rows, columns)\n"
            "mask = hidden.repeat_interleave(patch_size, dim=...)...  # (N, 1, H, W)\n"
            "return images.masked_fill(...), mask"
        ),
    ),
    takeaway=(
        "Whole patches, not single pixels: a lone missing pixel is the mean of its neighbors, and nothing about "
        "shapes need be known to fill it in."
    ),
    cases=_mask_cases,
    observe=_observe_mask,
)


# --- 4.5 masked_loss ------------------------------------------------------------------------------------------------


def _masked_loss_cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)

    def case(name: str, shape: tuple[int, ...], share: float) -> Case:
        n, _, height, width = shape
        mask = torch.rand(n, 1, height, width, generator=generator) < share
        mask[:, :, 0, 0], mask[:, :, -1, -1] = True, False  # some of both
        return Case(name, {"x_hat": draw(*shape), "images": draw(*shape), "mask": mask})

    uneven = case("uneven", (4, 1, 5, 6), 0.5)  # another share hidden in each image
    uneven.inputs["mask"][0], uneven.inputs["mask"][1] = True, False
    uneven.inputs["mask"][1, :, 0] = True
    double = case("float64", (3, 1, 4, 5), 0.4)
    strided = case("transposed", (3, 2, 4, 7), 0.5)
    nothing = case("nothing_hidden", (3, 2, 4, 4), 0.5)
    nothing.inputs["mask"].fill_(False)
    return [
        case("plain", (4, 1, 6, 5), 0.5),
        case("one", (1, 1, 4, 6), 0.6),
        uneven,
        case("color", (5, 3, 4, 6), 0.3),
        case("as_many_images_as_channels", (3, 3, 3, 3), 0.5),
        Case("transposed", {key: value.transpose(2, 3) for key, value in strided.inputs.items()}),
        Case("float64", {key: value if key == "mask" else value.double() for key, value in double.inputs.items()}),
        nothing,
    ]


def _observe_masked_loss(fn: Callable[..., Any], case: Case) -> Values:
    x_hat, images, mask = case.inputs["x_hat"].requires_grad_(), case.inputs["images"], case.inputs["mask"]
    loss = fn(x_hat, images, mask)
    seen: Values = {"loss": loss, "gradient": torch.zeros_like(x_hat)}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
        loss.backward()
        seen["gradient"] = x_hat.grad if x_hat.grad is not None else torch.zeros_like(x_hat)
    seen["images_after"] = images
    return seen


masked_loss = Exercise(
    name="masked_loss",
    unit=UNIT,
    title="Squared error of the hidden pixels alone",
    signature="masked_loss(x_hat, images, mask)",
    minutes=10,
    difficulty=2,
    points=4,
    hints=Hints(
        concept=(
            "Sum the squared errors of what was hidden, and divide by how many values that are. Mind the channels: "
            "the mask has one, the images may have three. And mind a batch in which nothing is hidden."
        ),
        api="`Tensor.expand_as`, `Tensor.sum`, `Tensor.clamp(min=...)`",
        skeleton=(
            "hidden = mask.expand_as(images)  # (N, 1, H, W) -> (N, C, H, W)\n"
            "squared = (... - ...) ** 2 * hidden\n"
            "return squared.sum() / hidden.sum()..."
        ),
    ),
    takeaway=(
        "The gradient on visible pixels is zero: copying what can be seen no longer earns anything, only knowing what "
        "belongs into the holes."
    ),
    cases=_masked_loss_cases,
    observe=_observe_masked_loss,
)


# --- 4.6 linear_probe -----------------------------------------------------------------------------------------------


class _Probed(nn.Module):
    """Images to features, through batch normalization and dropout: a record of modes shows who forgot to freeze."""

    def __init__(self, pixels: int, feature_dim: int, case: Case) -> None:
        super().__init__()
        generator = seeded(case.inputs["seed"])
        self.linear = nn.Linear(pixels, feature_dim)
        self.norm = nn.BatchNorm1d(feature_dim)
        self.dropout = nn.Dropout(0.4)
        self.modes: list[str] = Diary()
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(feature_dim, pixels, generator=generator) / pixels**0.5)
            self.linear.bias.copy_(torch.randn(feature_dim, generator=generator))
            # running statistics far from those of any batch, so that the mode is seen in the features
            self.norm.get_buffer("running_mean").copy_(torch.randn(feature_dim, generator=generator))
            self.norm.get_buffer("running_var").copy_(0.1 + torch.rand(feature_dim, generator=generator))
        self.factor, self.offset = case.inputs["feature_scale"], case.inputs["feature_offset"]

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.norm.training else "eval")
        features = self.dropout(self.norm(self.linear(x.flatten(1))))
        return self.factor * features + self.offset


def _probe_cases(seed: int) -> list[Case]:
    generator, draw, _ = drawing(seed)

    def case(
        name: str, num_classes: int, shape: tuple[int, int, int], mode: str = "train", *, scale: float = 1.0,
        offset: float = 0.0, only_class: int | None = None,
    ) -> Case:  # fmt: skip
        """Classes that any linear layer tells apart; but a share of the test labels is another class on purpose."""
        patterns = draw(num_classes, *shape)
        counts = {"train": 12 * num_classes, "test": 20 * num_classes}
        images, labels = {}, {}
        for part, count in counts.items():
            order = torch.randperm(count, generator=generator)
            targets = torch.arange(num_classes).repeat(count // num_classes)[order]
            if part == "test" and only_class is not None:
                targets = torch.full_like(targets, only_class)
            images[part] = patterns[targets] + 0.04 * torch.randn(count, *shape, generator=generator)
            wrong = torch.arange(count) % 4 == 0 if part == "test" else torch.zeros(count, dtype=torch.bool)
            labels[part] = torch.where(wrong, (targets + 1) % num_classes, targets)
        inputs: Values = {"images": images["train"], "labels": labels["train"]}
        inputs |= {"test_images": images["test"], "test_labels": labels["test"], "mode_before": mode}
        return Case(name, {**inputs, "seed": seed + len(name), "feature_scale": scale, "feature_offset": offset})

    return [
        case("plain", 3, (1, 6, 5)),
        case("already_in_eval_mode", 4, (1, 5, 6), "eval"),
        case("far_from_zero", 3, (3, 4, 4), scale=0.001, offset=30.0),
        case("one_class_in_the_test_set", 3, (1, 6, 6), only_class=1),
    ]


def _observe_probe(fn: Callable[..., Any], case: Case) -> Values:
    images = case.inputs["images"]
    encoder = _Probed(images[0].numel(), 48, case).to(images.device)
    encoder.train(case.inputs["mode_before"] == "train")
    before = encoder.linear.weight.detach().clone()
    with torch.enable_grad():  # an answer that switches gradients off for good harms nobody else
        accuracy = fn(encoder, images, case.inputs["labels"], case.inputs["test_images"], case.inputs["test_labels"])
        grad_mode_after = int(torch.is_grad_enabled())
    return {
        "accuracy": float(accuracy) if isinstance(accuracy, np.floating) else accuracy,  # scikit-learn's scores
        "modes": sorted(set(encoder.modes)),
        "mode_after": "train" if encoder.training else "eval",
        "weights_before": before,
        "weights_after": encoder.linear.weight,
        "running_mean_after": encoder.norm.get_buffer("running_mean"),
        "weights_require_grad_after": [int(p.requires_grad) for p in encoder.parameters()],
        "grad_mode_after": grad_mode_after,
    }


linear_probe = Exercise(
    name="linear_probe",
    unit=UNIT,
    title="What can a linear layer read from frozen features?",
    signature="linear_probe(encoder, images, labels, test_images, test_labels)",
    minutes=15,
    difficulty=3,
    points=5,
    hints=Hints(
        concept=(
            "The encoder is measured, not trained: its features are computed once, at rest. What is trained is one "
            "linear layer, on the features of the training images, standardized by their own mean and deviation. The "
            "same two numbers a feature standardize the test features."
        ),
        api=(
            "`evaluation.extract_features(encoder, images)` (at rest, mode restored, on the CPU), `Tensor.mean(dim=0)`,"
            " `nn.Linear`, `torch.optim.Adam`, `F.cross_entropy`; or scikit-learn's `LogisticRegression`"
        ),
        skeleton=(
            "train_x, test_x = (evaluation.extract_features(encoder, x) for x in (images, test_images))\n"
            "mean, std = train_x.mean(dim=0), ...\n"
            "head = nn.Linear(train_x.shape[1], int(labels.max()) + 1)\n"
            "# some two hundred steps on the cross-entropy of head((train_x - mean) / std)\n"
            "predicted = head((... - mean) / std).argmax(dim=...)\n"
            "return (predicted == ...)...item()"
        ),
    ),
    takeaway=(
        "A probe measures the encoder only as long as nothing but the linear layer learns, and nothing but the "
        "training images teaches it."
    ),
    cases=_probe_cases,
    observe=_observe_probe,
    library=("course_lib.evaluation.linear_probe",),
)

EXERCISES = (rotate_batch, rotation_pretext, flip_pretext, mask_patches, masked_loss, linear_probe)

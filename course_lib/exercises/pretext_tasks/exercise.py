"""What exercises of unit 04 are made of: an observer of draws, and a probe's encoder and images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Drawing, Values, drawing, seeded
from course_lib.exercises.observing import dtype_name, manual_seed, two_values


def observe_draws(draw: Callable[..., Any], case: Case, first: str, second: str) -> Values:
    """The pair that `draw(images, generator=...)` gives, what else it changes, and its second value drawn twice more.

    Once more with the same generator, and once with another that begins at the same seed.
    """
    images, seed = case.inputs["images"], case.inputs["seed"]
    before, global_before = images.clone(), torch.get_rng_state()
    generator = seeded(seed)
    pair = two_values(draw(images, generator=generator), first, second)
    pair = {key: value.clone() if isinstance(value, Tensor) else value for key, value in pair.items()}
    global_after, images_after = torch.get_rng_state(), images.clone()
    next_call = two_values(draw(before.clone(), generator=generator), first, second)
    manual_seed(seed + 1)
    same_seed = two_values(draw(before.clone(), generator=seeded(seed)), first, second)
    return {
        **pair,
        f"{second}_dtype": dtype_name(pair[second]),
        f"{second}_of_next_call": next_call[second],
        f"{second}_of_same_seed": same_seed[second],
        "images_after": images_after,
        "global_state_before": global_before,
        "global_state_after": global_after,
    }


# --- for linear_probe: six patterns of three classes ----------------------------------------------------------------

TEST_COUNTS = (40, 40, 40, 40, 40, 20)  # images of each pattern
BETWEEN = 4  # lies halfway between two patterns of another class: no linear layer gets it right, other classifiers do
LATE = 5  # rare, and near the first: a linear layer takes it for that one in its first steps


def probing_sets(draw: Drawing, shape: tuple[int, ...], test_counts: Sequence[int]) -> Values:
    """Training and test images of six patterns, and their labels.

    Some test labels are wrong, all of LATE among them: no probe that was not told them is right there.
    """
    generator, uniform, normal = draw
    a, b, c, *steps = uniform(5, *shape)
    apart, aside = (0.2 * (step - 0.5).sign() for step in steps)
    patterns = torch.stack([a, b, c + apart, c - apart, c, a + aside])
    owners, classes = torch.tensor([0, 1, 2, 2, 0, 2]), torch.tensor([1, 7, 12])

    def part(counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        which = torch.arange(6).repeat_interleave(torch.tensor(counts))
        which = which[torch.randperm(len(which), generator=generator)]
        return patterns[which] + 0.03 * normal(len(which), *shape), which

    # with 30 of each and 3 of BETWEEN, a probe without regularization learns these 3 by heart: right on 5.5 % more
    images, which = part((60, 60, 60, 60, 6, 8))
    test_images, test_which = part(test_counts)
    wrong = (test_which < BETWEEN) & (uniform(len(test_which)) < 0.05 + 0.4 * uniform(1)) | (test_which == LATE)
    return {
        "images": images,
        "labels": classes[owners[which]],
        "test_images": test_images,
        "test_labels": classes[(owners[test_which] + wrong.long()) % 3],
    }


class Probed(nn.Module):
    """An encoder: images to features, through batch normalization and dropout; it notes the mode of each call."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        _, uniform, normal = drawing(case.inputs["seed"])
        pixels = case.inputs["images"][0].numel()
        self.linear, self.norm, self.dropout = nn.Linear(pixels, 48), nn.BatchNorm1d(48), nn.Dropout(0.4)
        self.scale, self.offset = case.inputs["feature_scale"], case.inputs["feature_offset"]
        self.modes: list[str] = Diary()
        self.linear.weight = nn.Parameter(normal(48, pixels) / pixels**0.5)
        self.linear.bias = nn.Parameter(normal(48))
        # running statistics far from those of any batch, so that the mode is seen in the features
        self.norm.running_mean, self.norm.running_var = normal(48), 0.1 + uniform(48)

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append("train" if self.norm.training else "eval")
        features = self.dropout(self.norm(self.linear(x.flatten(1))))
        dead = torch.arange(48, device=x.device) < 3  # these are the same for all images
        return self.scale * features.masked_fill(dead, 0.0) + self.offset

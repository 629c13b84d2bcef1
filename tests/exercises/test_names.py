"""A known mistake's name is given to what does that, and to nothing that merely looks like it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.verdicts import SEEDS


class WithASpareLayer(nn.Module):
    def __init__(self, image_shape, code_dim):
        super().__init__()
        size = torch.Size(image_shape).numel()
        self.encode = nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, code_dim))
        self.decode = nn.Sequential(nn.Linear(code_dim, size), nn.Sigmoid(), nn.Unflatten(1, image_shape))
        self.spare = nn.Linear(3, 3)

    def forward(self, images):
        return self.decode(self.encode(images))


def chosen_by_global_numbers(labels, per_class, generator):
    own = [torch.nonzero(labels == k).flatten() for k in labels.unique()]
    own = [positions[torch.rand(len(positions)).argsort()] for positions in own]
    return torch.cat([positions[:per_class] for positions in own]), torch.cat([p[per_class:] for p in own])


def always_upside_down(images, *, generator):
    torch.rand(len(images), generator=generator)
    return images.flip(2), torch.ones(len(images), dtype=torch.int64, device=images.device)


def labels_in_a_column(images):
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([images.rot90(k, (2, 3)) for k in range(4)]), labels.reshape(-1, 1)


def images_left_turned(images):
    upright = images.clone()
    images.copy_(images.flip(2))
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return torch.cat([upright.rot90(k, (2, 3)) for k in range(4)]), labels


def freezes_the_outermost_only(module, frozen=True):
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad = not frozen
    for part in module.modules():
        part.__dict__.pop("train", None)
        part.training = not frozen
        if frozen:
            part.train = lambda mode=True, part=part: part
    return module


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("exercise", "answer", "mistake"),
    [
        ("Autoencoder", WithASpareLayer, None),
        ("few_label_split", chosen_by_global_numbers, "global_generator"),
        ("flip_pretext", always_upside_down, "one_coin_for_all"),
        ("rotation_pretext", labels_in_a_column, None),
        ("rotation_pretext", images_left_turned, None),
        ("freeze", freezes_the_outermost_only, None),
    ],
)
def test_a_name_is_given_only_to_what_does_that(exercise, answer, mistake, seed):
    result = check(exercise_named(exercise), answer, seed=seed)
    assert result.state == "wrong"
    assert result.mistake == mistake, result.message.render()

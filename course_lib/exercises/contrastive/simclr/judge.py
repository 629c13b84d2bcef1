"""`SimCLR`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import nn

from course_lib.exercises.asking import as_expected, everywhere, inputs_kept, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.contrastive.judge import (
    loss_as_a_number,
    reference_nt_xent_loss,
    reference_two_views,
)

NETWORKS, LOSSES, READING = ("gray", "color"), ("plain", "color_loss", "float64"), ("read", "read_color")


def building_on(two_views=reference_two_views, nt_xent_loss=reference_nt_xent_loss):
    class SimCLR(nn.Module):
        """A head without batch normalization, and features whose modes are set back one by one."""

        def __init__(self, encoder, hidden, outputs):
            super().__init__()
            self.encoder = encoder
            first, last = nn.Linear(encoder.feature_dim, hidden), nn.Linear(hidden, outputs)
            self.head = nn.Sequential(first, nn.LeakyReLU(), last)

        def forward(self, images):
            return self.head(self.encoder(images))

        def loss(self, images, augment, temperature, *, generator):
            z = self(torch.cat(list(two_views(images, augment, generator=generator))))
            return nt_xent_loss(z[: len(images)], z[len(images) :], temperature)

        @torch.no_grad()
        def features(self, images):
            modes = {module: module.training for module in self.modules()}
            features = self.eval().encoder(images)
            for module, mode in modes.items():
                module.training = mode
            return features

    return SimCLR


def _is_bent(seen: Values) -> bool:
    scale = float(seen["head_of_features"].double().std()) + 1e-9
    return bool(seen["bend"].isfinite().all()) and float(seen["bend"].double().abs().max()) > 1e-4 * scale


def _head(case: Case, seen: Values, expected: Values) -> bool:
    given = case.inputs
    sizes = sorted([[given["hidden"], given["features"]], [given["outputs"], given["hidden"]]])
    shaped = seen["matrices_of_the_head"] == sizes and seen["bend"].shape == expected["bend"].shape
    return shaped and _is_bent(seen)


def _forward(case: Case, seen: Values, expected: Values) -> bool:
    count, reached = seen["weights"]
    shaped = seen["z"].shape == expected["z"].shape and close(seen["z_in_eval_mode"], seen["head_of_features"])
    differ = shaped and bool(seen["z_in_eval_mode"].double().std(dim=0).max() > 0)
    return differ and count == reached and seen["weights_of_the_encoder"] == expected["weights_of_the_encoder"]


def _unmoved(case: Case, seen: Values, expected: Values) -> bool:
    kept = close(seen["running_mean_after"], expected["running_mean_before"])
    manner = as_expected("features_need_gradient", "modes_of_the_encoder", "modes_after")
    return kept and manner(case, seen, expected) and close(seen["features"].shape, expected["features"].shape)


def _loss_right(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["loss"], expected["loss"]) and inputs_kept(case, seen, "images")


judge = Judge(
    reference=building_on(),
    building_on=building_on,
    criteria=(
        Criterion("head", 1, "the head has two linear layers with a nonlinearity between them", _head, NETWORKS),
        Criterion("forward", 1, "images go through the given encoder and then the head", _forward, NETWORKS),
        Criterion("loss", 2, "the loss compares the head's outputs of two views", _loss_right, LOSSES),
        Criterion(
            "gradient",
            1,
            "both views go through the network in one batch, and encoder and head learn from the loss",
            as_expected("batches", "encoder_gradient", "head_gradient"),
            LOSSES,
        ),
        Criterion(
            "features",
            1,
            "features are the encoder's, in eval mode and without gradient, and all modes are as before",
            lambda case, seen, expected: (
                close(seen["features"], expected["features"]) and _unmoved(case, seen, expected)
            ),
            READING,
        ),
    ),
    predicates={
        "loss_as_a_number": lambda trials: loss_as_a_number(named(trials, *LOSSES)),
        "head_is_linear": everywhere(lambda t: not _is_bent(t.seen), *NETWORKS),
        "encoder_copied": everywhere(lambda t: t.seen["weights_of_the_encoder"] == 0, *NETWORKS),
        "two_batches": everywhere(lambda t: [len(part) for part in t.seen["batches"]] == [2, 2], *LOSSES),
        "features_with_gradient": everywhere(
            lambda t: t.seen["features_need_gradient"] == "True" and close(t.seen["features"], t.expected["features"]),
            *READING,
        ),
        "features_in_train_mode": everywhere(lambda t: "train" in t.seen["modes_of_the_encoder"], *READING),
        "left_in_eval_mode": everywhere(
            lambda t: (
                close(t.seen["features"], t.expected["features"])
                and t.seen["modes_after"] != t.expected["modes_after"]
                and t.seen["modes_after"][0] == "eval"
            ),
            *READING,
        ),
        "all_in_train_mode": everywhere(lambda t: set(t.seen["modes_after"]) == {"train"}, *READING),
        "encoder_detached": somewhere(
            lambda t: close(t.seen["loss"], t.expected["loss"]) and not t.seen["encoder_gradient"].any(), *LOSSES
        ),
    },
    exact=False,
)

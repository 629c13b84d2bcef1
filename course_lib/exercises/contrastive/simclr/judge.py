"""`SimCLR`: criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch.nn import functional as F

from course_lib.exercises.asking import as_expected, everywhere, inputs_kept, loss_as_a_number, named, somewhere
from course_lib.exercises.contract import Case, Criterion, Judge, Values, close
from course_lib.exercises.contrastive.judge import reference_simclr

NETWORKS, LOSSES = ("gray", "color"), ("plain", "color_loss", "float64")
READING = ("read", "read_color", "read_narrow")


def _is_bent(seen: Values) -> bool:
    scale = float(seen["head_of_features"].double().std()) + 1e-9
    return bool(seen["bend"].isfinite().all()) and float(seen["bend"].double().abs().max()) > 1e-4 * scale


def _head(case: Case, seen: Values, expected: Values) -> bool:
    given = case.inputs
    sizes = sorted([[given["hidden"], given["features"]], [given["outputs"], given["hidden"]]])
    shaped = seen["matrices_of_the_head"] == sizes and seen["bend"].shape == expected["bend"].shape
    return shaped and _is_bent(seen) and not (seen["head_of_features"] == 0).any()


def _forward(case: Case, seen: Values, expected: Values) -> bool:
    count, reached = seen["weights"]
    shaped = seen["z"].shape == expected["z"].shape and close(seen["z_in_eval_mode"], seen["head_of_features"])
    differ = shaped and bool(seen["z_in_eval_mode"].double().std(dim=0).max() > 0)
    return differ and count == reached and seen["weights_of_the_encoder"] == expected["weights_of_the_encoder"]


def _loss_right(case: Case, seen: Values, expected: Values) -> bool:
    return _right_loss(case, seen, expected) and inputs_kept(case, seen, "images")


_right_loss = as_expected("loss", "loss_at_twice_the_temperature")
_right_features = as_expected("features")
judge = Judge(
    reference=reference_simclr(),
    building_on=reference_simclr,
    criteria=(
        Criterion(
            "head",
            1,
            "the head has two linear layers and a nonlinearity between them alone",
            _head,
            NETWORKS,
        ),
        Criterion("forward", 1, "images go through the given encoder and then the head", _forward, NETWORKS),
        Criterion("loss", 1, "the loss compares the head's outputs of two views", _loss_right, LOSSES),
        Criterion(
            "gradient",
            2,
            "both views go through the network in one batch, and encoder and head learn from the loss",
            as_expected("batches", "encoder_gradient", "head_gradient"),
            LOSSES,
        ),
        Criterion(
            "features",
            1,
            "features are the encoder's, in eval mode and without gradient, and all modes are as before",
            as_expected("features", "features_need_gradient", "modes_of_the_encoder", "modes_after"),
            READING,
        ),
    ),
    predicates={
        "loss_as_a_number": lambda trials: loss_as_a_number(named(trials, *LOSSES)),
        "temperature_fixed": everywhere(
            lambda t: close(t.seen["loss"], t.seen["loss_at_twice_the_temperature"]), *LOSSES
        ),
        "head_is_linear": everywhere(lambda t: not _is_bent(t.seen), *NETWORKS),
        "relu_at_the_end": somewhere(lambda t: bool((t.seen["head_of_features"] == 0).any()), *NETWORKS),
        "outputs_normalized": everywhere(
            lambda t: close(t.seen["z_in_eval_mode"], F.normalize(t.seen["head_of_features"], dim=1)), *NETWORKS
        ),
        "encoder_copied": everywhere(lambda t: t.seen["weights_of_the_encoder"] == 0, *NETWORKS),
        "two_batches": everywhere(lambda t: [len(part) for part in t.seen["batches"]] == [4, 4], *LOSSES),
        "features_with_gradient": everywhere(
            lambda t: t.seen["features_need_gradient"] == "True" and _right_features(*t[:3]), *READING
        ),
        "features_in_train_mode": everywhere(lambda t: "train" in t.seen["modes_of_the_encoder"], *READING),
        "left_in_eval_mode": everywhere(
            lambda t: _right_features(*t[:3]) and "eval" in t.seen["modes_after"][:3], *READING
        ),
        "all_in_train_mode": everywhere(lambda t: set(t.seen["modes_after"]) == {"train"}, *READING),
        "encoder_detached": somewhere(lambda t: _right_loss(*t[:3]) and not t.seen["encoder_gradient"].any(), *LOSSES),
    },
    exact=False,
)

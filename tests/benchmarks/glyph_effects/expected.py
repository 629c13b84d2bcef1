"""What each effect must show: the rows of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.glyph_effects import effects
from tests.benchmarks.glyph_effects.recipes import Figures


@dataclass(frozen=True)
class Row:
    """What to run (or the row `of` whose run is judged again), what the curriculum expects, whether a seed shows it."""

    run: Callable[[int], Figures]
    expected: str
    holds: Callable[[Figures], bool]
    of: str = ""
    shown: str = ""  # only figures whose name contains this
    on_mean: bool = False  # judges the mean over the seeds: "no reliable gain" allows a seed that gains by luck


def best_depth(f: Figures, k: int) -> int:
    return max(range(4), key=lambda depth: f[f"frozen{depth}@{k}"])


ROWS: dict[str, Row] = {
    "label_budgets": Row(
        effects.label_budgets,
        "rises steeply: .15 .23 .50 .71 .86 .92 at 1 2 5 10 20 50 labels per class",
        lambda f: f["scratch@1"] < 0.25 and 0.35 < f["scratch@5"] < 0.65 and 0.55 < f["scratch@10"] < 0.82
        and f["scratch@20"] > 0.8 and f["scratch@50"] > 0.88,
    ),
    "rotation_pretext": Row(
        effects.rotation_pretext,
        "probe: rotation >> random at blocks 2 and 3; fine-tuned > scratch at 5 and 10 by .05 or more",
        lambda f: f["rotation_probe@10_block3"] > f["random_probe@10_block3"] + 0.15
        and all(f[f"rotation_finetuned@{k}"] > f[f"scratch@{k}"] + 0.05 for k in (5, 10)),
    ),
    "autoencoder": Row(
        effects.autoencoder,
        "fine-tuned gains less than .03 over scratch at 10 (mean); a frozen code beats a random one on clean images",
        lambda f: f["autoencoder_finetuned@10"] < f["scratch@10"] + 0.03
        and f["frozen_code_clean@5"] > f["random_code_clean@5"] + 0.1,
        on_mean=True,
    ),
    "simclr": Row(
        effects.simclr,
        "probe far above random; fine-tuned a little above scratch",
        lambda f: f["simclr_probe@10"] > f["random_probe@10"] + 0.15 and f["simclr_finetuned@10"] > f["scratch@10"],
    ),
    "freezing_depth": Row(
        effects.freezing_depth,
        "5: a frozen depth is best (.71; open .65; scratch .45); 20: open beats the head alone (.89, .70) and scratch",
        lambda f: max(f["frozen2@5"], f["frozen3@5"]) > f["frozen0@5"] > f["scratch@5"]
        and best_depth(f, 5) > best_depth(f, 20) and f["frozen3@20"] < f["frozen0@20"] - 0.02
        and f["frozen0@20"] > f["scratch@20"],
    ),
    "large_learning_rate": Row(
        effects.large_learning_rate,
        "1e-2 destroys pretrained weights (.65 -> .50 at 5, .89 -> .84 at 20): so it does in a short fine-tuning",
        lambda f: all(f[f"short_lr0.01@{k}"] < f[f"short_lr0.003@{k}"] - 0.02 for k in (5, 20)),
    ),
    "unrelated_source": Row(
        effects.unrelated_source,
        "a random-label source is worse than scratch (.76, .81)",
        lambda f: f["random_labels@20"] < f["scratch@20"] - 0.01,
    ),
    "frozen_batchnorm": Row(
        effects.frozen_batchnorm,
        "train mode changes nothing in domain and costs accuracy under domain shift",
        lambda f: all(
            abs(f[f"in_domain_train@{k}"] - f[f"in_domain_eval@{k}"]) < 0.05
            and f[f"shifted_train@{k}"] < f[f"shifted_eval@{k}"] - 0.02
            for k in (5, 20)
        ),
    ),
    "lp_ft": Row(
        effects.lp_ft,
        "in domain LP < LP-FT, FT; out of domain FT < LP-FT < LP",
        lambda f: f["lp_in"] < min(f["ft_in"], f["lp_ft_in"]) and f["ft_out"] < f["lp_ft_out"] < f["lp_out"],
    ),
    "pseudo_labels": Row(
        effects.pseudo_labels,
        "10: three restarted rounds .71 -> .87; the same network on its own argmax .75, less than half of that gain",
        lambda f: (
            f["restarted@10"] > f["scratch@10"] + 0.05
            and f["own_argmax@10"] - f["scratch@10"] < 0.5 * (f["restarted@10"] - f["scratch@10"])
        ),
        shown="@10",
    ),
    "confidence": Row(
        effects.pseudo_labels,
        "5: of the images with confidence >= .9 only .67 to .77 are right (plain recipe: no shifts, constant rate)",
        lambda f: f["correct_when_sure_plain@5"] < 0.8,
        of="pseudo_labels",
        shown="sure",
    ),
    "fixmatch": Row(
        effects.fixmatch,
        "far above scratch with 5 and 10 labels (.85 and .92)",
        lambda f: f["fixmatch@5"] > f["scratch@5"] + 0.15 and f["fixmatch@10"] > f["scratch@10"] + 0.1,
    ),
    "mean_teacher": Row(
        effects.mean_teacher,
        "above scratch with 5 and 10 labels (.71 and .91)",
        lambda f: all(f[f"mean_teacher@{k}"] > f[f"scratch@{k}"] + 0.05 for k in (5, 10)),
    ),
    "distillation": Row(
        effects.distillation,
        "a student without labels comes within .03 of its teacher, far above 5 labels per class",
        lambda f: f["distilled"] > f["teacher"] - 0.03 and f["distilled"] > f["scratch@5"] + 0.2,
    ),
    "anomaly": Row(
        effects.anomaly,
        "one normal class: autoencoder .8 or more; mixed classes weaker, about PCA's",
        lambda f: f["one_class_autoencoder"] > 0.8 and f["mixed_autoencoder"] < f["one_class_autoencoder"],
    ),
    "test_time_adaptation": Row(
        effects.test_time_adaptation,
        "low contrast is repaired (.42 -> .95), inversion is not",
        lambda f: f["low_contrast_adapted"] > f["low_contrast_before"] + 0.2 and f["low_contrast_adapted"] > 0.8
        and f["inverted_adapted"] < 0.6,
    ),
}  # fmt: skip

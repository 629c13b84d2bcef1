"""docs/topics.md: what each notebook teaches, where it works, where it fails, and what to take home, with its figures.

The words stand here, with placeholders as in the notebooks; the page is made by `course pictures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from course_lib.authoring import quoting
from course_lib.authoring.openings import Notebook

# Number of a notebook -> where its idea works and where it fails, each with what was recorded.
FOUND: dict[str, tuple[str, str]] = {
    "00": (
        """A plain classifier with strong views: {{ result("protocol", "scratch_strong@1") | pm(percent=true) }} with
        one label per class, {{ result("protocol", "scratch_strong@10") | pm(percent=true) }} with ten, {{
        result("protocol", "scratch_strong@50") | pm(percent=true) }} with fifty""",
        """Evaluated in train mode on images sorted by class: {{ result("failures", "train_mode_sorted_accuracy") |
        pm(percent=true) }}""",
    ),
    "01": (
        """Shapes of no known class are found by their reconstruction error: AUROC {{ result("anomaly", "autoencoder")
        | pm }}, and {{ result("anomaly", "pca") | pm }} with PCA""",
        """Pretrained and fine-tuned with ten labels: {{ result("protocol", "autoencoder_weak@10") | pm(percent=true)
        }}, and {{ result("protocol", "scratch_weak@10", unit="00_first_steps") | pm(percent=true) }} without
        pretraining""",
    ),
    "02": (
        """Sampled ten times, the bound improves {{ every_seed("nats@10 < nats@1", "bound") }}, from {{ result("bound",
        "nats@1") | pm }} to {{ result("bound", "nats@10") | pm }} nats per image""",
        """A mean where a sum belongs: the KL divergence falls to {{ result("collapse", "kl_wrong_reduction").mean |
        num }} nats, and no latent is used""",
    ),
    "03": (
        """Samples improve: the Fréchet distance falls from {{ result("training", "frechet@100") | pm }} to {{
        result("training", "frechet@800") | pm }}, with {{ result("training", "classes@800").mean | num(0) }} classes
        of ten""",
        """Two unequal learning rates: samples are copies of each other (distance {{ result("collapse",
        "nearest_collapsed") | pm }} instead of {{ result("collapse", "nearest_balanced") | pm }}) while both losses
        look calm""",
    ),
    "04": (
        """Rotation with ten labels: frozen {{ result("protocol", "rotation_frozen@10") | pm(percent=true) }}, where
        random weights have {{ result("protocol", "random_frozen@10", unit="00_first_steps") | pm(percent=true) }};
        fine-tuned {{ result("protocol", "rotation_weak@10") | pm(percent=true) }}""",
        """Turns by 45 degrees leave black corners: the pretext is solved to {{ result("artefacts", "corners_pretext")
        | pm(percent=true) }}, and its frozen features fall from {{ result("artefacts", "turns_frozen") |
        pm(percent=true) }} to {{ result("artefacts", "corners_frozen") | pm(percent=true) }}""",
    ),
    "05": (
        """Frozen features of SimCLR with ten labels: {{ result("protocol", "contrastive_frozen@10") | pm(percent=true)
        }}, and {{ result("protocol", "rotation_frozen@10", unit="04_pretext_tasks") | pm(percent=true) }} of
        rotation""",
        """Without the stop-gradient all images get one code: the spread of the codes falls from {{ result("collapse",
        "spread_stopped@100") | pm }} to {{ result("collapse", "spread_open@100") | pm }}""",
    ),
    "06a": (
        """Frozen with five labels per class: {{ result("label_curve", "transfer_frozen@5") | pm(percent=true) }},
        fine-tuned {{ result("label_curve", "transfer_finetuned@5") | pm(percent=true) }}, from scratch {{
        result("label_curve", "scratch@5") | pm(percent=true) }}; with fifty the order turns round""",
        """Gradients set to zero instead of no gradient: momentum moves the frozen weights by {{ result("leaks",
        "zeroed_weights") | pm }}""",
    ),
    "06b": (
        """Images of another style: after LP-FT {{ result("forgetting", "lp_ft_out") | pm(percent=true) }} are right,
        after fine-tuning {{ result("forgetting", "ft_out") | pm(percent=true) }}. Faint images: {{ result("test_time",
        "faint_before") | pm(percent=true) }}, and {{ result("test_time", "faint_statistics@20") | pm(percent=true) }}
        after adapting to twenty without labels""",
        """Adapting to images of one class: filled ones fall from {{ result("test_time", "in_before") |
        pm(percent=true) }} to {{ result("test_time", "in_one_class") | pm(percent=true) }}""",
    ),
    "07a": (
        """Three rounds of confident pseudo-labels with ten labels: from {{ result("rounds", "restarted@0") |
        pm(percent=true) }} to {{ result("rounds", "restarted@3") | pm(percent=true) }}""",
        """All pseudo-labels, without a threshold, with five labels: five rounds lower {{ result("naive", "naive@0") |
        pm(percent=true) }} to {{ result("naive", "naive@5") | pm(percent=true) }}""",
    ),
    "07b": (
        """FixMatch with five labels: {{ result("protocol", "fixmatch@5") | pm(percent=true) }}, and {{
        result("protocol", "scratch_strong@5", unit="00_first_steps") | pm(percent=true) }} with the same views of
        labeled images alone""",
        """A teacher whose batch-norm statistics are not averaged: {{ result("teachers", "without_buffers@800") |
        pm(percent=true) }}, where its student has {{ result("teachers", "student@800") | pm(percent=true) }}""",
    ),
    "08": (
        """A network that copied the teacher's outputs and never saw a label: {{ result("distillation", "t4") |
        pm(percent=true) }}, its teacher {{ result("distillation", "teacher") | pm(percent=true) }}""",
        """Clusters made anew in each of five rounds: the probe rises to {{ result("rounds", "rounds_probe@5") |
        pm(percent=true) }}. Clusters that stay fixed give {{ result("rounds", "fixed_probe@5") | pm(percent=true)
        }}""",
    ),
    "09": (
        """Counted embeddings, then masked words, with ten labels: {{ result("label_curve", "masked@10") |
        pm(percent=true) }}; TF-IDF {{ result("label_curve", "tfidf@10") | pm(percent=true) }}, from scratch {{
        result("label_curve", "scratch@10") | pm(percent=true) }}""",
        """Split by snippet instead of by file, 1,000 labels: {{ result("splits", "snippet@1000") | pm(percent=true) }}
        instead of {{ result("splits", "file@1000") | pm(percent=true) }}""",
    ),
    "10": (
        """CPC, fine-tuned with ten labels per word: {{ result("label_curve", "cpc@10") | pm(percent=true) }}; from
        scratch, tuned, {{ result("label_curve", "scratch@10") | pm(percent=true) }}""",
        """Negatives from other recordings: {{ result("negatives", "finetuned_others@10") | pm(percent=true) }}, which
        is below no pretraining""",
    ),
    "11a": (
        """All captions name the class: a prompt alone is right for {{ result("captions", "single_all") |
        pm(percent=true) }} of the images. LoRA changes 2 % of the weights of a transformer: {{ result("text",
        "lora@50") | pm(percent=true) }}, all weights {{ result("text", "full@50") | pm(percent=true) }}""",
        """A tenth of the captions name the class: {{ result("captions", "single_tenth") | pm(percent=true) }}. LoRA on
        random weights: {{ result("text", "random_lora@10") | pm(percent=true) }}, and {{ result("text",
        "random_full@10") | pm(percent=true) }} with all of them""",
    ),
    "11b": (
        """Ten clients, ten rounds, images of all classes: {{ result("rounds", "rotation_iid@10") | pm(percent=true) }}
        with a pretrained encoder, {{ result("rounds", "scratch_iid@10") | pm(percent=true) }} from scratch""",
        """Two classes per client: {{ result("rounds", "rotation_two@10") | pm(percent=true) }}, and {{
        result("batch_norm", "two_frozen_all") | pm(percent=true) }} with frozen statistics""",
    ),
    "12": (
        """Chosen among thirty configurations by validation, 40 labels: {{ result("choice", "by_validation") |
        pm(percent=true) }}; from scratch {{ result("calibration", "accuracy:scratch") | pm(percent=true) }}""",
        """The best of twenty by a test of 40 images overstates its accuracy by {{ result("optimism", "k20@40") | pm
        }}, by one of 500 images by {{ result("optimism", "k20@500") | pm }}""",
    ),
}

# What to take home from the course: ten sentences.
TAKE_HOME = (
    """Measure the baseline first, with the same views, steps and seeds: strong views of the labeled images alone are
    worth as much as most pretraining ({{ result("protocol", "scratch_strong@10", unit="00_first_steps") |
    pm(percent=true) }} and {{ result("protocol", "rotation_weak@10", unit="04_pretext_tasks") | pm(percent=true) }}
    with ten labels).""",
    """A pretext task helps as far as it cannot be solved without what your classes differ in: rotation lifts frozen
    features from {{ result("protocol", "random_frozen@10", unit="00_first_steps") | pm(percent=true) }} to {{
    result("protocol", "rotation_frozen@10", unit="04_pretext_tasks") | pm(percent=true) }}, reconstruction to {{
    result("protocol", "autoencoder_frozen@10", unit="01_autoencoders") | pm(percent=true) }}.""",
    """A solved pretext does not prove good features: with black corners rotation is solved to {{ result("artefacts",
    "corners_pretext", unit="04_pretext_tasks") | pm(percent=true) }}, and a probe finds {{ result("artefacts",
    "corners_frozen", unit="04_pretext_tasks") | pm(percent=true) }}.""",
    """With five labels per class freeze, with fifty train everything, and in between try both on validation images.""",
    """Frozen means three things: no gradient, no optimizer step, and batch norm in eval mode.""",
    """Train the new head before you fine-tune, if images of another kind will come.""",
    """Unlabeled images pay most when the model may label them itself: with ten labels rotation and FixMatch together
    reach {{ result("protocol", "rotation_fixmatch@10", unit="07_pseudo_labels") | pm(percent=true) }}.""",
    """Pseudo-labels need a model that is right more often than not: with one label per class FixMatch reaches {{
    result("protocol", "fixmatch@1", unit="07_pseudo_labels") | pm(percent=true) }}, and its control {{
    result("protocol", "scratch_strong@1", unit="00_first_steps") | pm(percent=true) }}.""",
    """Simple counting is a strong baseline for text: TF-IDF is right in {{ result("label_curve", "tfidf@1000",
    unit="09_text") | pm(percent=true) }} of the texts with 1,000 labels, the best transformer in {{
    result("label_curve", "masked@1000", unit="09_text") | pm(percent=true) }}.""",
    """Compare run with run on the same seed, choose on validation data, and report what did not help.""",
)


def topics_table(notebooks: Iterable[Notebook]) -> str:
    """A Markdown table for docs/: each notebook, what learners write in it, where the idea works and where it fails.

    Raises:
        RecordError: a figure is not recorded, or a comparison is not so.
    """
    lines = ["| Topic | you write | where it works | where it fails |", "|---|---|---|---|"]
    for each in notebooks:
        unit = each.link.split("/")[1]
        works, fails = (_filled(text, unit) for text in FOUND.get(each.number, ("", "")))
        written = ", ".join(f"`{name}`" for name in each.exercises)
        lines.append(f"| [{each.number}](../{each.link}) {each.title} | {written} | {works} | {fails} |")
    return "\n".join(lines)


def take_home() -> str:
    """The ten sentences, as a numbered list."""
    return "\n".join(f"{n}. {_filled(text, '00_first_steps')}" for n, text in enumerate(TAKE_HOME, 1))


def _filled(text: str, unit: str) -> str:
    return " ".join(re.sub(r"\s+", " ", quoting.render(re.sub(r"\s+", " ", text), unit=unit)).split())

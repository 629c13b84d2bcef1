"""The recorded experiments of unit 10: what its notebook quotes, for several seeds.

`course results 10_sound --seeds 3` runs them all. The recordings are synthesized words, and the speakers of the test
do not occur in training. The seed draws the recordings, the labels and all first weights. One pretraining per seed and
kind of negatives is shared among the experiments. Settings come from earlier trials with other seeds. Learning rate and
steps of the networks from scratch were chosen there too, by the accuracy for the validation speakers.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import settings
from course_lib.data import SequenceBatches, split_labels
from course_lib.data.sounds import SoundData, mel_filters, shift_in_time
from course_lib.data.words import RATE, speak_words
from course_lib.evaluation import accuracy, probe_accuracy
from course_lib.models import eval_mode, seeded
from course_lib.training import fit

DATASET = "words"
BUDGETS = (5, 10, 50)  # labels per word
CHANNELS, CONTEXT, AHEAD = 48, 64, 6  # of the encoder, of the context, and steps that are predicted
TEMPERATURE = 0.1
PARTS = 4  # a recording's features are averaged in so many parts
PRETRAINING_STEPS = 600  # of 64 recordings
STEPS, LR = 250, 3e-3  # of fine-tuning
SCRATCH_LR = 1e-2  # without pretraining a higher one is better
TRIED = {  # from scratch: learning rate and steps
    "untuned": (1e-3, 150),
    "middle": (3e-3, STEPS),
    "longer": (3e-3, 2 * STEPS),
    "tuned": (SCRATCH_LR, STEPS),
    "high": (3e-2, STEPS),
}
PENALTY = 10.0  # of logistic regression
WINDOW, HOP, MELS = 128, 64, 20

# Method -> key prefix, for the course's table of results.
TABLE_ROWS = {
    "Log-mel and logistic regression": "logmel",
    "GRU on log-mel, from scratch": "gru",
    "Encoder and context, from scratch": "scratch",
    "Encoder and context, random and frozen": "random_frozen",
    "CPC, frozen": "cpc_frozen",
    "CPC, fine-tuned": "cpc",
}


# --- recordings -----------------------------------------------------------------------------------------------------


class Recordings:
    """The recordings of one seed: a pool for training, a validation set and a test, each with other speakers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pool = speak_words(settings.by_profile(smoke=300, laptop=6_000, full=20_000), seed=seed)
        count = settings.by_profile(smoke=200, laptop=2_000, full=2_000)
        self.validation = speak_words(count, split="validation", seed=seed)
        self.test = speak_words(count, split="test", seed=seed)

    def rng(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def few(self, labels: Tensor, per_class: int) -> Tensor:
        """Positions of the labeled recordings."""
        return split_labels(labels, per_class=per_class, validation_per_class=0, generator=self.rng()).labeled


@functools.lru_cache(maxsize=3)
def _recordings(seed: int) -> Recordings:
    return Recordings(seed)


def log_mel(waves: Tensor) -> Tensor:
    """Log-mel spectrograms (N, F, MELS)."""
    spectrum = torch.stft(
        waves, WINDOW, HOP, window=torch.hann_window(WINDOW, device=waves.device), center=False, return_complex=True
    )
    power = spectrum.abs().square().transpose(1, 2)  # (N, F, WINDOW / 2 + 1)
    return (power @ mel_filters(MELS, WINDOW, RATE).to(waves) + 1e-3).log()


# --- networks -------------------------------------------------------------------------------------------------------


class CPC(nn.Module):
    """An encoder of short pieces and a context network: waves (N, T) -> codes (N, F, C) and contexts (N, F, H)."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        with seeded(generator):
            self.convs = nn.ModuleList(
                nn.Conv1d(a, CHANNELS, kernel, stride, kernel // 4)
                for a, kernel, stride in ((1, 16, 8), (CHANNELS, 8, 4), (CHANNELS, 4, 2))
            )
            self.norms = nn.ModuleList(nn.GroupNorm(1, CHANNELS) for _ in self.convs)
            self.gru = nn.GRU(CHANNELS, CONTEXT, batch_first=True)
            self.steps = nn.ModuleList(nn.Linear(CONTEXT, CHANNELS, bias=False) for _ in range(AHEAD))

    def encode(self, waves: Tensor) -> Tensor:
        x = (waves / waves.std(dim=1, keepdim=True).clamp(min=1e-3))[:, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x.transpose(1, 2)

    def features(self, waves: Tensor) -> Tensor:
        return self.gru(self.encode(waves))[0]

    def pairs(self, waves: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For each number of steps ahead, the predicted codes and the true ones."""
        codes = self.encode(waves)
        contexts, _ = self.gru(codes)
        return [(step(contexts[:, :-k]), codes[:, k:]) for k, step in enumerate(self.steps, start=1)]


class MelGRU(nn.Module):
    """A GRU on log-mel spectrograms, standardized per band by the recordings that it is given first."""

    def __init__(self, waves: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        seen = log_mel(waves).flatten(0, 1)
        self.register_buffer("mean", seen.mean(dim=0))
        self.register_buffer("std", seen.std(dim=0))
        with seeded(generator):
            self.gru = nn.GRU(MELS, CONTEXT, batch_first=True)

    def features(self, waves: Tensor) -> Tensor:
        return self.gru((log_mel(waves) - self.mean) / self.std)[0]


def pooled(features: Tensor) -> Tensor:
    """(N, F, d) -> (N, PARTS * d)."""
    edges = [p * features.shape[1] // PARTS for p in range(PARTS + 1)]
    means = [features[:, start:end].mean(dim=1) for start, end in itertools.pairwise(edges)]
    return torch.cat(means, dim=1)


class Recognizer(nn.Module):
    """A network's features, averaged in a few parts of the recording, and a linear layer."""

    def __init__(self, network: Any, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.network = network
        with seeded(generator):
            self.head = nn.Linear(PARTS * CONTEXT, num_classes)

    def forward(self, waves: Tensor) -> Tensor:
        return self.head(pooled(self.network.features(waves)))


def _in_parts(function: Callable[[Tensor], Tensor], waves: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([function(part.to(settings.device())).cpu() for part in waves.split(500)])


# --- training -------------------------------------------------------------------------------------------------------


def _scores(predicted: Tensor, true: Tensor, negatives: str) -> tuple[Tensor, Tensor]:
    """Scaled cosines with all candidates as rows, and the position of the right candidate of each row.

    The candidates are the other moments of the same recording ("same"), or the same moment of the other recordings
    of the batch ("others").
    """
    predicted, true = F.normalize(predicted, dim=-1), F.normalize(true, dim=-1)
    if negatives == "others":
        predicted, true = predicted.transpose(0, 1), true.transpose(0, 1)
    logits = predicted @ true.transpose(1, 2) / TEMPERATURE
    target = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    return logits.flatten(0, 1), target.flatten()


@functools.lru_cache(maxsize=6)
def _pretrained(seed: int, negatives: str = "same") -> CPC:
    recordings = _recordings(seed)
    model = CPC(recordings.rng())

    def loss(model: nn.Module, waves: Tensor) -> Tensor:
        pairs = model.pairs(waves)  # type: ignore[operator]
        return torch.stack([F.cross_entropy(*_scores(a, b, negatives)) for a, b in pairs]).mean()

    batches = SequenceBatches(recordings.pool.waves, batch_size=64, shuffle=True, generator=recordings.rng())
    steps = settings.by_profile(smoke=3, laptop=PRETRAINING_STEPS, full=5 * PRETRAINING_STEPS)
    fit(model, batches, loss, steps=steps, lr=3e-3, weight_decay=1e-3, warmup=min(50, steps - 1), progress=False)
    return model


def _guessed(model: CPC, waves: Tensor, negatives: str) -> float:
    """How often the true code has the highest score among the candidates, in batches of 64."""
    right, count = 0.0, 0
    with torch.no_grad(), eval_mode(model):
        for part in waves.split(64):
            for pair in model.pairs(part.to(settings.device())):
                logits, target = _scores(*pair, negatives)
                right, count = right + float((logits.argmax(dim=1) == target).sum()), count + len(target)
    return right / count


def _trained(
    recordings: Recordings, network: nn.Module, per_class: int, *, steps: int = STEPS, lr: float = LR
) -> Recognizer:
    """A copy of the network with a new linear layer, all of it trained on few labels."""
    pool, rng = recordings.pool, recordings.rng()
    few = recordings.few(pool.labels, per_class)
    model = Recognizer(copy.deepcopy(network), len(pool.class_names), rng)
    batches = SequenceBatches(
        pool.waves[few], pool.labels[few], batch_size=32, shuffle=True, generator=rng, augment=shift_in_time
    )
    steps = settings.by_profile(smoke=3, laptop=steps, full=4 * steps)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    fit(model, batches, loss, steps=steps, lr=lr, weight_decay=1e-3, warmup=min(20, steps - 1), progress=False)
    return model


def _accuracy(model: nn.Module, data: SoundData) -> float:
    with eval_mode(model):
        return accuracy(_in_parts(model, data.waves), data.labels)


def _trained_accuracy(recordings: Recordings, network: nn.Module, per_class: int, **how: Any) -> float:
    """Test accuracy of `_trained`."""
    return _accuracy(_trained(recordings, network, per_class, **how), recordings.test)


def _probe(recordings: Recordings, features: Callable[[Tensor], Tensor], per_class: int) -> float:
    """Test accuracy for words of a logistic regression on pooled features of few recordings."""
    pool, test = recordings.pool, recordings.test
    few = recordings.few(pool.labels, per_class)
    known = pooled(_in_parts(features, pool.waves[few])), pool.labels[few]
    new = pooled(_in_parts(features, test.waves)), test.labels
    return probe_accuracy(*known, *new, regularization=PENALTY)


def _speaker_probe(recordings: Recordings, features: Callable[[Tensor], Tensor], per_speaker: int) -> float:
    """Accuracy for speakers of the pool, on recordings that were drawn after it."""
    pool = recordings.pool
    later: SoundData = speak_words(len(pool) + len(recordings.test), seed=recordings.seed)
    later = later.subset(torch.arange(len(pool), len(later)))
    few = recordings.few(pool.speakers, per_speaker)
    known = pooled(_in_parts(features, pool.waves[few])), pool.speakers[few]
    new = pooled(_in_parts(features, later.waves)), later.speakers
    return probe_accuracy(*known, *new, regularization=PENALTY)


# --- experiments ----------------------------------------------------------------------------------------------------


def _budgets() -> tuple[int, ...]:
    return settings.by_profile(smoke=(2, 5), laptop=BUDGETS, full=BUDGETS)


def _sources(seed: int) -> dict[str, Callable[[Tensor], Tensor]]:
    random, pretrained = CPC(_recordings(seed).rng()).to(settings.device()), _pretrained(seed)
    return {"logmel": log_mel, "random_frozen": random.eval().features, "cpc_frozen": pretrained.eval().features}


def label_curve(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Which word is it: accuracy by labels per word, for speakers that were never heard."""
    recordings = _recordings(seed)
    figures: dict[str, float] = {}
    for k in _budgets():
        for name, features in _sources(seed).items():
            figures[f"{name}@{k}"] = _probe(recordings, features, k)
        few = recordings.few(recordings.pool.labels, k)
        gru = MelGRU(recordings.pool.waves[few], recordings.rng())
        figures[f"gru@{k}"] = _trained_accuracy(recordings, gru, k, lr=SCRATCH_LR)
        figures[f"scratch@{k}"] = _trained_accuracy(recordings, CPC(recordings.rng()), k, lr=SCRATCH_LR)
        figures[f"cpc@{k}"] = _trained_accuracy(recordings, _pretrained(seed), k)
    return figures


def speakers(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Who speaks, among the 24 of the pool: accuracy of the same features by labels per speaker."""
    recordings = _recordings(seed)
    return {
        f"{name}@{k}": _speaker_probe(recordings, features, k)
        for k in _budgets()
        for name, features in _sources(seed).items()
    }


def negatives(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """Negatives from the same recording beside negatives from other recordings, for the same number of steps."""
    recordings, figures, k = _recordings(seed), {}, _budgets()[1]
    for kind in ("same", "others"):
        model = _pretrained(seed, kind)
        figures[f"guessed_{kind}"] = _guessed(model, recordings.test.waves, kind)
        figures[f"frozen_{kind}@{k}"] = _probe(recordings, model.eval().features, k)
        figures[f"finetuned_{kind}@{k}"] = _trained_accuracy(recordings, model, k)
    return figures


def untuned(*, dataset: str, profile: str, seed: int) -> dict[str, float]:
    """From scratch with several learning rates and numbers of steps, ten labels per word, for both sets of speakers."""
    recordings, k = _recordings(seed), _budgets()[1]
    start = CPC(recordings.rng())
    figures = {}
    for name, (lr, steps) in TRIED.items():
        model = _trained(recordings, start, k, steps=steps, lr=lr)
        figures[f"{name}_validation@{k}"] = _accuracy(model, recordings.validation)
        figures[f"{name}@{k}"] = _accuracy(model, recordings.test)
    return figures


EXPERIMENTS: dict[str, Any] = {
    "label_curve": label_curve,
    "speakers": speakers,
    "negatives": negatives,
    "untuned": untuned,
}

"""`CPC`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

import torch
from torch import nn

from course_lib.exercises.asking import all_of, as_expected, everywhere
from course_lib.exercises.contract import Criterion, Judge, Trial, close


class Reference(nn.Module):
    """With the codes made by functions, and a context per frame by reading the codes up to it."""

    def __init__(self, *, channels=48, context=64, ahead=6):
        super().__init__()
        sizes = ((1, 16, 8), (channels, 8, 4), (channels, 4, 2))
        self.convs = nn.ModuleList(nn.Conv1d(a, channels, k, s, padding=k // 4) for a, k, s in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in sizes)
        self.gru = nn.GRU(channels, context, batch_first=True)
        self.steps = nn.ModuleList(nn.Linear(context, channels, bias=False) for _ in range(ahead))

    def encode(self, waves):
        x = torch.stack([wave / wave.std() for wave in waves])[:, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x)).clamp(min=0)
        return torch.stack(list(x.unbind(2)), dim=1)

    def forward(self, waves):
        return self._read(self.encode(waves))

    def _read(self, codes):
        return torch.stack([self.gru(codes[:, : t + 1])[1][0] for t in range(codes.shape[1])], dim=1)

    def pairs(self, waves):
        codes = self.encode(waves)
        contexts, length = self._read(codes), codes.shape[1]
        found = []
        for k in range(1, len(self.steps) + 1):
            predicted = contexts[:, : length - k] @ self.steps[k - 1].weight.T
            found.append((predicted, codes[:, k:length]))
        return found


_codes, _contexts = as_expected("codes", atol=1e-4), as_expected("contexts", atol=1e-4)
_pairs = as_expected("predicted", "true", atol=1e-4)


def _detached(trial: Trial) -> bool:
    seen, expected = trial.seen, trial.expected
    return close(seen["true"], expected["true"], atol=1e-4) and not close(
        seen["gradient"], expected["gradient"], rtol=1e-2, atol=1e-3
    )


judge = Judge(
    reference=Reference,
    criteria=(
        Criterion("encode", 2, "`encode` scales each recording and applies all three layers", _codes),
        Criterion("forward", 2, "`forward` returns the contexts, which know the codes up to their frame", _contexts),
        Criterion(
            "pairs", 3, "`pairs` compares the predictions for k frames ahead with the codes k frames later", _pairs
        ),
        Criterion(
            "learn",
            1,
            "encoder, GRU and layers learn from both sides of a pair",
            all_of(
                _pairs,
                as_expected("weights"),
                lambda case, seen, expected: close(seen["gradient"], expected["gradient"], rtol=1e-2, atol=1e-3),
            ),
            form=True,
        ),
    ),
    predicates={"codes_detached": everywhere(lambda t: _pairs(t.case, t.seen, t.expected) and _detached(t))},
)

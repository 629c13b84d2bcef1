"""What several judges of unit 07 share."""

from __future__ import annotations

import torch
from torch import Tensor


def reference_pseudo_label(model, images):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        probabilities = torch.cat([model(batch) for batch in images.split(500)]).softmax(dim=1)
    for module, was_training in modes:
        module.training = was_training
    confidences, labels = probabilities.max(dim=1)
    return labels, confidences


def reference_select(labels, confidences, tau, *, per_class=None):
    positions = (confidences >= tau).nonzero().squeeze(1)
    if per_class is None:
        return positions
    kept = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for k in labels[positions].unique():
        own = positions[labels[positions] == k]
        kept[own[confidences[own].argsort(descending=True)[:per_class]]] = True
    return kept.nonzero().squeeze(1)


Pairs = list[tuple[int, int]]


def rows_of(seen: object, among: Tensor) -> list[int]:
    """For each image seen, which of `among` it is; -1 for none of them."""
    if not isinstance(seen, Tensor) or seen.shape[1:] != among.shape[1:]:
        return []
    flat, known = seen.flatten(1), among.flatten(1)
    same = (flat[:, None, :] == known[None, :, :]).all(dim=2)  # (n, m)
    return [int(row.nonzero()[0]) if row.any() else -1 for row in same]

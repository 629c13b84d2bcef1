"""`TransformerEncoder`: reference, criteria, and the mistakes that values alone do not show."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from course_lib.exercises.asking import as_expected, everywhere, inputs_kept
from course_lib.exercises.contract import Case, Criterion, Judge, Trial, Values, close


class Reference(nn.Module):
    """With torch's own multi-head attention, which is given the weights of the block."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def attention(self, block, x, visible):
        t = x.transpose(0, 1)  # torch's function wants (T, N, dim)
        mixed, _ = F.multi_head_attention_forward(
            t, t, t, x.shape[-1], self.layers.heads, block["qkv"].weight, block["qkv"].bias, None, None, False, 0.0,
            block["out"].weight, block["out"].bias, key_padding_mask=~visible, need_weights=False,
        )  # fmt: skip
        return mixed.transpose(0, 1)

    def forward(self, ids):
        x = self.layers.embedding(ids) + self.layers.position.narrow(0, 0, ids.shape[1])
        for block in self.layers.blocks:
            x = x + self.attention(block, block["norm1"](x), ids.ne(0))
            x = x + block["mlp"](block["norm2"](x))
        return self.layers.norm(x)


_WHOLE, _PADDED = ("plain", "one_head", "four_heads", "one_text"), ("padded", "longest", "double")
_attention, _features = as_expected("attention"), as_expected("features", atol=1e-4)


def _all_learn(case: Case, seen: Values, expected: Values) -> bool:
    kept = inputs_kept(case, seen, "x", "ids")
    return kept and seen["weights_reached"] == expected["weights_reached"] and _features(case, seen, expected)


def _alone(case: Case, seen: Values, expected: Values) -> bool:
    return close(seen["features_alone"], expected["features_alone"], atol=1e-4) and _features(case, seen, expected)


def _unreached(t: Trial) -> bool:
    return _features(t.case, t.seen, t.expected) and t.seen["weights_reached"] != t.expected["weights_reached"]


judge = Judge(
    reference=Reference,
    criteria=(
        Criterion("attention", 2, "`attention` is multi-head attention with the block's weights", _attention, _WHOLE),
        Criterion("mask", 2, "no word attends to padding", _attention, _PADDED),
        Criterion(
            "forward", 2, "`forward` adds positions, and each block's two answers to what was there", _features, _WHOLE
        ),
        Criterion("padding", 1, "the features of a text do not depend on its padding", _alone, _PADDED),
        Criterion(
            "learn", 1, "a gradient reaches every weight, and the inputs stay as they are", _all_learn, form=True
        ),
    ),
    predicates={"off_the_graph": everywhere(_unreached)},
)

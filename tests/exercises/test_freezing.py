"""Unit 06, first notebook: answers that were written from the statements alone, and what each check makes of them."""

from __future__ import annotations

import types

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.exercises import exercise_named
from tests.exercises.known import check
from tests.exercises.shared import variants_tested

# --- freeze ---------------------------------------------------------------------------------------------------------


def normalizations_in_eval(module, frozen=True):
    for parameter in module.parameters():
        parameter.requires_grad = not frozen
    for layer in module.modules():
        if "BatchNorm" in type(layer).__name__:
            layer.train(not frozen)
    return module


def by_apply(module, frozen=True):
    return module.apply(lambda layer: layer.requires_grad_(not frozen))


def train_calls_eval(module, frozen=True):
    module.requires_grad_(not frozen)
    if frozen:
        module.eval()
        module.train = lambda mode=True: module.eval()
    else:
        del module.train
    return module


def never_set_to_eval(module, frozen=True):
    for parameter in module.parameters():
        parameter.requires_grad_(not frozen)
    if frozen:
        module.train = lambda *args: module
    else:
        del module.train
    return module


def statistics_not_tracked(module, frozen=True):
    module.requires_grad_(not frozen)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.track_running_stats = not frozen
    return module


def outputs_detached(module, frozen=True):
    module.requires_grad_(not frozen)
    module.__dict__.pop("train", None)
    module.train(not frozen)
    if frozen:
        module.train = lambda mode=True: module
        module.hook = module.register_forward_hook(lambda m, args, output: output.detach())
    else:
        module.hook.remove()
    return module


def underscore_forgotten(module, frozen=True):
    module.requires_grad = not frozen
    return module.train(not frozen)


def flag_ignored(module, frozen=True):
    for parameter in module.parameters():
        parameter.requires_grad = False
    module.eval()
    module.train = lambda mode=True: module
    return module


def momentum_taken_away(module, frozen=True):
    module.requires_grad_(not frozen)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.0 if frozen else 0.1
    return module


def child_by_child(module, frozen=True):
    module.requires_grad_(not frozen)
    for child in module.children():
        child.__dict__.pop("train", None)
        child.train(not frozen)
        if frozen:
            child.train = types.MethodType(lambda self, mode=True: self, child)
    return module


def old_train_kept(module, frozen=True):
    if frozen:
        module.requires_grad_(False).eval()
        module.old, module.train = module.train, lambda mode=True: module
    else:
        module.train = module.__dict__.get("old", module.train)
        module.requires_grad_(True).train()
    return module


def removed_unasked(module, frozen=True):
    module.requires_grad_(not frozen)
    if frozen:
        module.eval()
        module.train = types.MethodType(lambda self, mode=True: self, module)
    else:
        del module.train
    return module


def opened_if_frozen_here(module, frozen=True):
    if frozen:
        module.requires_grad_(False).eval()
        module.train = lambda mode=True: module
    elif "train" in vars(module):
        del module.train
        module.requires_grad_(True).train()
    return module


def by_method_type(module, frozen=True):
    module.requires_grad_(not frozen)
    if frozen:
        module.train = types.MethodType(lambda self, mode=True: nn.Module.train(self, False), module)
    elif "train" in module.__dict__:
        del module.train
    module.train()
    return module


def leaf_by_leaf(module, frozen=True):
    for child in module.children():
        leaf_by_leaf(child, frozen)
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad_(not frozen)
    vars(module).pop("train", None)
    module.training = not frozen
    if frozen:
        module.train = lambda mode=True: module
    return module


# --- trainable_parameters -------------------------------------------------------------------------------------------


def those_with_a_gradient(model):
    return [parameter for parameter in model.parameters() if parameter.grad is not None]


def those_of_modules_in_train_mode(model):
    return list({p: None for m in model.modules() if m.training for p in m.parameters(recurse=False)})


def gradients_cleared(model):
    for parameter in model.parameters():
        parameter.grad = None
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def a_dictionary(model):
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def cloned(model):
    return [parameter.clone() for parameter in model.parameters() if parameter.requires_grad]


def children_as_a_whole(model):
    found = list(model.parameters(recurse=False))
    for child in model.children():
        if next(child.parameters()).requires_grad:
            found += child.parameters()
    return [p for i, p in enumerate(found) if not any(p is q for q in found[:i])]


def by_names(model):
    return [model.get_parameter(name) for name, p in model.named_parameters() if p.requires_grad]


def in_a_loop(model):
    found = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        found.append(parameter)
    return found


# --- parameter_groups -----------------------------------------------------------------------------------------------


def groups_of(parts, rates):
    return [
        {"params": [p for p in part.parameters() if p.requires_grad], "lr": rate} for part, rate in zip(parts, rates)
    ]


def body_and_head(blocks, head, *, lr, decay):
    return groups_of([head, nn.Sequential(*blocks)], [lr, lr * decay])


def from_the_lowest(blocks, head, *, lr, decay):
    return groups_of([head, *blocks], [lr * decay**i for i in range(len(blocks) + 1)])


def top_block_like_the_head(blocks, head, *, lr, decay):
    return groups_of([head, *blocks[::-1]], [lr] + [lr * decay**i for i in range(len(blocks))])


def linear_in_depth(blocks, head, *, lr, decay):
    return groups_of([head, *blocks[::-1]], [lr] + [lr * decay * (i + 1) for i in range(len(blocks))])


def head_unasked(blocks, head, *, lr, decay):
    return [{"params": list(head.parameters()), "lr": lr}, *falling(blocks, head, lr=lr, decay=decay)[1:]]


def parts_themselves(blocks, head, *, lr, decay):
    return [{"params": part, "lr": lr * decay**i} for i, part in enumerate([head, *blocks[::-1]])]


def everything_included(blocks, head, *, lr, decay):
    return [{"params": part.parameters(), "lr": lr * decay**i} for i, part in enumerate([head, *blocks[::-1]])]


def rate_under_another_name(blocks, head, *, lr, decay):
    return [{"params": g["params"], "rate": g["lr"]} for g in falling(blocks, head, lr=lr, decay=decay)]


def falling(blocks, head, *, lr, decay):
    return groups_of([head, *blocks[::-1]], [lr * decay**i for i in range(len(blocks) + 1)])


def recursively(blocks, head, *, lr, decay):
    own = {"params": [p for p in head.parameters() if p.requires_grad], "lr": lr}
    below = recursively(blocks[:-1], blocks[-1], lr=lr * decay, decay=decay) if blocks else []
    return [own, *below]


# --- gradual_unfreezing ---------------------------------------------------------------------------------------------


def the_first_ones(blocks, optimizer, stage, *, lr):
    for block in blocks:
        block.requires_grad_(False)
    for block in blocks[:stage]:
        block.requires_grad_(True)
    if stage:
        optimizer.add_param_group({"params": blocks[stage - 1].parameters(), "lr": lr})


def without_its_rate(blocks, optimizer, stage, *, lr):
    for i, block in enumerate(blocks):
        block.requires_grad_(i >= len(blocks) - stage)
    if stage:
        optimizer.add_param_group({"params": list(blocks[-stage].parameters())})


def flags_only(blocks, optimizer, stage, *, lr):
    for i, block in enumerate(reversed(blocks)):
        for parameter in block.parameters():
            parameter.requires_grad = i < stage


def off_by_one(blocks, optimizer, stage, *, lr):
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for i, block in enumerate(reversed(blocks)):
        block.requires_grad_(i <= stage)
        new = [p for p in block.parameters() if i <= stage and id(p) not in held]
        if new:
            optimizer.add_param_group({"params": new, "lr": lr})


def sliced_with_minus(blocks, optimizer, stage, *, lr):
    for block in blocks:
        block.requires_grad_(block in blocks[-stage:])
    held = [p for group in optimizer.param_groups for p in group["params"]]
    new = [p for b in blocks[-stage:] for p in b.parameters() if not any(p is q for q in held)]
    if new:
        optimizer.add_param_group({"params": new, "lr": lr})


def every_open_one_added(blocks, optimizer, stage, *, lr):
    for i, block in enumerate(blocks):
        block.requires_grad_(i >= len(blocks) - stage)
    for block in blocks[len(blocks) - stage :]:
        optimizer.add_param_group({"params": block.parameters(), "lr": lr})


def by_difference(blocks, optimizer, stage, *, lr):
    wanted = set(range(len(blocks) - stage, len(blocks)))
    known = {p for group in optimizer.param_groups for p in group["params"]}
    for i in range(len(blocks)):
        blocks[i].requires_grad_(i in wanted)
    new = {p: None for i in wanted for p in blocks[i].parameters() if p not in known}
    if new:
        optimizer.add_param_group(dict(params=list(new), lr=lr))


# --- fine_tune ------------------------------------------------------------------------------------------------------


def by_the_loop(model, batches, keep, num_epochs, optimizer):
    """A loop that calls `model.train()`, then `eval()` of the layers in `keep`."""
    history = []
    for _ in range(num_epochs):
        model.train()
        for part in keep:
            part.eval()
        seen = []
        for images, labels in batches:
            losses = F.cross_entropy(model(images), labels, reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            seen += losses.tolist()
        history.append(sum(seen) / len(seen))
    return history


def adam_for(model, frozen, lr, decay):
    blocks = model.encoder.blocks
    model.requires_grad_(True)
    for i in frozen:
        blocks[i].requires_grad_(False)
    rates = {"head": lr, **{f"encoder.blocks.{i}": lr * decay ** (len(blocks) - i) for i in range(len(blocks))}}
    return torch.optim.Adam(
        [{"params": [p], "lr": next(r for n, r in rates.items() if name.startswith(n))}
         for name, p in model.named_parameters() if p.requires_grad]
    )  # fmt: skip


def loop_with_eval(model, batches, *, frozen, num_epochs, lr, decay):
    optimizer = adam_for(model, frozen, lr, decay)
    return by_the_loop(model, batches, [model.encoder.blocks[i] for i in frozen], num_epochs, optimizer)


def each_layer_in_eval_mode(model, batches, *, frozen, num_epochs, lr, decay):
    optimizer = adam_for(model, frozen, lr, decay)
    keep = [layer for i in frozen for layer in model.encoder.blocks[i].modules()]
    return by_the_loop(model, batches, keep, num_epochs, optimizer)


def eval_only_once(model, batches, *, frozen, num_epochs, lr, decay):
    optimizer = adam_for(model, frozen, lr, decay)
    for i in frozen:
        model.encoder.blocks[i].eval()
    return by_the_loop(model, batches, [], num_epochs, optimizer)


def whole_model_in_eval_mode(model, batches, *, frozen, num_epochs, lr, decay):
    optimizer = adam_for(model, frozen, lr, decay)
    return by_the_loop(model, batches, [model], num_epochs, optimizer)


def one_rate_for_all(model, batches, *, frozen, num_epochs, lr, decay):
    optimizer = adam_for(model, frozen, lr, 1.0)
    return by_the_loop(model, batches, [model.encoder.blocks[i] for i in frozen], num_epochs, optimizer)


def optimizer_of_blocks(model, batches, *, frozen, num_epochs, lr, decay):
    optimizer = adam_for(model, frozen, lr, decay)
    optimizer.param_groups[-2:] = []  # weight and bias of the head
    return by_the_loop(model, batches, [model.encoder.blocks[i] for i in frozen], num_epochs, optimizer)


CASES = [
    ("freeze", normalizations_in_eval, "gradients_only"),
    ("freeze", by_apply, "gradients_only"),
    ("freeze", train_calls_eval, "endless_recursion"),
    ("freeze", never_set_to_eval, "held_as_it_was"),
    ("freeze", statistics_not_tracked, "gradients_only"),
    ("freeze", outputs_detached, "no_grad_around_it"),
    ("freeze", underscore_forgotten, "eval_without_gradients_off"),
    ("freeze", flag_ignored, "never_opened"),
    ("freeze", momentum_taken_away, "gradients_only"),
    ("freeze", child_by_child, "only_normalization_at_rest"),
    ("freeze", old_train_kept, "opened_for_gradients_only"),
    ("freeze", removed_unasked, "opens_only_what_it_froze"),
    ("freeze", opened_if_frozen_here, "opened_as_it_was"),
    ("freeze", by_method_type, "inner_part_stays_frozen"),
    ("freeze", leaf_by_leaf, None),
    ("trainable_parameters", those_with_a_gradient, "those_with_a_gradient"),
    ("trainable_parameters", those_of_modules_in_train_mode, "those_in_train_mode"),
    ("trainable_parameters", gradients_cleared, "gradients_forgotten"),
    ("trainable_parameters", a_dictionary, "names_of_parameters"),
    ("trainable_parameters", cloned, "data_of_parameters"),
    ("trainable_parameters", lambda model: filter(lambda p: p.requires_grad, model.parameters()),
     "generator_of_parameters"),
    ("trainable_parameters", children_as_a_whole, "layer_by_its_first_parameter"),
    ("trainable_parameters", by_names, None),
    ("trainable_parameters", in_a_loop, None),
    ("parameter_groups", body_and_head, "decayed_once"),
    ("parameter_groups", from_the_lowest, "counted_from_the_input"),
    ("parameter_groups", top_block_like_the_head, "last_block_at_full_rate"),
    ("parameter_groups", linear_in_depth, "times_the_distance"),
    ("parameter_groups", head_unasked, "frozen_ones_too"),
    ("parameter_groups", parts_themselves, "modules_as_params"),
    ("parameter_groups", everything_included, "frozen_ones_too"),
    ("parameter_groups", rate_under_another_name, "key_that_nobody_reads"),
    ("parameter_groups", falling, None),
    ("parameter_groups", recursively, None),
    ("gradual_unfreezing", the_first_ones, "from_the_bottom"),
    ("gradual_unfreezing", without_its_rate, "rate_of_the_head"),
    ("gradual_unfreezing", flags_only, "never_handed_over"),
    ("gradual_unfreezing", off_by_one, "one_too_many"),
    ("gradual_unfreezing", sliced_with_minus, "minus_zero"),
    ("gradual_unfreezing", every_open_one_added, "handed_over_again"),
    ("gradual_unfreezing", by_difference, None),
    ("fine_tune", eval_only_once, "statistics_move"),
    ("fine_tune", whole_model_in_eval_mode, "all_in_eval_mode"),
    ("fine_tune", one_rate_for_all, "one_rate"),
    ("fine_tune", optimizer_of_blocks, "head_left_out"),
    ("fine_tune", loop_with_eval, None),
    ("fine_tune", each_layer_in_eval_mode, None),
]  # fmt: skip


test_a_variant_is_named_and_another_right_answer_is_right = variants_tested(CASES)


def test_half_right_gets_its_share():
    """Gradients are off, the module comes back and opens again, but batch normalization goes on learning."""
    score = check(exercise_named("freeze"), by_apply)
    assert (score.score, score.points) == (4, 6)
    assert {c.name for c in score.criteria if not c.score} == {"statistics", "at_rest"}


def test_an_answer_that_changes_a_class_of_torch_harms_nobody_else():
    def on_the_class(module, frozen=True):
        nn.BatchNorm2d.train = lambda self, mode=True: self
        nn.Module.eval = lambda self: self
        return module.requires_grad_(not frozen)

    before = nn.Module.eval, nn.BatchNorm2d.train
    assert check(exercise_named("freeze"), on_the_class).state == "wrong"
    assert (nn.Module.eval, nn.BatchNorm2d.train) == before
    assert not nn.Linear(1, 1).eval().training

"""What several exercises of unit 03 share: small networks that note how they are used, beside the learner's code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises.contract import Case, Diary, Values, seeded
from course_lib.exercises.observing import mode_of


class Watched(nn.Module):
    """A generator or a discriminator of two layers, with batch normalization, that notes every call."""

    def __init__(self, layers: nn.Sequential, norm: nn.BatchNorm1d, seed: int) -> None:
        super().__init__()
        self.layers = layers
        generator = seeded(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                spread = 1.5 / math.sqrt(parameter.shape[-1])
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
            norm.weight.add_(1.0)
            norm.get_buffer("running_mean").copy_(torch.randn(norm.num_features, generator=generator))
            norm.get_buffer("running_var").copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
        self.norms = [norm]  # in a list, so that it is not a second time in the state
        self.modes: list[str] = Diary()
        self.arrivals: list[str] = Diary()
        first = next(module for module in layers if isinstance(module, nn.Linear))
        first.weight.register_hook(lambda _: self.arrivals.append("backward"))

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(mode_of(self.norms[0]))
        return self.layers(x)

    def vector(self) -> Tensor:
        """All weights in one vector, as they are now."""
        return torch.cat([parameter.detach().clone().flatten() for parameter in self.parameters()])


def drawing_network(code_dim: int, image_shape: tuple[int, ...], seed: int) -> Watched:
    """A generator: codes (N, code_dim) -> images (N, C, H, W) in [0, 1]."""
    norm = nn.BatchNorm1d(math.prod(image_shape))
    layers = nn.Sequential(
        nn.Linear(code_dim, math.prod(image_shape), bias=False), norm, nn.Sigmoid(), nn.Unflatten(1, image_shape)
    )
    return Watched(layers, norm, seed)


def telling_network(image_shape: tuple[int, ...], seed: int) -> Watched:
    """A discriminator: images (N, C, H, W) -> logits (N,)."""
    norm = nn.BatchNorm1d(6)
    layers = nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(image_shape), 6, bias=False), norm, nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)
    )
    return Watched(layers, norm, seed)


_AMPLIFY = 8.0  # factor on all weights, which shows outputs that only happen to lie in [0, 1]

_OPTIMIZERS: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr),
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.8),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr / 10, betas=(0.5, 0.9)),
}


def seen_of_networks(gan: Any, images: Tensor, codes: Tensor) -> Values:
    """What the two networks of a GAN return, as they are and with large weights, and which weights learn."""
    seen: Values = {}
    for name, network, x in (("images", gan.generator, codes), ("logits", gan.discriminator, images)):
        network.to(x.device).train()
        seen[name] = network(x)
        seen[name].sum().backward()
        parameters = list(network.parameters())
        seen[f"{name}_weights"] = [len(parameters), sum(p.grad is not None for p in parameters)]
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(_AMPLIFY)
            seen[f"{name}_of_large_weights"] = network(x)
    return {**seen, "images_after": images}


def seen_of_steps(gan: Any, case: Case, steps: int) -> Values:
    """What the `step` of a GAN does with two small networks in the place of its own."""
    images, codes, seed = (case.inputs[key] for key in ("images", "codes", "seed"))
    gan.generator = drawing_network(codes.shape[1], tuple(images.shape[1:]), seed).to(images)
    gan.discriminator = telling_network(tuple(images.shape[1:]), seed + 1).to(images)
    networks = {"generator": gan.generator, "discriminator": gan.discriminator}
    make, order = _OPTIMIZERS[case.inputs["optimizer"]], list[str]()
    optimizers = {name: make(network.parameters(), 0.5) for name, network in networks.items()}
    for name, optimizer in optimizers.items():
        networks[name].train(case.inputs["mode_before"] == "train")
        optimizer.register_step_pre_hook(lambda *_, name=name: order.append(name[0].upper()))
    losses, weights = [], [{name: network.vector() for name, network in networks.items()}]
    for some_images, some_codes in zip(images.chunk(steps), codes.chunk(steps)):
        given = {f"{name}_optimizer": optimizer for name, optimizer in optimizers.items()}
        pair = gan.step(some_images, some_codes, **given)
        losses.append([float.__pos__(v) if isinstance(v, float) else v for v in pair])
        weights.append({name: network.vector() for name, network in networks.items()})
    seen: Values = {"losses": losses, "order": " ".join(order)}
    for name in networks:
        for when, at in (("before", 0), ("after_one_step", 1), ("after_all_steps", steps)):
            seen[f"{name}_{when}"] = weights[at][name]
    seen["modes"] = "+".join(sorted({mode for network in networks.values() for mode in network.modes}))
    return {**seen, "backward_passes_of_the_generator": len(networks["generator"].arrivals)}


WORDS_OF_GAN = {  # for what the two functions above see
    "images": "the result of `generator`",
    "images_after": "your argument `images` after the call",
    "images_weights": "the count of the generator's weight tensors, and of those that a gradient reaches",
    "images_of_large_weights": "the tensor of images with large weights",
    "logits": "the result of `discriminator`",
    "logits_weights": "the count of the discriminator's weight tensors, and of those that a gradient reaches",
    "logits_of_large_weights": "the tensor of logits with large weights",
    "losses": "the list of the pairs of losses that `step` returns",
    "order": "the order in which the optimizers step (D or G)",
    "modes": "the mode of the two networks while they are used",
    "backward_passes_of_the_generator": "the number of backward passes that reach the generator in three steps",
    **{
        f"{part}_{when}": f"the vector of the {part}'s weights {when.replace('_', ' ')}"
        for part in ("generator", "discriminator")
        for when in ("before", "after_one_step", "after_all_steps")
    },
}

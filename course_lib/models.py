"""The small encoders, decoders and heads that the units share, and torchvision's larger ones.

Every model draws its first weights from a `torch.Generator` that you pass, never from torch's global one, so the same
seed gives the same network whatever ran before. Without a generator the weights are those of seed 0.

Images are float32 `(N, C, H, W)` with values in [0, 1].
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "Classifier",
    "ConvDecoder",
    "ConvEncoder",
    "LinearAutoencoder",
    "TorchvisionEncoder",
    "count_parameters",
    "eval_mode",
    "seed_parameters",
    "seeded",
    "torchvision_backbone",
]


@contextlib.contextmanager
def seeded(generator: torch.Generator | None = None) -> Iterator[None]:
    """Inside this block, new modules draw their weights from `generator` (seed 0 if None).

    PyTorch's layers draw from the global generator. Inside the block it is seeded by one draw from yours; afterwards it
    has the state that it had before.

    >>> with seeded(torch.Generator().manual_seed(3)):
    ...     first = nn.Linear(4, 2)
    >>> with seeded(torch.Generator().manual_seed(3)):
    ...     second = nn.Linear(4, 2)
    >>> torch.equal(first.weight, second.weight)
    True

    Raises:
        TypeError: `generator` is not a torch.Generator.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator is a {type(generator).__name__}; pass a torch.Generator, such as "
            "torch.Generator().manual_seed(0)."
        )
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def seed_parameters(model: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
    """Draws all weights of `model` again from `generator` (seed 0 if None), each layer by its own rule.

    Returns `model`. Use it to start a network that was built without a generator from a known seed, or to begin again.

    Raises:
        TypeError: a module has weights of its own but no `reset_parameters`; build it inside `with
        seeded(generator):` instead.
    """
    for name, module in model.named_modules():
        own = next(module.parameters(recurse=False), None)
        if own is not None and _reset_function(module) is None:
            raise TypeError(
                f"module {name or 'itself'!r} ({type(module).__name__}) has weights but no reset_parameters(), so they "
                "cannot be drawn again; build the model inside `with seeded(generator):` instead."
            )
    with seeded(generator):
        for module in model.modules():
            reset = _reset_function(module)
            if reset is not None:
                reset()
    return model


def _reset_function(module: nn.Module):
    return getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Inside this block `model` is in eval mode; afterwards every submodule has the mode that it had before.

    Setting the modes back one by one matters: `model.train()` would also reach layers that you had set to eval mode.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield model
    finally:
        for module, training in modes:
            module.training = training


def count_parameters(model: nn.Module, *, trainable: bool = False) -> int:
    """The number of weights in `model`; with `trainable=True` only those that have `requires_grad`.

    >>> count_parameters(nn.Linear(10, 3))
    33
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


class ConvEncoder(nn.Module):
    """A small convolutional encoder: images to feature vectors.

    A block is a 3x3 convolution, batch normalization and ReLU; between two blocks stands a 2x2 max pooling. After the
    last block each channel is averaged over the image (`grid=1`). This drops all positions, which is right for
    classification. With `grid=4` it is averaged over a grid of 4 x 4 cells and keeps coarse positions, which
    reconstruction needs.

    Args:
        in_channels: 1 for gray, 3 for color images.
        widths: the channels of each block; the number of blocks is `len(widths)`.
        grid: cells per side that the last block's map is averaged over.
        generator: where the first weights are drawn from.

    Attributes:
        blocks: the blocks, an `nn.ModuleList`, for freezing and looking inside.
        feature_dim: the length of the feature vector, `widths[-1] * grid ** 2`.

    Raises:
        ValueError: no block, or a count below 1.
    """

    def __init__(
        self,
        in_channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
        *,
        grid: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        if not widths or min((in_channels, grid, *widths)) < 1:
            raise ValueError(
                f"in_channels={in_channels}, widths={widths}, grid={grid}: all must be at least 1, with at least "
                "one block."
            )
        self.in_channels, self.widths, self.grid = in_channels, widths, grid
        self.feature_dim = widths[-1] * grid**2
        with seeded(generator):
            channels = (in_channels, *widths)
            self.blocks = nn.ModuleList(
                _conv_block(channels[k], channels[k + 1], pool=k > 0) for k in range(len(widths))
            )
        self.to(memory_format=torch.channels_last)  # the same numbers; on a CPU 1.3 to 2 times as fast

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` images -> `(N, feature_dim)` features."""
        _check_images(x, self.in_channels, smallest=2 ** (len(self.widths) - 1))
        for block in self.blocks:
            x = block(x)  # (N, widths[k], H / 2**k, W / 2**k)
        return F.adaptive_avg_pool2d(x, self.grid).flatten(1)  # (N, feature_dim)

    def block_features(self, x: Tensor) -> list[Tensor]:
        """The output of every block, averaged over the image: a list of `(N, widths[k])`, first block first."""
        _check_images(x, self.in_channels, smallest=2 ** (len(self.widths) - 1))
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x.mean(dim=(2, 3)))
        return features


def _conv_block(in_channels: int, out_channels: int, *, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    # No bias: the batch normalization behind the convolution has one.
    layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]
    return nn.Sequential(*layers)


def _check_images(x: Tensor, in_channels: int, *, smallest: int = 1) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"images are a {type(x).__name__}; a float tensor (N, C, H, W) is expected.")
    if not x.is_floating_point():
        raise TypeError(
            f"images are {x.dtype}; floats in [0, 1] are expected: course_lib.data.as_float(images) makes them."
        )
    if x.ndim != 4:
        hint = " One image needs a batch dimension: image[None]." if x.ndim == 3 else ""
        raise ValueError(f"images have shape {tuple(x.shape)}; (N, C, H, W) is expected.{hint}")
    if x.shape[1] != in_channels:
        raise ValueError(
            f"images have {x.shape[1]} channel(s) (shape {tuple(x.shape)}); this network was built with "
            f"in_channels={in_channels}."
        )
    if min(x.shape[2:]) < smallest:
        raise ValueError(
            f"images are {x.shape[2]} x {x.shape[3]}; this network needs at least {smallest} x {smallest}."
        )


def _check_code(code: Tensor, code_dim: int) -> None:
    if not isinstance(code, Tensor) or not code.is_floating_point():
        kind = str(code.dtype) if isinstance(code, Tensor) else type(code).__name__
        raise TypeError(f"codes are {kind}; a float tensor (N, {code_dim}) is expected.")
    if code.ndim != 2 or code.shape[1] != code_dim:
        raise ValueError(f"codes have shape {tuple(code.shape)}; (N, {code_dim}) is expected.")


class ConvDecoder(nn.Module):
    """From a code to an image: a linear layer to a small map, then nearest-neighbor upsampling and convolution, twice.

    Upsampling before convolving avoids the checkerboards of strided transposed convolutions (Odena et al., 2016).

    Args:
        code_dim: length of the code.
        out_shape: `(C, H, W)` of the images; H and W divisible by 4, such as 28 or 32.
        widths: channels of the small map and after the first upsampling, and after the second.
        output: "logits" (no squashing; use with binary cross-entropy with logits) or "sigmoid" (values in [0, 1]).
        generator: where the first weights are drawn from.

    Raises:
        ValueError: a shape that cannot be made, or an unknown `output`.
    """

    def __init__(
        self,
        code_dim: int,
        out_shape: Sequence[int] = (1, 28, 28),
        *,
        widths: Sequence[int] = (64, 32, 16),
        output: str = "logits",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        out_shape, widths = tuple(out_shape), tuple(widths)
        if len(out_shape) != 3 or min(out_shape) < 1 or out_shape[1] % 4 or out_shape[2] % 4:
            raise ValueError(
                f"out_shape is {out_shape}; (C, H, W) with H and W divisible by 4 is expected, such as (1, 28, 28)."
            )
        if output not in ("logits", "sigmoid"):
            raise ValueError(f"output is {output!r}; it must be 'logits' or 'sigmoid'.")
        if code_dim < 1 or len(widths) != 3 or min(widths) < 1:
            raise ValueError(
                f"code_dim={code_dim}, widths={widths}: a positive code_dim and three positive widths are expected."
            )
        self.code_dim, self.out_shape, self.output = code_dim, out_shape, output
        channels, height, width = out_shape
        self.small_shape = (widths[0], height // 4, width // 4)
        with seeded(generator):
            self.project = nn.Linear(code_dim, widths[0] * (height // 4) * (width // 4))
            self.layers = nn.Sequential(
                nn.BatchNorm2d(widths[0]),
                nn.ReLU(),
                nn.Upsample(scale_factor=2),
                *_conv_block(widths[0], widths[1], pool=False),
                nn.Upsample(scale_factor=2),
                *_conv_block(widths[1], widths[2], pool=False),
                nn.Conv2d(widths[2], channels, 3, padding=1),
            )
        self.to(memory_format=torch.channels_last)

    def forward(self, code: Tensor) -> Tensor:
        """`(N, code_dim)` codes -> `(N, C, H, W)` logits, or values in [0, 1] when built with `output="sigmoid"`."""
        _check_code(code, self.code_dim)
        x = self.project(code).unflatten(1, self.small_shape)  # (N, widths[0], H / 4, W / 4)
        x = self.layers(x)  # (N, C, H, W)
        return x.sigmoid() if self.output == "sigmoid" else x


class Classifier(nn.Module):
    """An encoder and a linear head: `(N, C, H, W)` images -> `(N, num_classes)` logits.

    Args:
        encoder: any module with `feature_dim` that maps images to `(N, feature_dim)`. It is kept, not copied.
        num_classes: how many logits.
        generator: where the head's first weights are drawn from; the encoder's weights stay as they are.
    """

    def __init__(self, encoder: nn.Module, num_classes: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        feature_dim = getattr(encoder, "feature_dim", None)
        if not isinstance(feature_dim, int):
            raise TypeError(
                f"the encoder ({type(encoder).__name__}) has no `feature_dim`; it must say how long its features are."
            )
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}; at least 1 is expected.")
        self.encoder = encoder
        with seeded(generator):
            self.head = nn.Linear(feature_dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))  # (N, C, H, W) -> (N, feature_dim) -> (N, num_classes)


class LinearAutoencoder(nn.Module):
    """Two linear layers and nothing between: the best it can do is the PCA of the pixels (Baldi and Hornik, 1989).

    Args:
        num_pixels: values in one image, C * H * W.
        code_dim: length of the code.
        generator: where the first weights are drawn from.
    """

    def __init__(self, num_pixels: int, code_dim: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if num_pixels < 1 or code_dim < 1:
            raise ValueError(f"num_pixels={num_pixels}, code_dim={code_dim}: both must be at least 1.")
        self.num_pixels, self.code_dim = num_pixels, code_dim
        with seeded(generator):
            self.encoder = nn.Linear(num_pixels, code_dim)
            self.decoder = nn.Linear(code_dim, num_pixels)

    def encode(self, x: Tensor) -> Tensor:
        """Images of `num_pixels` values, `(N, ...)` -> codes `(N, code_dim)`."""
        flat = x.flatten(1)
        if flat.shape[1] != self.num_pixels:
            raise ValueError(
                f"images of shape {tuple(x.shape)} have {flat.shape[1]} values each; this autoencoder was built for "
                f"{self.num_pixels}."
            )
        return self.encoder(flat)

    def decode(self, code: Tensor) -> Tensor:
        """Codes `(N, code_dim)` -> flat images `(N, num_pixels)`."""
        _check_code(code, self.code_dim)
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, ...)` -> reconstructions of the same shape."""
        return self.decode(self.encode(x)).reshape(x.shape)


class TorchvisionEncoder(nn.Module):
    """A torchvision classification model without its last linear layer. Made by `torchvision_backbone`.

    It takes images in [0, 1], gray ones too (the channel is repeated), and normalizes them as ImageNet models expect.

    Attributes:
        body: the torchvision model, its last linear layer replaced by the identity.
        feature_dim: the length of the feature vector.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, feature_dim: int) -> None:
        super().__init__()
        self.body, self.feature_dim = body, feature_dim
        # Not in the state dict: constants, the statistics of ImageNet that torchvision's own transforms use.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """The stages of the network in order, for freezing and for `block_features`."""
        body: Any = self.body
        if hasattr(body, "layer1"):  # the ResNet family
            return tuple(getattr(body, f"layer{k}") for k in range(1, 5))
        if hasattr(body, "encoder") and hasattr(body.encoder, "layers"):  # vision transformers
            return tuple(body.encoder.layers.children())
        return tuple(body.features.children()) if hasattr(body, "features") else tuple(body.children())

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` images with 1 or 3 channels -> `(N, feature_dim)` features."""
        _check_images(x, x.shape[1] if x.ndim == 4 and x.shape[1] in (1, 3) else 3)
        return self.body((x.expand(-1, 3, -1, -1) - self.mean) / self.std)

    def block_features(self, x: Tensor) -> list[Tensor]:
        """The output of every stage, averaged over the image (or over the tokens): a list of `(N, d_k)`."""
        seen: list[Tensor] = []
        handles = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in self.blocks]
        try:
            self(x)
        finally:
            for handle in handles:
                handle.remove()
        channels_last = hasattr(self.body, "permute")  # Swin transformers compute on (N, H, W, C)
        dims = {4: (1, 2) if channels_last else (2, 3), 3: (1,)}
        return [out.mean(dim=dims[out.ndim]) if out.ndim in dims else out for out in seen]


def torchvision_backbone(
    name: str,
    *,
    weights: str | Path | None = None,
    num_classes: int,
    small_images: bool = False,
    generator: torch.Generator | None = None,
) -> Classifier:
    """A classification model of torchvision with a new head: `.encoder` (a `TorchvisionEncoder`) and `.head`.

    Args:
        name: as torchvision names it, such as "resnet18".
        weights: None (random), "DEFAULT" (torchvision's best, downloaded once, which needs a network), or the path of
            a file with a state dict of this model, such as one that torchvision downloaded on another machine.
        num_classes: logits of the new head.
        small_images: for ResNets: a 3x3 first convolution of stride 1 and no first pooling, as is usual for 32x32
            images.
        generator: where random weights are drawn from.

    Raises:
        ValueError: an unknown name, or weights that do not fit the model (the message names the file).
        FileNotFoundError: no such weights file.
        ConnectionError: "DEFAULT" without a network; the message says what works offline.
    """
    import torchvision.models

    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(
            f"{name!r} is not a classification model of torchvision; some that are: resnet18, mobilenet_v3_small, "
            "vit_b_16."
        )
    if weights == "DEFAULT":
        body = _download_model(name)
    else:
        with seeded(generator):
            body = torchvision.models.get_model(name, weights=None)
        if weights is not None:
            _load_weights(body, Path(weights), name)
    path, layer = _last_linear(body, name)
    body.set_submodule(path, nn.Identity())
    if small_images:
        if weights is not None or not hasattr(body, "layer1") or not hasattr(body, "maxpool"):
            raise ValueError("small_images=True changes a ResNet's first layer: it needs a ResNet and weights=None.")
        channels = next(body.get_submodule("conv1").parameters()).shape[0]
        with seeded(generator):
            body.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        body.maxpool = nn.Identity()
    encoder = TorchvisionEncoder(body, layer.in_features)
    model = Classifier(encoder, num_classes, generator=generator)
    return model.to(memory_format=torch.channels_last)


def _last_linear(body: nn.Module, name: str) -> tuple[str, nn.Linear]:
    """The layer that makes the logits, under its path in the model."""
    for path, module in reversed(list(body.named_modules())):
        if isinstance(module, nn.Linear) and path.split(".")[0] in ("fc", "classifier", "head", "heads"):
            return path, module
    raise ValueError(f"{name} does not end in a linear layer, so its head cannot be replaced; try resnet18.")


def _download_model(name: str) -> nn.Module:
    import torchvision.models

    try:
        return torchvision.models.get_model(name, weights="DEFAULT")
    except OSError as error:  # URLError and timeouts are OSErrors
        raise ConnectionError(
            f"the weights of {name} could not be downloaded ({error}). Offline, either pass "
            f"weights='path/to/{name}.pth' (a file that torchvision downloaded on another machine, from "
            "~/.cache/torch/hub/checkpoints), or weights=None and pretrain it here."
        ) from error


def _load_weights(body: nn.Module, path: Path, name: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no weights file {path}; pass the path of a state dict of {name}, 'DEFAULT' or None."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, all meaning the same here
        raise ValueError(
            f"{path} is not a weights file that can be loaded safely ({type(error).__name__}); download it again."
        ) from error
    own = body.state_dict()
    head = _last_linear(body, name)[0]
    wrong = [
        key
        for key, value in own.items()
        if not key.startswith(head + ".")
        and not (isinstance(state, dict) and key in state and state[key].shape == value.shape)
    ]
    if wrong:
        raise ValueError(
            f"{path} does not hold the weights of {name}: {len(wrong)} of {len(own)} entries are missing or of another "
            f"shape, the first is {wrong[0]!r}."
        )
    # The file's head is for its own classes; a new one is put in its place.
    body.load_state_dict({key: own[key] if key.startswith(head + ".") else state[key] for key in own})

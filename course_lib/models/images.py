"""The small encoders, decoders and heads for images that the units share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.weights import seeded


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
        check_images(x, self.in_channels, smallest=2 ** (len(self.widths) - 1))
        for block in self.blocks:
            x = block(x)  # (N, widths[k], H / 2**k, W / 2**k)
        return F.adaptive_avg_pool2d(x, self.grid).flatten(1)  # (N, feature_dim)

    def block_features(self, x: Tensor) -> list[Tensor]:
        """The output of every block, averaged over the image: a list of `(N, widths[k])`, first block first."""
        check_images(x, self.in_channels, smallest=2 ** (len(self.widths) - 1))
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


def check_images(x: Tensor, in_channels: int, *, smallest: int = 1) -> None:
    """Refuses what is not a batch of float images (N, in_channels, H, W) of at least `smallest` pixels per side."""
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

"""torchvision's larger networks, each as an encoder and a new head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.models.images import Classifier, check_images
from course_lib.models.weights import seeded


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
        check_images(x, x.shape[1] if x.ndim == 4 and x.shape[1] in (1, 3) else 3)
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

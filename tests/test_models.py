from __future__ import annotations

import copy
import socket

import pytest
import torch
from torch import nn

from course_lib import models
from course_lib.models import (
    Classifier,
    ConvDecoder,
    ConvEncoder,
    LinearAutoencoder,
    count_parameters,
    eval_mode,
    seed_parameters,
    seeded,
    torchvision_backbone,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


BUILDERS = {
    "encoder": lambda g: ConvEncoder(generator=g),
    "decoder": lambda g: ConvDecoder(8, generator=g),
    "classifier": lambda g: Classifier(ConvEncoder(generator=g), 10, generator=g),
    "linear autoencoder": lambda g: LinearAutoencoder(20, 3, generator=g),
    "torchvision": lambda g: torchvision_backbone("mobilenet_v3_small", num_classes=3, generator=g),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_weights_come_from_the_generator_alone(name):
    build = BUILDERS[name]
    torch.manual_seed(1)
    first = build(generator(5))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = build(generator(5))
    assert torch.equal(torch.get_rng_state(), before), "the global generator was used"
    assert same_weights(first, second)
    assert not same_weights(first, build(generator(6)))


def test_without_a_generator_the_weights_are_those_of_seed_0():
    assert same_weights(ConvEncoder(), ConvEncoder(generator=generator(0)))


def test_two_models_from_one_generator_differ():
    g = generator()
    assert not same_weights(LinearAutoencoder(20, 3, generator=g), LinearAutoencoder(20, 3, generator=g))


def test_seeded_refuses_a_number():
    with pytest.raises(TypeError, match=r"int.*torch\.Generator"), seeded(3):
        pass


def test_seed_parameters_starts_again_batch_norm_and_attention_included():
    with seeded(generator(1)):
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 4), nn.MultiheadAttention(4, 2)
        )
    other = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1)
    seed_parameters(model, generator(9))
    assert same_weights(model, seed_parameters(other, generator(9)))
    assert torch.equal(model[1].running_mean, torch.zeros(4))


def test_seed_parameters_refuses_weights_that_it_cannot_draw():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

    model = nn.Sequential(nn.Linear(2, 2), Own())
    before = copy.deepcopy(model)
    with pytest.raises(TypeError, match=r"'1' \(Own\).*seeded"):
        seed_parameters(model)
    assert same_weights(model, before)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (32, 32), (20, 36)])
@pytest.mark.parametrize("grid", [1, 4])
def test_encoder_shapes(channels, size, grid):
    encoder = ConvEncoder(channels, (4, 6, 8), grid=grid)
    x = torch.rand(5, channels, *size)
    assert encoder(x).shape == (5, encoder.feature_dim) == (5, 8 * grid**2)
    assert [tuple(f.shape) for f in encoder.block_features(x)] == [(5, 4), (5, 6), (5, 8)]


def test_maps_are_halved_between_blocks():
    encoder, sides = ConvEncoder(widths=(4, 6, 8)), []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _m, _i, out: sides.append(tuple(out.shape[1:])))
    encoder(torch.rand(2, 1, 28, 28))
    assert sides == [(4, 28, 28), (6, 14, 14), (8, 7, 7)]


def test_the_last_block_is_what_the_encoder_returns():
    encoder = ConvEncoder(widths=(4, 8)).eval()
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(encoder.block_features(x)[-1], encoder(x))


def test_only_the_grid_remembers_positions():
    x = torch.zeros(2, 1, 32, 32)
    x[0, 0, 8:12, 8:12] = 1
    x[1, 0, 20:24, 20:24] = 1  # the same square elsewhere, as far from the border
    flat, grid = (ConvEncoder(widths=(4, 8), grid=g).eval()(x) for g in (1, 4))
    torch.testing.assert_close(flat[0], flat[1])
    assert not torch.allclose(grid[0], grid[1])


def test_a_batch_of_one_and_other_memory_layouts_give_the_same():
    encoder = ConvEncoder().eval()
    x = torch.rand(4, 1, 28, 28)
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(encoder(turned), encoder(x))
    torch.testing.assert_close(encoder(x[:1]), encoder(x)[:1])


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (torch.rand(1, 28, 28), ValueError, "batch dimension"),
        (torch.rand(2, 3, 28, 28), ValueError, "3 channel.*in_channels=1"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), TypeError, "as_float"),
        (torch.rand(2, 1, 3, 3), ValueError, "at least 4 x 4"),
        ([1, 2], TypeError, "list"),
    ],
)
def test_encoder_says_what_is_wrong_with_the_images(x, error, says):
    with pytest.raises(error, match=says):
        ConvEncoder()(x)
    with pytest.raises(error, match=says):
        ConvEncoder().block_features(x)


@pytest.mark.parametrize("options", [{"in_channels": 0}, {"widths": ()}, {"widths": (4, 0)}, {"grid": 0}])
def test_encoder_refuses_impossible_sizes(options):
    with pytest.raises(ValueError, match="at least 1"):
        ConvEncoder(**options)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 20, 36)])
def test_decoder_shapes_and_range(shape):
    code = torch.randn(6, 5) * 20
    logits = ConvDecoder(5, shape, generator=generator(2))
    squashed = ConvDecoder(5, shape, output="sigmoid", generator=generator(2))
    assert logits(code).shape == (6, *shape)
    torch.testing.assert_close(squashed(code), logits(code).sigmoid())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((8, (1, 30, 28)), "divisible by 4"),
        ((8, (28, 28)), r"\(C, H, W\)"),
        ((0,), "code_dim"),
    ],
)
def test_decoder_refuses_impossible_shapes(arguments, says):
    with pytest.raises(ValueError, match=says):
        ConvDecoder(*arguments)


def test_decoder_refuses_unknown_outputs_and_wrong_codes():
    with pytest.raises(ValueError, match="'tanh'"):
        ConvDecoder(8, output="tanh")
    for decode in (ConvDecoder(8), LinearAutoencoder(12, 8).decode):
        with pytest.raises(ValueError, match=r"\(2, 7\).*\(N, 8\)"):
            decode(torch.rand(2, 7))
        with pytest.raises(TypeError, match="int64"):
            decode(torch.zeros(2, 8).long())


def test_classifier_keeps_the_encoder_that_it_is_given():
    encoder = ConvEncoder(widths=(4, 8))
    model = Classifier(encoder, 7)
    x = torch.rand(3, 1, 16, 16)
    model.eval()
    torch.testing.assert_close(model(x), model.head(encoder(x)))
    assert model.encoder is encoder
    assert model(x).shape == (3, 7)
    with pytest.raises(TypeError, match="feature_dim"):
        Classifier(nn.Flatten(), 3)
    with pytest.raises(ValueError, match="num_classes"):
        Classifier(encoder, 0)


def test_linear_autoencoder_is_linear_and_keeps_shapes():
    model = LinearAutoencoder(3 * 4 * 5, 6)
    x, y = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    assert model(x).shape == x.shape
    assert model.encode(x).shape == (2, 6)
    torch.testing.assert_close(model(0.5 * x + 0.5 * y), 0.5 * model(x) + 0.5 * model(y))
    with pytest.raises(ValueError, match="60"):
        model(torch.rand(2, 3, 4, 4))
    with pytest.raises(ValueError, match="code_dim=0"):
        LinearAutoencoder(4, 0)


def test_count_parameters_by_hand():
    model = Classifier(ConvEncoder(1, (4, 8)), 10)
    convolutions, norms, head = 4 * 9 + 8 * 4 * 9, 2 * 4 + 2 * 8, 8 * 10 + 10
    assert count_parameters(model) == convolutions + norms + head
    model.encoder.requires_grad_(False)
    assert count_parameters(model, trainable=True) == head


def test_eval_mode_gives_every_submodule_its_own_mode_back_after_an_error_too():
    model = Classifier(ConvEncoder(), 3)
    model.encoder.blocks[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    assert len(set(before.values())) == 2
    with pytest.raises(RuntimeError, match="boom"), eval_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError("boom")
    assert {name: module.training for name, module in model.named_modules()} == before


@pytest.mark.parametrize(
    ("name", "size", "dims"),
    [
        ("resnet18", 32, [64, 128, 256, 512]),
        ("mobilenet_v3_small", 32, None),
        pytest.param("swin_t", 64, None, marks=pytest.mark.slow),
    ],
)
def test_torchvision_backbones_take_gray_and_color_and_show_their_blocks(name, size, dims):
    model = torchvision_backbone(name, num_classes=5).eval()
    gray = torch.rand(2, 1, size, size)
    with torch.no_grad():
        assert model(gray).shape == (2, 5)
        torch.testing.assert_close(model(gray), model(gray.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)
        assert model.encoder(gray).shape == (2, model.encoder.feature_dim)
        features = model.encoder.block_features(gray)
    assert len(features) == len(model.encoder.blocks)
    if dims:
        assert [f.shape[1] for f in features] == dims
        torch.testing.assert_close(features[-1], model.encoder(gray), rtol=1e-4, atol=1e-4)


def test_torchvision_backbones_normalize_as_torchvision_does():
    from torchvision.transforms import Normalize

    model = torchvision_backbone("mobilenet_v3_small", num_classes=3).eval()
    usual = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    x = torch.rand(2, 3, 32, 32, generator=generator())
    seen = []
    model.encoder.body.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(x)
    torch.testing.assert_close(seen[0], usual(x))


def test_small_images_keep_the_resolution():
    plain = torchvision_backbone("resnet18", num_classes=2).eval()
    small = torchvision_backbone("resnet18", num_classes=2, small_images=True).eval()
    sizes = []
    for model in (plain, small):
        model.encoder.blocks[0].register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[-1]))
        with torch.no_grad():
            model(torch.rand(1, 3, 32, 32))
    assert sizes == [8, 32]
    with pytest.raises(ValueError, match="ResNet"):
        torchvision_backbone("mobilenet_v3_small", num_classes=2, small_images=True)


def test_torchvision_weights_from_a_file(tmp_path):
    import torchvision.models

    name = "mobilenet_v3_small"
    torch.manual_seed(3)
    original = torchvision.models.get_model(name, weights=None)
    file = tmp_path / "weights.pth"
    torch.save(original.state_dict(), file)
    model = torchvision_backbone(name, weights=file, num_classes=4)
    theirs = {k: v for k, v in original.state_dict().items() if not k.startswith("classifier.3.")}
    ours = model.encoder.body.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert model.head.out_features == 4


def test_torchvision_says_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"'resnet19'.*resnet18"):
        torchvision_backbone("resnet19", num_classes=2)
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        torchvision_backbone("resnet18", weights=tmp_path / "none.pth", num_classes=2)
    damaged, foreign = tmp_path / "damaged.pth", tmp_path / "foreign.pth"
    damaged.write_bytes(b"not weights")
    torch.save({"conv1.weight": torch.zeros(1)}, foreign)
    with pytest.raises(ValueError, match=r"damaged\.pth"):
        torchvision_backbone("resnet18", weights=damaged, num_classes=2)
    with pytest.raises(ValueError, match=r"foreign\.pth.*resnet18.*'conv1\.weight'"):
        torchvision_backbone("resnet18", weights=foreign, num_classes=2)


def test_no_network_names_what_works_offline(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(ConnectionError, match=r"resnet18.*weights='path/to/resnet18\.pth'.*weights=None"):
        torchvision_backbone("resnet18", weights="DEFAULT", num_classes=2)


@pytest.mark.gpu
def test_cpu_and_gpu_agree(cuda):
    model = Classifier(ConvEncoder(), 10).eval()
    decoder = ConvDecoder(64).eval()
    x = torch.rand(16, 1, 28, 28, generator=generator())
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        on_cpu = model(x), decoder(model.encoder(x))
        on_gpu = model.to(cuda)(x.to(cuda)).cpu(), decoder.to(cuda)(model.encoder(x.to(cuda))).cpu()
    torch.testing.assert_close(on_gpu[0], on_cpu[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(on_gpu[1], on_cpu[1], rtol=1e-4, atol=1e-4)


def test_everything_public_is_documented():
    for name in models.__all__:
        assert getattr(models, name).__doc__, name


# --- text


def test_transformer_layers_have_the_shapes_that_they_promise():
    layers = models.TransformerLayers(50, dim=12, heads=3, layers=4, max_length=9, generator=generator())
    assert (layers.heads, layers.feature_dim, len(layers.blocks)) == (3, 12, 4)
    assert layers.embedding.weight.shape == (50, 12) and layers.position.shape == (9, 12)
    assert 0.8 < layers.embedding.weight.norm(dim=1).mean().item() < 1.2
    x = torch.rand(2, 5, 12, generator=generator())
    for block in layers.blocks:
        assert list(block) == ["norm1", "qkv", "out", "norm2", "mlp"]
        assert block["qkv"](x).shape == (2, 5, 36)
        assert all(block[name](x).shape == x.shape for name in ("norm1", "out", "norm2", "mlp"))
    with pytest.raises(ValueError, match="multiple of heads=5"):
        models.TransformerLayers(50, dim=12, heads=5)


def test_transformer_layers_begin_with_given_embeddings_and_special_entries_stay_random():
    given = torch.arange(60.0).reshape(10, 6)
    drawn = models.TransformerLayers(10, dim=6, heads=2, generator=generator())
    layers = models.TransformerLayers(10, dim=6, heads=2, embeddings=given, generator=generator())
    assert torch.equal(layers.embedding.weight[3:], given[3:])
    assert torch.equal(layers.embedding.weight[:3], drawn.embedding.weight[:3])
    assert torch.equal(layers.blocks[1]["qkv"].weight, drawn.blocks[1]["qkv"].weight)
    with pytest.raises(ValueError, match=r"\(10, 4\) is expected"):
        models.TransformerLayers(10, dim=4, heads=2, embeddings=given)


def test_words_are_compared_with_the_embeddings():
    layers = models.TransformerLayers(50, dim=12, heads=3, generator=generator())
    layers.guess = nn.Identity()
    found = layers.words(layers.embedding.weight[[4, 7]][None])
    assert found.shape == (1, 2, 50) and found.argmax(dim=-1).tolist() == [[4, 7]]
    layers.bias.data[9] = 100.0
    assert layers.words(torch.zeros(1, 2, 12)).argmax(dim=-1).tolist() == [[9, 9]]


def test_a_text_encoder_attends_as_torchs_attention_does_and_not_to_padding():
    encoder = models.TextEncoder(models.TransformerLayers(30, dim=12, heads=3, layers=1, generator=generator()))
    ids = torch.tensor([[3, 4, 5, 6, 0, 0], [7, 8, 3, 9, 4, 5]])
    block, layers = encoder.layers.blocks[0], encoder.layers
    x = layers.embedding(ids) + layers.position[:6]
    torchs = nn.MultiheadAttention(12, 3, batch_first=True)
    torchs.in_proj_weight, torchs.in_proj_bias = block["qkv"].weight, block["qkv"].bias
    torchs.out_proj = block["out"]
    normed = block["norm1"](x)
    x = x + torchs(normed, normed, normed, key_padding_mask=ids == 0)[0]
    expected = layers.norm(x + block["mlp"](block["norm2"](x)))
    assert torch.allclose(encoder(ids), expected, atol=1e-5)
    assert torch.allclose(encoder(ids[:1, :4]), encoder(ids)[:1, :4], atol=1e-5)


def test_two_towers_give_vectors_of_one_length_and_do_not_read_padding():
    model = models.TwoTowers(20, dim=8, generator=generator())
    images, ids = torch.rand(3, 1, 28, 28, generator=generator()), torch.tensor([[3, 4, 0], [5, 0, 0], [4, 3, 0]])
    model.eval()
    i, t = model(images, ids)
    assert i.shape == t.shape == (3, 8) and model.encoder is model.images[0]
    assert torch.allclose(t[0], t[2]) and not torch.allclose(t[0], t[1])
    assert torch.allclose(t[1:2], model.captions(ids[1:2, :1]))
    assert float(model.log_scale.exp()) == pytest.approx(10.0)
    again = models.TwoTowers(20, dim=8, generator=generator())
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))


def test_text_features_are_what_the_pool_makes_of_the_encoders():
    encoder = nn.Module()
    encoder.layers, encoder.forward = models.TransformerLayers(50, dim=12, heads=3), lambda ids: ids[..., None] * 1.0
    features = models.TextFeatures(encoder, lambda found, ids: found.sum(dim=1) + ids[:, :1])
    assert features.feature_dim == 12 and features(torch.tensor([[1, 2], [3, 4]])).tolist() == [[4.0], [10.0]]
    assert {name.split(".")[0] for name, _ in features.named_parameters()} == {"encoder"}


class Dropping(nn.Module):
    """A text encoder that shows the mode it is in."""

    def __init__(self):
        super().__init__()
        self.layers, self.drop = models.TransformerLayers(9, dim=4, heads=2), nn.Dropout(0.5)

    def forward(self, ids):
        return self.drop(self.layers.embedding(ids))


@pytest.mark.parametrize("batch_size", [1, 3, 500])
def test_texts_and_words_are_predicted_in_eval_mode_without_gradients(batch_size):
    encoder, ids = Dropping(), torch.randint(0, 9, (7, 5), generator=generator())
    features = encoder.layers.embedding(ids)
    found, words = (
        function(encoder, ids, batch_size=batch_size) for function in (models.predict_texts, models.predict_words)
    )
    assert torch.equal(found, features) and not found.requires_grad
    torch.testing.assert_close(words, encoder.layers.words(features))
    assert words.shape == (7, 5, 9) and not words.requires_grad
    assert encoder.training and encoder.drop.training

"""The effects, one function each: what it measures for one seed, by key."""

from __future__ import annotations

import copy
import functools
import statistics

import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import Tensor, nn

from course_lib.data import split_labels
from course_lib.data.augment import (
    compose,
    cutout,
    random_affine,
    random_brightness_contrast,
    random_shift,
)
from course_lib.evaluation import auroc, probe_accuracy
from course_lib.models import Classifier, ConvDecoder, ConvEncoder, seeded
from tests.benchmarks.glyph_effects.recipes import (
    NEW,
    OLD,
    TEST,
    Figures,
    accuracy,
    block_features,
    descend,
    draw,
    few,
    fit_labels,
    images,
    logits_of,
    rng,
    scratch,
    scratch_accuracy,
)


def label_budgets(seed: int) -> Figures:
    return {f"scratch@{k}": scratch_accuracy(seed, k) for k in (1, 2, 5, 10, 20, 50)}


def turned(x: Tensor) -> tuple[Tensor, Tensor]:
    """All four turns of each image, and the number of quarter turns."""
    return torch.cat([torch.rot90(x, k, (2, 3)) for k in range(4)]), torch.arange(4).repeat_interleave(len(x))


@functools.lru_cache(maxsize=1)
def rotation_encoder(seed: int, steps: int = 1000) -> ConvEncoder:
    x = few(seed, 50)[2]
    generator = rng(2000 + seed)
    model = Classifier(ConvEncoder(generator=generator), 4, generator=generator)

    def loss(step: int) -> Tensor:
        picture, turns = turned(random_shift(x[draw(len(x), 64, generator)], generator=generator))
        return F.cross_entropy(model(picture), turns)

    descend(model.parameters(), steps, loss, lr=3e-3)
    return model.encoder


def rotation_pretext(seed: int) -> Figures:
    test_x, test_y = images(seed, "test", TEST)
    encoder, untrained = rotation_encoder(seed), ConvEncoder(generator=rng(3000 + seed))
    figures: Figures = {}
    x, y, *_ = few(seed, 10)
    for name, source in (("rotation", encoder), ("random", untrained)):
        for block, (a, b) in enumerate(zip(block_features(source, x), block_features(source, test_x)), start=1):
            figures[f"{name}_probe@10_block{block}"] = probe_accuracy(a, y, b, test_y)
    for k in (5, 10):
        x, y, *_ = few(seed, k)
        figures[f"rotation_finetuned@{k}"] = accuracy(fit_labels(x, y, seed=seed, encoder=encoder), test_x, test_y)
        figures[f"scratch@{k}"] = scratch_accuracy(seed, k)
    return figures


class Autoencoder(nn.Module):
    def __init__(self, code: int, generator: torch.Generator) -> None:
        super().__init__()
        self.encoder = ConvEncoder(grid=4, generator=generator)
        with seeded(generator):
            self.code = nn.Linear(self.encoder.feature_dim, code)
        self.decoder = ConvDecoder(code, generator=generator)

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.encoder(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x)).sigmoid()


def fit_autoencoder(x: Tensor, *, seed: int, steps: int, code: int = 32) -> Autoencoder:
    generator = rng(4000 + seed)
    model = Autoencoder(code, generator)

    def loss(step: int) -> Tensor:
        chosen = x[draw(len(x), 64, generator)]
        return F.mse_loss(model(chosen).float(), chosen)

    descend(model.parameters(), steps, loss, lr=2e-3)
    return model.eval()


def codes(model: Autoencoder, x: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model.encode(part) for part in x.split(500)])


def autoencoder(seed: int) -> Figures:
    figures: Figures = {}
    model = fit_autoencoder(few(seed, 50)[2], seed=seed, steps=800)
    encoder = ConvEncoder(generator=rng(0))
    encoder.blocks.load_state_dict(model.encoder.blocks.state_dict())
    test_x, test_y = images(seed, "test", TEST)
    for k in (5, 10):
        x, y, *_ = few(seed, k)
        figures[f"autoencoder_finetuned@{k}"] = accuracy(fit_labels(x, y, seed=seed, encoder=encoder), test_x, test_y)
        figures[f"scratch@{k}"] = scratch_accuracy(seed, k)
    # The frozen code, where there is no clutter and no noise to describe.
    clean = {"clutter": 0, "noise": 0}
    x, y, pool, *_ = few(seed, 5, **clean)
    test_x, test_y = images(seed, "test", TEST, **clean)
    trained, untrained = fit_autoencoder(pool, seed=seed, steps=800), Autoencoder(32, rng(5000 + seed)).eval()
    figures["frozen_code_clean@5"] = probe_accuracy(codes(trained, x), y, codes(trained, test_x), test_y)
    figures["random_code_clean@5"] = probe_accuracy(codes(untrained, x), y, codes(untrained, test_x), test_y)
    return figures


strong_view = compose(
    functools.partial(random_affine, max_degrees=25, max_shift=0.12, scale=(0.8, 1.2)),
    functools.partial(random_brightness_contrast, brightness=0.2, contrast=0.5),
    functools.partial(cutout, size=8),
)


def simclr(seed: int) -> Figures:
    pool = few(seed, 50)[2]
    generator = rng(6000 + seed)
    encoder = ConvEncoder(generator=generator)
    with seeded(generator):
        head = nn.Sequential(encoder, nn.Linear(encoder.feature_dim, 64), nn.ReLU(), nn.Linear(64, 32))

    def loss(step: int) -> Tensor:
        x = pool[draw(len(pool), 128, generator)]
        z = F.normalize(head(torch.cat([strong_view(x, generator=generator) for _ in range(2)])), dim=1)
        similarity = (z @ z.T / 0.2).float().fill_diagonal_(float("-inf"))
        return F.cross_entropy(similarity, torch.arange(256).roll(128))

    descend(head.parameters(), 1000, loss, lr=3e-3)
    test_x, test_y = images(seed, "test", TEST)
    x, y, *_ = few(seed, 10)
    figures: Figures = {}
    for name, source in (("simclr", encoder), ("random", ConvEncoder(generator=rng(3000 + seed)))):
        a, b = block_features(source, x)[-1], block_features(source, test_x)[-1]
        figures[f"{name}_probe@10"] = probe_accuracy(a, y, b, test_y)
    figures["simclr_finetuned@10"] = accuracy(fit_labels(x, y, seed=seed, encoder=encoder), test_x, test_y)
    figures["scratch@10"] = scratch_accuracy(seed, 10)
    return figures


@functools.lru_cache(maxsize=2)
def source_encoder(seed: int, styles: tuple[str, ...] = ("filled",)) -> ConvEncoder:
    """An encoder trained on 4,000 labeled images of the OLD classes in each of the styles."""
    parts = [images(seed, n=4000, classes=OLD, style=style) for style in styles]
    x, y = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    return fit_labels(x, y, seed=7000 + seed, classes=5, steps=600).encoder


def memorizer(seed: int) -> Classifier:
    """The same 4,000 images with random labels, which can only be learned by heart: plain recipe, 3,000 steps."""
    x, y = images(seed, n=4000, classes=OLD)
    y = y[torch.randperm(len(y), generator=rng(7000 + seed))]
    return fit_labels(x, y, seed=7000 + seed, classes=5, steps=3000, shift=0, constant=True)


HEAD_LR = 3e-2  # a linear head alone bears, and needs, a larger learning rate


def freezing_depth(seed: int) -> Figures:
    test_x, test_y = images(seed, "test", TEST, classes=NEW)
    figures: Figures = {}
    for k in (5, 20):
        x, y, *_ = few(seed, k, classes=NEW)
        run = functools.partial(fit_labels, x, y, seed=seed, classes=5)
        for frozen in range(4):
            model = run(encoder=source_encoder(seed), frozen=frozen, lr=HEAD_LR if frozen == 3 else 1e-3)
            figures[f"frozen{frozen}@{k}"] = accuracy(model, test_x, test_y)
        figures[f"scratch@{k}"] = accuracy(run(), test_x, test_y)
    return figures


def large_learning_rate(seed: int) -> Figures:
    """A short fine-tuning by the plain recipe, batches of 16, mean of 8 draws of labels: there is no schedule that
    would mend what the first steps break. With 300 steps and a cosine schedule 1e-2 does no harm on glyphs."""
    test_x, test_y = images(seed, "test", TEST, classes=NEW)
    encoder = source_encoder(seed)
    run = functools.partial(fit_labels, classes=5, encoder=encoder, steps=40, shift=0, constant=True, batch_size=16)
    figures: Figures = {}
    for k in (5, 20):
        for lr in (1e-3, 3e-3, 1e-2, 3e-2):
            reached = []
            for draw_ in range(8):
                x, y = images(seed, classes=NEW)
                labeled = split_labels(y, per_class=k, generator=rng(100 * seed + draw_)).labeled
                reached.append(accuracy(run(x[labeled], y[labeled], seed=100 * seed + draw_, lr=lr), test_x, test_y))
            figures[f"short_lr{lr:g}@{k}"] = statistics.fmean(reached)
        x, y, *_ = few(seed, k, classes=NEW)
        for lr in (3e-3, 1e-2):
            model = fit_labels(x, y, seed=seed, classes=5, encoder=encoder, lr=lr)
            figures[f"long_lr{lr:g}@{k}"] = accuracy(model, test_x, test_y)
    return figures


def unrelated_source(seed: int) -> Figures:
    """A source whose labels are random, fine-tuned at the same learning rate as the true source and as scratch.

    Each figure is a mean over 4 draws of the target's labels, which differ more than the sources do."""
    test_x, test_y = images(seed, "test", TEST, classes=NEW)
    x, y = images(seed, classes=NEW)
    useless, useful = memorizer(seed).encoder, source_encoder(seed)
    options: dict[str, dict] = {
        "random_labels@20": {"encoder": useless},
        "random_labels_frozen2@20": {"encoder": useless, "frozen": 2},
        "true_labels@20": {"encoder": useful},
        "true_labels_frozen2@20": {"encoder": useful, "frozen": 2},
        "scratch@20": {},
    }
    reached: dict[str, list[float]] = {name: [] for name in options}
    for draw_ in range(4):
        few_seed = 100 * seed + draw_
        labeled = split_labels(y, per_class=20, generator=rng(few_seed)).labeled
        run = functools.partial(fit_labels, x[labeled], y[labeled], seed=few_seed, classes=5, lr=1e-3)
        for name, option in options.items():
            reached[name].append(accuracy(run(**option), test_x, test_y))
    return {name: statistics.fmean(values) for name, values in reached.items()}


def frozen_batchnorm(seed: int) -> Figures:
    """All blocks frozen, but their BatchNorm follows the few labeled images. The source saw clear and faint images of
    the OLD classes, the labels are clear ones of the NEW; tested on clear ones (in domain) and on faint ones."""
    faint = {"contrast": 0.3}
    parts = [images(seed, n=3000, classes=OLD), images(seed, n=3000, classes=OLD, **faint)]
    source = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    encoder = fit_labels(*source, seed=7000 + seed, classes=5, steps=600).encoder
    inside = images(seed, "test", TEST, classes=NEW)
    outside = images(seed, "test", TEST, classes=NEW, **faint)
    figures: Figures = {}
    for k in (5, 20):
        x, y, *_ = few(seed, k, classes=NEW)
        for mode in ("eval", "train"):
            run = functools.partial(fit_labels, x, y, seed=seed, classes=5, encoder=encoder, lr=HEAD_LR)
            model = run(frozen=3, frozen_mode=mode)
            figures[f"in_domain_{mode}@{k}"] = accuracy(model, *inside)
            figures[f"shifted_{mode}@{k}"] = accuracy(model, *outside)
    return figures


def lp_ft(seed: int) -> Figures:
    """Source: both styles of the OLD classes. Target: filled images of the NEW ones; outlined: the other domain."""
    encoder = source_encoder(seed, styles=("filled", "outlined"))
    x, y, *_ = few(seed, 10, classes=NEW)
    inside = images(seed, "test", TEST, classes=NEW)
    outside = images(seed, "test", TEST, classes=NEW, style="outlined")
    run = functools.partial(fit_labels, x, y, seed=seed, classes=5)
    probe = run(encoder=encoder, frozen=3, lr=HEAD_LR)
    then = copy.deepcopy(probe).requires_grad_(True)
    models = {"lp": probe, "ft": run(encoder=encoder, lr=1e-3), "lp_ft": run(model=then, lr=1e-3)}
    return {
        f"{name}_{domain}": accuracy(model, *data)
        for name, model in models.items()
        for domain, data in (("in", inside), ("out", outside))
    }


def pseudo_labels(seed: int) -> Figures:
    test = images(seed, "test", TEST)
    figures: Figures = {}
    for k in (5, 10):
        x, y, pool, hidden, _ = few(seed, k)
        figures[f"scratch@{k}"] = scratch_accuracy(seed, k)
        plain = fit_labels(x, y, seed=seed, steps=1000, shift=0, constant=True)
        for name, model in (("", scratch(seed, k)), ("_plain", plain)):
            confidence, guess = logits_of(model, pool).softmax(1).max(1)
            sure = confidence >= 0.9
            figures[f"correct_when_sure{name}@{k}"] = (guess[sure] == hidden[sure]).float().mean().item()
            figures[f"share_sure{name}@{k}"] = sure.float().mean().item()
    model = scratch(seed, 10)
    for round_ in range(3):
        confidence, guess = logits_of(model, pool).softmax(1).max(1)
        sure = confidence >= 0.9
        both_x, both_y = torch.cat([x.repeat(5, 1, 1, 1), pool[sure]]), torch.cat([y.repeat(5), guess[sure]])
        model = fit_labels(both_x, both_y, seed=seed + round_, steps=400)
    figures["restarted@10"] = accuracy(model, *test)
    # The same network goes on, on whatever it says itself: no threshold, no restart.
    model, generator = copy.deepcopy(scratch(seed, 10)), rng(8000 + seed)

    def loss(step: int) -> Tensor:
        unlabeled = pool[draw(len(pool), 64, generator)]
        guess = logits_of(model, unlabeled).argmax(1)
        model.train()
        chosen = draw(len(x), 64, generator)
        both = random_shift(torch.cat([x[chosen], unlabeled]), generator=generator)
        return F.cross_entropy(model(both), torch.cat([y[chosen], guess]))

    descend(model.parameters(), 400, loss, lr=1e-3)
    figures["own_argmax@10"] = accuracy(model, *test)
    return figures


def fit_fixmatch(x: Tensor, y: Tensor, pool: Tensor, *, seed: int) -> nn.Module:
    generator = rng(9000 + seed)
    model = Classifier(ConvEncoder(generator=generator), 10, generator=generator)

    def loss(step: int) -> Tensor:
        chosen, unlabeled = draw(len(x), 64, generator), pool[draw(len(pool), 128, generator)]
        weak = random_shift(torch.cat([x[chosen], unlabeled]), generator=generator)
        strong = strong_view(unlabeled, generator=generator)
        labeled, weakly, strongly = model(torch.cat([weak, strong])).split([len(chosen), 128, 128])
        confidence, guess = weakly.detach().softmax(1).max(1)
        unsupervised = (F.cross_entropy(strongly, guess, reduction="none") * (confidence >= 0.9)).mean()
        return F.cross_entropy(labeled, y[chosen]) + unsupervised

    descend(model.parameters(), 800, loss, lr=3e-3)
    return model


def fixmatch(seed: int) -> Figures:
    """FixMatch (Sohn et al. 2020), threshold 0.9, 64 labeled and 128 unlabeled images per step."""
    test = images(seed, "test", TEST)
    figures: Figures = {}
    for k in (5, 10):
        x, y, pool, *_ = few(seed, k)
        figures[f"fixmatch@{k}"] = accuracy(fit_fixmatch(x, y, pool, seed=seed), *test)
        figures[f"scratch@{k}"] = scratch_accuracy(seed, k)
    return figures


def fit_mean_teacher(x: Tensor, y: Tensor, pool: Tensor, *, seed: int) -> nn.Module:
    generator = rng(10_000 + seed)
    model = Classifier(ConvEncoder(generator=generator), 10, generator=generator)
    teacher = copy.deepcopy(model).requires_grad_(False)

    def loss(step: int) -> Tensor:
        keep = min(0.99, step / (step + 1))  # the teacher follows each step, buffers too
        for slow, fast in zip(teacher.state_dict().values(), model.state_dict().values()):
            slow.copy_(keep * slow + (1 - keep) * fast if slow.is_floating_point() else fast)
        chosen, unlabeled = draw(len(x), 64, generator), pool[draw(len(pool), 128, generator)]
        weak = random_shift(torch.cat([x[chosen], unlabeled]), generator=generator)
        out = model(torch.cat([weak[: len(chosen)], strong_view(unlabeled, generator=generator)]))
        target = teacher.train()(weak[len(chosen) :]).softmax(1)
        distance = ((out[len(chosen) :].softmax(1) - target) ** 2).sum(1).mean()
        return F.cross_entropy(out[: len(chosen)], y[chosen]) + 2 * min(1.0, step / 400) * distance

    descend(model.parameters(), 800, loss, lr=3e-3)
    return teacher


def mean_teacher(seed: int) -> Figures:
    """Mean Teacher (Tarvainen and Valpola 2017): weight of the consistency 2, ramped up over half of the 800 steps."""
    test = images(seed, "test", TEST)
    figures: Figures = {}
    for k in (5, 10):
        x, y, pool, *_ = few(seed, k)
        figures[f"mean_teacher@{k}"] = accuracy(fit_mean_teacher(x, y, pool, seed=seed), *test)
        figures[f"scratch@{k}"] = scratch_accuracy(seed, k)
    return figures


@functools.lru_cache(maxsize=1)
def teacher_of(seed: int) -> Classifier:
    return fit_labels(*images(seed), seed=11_000 + seed, steps=800)


def distillation(seed: int) -> Figures:
    """A student that sees no label, only a good teacher's outputs (Hinton et al. 2015; T = 4) on unlabeled images."""
    test = images(seed, "test", TEST)
    teacher = teacher_of(seed)
    pool = few(seed, 5)[2]
    generator = rng(12_000 + seed)
    student = Classifier(ConvEncoder(generator=generator), 10, generator=generator)
    soft = (logits_of(teacher, pool) / 4).softmax(1)

    def loss(step: int) -> Tensor:
        chosen = draw(len(pool), 64, generator)
        out = student(random_shift(pool[chosen], generator=generator))
        return 16 * F.kl_div((out / 4).log_softmax(1), soft[chosen], reduction="batchmean")

    descend(student.parameters(), 800, loss, lr=3e-3)
    return {
        "teacher": accuracy(teacher, *test),
        "distilled": accuracy(student, *test),
        "scratch@5": scratch_accuracy(seed, 5),
    }


def anomaly(seed: int) -> Figures:
    """Ring and cross against a model of one normal class, or of all ten; score: mean squared error of an image."""
    figures: Figures = {}
    odd, _ = images(seed, "test", 500, classes=("ring", "cross"))
    for name, classes in (("one_class", ("house",)), ("mixed", None)):
        pool, _ = images(seed, n=2000, classes=classes)
        normal, _ = images(seed, "test", 500, classes=classes)
        both = torch.cat([normal, odd])
        truth = torch.cat([torch.zeros(len(normal)), torch.ones(len(odd))]).bool()
        model = fit_autoencoder(pool, seed=seed, steps=600, code=16)
        with torch.no_grad():
            error = ((torch.cat([model(part) for part in both.split(500)]) - both) ** 2).mean(dim=(1, 2, 3))
        figures[f"{name}_autoencoder"] = auroc(error, truth)
        pca = PCA(16).fit(pool.flatten(1).numpy())
        flat = both.flatten(1).numpy()
        residual = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean(1)
        figures[f"{name}_pca"] = auroc(torch.from_numpy(residual), truth)
    return figures


def test_time_adaptation(seed: int) -> Figures:
    """BatchNorm statistics recomputed on the (unlabeled) test images of another domain (Schneider et al. 2020)."""
    model = teacher_of(seed)
    x, y = images(seed, "test", TEST)
    faint, _ = images(seed, "test", TEST, contrast=0.25)
    figures: Figures = {"clean": accuracy(model, x, y)}
    for name, shifted in (("low_contrast", faint), ("inverted", 1 - x)):
        figures[f"{name}_before"] = accuracy(model, shifted, y)
        adapted = copy.deepcopy(model)
        for module in adapted.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        adapted.train()
        with torch.no_grad():
            for part in shifted.split(200):
                adapted(part)
        figures[f"{name}_adapted"] = accuracy(adapted, shifted, y)
    return figures

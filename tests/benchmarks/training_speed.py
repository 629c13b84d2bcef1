"""Is `fit` as fast as a loop written by hand, and are batches cheaper than a DataLoader that transforms each image?

    python -m tests.benchmarks.training_speed            # about two minutes on two cores
    python -m tests.benchmarks.training_speed --rounds 3 # a quick look

The two sides of every ratio take turns in one run, so that a busy machine hurts both alike. On a CPU, CPU seconds are
counted; on a GPU, seconds with the device synchronized (the DataLoader's cost is CPU seconds there too). The figures
go to results/benchmarks/training_speed.<device>.json. A benchmark, not a test: it exits with 1 when a goal is missed,
and no test runs it.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import settings
from course_lib.data import Batches
from course_lib.data.augment import compose, random_crop, random_horizontal_flip
from course_lib.models import Classifier, ConvEncoder, LinearAutoencoder, torchvision_backbone
from course_lib.training import fit

GOAL_LOOP = 1.05  # fit's time a step, as a multiple of the loop written by hand
GOAL_DATA = 5.0  # CPU time of the DataLoader's epoch, as a multiple of ours


def loop_by_hand(
    model: nn.Module, batches: Batches, loss_fn: Callable, *, steps: int, dtype: torch.dtype | None
) -> list:
    """What a careful person writes: the same optimizer, schedule, precision and record of the loss as `fit`."""
    device = settings.device()
    model.to(device, memory_format=torch.channels_last)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    losses: list = []
    while len(losses) < steps:
        for batch in batches:
            with torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
                loss = loss_fn(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.detach() if device.type == "cuda" else loss.item())
            if len(losses) == steps:
                break
    return losses


def classify(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return F.cross_entropy(model(x), y)


def reconstruct(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.mse_loss(model(batch[0]), batch[0])


def make_images(n: int, channels: int, side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 10, (n,), generator=generator)


def clock() -> float:
    if settings.device().type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


@contextlib.contextmanager
def hidden_progress() -> Iterator[None]:
    """The progress bar is drawn, since that is fit's default, but into the void."""
    with open(os.devnull, "w") as void, contextlib.redirect_stderr(void):
        yield


def alternate(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Times the sides in turn, each round beginning with another one, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(rounds + 1):
        for k in range(len(names)):
            name = names[(turn + k) % len(names)]
            gc.collect()
            start = clock()
            sides[name]()
            if turn:
                times[name].append(clock() - start)
    return times


def compare_loops(
    name: str, model: nn.Module, batches: Batches, loss_fn: Callable, precision: str, steps: int, rounds: int
) -> dict:
    dtype = {"float32": None, "bfloat16": torch.bfloat16}[precision]

    def ours() -> None:
        with hidden_progress():
            fit(copy.deepcopy(model), batches, loss_fn, steps=steps, precision=precision)

    def by_hand() -> None:
        loop_by_hand(copy.deepcopy(model), batches, loss_fn, steps=steps, dtype=dtype)

    times = alternate({"fit": ours, "by_hand": by_hand}, rounds)
    per_step = {side: statistics.median(values) / steps * 1e3 for side, values in times.items()}
    # Rounds are pairs measured next to each other; the median of their ratios is steadier than the ratio of medians.
    ratio = statistics.median(a / b for a, b in zip(times["fit"], times["by_hand"], strict=True))
    return {
        "what": name,
        "precision": precision,
        "fit_ms_per_step": round(per_step["fit"], 4),
        "by_hand_ms_per_step": round(per_step["by_hand"], 4),
        "ratio": round(ratio, 4),
        "rounds": rounds,
        "steps": steps,
    }


class OneByOne(torch.utils.data.Dataset):
    """The usual recipe: each image is a PIL image, as torchvision's data sets return it, and is transformed by "
    "itself."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable) -> None:
        from PIL import Image

        arrays = images.permute(0, 2, 3, 1).numpy()
        self.pixels: list[np.ndarray] = [array[..., 0] if array.shape[2] == 1 else array for array in arrays]
        self.labels, self.transform, self.from_array = labels.tolist(), transform, Image.fromarray

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.from_array(self.pixels[index])), self.labels[index]


def compare_data(name: str, channels: int, side: int, n: int, rounds: int) -> dict:
    """One augmented epoch, random crop and horizontal flip, without training. CPU seconds in both."""
    from torchvision import transforms

    images, labels = make_images(n, channels, side)
    usual = transforms.Compose(
        [transforms.RandomCrop(side, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    )
    loader = torch.utils.data.DataLoader(OneByOne(images, labels, usual), batch_size=128, shuffle=True, num_workers=0)
    batches = Batches(
        images, labels, batch_size=128, shuffle=True, augment=compose(random_crop, random_horizontal_flip)
    )
    device = settings.device()

    def epoch(data) -> Callable[[], None]:
        def run() -> None:
            for x, y in data:
                x.to(device), y.to(device)

        return run

    times: dict[str, list[float]] = {"loader": [], "batches": []}
    sides = {"loader": epoch(loader), "batches": epoch(batches)}
    for turn in range(rounds + 1):
        for side_name, run in sides.items():
            start = time.process_time()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                times[side_name].append(time.process_time() - start)
    seconds = {side_name: statistics.median(values) for side_name, values in times.items()}
    ratio = statistics.median(a / b for a, b in zip(times["loader"], times["batches"], strict=True))
    return {
        "what": name,
        "images": n,
        "loader_cpu_s": round(seconds["loader"], 4),
        "batches_cpu_s": round(seconds["batches"], 4),
        "ratio": round(ratio, 2),
        "rounds": rounds,
    }


def throughput_share(batch_size: int, steps: int, rounds: int) -> dict:
    """Images per second of `fit` on an augmented data set, as a share of the bare forward and backward of one batch."""
    device = settings.device()
    images, labels = make_images(50_000, 3, 32)
    augment = compose(random_crop, random_horizontal_flip)
    batches = Batches(images, labels, batch_size=batch_size, shuffle=True, augment=augment, drop_last=True)
    model = torchvision_backbone("resnet18", num_classes=10, small_images=True)
    x, y = next(iter(batches))
    bare_model = copy.deepcopy(model).to(device)
    x = x.contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        for _ in range(steps):
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss = F.cross_entropy(bare_model(x), y)
            loss.backward()
            bare_model.zero_grad()

    def ours() -> None:
        with hidden_progress():
            fit(copy.deepcopy(model), batches, steps=steps, precision="bfloat16")

    times = alternate({"fit": ours, "bare": bare}, rounds)
    rate = {side: steps * batch_size / statistics.median(values) for side, values in times.items()}
    return {
        "what": f"ResNet-18, 32x32 color, batch {batch_size}, bfloat16",
        "fit_images_per_s": round(rate["fit"]),
        "bare_images_per_s": round(rate["bare"]),
        "share": round(rate["fit"] / rate["bare"], 3),
    }


def environment() -> dict[str, str | int]:
    device = settings.device()
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        processor = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), processor)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor,
        "cores": os.cpu_count() or 1,
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }


@click.command()
@click.option("--rounds", default=9, show_default=True, help="How often the sides of each ratio take turns.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; default: results/benchmarks/.")
def main(rounds: int, out: Path | None) -> None:
    """Measures fit and Batches against their usual alternatives; writes a record and prints a table."""
    device = settings.device()
    settings.configure_threads()
    result: dict = {
        "environment": environment(),
        "goals": {"loop": GOAL_LOOP, "data": GOAL_DATA},
        "loops": [],
        "data": [],
    }
    gray, labels = make_images(4_000, 1, 28)
    small = Batches(gray, labels, batch_size=64, shuffle=True)
    color, color_labels = make_images(4_000, 3, 32)
    augmented = Batches(
        color, color_labels, batch_size=64, shuffle=True, augment=compose(random_crop, random_horizontal_flip)
    )
    steps = 60 if device.type == "cpu" else 200
    cases = [
        ("small CNN, 28x28 gray, batch 64", Classifier(ConvEncoder(), 10), small, classify, "float32", steps),
        ("small CNN, 28x28 gray, batch 64", Classifier(ConvEncoder(), 10), small, classify, "bfloat16", steps),
        ("small CNN, 32x32 color, augmented", Classifier(ConvEncoder(3), 10), augmented, classify, "float32", steps),
        ("linear autoencoder, 28x28, batch 64", LinearAutoencoder(784, 32), small, reconstruct, "float32", 10 * steps),
    ]
    if device.type == "cuda":
        big = Batches(*make_images(50_000, 3, 32), batch_size=512, shuffle=True)
        resnet = torchvision_backbone("resnet18", num_classes=10, small_images=True)
        cases.append(("ResNet-18, 32x32 color, batch 512", resnet, big, classify, "bfloat16", 100))

    click.echo(f"{result['environment']['device']}, {torch.get_num_threads()} torch thread(s), {rounds} rounds\n")
    click.echo(f"{'training loop':40} {'precision':10} {'fit ms':>9} {'by hand':>9} {'ratio':>7}")
    for name, model, batches, loss_fn, precision, count in cases:
        row = compare_loops(name, model, batches, loss_fn, precision, count, rounds)
        result["loops"].append(row)
        click.echo(
            f"{name:40} {precision:10} {row['fit_ms_per_step']:9.3f} {row['by_hand_ms_per_step']:9.3f} "
            f"{row['ratio']:7.3f}"
        )
    click.echo(f"\n{'augmented epoch, CPU seconds':51} {'loader':>9} {'batches':>9} {'ratio':>7}")
    for name, channels, side in (("28x28 gray", 1, 28), ("32x32 color", 3, 32)):
        row = compare_data(name, channels, side, 8_000, max(3, rounds // 2))
        result["data"].append(row)
        click.echo(
            f"{name + ', 8,000 images':51} {row['loader_cpu_s']:9.3f} {row['batches_cpu_s']:9.3f} {row['ratio']:7.2f}"
        )
    if device.type == "cuda":
        result["throughput"] = throughput_share(512, 100, max(3, rounds // 2))
        row = result["throughput"]
        click.echo(
            f"\nthroughput of {row['what']}: fit {row['fit_images_per_s']:,} images/s, bare forward-backward "
            f"{row['bare_images_per_s']:,}: {row['share']:.1%}"
        )
    missed = [f"{row['what']} ({row['precision']})" for row in result["loops"] if row["ratio"] > GOAL_LOOP]
    missed += [row["what"] for row in result["data"] if row["ratio"] < GOAL_DATA]
    file = out or settings.root() / "results" / "benchmarks" / f"training_speed.{device.type}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + "\n")
    click.echo(
        f"\ngoals: loop at most {GOAL_LOOP}x, data at least {GOAL_DATA}x: "
        f"{'missed by ' + ', '.join(missed) if missed else 'met'}"
    )
    click.echo(f"written to {file}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()

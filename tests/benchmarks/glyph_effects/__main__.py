"""Does glyphs show what the course teaches? Every effect of the curriculum, measured on the default data set.

    python -m tests.benchmarks.glyph_effects                      all rows, 3 seeds; what is measured already is kept
    python -m tests.benchmarks.glyph_effects --rows rotation_pretext,fixmatch --seeds 1
    python -m tests.benchmarks.glyph_effects --show               only prints the table

A benchmark, not a test: an hour of one CPU thread. The recipes are the units' in short: encoder 16-32-64, Adam, cosine
schedule, 8,000 images without labels, validation images outside that pool, 1,000 test images. A row "holds" when its
direction is seen on every seed; one that says that there is no reliable gain, when the mean over the seeds has none.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import click
import torch
from tqdm.auto import tqdm

from course_lib import settings
from tests.benchmarks.glyph_effects.expected import ROWS
from tests.benchmarks.glyph_effects.recipes import half_precision


def record_path() -> Path:
    return settings.root() / "results" / "benchmarks" / "glyph_effects.json"


def read_record(path: Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {"rows": {}}


def write_record(path: Path, record: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    os.replace(partial, path)


def natural(key: str) -> list[tuple[int, str]]:
    """Sorts "scratch@5" before "scratch@10"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", key)]


def table(record: dict) -> Iterator[str]:
    yield "| row | expected | measured (mean; each seed) | holds |"
    yield "|---|---|---|---|"
    for name, row in ROWS.items():
        seeds = record["rows"].get(row.of or name, {})
        if not seeds:
            yield f"| {name} | {row.expected} | not measured | |"
            continue
        runs = [entry["figures"] for _, entry in sorted(seeds.items())]
        figures = "; ".join(
            f"{key} {statistics.fmean(run[key] for run in runs):.2f} ({' '.join(f'{run[key]:.2f}' for run in runs)})"
            for key in sorted(runs[0], key=natural)
            if row.shown in key
        )
        judged = [{key: statistics.fmean(run[key] for run in runs) for key in runs[0]}] if row.on_mean else runs
        held = sum(row.holds(run) for run in judged)
        verdict = "yes" if held == len(judged) else f"on {held} of {len(judged)} {'means' if row.on_mean else 'seeds'}"
        yield f"| {name} | {row.expected} | {figures} | {verdict} |"


@click.command()
@click.option("--rows", default="", help="Rows to run, with commas; default all.")
@click.option("--seeds", default=3, show_default=True, help="How many seeds per row.")
@click.option("--record", type=click.Path(path_type=Path), default=None, help="The record; default in results/.")
@click.option("--fresh", is_flag=True, help="Measure again what is recorded already.")
@click.option("--show", is_flag=True, help="Only print the table of what is recorded.")
def main(rows: str, seeds: int, record: Path | None, fresh: bool, show: bool) -> None:
    """Measures the effects the course teaches on glyphs, one CPU thread; can be stopped and resumed."""
    wanted = [name.strip() for name in rows.split(",") if name.strip()] or list(ROWS)
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        raise click.UsageError(f"There is no row {', '.join(unknown)}; the rows are {', '.join(ROWS)}.")
    wanted = list(dict.fromkeys(ROWS[name].of or name for name in wanted))
    path = record or record_path()
    kept = read_record(path)
    if not show:
        torch.set_num_threads(1)
        todo = [(s, n) for s in range(seeds) for n in wanted if fresh or str(s) not in kept["rows"].get(n, {})]
        for seed, name in tqdm(todo, desc="glyph effects", unit="run"):
            began = time.process_time()
            figures = ROWS[name].run(seed)
            kept = read_record(path)
            kept["environment"] = {
                "torch": torch.__version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
                "threads": 1,
                "precision": "bfloat16" if half_precision() else "float32",
            }
            kept["rows"].setdefault(name, {})[str(seed)] = {
                "figures": {key: round(float(value), 4) for key, value in figures.items()},
                "cpu_seconds": round(time.process_time() - began, 1),
            }
            write_record(path, kept)
            tqdm.write(f"{name} seed {seed} {kept['rows'][name][str(seed)]}")
    print("\n".join(table(kept)))


if __name__ == "__main__":
    main()

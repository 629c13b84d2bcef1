"""What fills .venv: uv where it is or can be had, pip otherwise. Only the standard library is used, as in `set_up`.

uv needs a tenth of pip's time, and it chooses the build of PyTorch that fits the machine: without an NVIDIA GPU the one
for the CPU, a tenth of the other's size. These builds lie on an index of PyTorch's own. Where that one cannot be
reached, torch comes from the default index like all other packages.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

BUILT_WITH = "setuptools>=77"
FITTING_TORCH = "--torch-backend=auto"
NO_FITTING_TORCH = (
    "That did not work with PyTorch's own index (is it out of reach? The lines above say). "
    "Taking torch from the default one: on Linux that is a build for GPUs too, some GB larger."
)
NO_UV = "uv could not do it; going on with pip, which takes longer."
# What a person told pip about where packages come from, in uv's words.
OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "constraint": "--constraint",
    "trusted-host": "--allow-insecure-host",
}
VARIABLES = {"cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY"}
# pip takes the best version of all its indexes; uv by itself takes the first index that has the package.
LIKE_PIP = "--index-strategy=unsafe-best-match"


def install(python: Path, root: Path) -> bool:
    """Installs the project at `root`, as it lies there, with all that it needs; whether that worked."""
    uv = find_uv(python)
    if uv:
        told, variables = settings_of_pip(python)
        command: list[str | Path] = [uv, "pip", "install", "--python", python, *told]
        if _call([*command, BUILT_WITH], variables):
            # Compiled now, by all cores, as pip does. Otherwise the first start compiles what it imports, by one core.
            project: list[str | Path] = ["--compile-bytecode", "--no-build-isolation", "-e", root]
            if _call([*command, FITTING_TORCH, *project], variables):
                return True
            print(NO_FITTING_TORCH, flush=True)
            if _call([*command, *project], variables):
                return True
        print(NO_UV, flush=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    return _call([*pip, "--quiet", BUILT_WITH]) and _call([*pip, "--no-build-isolation", "-e", root])


def find_uv(python: Path) -> str | None:
    """uv, if it can choose a build of PyTorch: the one on the path, the environment's own, or one installed there now.

    Args:
        python: the environment's interpreter.
    """
    own = python.with_name("uv.exe" if os.name == "nt" else "uv")
    for uv in (shutil.which("uv"), str(own)):
        if uv and FITTING_TORCH.partition("=")[0] in _output([uv, "pip", "install", "--help"]):
            return uv
    pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    return str(own) if _call([*pip, "--quiet", "--retries", "1", "uv"]) and own.exists() else None


def settings_of_pip(python: Path) -> tuple[list[str], dict[str, str]]:
    """A mirror, a proxy and the like that were set for pip, as options and variables for uv, which does not read them.

    Where uv has settings of its own, in variables or a file, they count for what pip is not told.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}  # later ones count more
    for line in _output([python, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            try:
                found[section][key] = str(ast.literal_eval(value))
            except (SyntaxError, ValueError):
                continue
    merged = {**found["global"], **found["install"], **found[":env:"]}
    options: list[str] = []
    for key, option in OPTIONS.items():
        for value in merged.get(key, "").split():
            options += [option, value]
    if "extra-index-url" in merged:
        options.append(LIKE_PIP)
    return options, {variable: merged[key] for key, variable in VARIABLES.items() if key in merged}


def _call(words: Sequence[str | Path], more: Mapping[str, str] | None = None) -> bool:
    """Whether a command worked. Its lines are seen; `more` are variables that it gets unless they are set already."""
    return subprocess.call([str(word) for word in words], env={**(more or {}), **os.environ}) == 0


def _output(words: Sequence[str | Path]) -> str:
    """What a command printed; "" where it cannot be started or failed."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace")
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""

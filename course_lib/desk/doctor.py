"""`course doctor`: what this machine has, what is missing, and how to fix it. Looks, and changes nothing."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from course_lib import __version__, settings

PACKAGES = (
    "torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "ipywidgets", "jupyterlab", "jupytext", "nbformat",
    "nbclient", "nbgrader",
)  # fmt: skip


class Mark(StrEnum):
    """How well a thing is."""

    OK = "ok"
    NOTE = "note"  # works, less well
    BROKEN = "broken"  # something will not run


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    mark: Mark
    name: str
    text: str
    fix: str = ""


def examine() -> list[Finding]:
    """Looks at the interpreter, packages, device, data, isolation and folders; never raises."""
    findings: list[Finding] = []
    for look in (_python, _packages, _torch, _switches, _kernel, _data, _isolation, _grading, _folders, _disk):
        try:
            findings += list(look())
        except Exception as error:
            findings.append(Finding(Mark.NOTE, look.__name__.strip("_"), f"could not be looked at: {error}"))
    return findings


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    fix = "" if good else "install Python 3.11, 3.12 or 3.13, then with it: python -m course_lib lab"
    yield Finding(
        Mark.OK if good else Mark.BROKEN, "python", f"{version} on {platform.platform()}, {sys.executable}", fix
    )
    yield Finding(Mark.OK, "course", f"{__version__} in {settings.root()}")


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding(Mark.OK, "packages", ", ".join(found))
    if missing:
        fix = "python -m course_lib set-up, or: pip install -e ."
        yield Finding(Mark.BROKEN, "packages", "missing: " + ", ".join(missing), fix)


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        yield Finding(
            Mark.BROKEN, "torch", f"cannot be imported: {error}", "pip install --force-reinstall torch torchvision"
        )
        return
    try:
        device = settings.device()
    except ValueError as error:
        yield Finding(Mark.BROKEN, "device", str(error), "unset COURSE_DEVICE, or name one that is there")
    else:
        name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
        yield Finding(Mark.OK, "device", f"{device}{name}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        yield Finding(Mark.OK, "threads", f"{settings.thread_count()} for torch, {cores} cores to use")
    except ValueError as error:
        yield Finding(Mark.BROKEN, "threads", str(error), "unset COURSE_THREADS")


def _switches() -> Iterator[Finding]:
    try:
        profile = settings.profile()
    except ValueError as error:
        yield Finding(Mark.BROKEN, "profile", str(error), "unset COURSE_PROFILE")
    else:
        yield Finding(Mark.OK, "profile", f"{profile}, data set {settings.dataset_name()}")
    if settings.dataset_name() not in settings.DATASETS:
        known = ", ".join(settings.DATASETS)
        yield Finding(Mark.BROKEN, "data set", f"COURSE_DATASET is {settings.dataset_name()!r}", f"one of {known}")


def _kernel() -> Iterator[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding(
            Mark.BROKEN, "kernel", "Jupyter has no kernel python3", "python -m ipykernel install --sys-prefix"
        )
        return
    program = spec.argv[0] if spec.argv else ""
    if os.path.isabs(program) and not os.path.samefile(Path(program).parent, Path(sys.executable).parent):
        text = f"python3 starts {program}, another Python than this one, so course_lib may be missing there"
        yield Finding(Mark.NOTE, "kernel", text, f"{sys.executable} -m ipykernel install --sys-prefix")
    else:
        yield Finding(Mark.OK, "kernel", f"python3 in {spec.resource_dir}")


def _data() -> Iterator[Finding]:
    """The data sets in `COURSE_DATA`, as the loader finds them, and what a folder of one's own images holds."""
    from course_lib.data import idx_files, torchvision_sets
    from course_lib.data.folder import split_folder
    from course_lib.data.torchvision_sets import TITLES

    wanted, folder = settings.dataset_name(), settings.data_folder()
    how = "set COURSE_DATA to the folder that holds your train/<class>/ and test/<class>/"
    if folder is None:
        text = "glyphs and digits need no file; COURSE_DATA is not set, so others are downloaded when online"
        yield Finding(Mark.OK, "data", text)
        if wanted == "folder":
            yield Finding(Mark.BROKEN, "data", "COURSE_DATASET is folder, and COURSE_DATA names none", how)
        return
    if not folder.is_dir():
        mark = Mark.BROKEN if wanted == "folder" else Mark.NOTE
        what = f"COURSE_DATA is {folder}, which is not a folder"
        yield Finding(mark, "data", what, "set it to a folder, or unset it")
        return
    there = []
    for name in TITLES:
        try:
            splits = [split for split in ("train", "test") if torchvision_sets.is_in(name, split, folder)]
        except idx_files.NotIdx as error:
            yield Finding(Mark.NOTE, "data", str(error), "delete that file; it is downloaded again when online")
            continue
        if splits:
            there.append(name if len(splits) == 2 else f"{name} ({splits[0]} only)")
    own = [place for place in (folder, *idx_files.subfolders(folder)) if split_folder(place, "train")]
    names = ", ".join([*there, *(place.name for place in own)])
    text = f"{folder} holds {names or 'no data set that the course knows'}; glyphs and digits need no file"
    yield Finding(Mark.OK if names else Mark.NOTE, "data", text)
    if wanted in TITLES and wanted not in there:
        text = f"COURSE_DATASET is {wanted}, and {folder} does not hold all of it"
        yield Finding(Mark.NOTE, "data", text, "it is downloaded when online; COURSE_DATASET=digits needs no file")
    if wanted == "folder" and folder not in own:
        yield Finding(Mark.BROKEN, "data", f"COURSE_DATASET is folder, and {folder} has no folder train", how)
    for place in own:
        yield from _own_images(place, Mark.BROKEN if wanted == "folder" and place == folder else Mark.NOTE)


def _own_images(place: Path, mark: Mark) -> Iterator[Finding]:
    """What lies in a folder of images, and what of it is not taken; `mark` is for what no notebook can start with."""
    from course_lib.data import DataNotFound
    from course_lib.data.folder import look_into

    try:
        found = look_into(place, "train")
    except DataNotFound as error:
        yield Finding(mark, "data", str(error), "put images there, or move the folder away")
        return
    counts = ", ".join(_count(split, found.files[split]) for split in found.files)
    classes = f"{len(found.class_names)} {'class' if len(found.class_names) == 1 else 'classes'}"
    fix = "" if place == settings.data_folder() else f"to use them: COURSE_DATASET=folder COURSE_DATA={place}"
    yield Finding(Mark.OK, "data", f"{place.name}: {classes}, {counts}", fix)
    for sentence in [sentence for split in found.files for sentence in found.notes[split]]:
        yield Finding(Mark.NOTE, "data", sentence)
    if "test" not in found.files:
        text = f"{place} has no folder test, and the notebooks measure on its images"
        yield Finding(mark, "data", text, f"move a fifth of each class's images to {place / 'test'}/<class>")


def _count(split: str, files: Mapping[str, Sequence[Path]]) -> str:
    """Such as "train 606 images (1 to 100 per class)"."""
    sizes = [len(images) for images in files.values()] or [0]
    each = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]}"
    return f"{split} {sum(sizes):,} {'image' if sum(sizes) == 1 else 'images'} ({each} per class)"


def _isolation() -> Iterator[Finding]:
    """What graders can lock a submission into."""
    if sys.platform != "linux":
        text = "none: isolated grading needs Linux. Learning does not"
        yield Finding(Mark.NOTE, "isolation", text, "grade on Linux, or in WSL2 on Windows")
        return
    have = []
    reason = namespaces_refused()
    if not reason:
        have.append("user namespaces")
    if shutil.which("bwrap"):
        have.append("bubblewrap")
    landlock = landlock_version()
    if landlock:
        have.append(f"Landlock (version {landlock})")
    yield Finding(Mark.OK if have else Mark.NOTE, "isolation", ", ".join(have) or "none")
    if reason:
        ubuntu = "Ubuntu 24.04: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        container = "in a container: start it with --security-opt seccomp=unconfined"
        fix = f"{ubuntu}; {container}. Only grading needs it"
        yield Finding(Mark.NOTE, "isolation", f"user namespaces are refused here ({reason})", fix)


def _grading() -> Iterator[Finding]:
    """The isolation that `course grade` gets here, found by starting what it starts."""
    if sys.platform != "linux" or not (settings.root() / "solutions").is_dir():  # a student's copy has no grader
        return
    from course_lib.grading.inside.protocol import Isolation
    from course_lib.grading.outside import isolation, memory
    from course_lib.grading.outside.options import GraderFault, Options
    from course_lib.grading.outside.zygotes import Zygote

    try:
        with Zygote(Options()) as started:
            level = started.level
    except (isolation.IsolationError, GraderFault) as fault:
        yield Finding(Mark.NOTE, "grading", "course grade gets no isolation here, and refuses to grade", str(fault))
        return
    text = f"course grade gets isolation '{level}' here"
    if level == Isolation.NAMESPACES:
        yield Finding(Mark.OK, "grading", text)
    else:
        gaps = f"the lower level: {isolation.landlock_gaps()}"
        yield Finding(Mark.NOTE, "grading", f"{text}, {gaps}", isolation.HOW_TO_FIX[Isolation.NAMESPACES])
    if memory.why_not():
        text = f"memory is limited for each process of a submission, not for all together: {memory.why_not()}"
        yield Finding(Mark.NOTE, "grading", text, "mount /proc, on Linux 4.14 or later")


def namespaces_refused() -> str:
    """Why a process here cannot make user, mount, pid, net and ipc namespaces; empty when it can."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--fork", "true"]
    if not shutil.which("unshare"):
        return "there is no unshare command to try it with"
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["unknown reason"])[-1]


def landlock_version() -> int:
    """The kernel's Landlock version, 0 without it (Linux only)."""
    create_ruleset, ask_version = 444, 1
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return max(
            0, libc.syscall(ctypes.c_long(create_ruleset), None, ctypes.c_size_t(0), ctypes.c_uint32(ask_version))
        )
    except (OSError, AttributeError):
        return 0


def _folders() -> Iterator[Finding]:
    from course_lib.desk.workspace import work_folder

    root = settings.root()
    folders = {"work": work_folder(root), "class": root / "class", "results": root / "results"}
    if not (root / "solutions").is_dir():  # a student's copy has no grader
        del folders["class"]
    for name, folder in folders.items():
        reason = unwritable(folder)
        fix = (
            ""
            if not reason
            else f"chmod -R u+w {folder}" + ("; or COURSE_WORK=/other/folder" if name == "work" else "")
        )
        mark = Mark.OK if not reason else Mark.BROKEN if name == "work" else Mark.NOTE
        yield Finding(
            mark, f"{name}/", f"{folder} " + (f"cannot be written to: {reason}" if reason else "is writable"), fix
        )


def unwritable(folder: Path) -> str:
    """Why files cannot be made in a folder or in the one it would be made in; empty when they can."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(settings.root()).free / 1e9
    mark = Mark.OK if free > 1 else Mark.NOTE
    yield Finding(mark, "disk", f"{free:.0f} GB free", "" if free > 1 else "free some space: notebooks are saved here")

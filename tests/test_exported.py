"""Exported classifiers: written and read with their class names; a file that could run code is refused unread."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zipfile

import pytest
import torch
from torch import nn

from course_lib import exported
from course_lib.models import Classifier, ConvEncoder

NAMES, SHAPE = ("cup", "key", "star"), (1, 12, 12)
pytestmark = pytest.mark.slow  # the first export of a process loads a compiler


class FromBytes(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images.float() / 255).softmax(dim=1)


@pytest.fixture(scope="module")
def module():
    return FromBytes(Classifier(ConvEncoder(1, (4, 6)), 3)).eval()


@pytest.fixture(scope="module")
def content(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "inner" / "model.pt2"
    example = torch.zeros(2, *SHAPE, dtype=torch.uint8)
    program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exported.save(program, path, class_names=NAMES, shape=SHAPE) == path
    return path.read_bytes()


def images(count):
    return torch.randint(0, 256, (count, *SHAPE), generator=torch.Generator().manual_seed(count)).to(torch.uint8)


def changed(content, **parts):
    """The file with some parts replaced: the end of a part's name -> its new bytes, or a function of the old ones."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for ending, value in parts.items():
                if name.endswith(ending.replace("__", "/").replace("_json", ".json").replace("_pt", ".pt")):
                    data = value(data) if callable(value) else value
            new.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_model_that_is_read_again_gives_the_same_probabilities(content, module, count):
    served = exported.loads(content)
    assert served.class_names == NAMES and served.shape == SHAPE
    with torch.no_grad():
        torch.testing.assert_close(served(images(count)), module(images(count)))
    assert not served(images(count)).requires_grad


@pytest.mark.parametrize("wrong", [torch.zeros(2, 1, 12, 12), images(2)[:, :, :8], images(2)[0], images(2)[:0]])
def test_other_images_are_refused_with_a_sentence(content, wrong):
    with pytest.raises(ValueError, match="at least one of 1x12x12, uint8, is expected"):
        exported.loads(content)(wrong)


def test_the_file_needs_torch_alone(content, tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(content)
    code = (
        "import sys, torch\n"
        f"program = torch.export.load({str(path)!r})\n"
        "print(program.module()(torch.zeros(5, 1, 12, 12, dtype=torch.uint8)).shape, 'course_lib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "torch.Size([5, 3]) False", done.stderr


class Payload:
    def __reduce__(self):
        return print, ("the code in the file ran",)


def pickled(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def with_config(data):
    found = json.loads(data)
    next(iter(found["config"].values()))["use_pickle"] = True
    return json.dumps(found).encode()


def with_target(target):
    def replaced(data):
        found = json.loads(data)
        found["graph_module"]["graph"]["nodes"][0]["target"] = target
        return json.dumps(found).encode()

    return replaced


def with_expression(data):
    return data.replace(b"Symbol('s", b"__import__('os').system('true') or Symbol('s")


def with_guard(data):
    return json.dumps(json.loads(data) | {"guards_code": ["__import__('os').system('true')"]}).encode()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"sample_inputs__model_pt": pickled(Payload())}, "sample_inputs/model.pt is a pickle that may hold code"),
        ({"weight_0": pickled(Payload())}, "weight_0 is a pickle"),
        ({"weights_config_json": with_config}, "use_pickle"),
        ({"models__model_json": with_target("torch.hub.load")}, "torch.hub.load"),
        ({"models__model_json": with_target("torch.ops.aten.relu.default; import os")}, "target"),
        ({"models__model_json": with_expression}, "expr_str"),
        ({"models__model_json": with_guard}, "guards_code"),
        ({"extra__course_lib_json": b"[]"}, "names of its classes"),
        ({"extra__course_lib_json": b'{"class_names": ["a"], "shape": [1, 0, 2]}'}, "shape of its images"),
        ({"models__model_json": b"{}"}, "not an exported classifier"),
    ],
)
def test_a_file_that_may_hold_code_is_refused_and_nothing_runs(content, parts, message, capfd):
    with pytest.raises(exported.NotAModel, match=message):
        exported.loads(changed(content, **parts), name="strange.pt2")
    assert "ran" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("archive/data/aotinductor/model/code.so", "code.so"),  # torch would load it as a library
        ("archive/data/constants/custom_obj_0", "custom_obj_0"),
        ("archive/models/other.json", "other.json"),
        ("another/models/model.json", "a part twice"),
        ("archive/models/model.json", "a part twice"),
    ],
)
def test_a_part_that_we_do_not_write_is_refused(content, name, message):
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that is there already
        archive.writestr(name, b"{}")
    with pytest.raises(exported.NotAModel, match=message):
        exported.loads(out.getvalue())


@pytest.mark.parametrize("data", [b"", b"no archive", pickled(nn.Linear(2, 2)), pickled({"weight": torch.zeros(2)})])
def test_another_file_is_refused(data, tmp_path):
    path = tmp_path / "other.pt2"
    path.write_bytes(data)
    with pytest.raises(exported.NotAModel, match=r"other\.pt2"):
        exported.load(path)


def test_a_missing_file_and_wrong_arguments(module, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        exported.load(tmp_path / "none.pt2")
    with pytest.raises(TypeError, match=r"torch\.export\.export returns"):
        exported.save(module, tmp_path / "model.pt2", class_names=NAMES, shape=SHAPE)

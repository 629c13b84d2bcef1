"""`course predict`: pictures on the command line, and the page that sends drawings to this machine alone."""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.request

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from course_lib import exported
from course_lib.desk import predicting
from course_lib.desk.cli import cli

SHAPE = (1, 6, 6)


class Brightness(nn.Module):
    def forward(self, images):
        share = images.float().mean(dim=(1, 2, 3)) / 255
        return torch.stack([share, 1 - share], dim=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    example = torch.zeros(2, *SHAPE, dtype=torch.uint8)
    program = torch.export.export(Brightness(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    path = tmp_path_factory.mktemp("model") / "model.pt2"
    return exported.save(program, path, class_names=("bright", "dark"), shape=SHAPE)


@pytest.fixture
def pictures(tmp_path):
    Image.new("L", (30, 20), 230).save(tmp_path / "light.png")
    Image.new("RGB", (9, 40), (20, 20, 20)).save(tmp_path / "black.jpg")
    return [str(tmp_path / "light.png"), str(tmp_path / "black.jpg")]


def course(*arguments):
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def test_a_line_per_picture(model, pictures):
    done = course("predict", model, *pictures)
    assert done.exit_code == 0, done.output
    assert [line.split()[1:] for line in done.output.splitlines()] == [["bright", "90.2%"], ["dark", "92.2%"]]


def test_as_json_and_inverted(model, pictures):
    done = course("predict", model, pictures[0], "--json", "--invert")
    (found,) = json.loads(done.output)
    assert found["class"] == "dark" and found["probabilities"] == {"bright": 0.098, "dark": 0.902}
    assert found["image"] == pictures[0]


def test_what_cannot_be_used_is_told_in_a_sentence(model, pictures, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    torch.save(Brightness(), tmp_path / "pickled.pt2")
    for arguments, message in (
        ((model,), "at least one image"),
        ((model, tmp_path / "none.png"), "no file"),
        ((model, tmp_path / "text.png"), "text.png"),
        ((tmp_path / "none.pt2", pictures[0]), "no file"),
        ((tmp_path / "pickled.pt2", pictures[0]), "exported.save"),
    ):
        done = course("predict", *arguments)
        assert done.exit_code == 2 and message in done.output and "Traceback" not in done.output, done.output


@pytest.fixture
def address(model):
    server = predicting.make_server(exported.load(model), "model.pt2", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    assert server.server_address[0] == "127.0.0.1"
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def asked(address, path="/", data=None, **headers):
    request = urllib.request.Request(address + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def drawing(value, count=36):
    return json.dumps({"pixels": base64.b64encode(bytes([value] * count)).decode()}).encode()


def test_the_page_asks_for_drawings_and_nothing_from_elsewhere(address):
    status, page = asked(address)
    assert status == 200 and "[1, 6, 6]" in page and "/predict" in page
    assert "http://" not in page and "https://" not in page
    assert asked(address, "/etc/passwd")[0] == 404


def test_a_drawing_is_predicted(address):
    status, answer = asked(address, "/predict", drawing(255))
    assert status == 200 and json.loads(answer)["class"] == "bright" and json.loads(answer)["probability"] == 1.0


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", drawing(9, 35), b'{"pixels": "*"}', b'{"pixels": 3}'])
def test_what_is_not_a_drawing_is_refused(address, data):
    status, answer = asked(address, "/predict", data)
    assert status == 400 and json.loads(answer)["error"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_other_sites_are_not_answered(address, headers):
    assert asked(address, "/predict", drawing(255), **headers)[0] == 403
    assert asked(address, "/", **headers)[0] == 403

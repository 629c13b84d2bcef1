"""`course predict`: an exported classifier on pictures, or on drawings in a page of this machine."""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import Tensor

    from course_lib.exported import ExportedClassifier

PORT = 8780
MOST_BYTES = 4 << 20  # of a drawing


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of lines.")
@click.option("--page", is_flag=True, help="Open a page to draw on, on this machine alone, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port of the page.")
@click.option("--invert", is_flag=True, help="Dark strokes on a light ground become light on dark.")
def predict(model: Path, images: tuple[Path, ...], as_json: bool, page: bool, port: int, invert: bool) -> None:
    """Predict the class of each of the IMAGES with an exported MODEL, a .pt2 file of unit 12.

    \b
    course predict work/12_capstone/model.pt2 photo.png scan.jpg
    course predict work/12_capstone/model.pt2 --page

    A picture is cut to a square and scaled to the size that the model was trained on.
    """
    from course_lib import exported

    if not images and not page:
        raise click.UsageError("Name at least one image, or give --page.")
    classifier = exported.load(model)
    if page:
        _serve(classifier, model, port)
        return
    results = [_result(classifier, str(path), read(path, classifier.shape, invert=invert)) for path in images]
    if as_json:
        click.echo(json.dumps(results))
        return
    width = max(len(result["image"]) for result in results)
    for result in results:
        click.echo(f"{result['image']:<{width}}  {result['class']}  {result['probability']:.1%}")


def read(path: Path, shape: tuple[int, int, int], *, invert: bool = False) -> Tensor:
    """A picture as a batch of one for a model of this image shape, uint8 (1, C, H, W).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a picture.
    """
    import torch

    from course_lib.data.image_files import read_images

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    channels, height, width = shape
    image = read_images([path], size=max(height, width), channels=3 if channels == 3 else 1)
    if (height, width) != tuple(image.shape[2:]):
        scaled = torch.nn.functional.interpolate(image.float(), (height, width), mode="bilinear")
        image = scaled.round().to(torch.uint8)
    return 255 - image if invert else image


def _result(classifier: ExportedClassifier, name: str, image: Tensor) -> dict[str, Any]:
    probabilities = classifier(image)[0].tolist()
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return {
        "image": name,
        "class": classifier.class_names[best],
        "probability": round(probabilities[best], 4),
        "probabilities": {k: round(p, 4) for k, p in zip(classifier.class_names, probabilities, strict=True)},
    }


# --- the page -------------------------------------------------------------------------------------------------------


def _serve(classifier: ExportedClassifier, model: Path, port: int) -> None:
    try:
        server = make_server(classifier, model.name, port)
    except OSError as error:
        raise click.ClickException(
            f"Port {port} cannot be used ({error.strerror}); give another one with --port."
        ) from None
    click.echo(f"Draw on http://127.0.0.1:{server.server_address[1]} ; Ctrl-C ends it.")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("The page is closed.")
    finally:
        server.server_close()


def make_server(classifier: ExportedClassifier, name: str, port: int) -> ThreadingHTTPServer:
    """A server on the loopback address: GET / is the page, POST /predict takes pixels and gives probabilities."""
    page = _PAGE.replace("@SHAPE@", json.dumps(classifier.shape)).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._is_ours():
                found = self.path in ("/", "/index.html")
                self._answer(200 if found else 404, page if found else b"There is no such page.", "text/html")

        def do_POST(self) -> None:
            if not self._is_ours():
                return
            length = self.headers.get("Content-Length", "")
            if self.path != "/predict" or not length.isdigit() or int(length) > MOST_BYTES:
                self._answer(400, b'{"error": "a drawing is expected at /predict"}', "application/json")
                return
            try:
                answer = _result(classifier, name, _drawing(json.loads(self.rfile.read(int(length))), classifier.shape))
                self._answer(200, json.dumps(answer).encode(), "application/json")
            except (ValueError, KeyError, TypeError) as error:
                self._answer(400, json.dumps({"error": str(error)}).encode(), "application/json")

        def _is_ours(self) -> bool:
            """Whether the page itself asks: a page of another site may reach this port too, by a name of its own."""
            own = {f"127.0.0.1:{server.server_address[1]}", f"localhost:{server.server_address[1]}"}
            origin = self.headers.get("Origin", "")
            if self.headers.get("Host", "") in own and (not origin or origin.removeprefix("http://") in own):
                return True
            self._answer(403, b"Only this machine's own page is answered.", "text/plain")
            return False

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: a line per stroke would fill the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    return server


def _drawing(sent: dict[str, Any], shape: tuple[int, int, int]) -> Tensor:
    """The pixels that the page sends, base64 of H * W gray bytes, as a batch of one: uint8 (1, C, H, W)."""
    import torch

    channels, height, width = shape
    pixels = base64.b64decode(sent["pixels"], validate=True)
    if len(pixels) != height * width:
        raise ValueError(f"{len(pixels)} pixels were sent; {height * width} are expected.")
    gray = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(1, 1, height, width)
    return gray.expand(1, channels, height, width).contiguous()


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Try the model</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
main { display: flex; flex-wrap: wrap; gap: 2rem; }
canvas { background: #000; border: 1px solid #777; touch-action: none; width: 280px; height: 280px; cursor: crosshair; }
button { font: inherit; padding: .3rem 1rem; margin-top: .5rem; }
table { border-collapse: collapse; } td { padding: .1rem .4rem; }
.bar { background: #0072b2; height: 1rem; } .track { width: 10rem; background: #eee; }
#said { min-height: 1.6em; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } .track { background: #333; } }
</style>
<h1>Try the model</h1>
<p>Draw in the black square, in white and as large as the images of the data set. The model sees your drawing scaled to
its own size, shown beside it.</p>
<main>
<div><canvas id="pad" width="280" height="280" role="img" aria-label="Drawing area"></canvas><br>
<button id="clear">Clear</button></div>
<div><p id="said" role="status">Nothing is drawn yet.</p><table id="bars"></table></div>
<div><canvas id="small" style="width:112px;height:112px;image-rendering:pixelated" role="img"
aria-label="What the model sees"></canvas></div>
</main>
<script>
const [channels, height, width] = @SHAPE@;
const pad = document.getElementById("pad"), pen = pad.getContext("2d", {willReadFrequently: true});
const small = document.getElementById("small"), scaled = small.getContext("2d", {willReadFrequently: true});
small.width = width; small.height = height;
pen.lineWidth = 22; pen.lineCap = pen.lineJoin = "round"; pen.strokeStyle = "#fff";
let drawing = false, asked = 0;
function clear() {
  pen.fillStyle = "#000"; pen.fillRect(0, 0, 280, 280);
  scaled.fillStyle = "#000"; scaled.fillRect(0, 0, width, height);
  document.getElementById("bars").replaceChildren();
  document.getElementById("said").textContent = "Nothing is drawn yet.";
}
function place(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) * 280 / box.width, (event.clientY - box.top) * 280 / box.height];
}
pad.onpointerdown = event => {
  drawing = true; pad.setPointerCapture(event.pointerId);
  pen.beginPath(); pen.moveTo(...place(event)); pen.lineTo(...place(event)); pen.stroke();
};
pad.onpointermove = event => { if (drawing) { pen.lineTo(...place(event)); pen.stroke(); } };
pad.onpointerup = pad.onpointercancel = () => { if (drawing) { drawing = false; ask(); } };
document.getElementById("clear").onclick = clear;
async function ask() {
  scaled.drawImage(pad, 0, 0, width, height);
  const data = scaled.getImageData(0, 0, width, height).data, gray = [];
  for (let k = 0; k < data.length; k += 4) gray.push(String.fromCharCode(data[k]));
  const number = ++asked;
  const reply = await fetch("/predict", {method: "POST", body: JSON.stringify({pixels: btoa(gray.join(""))})});
  const answer = await reply.json();
  if (number !== asked) return;
  const said = document.getElementById("said"), bars = document.getElementById("bars");
  if (answer.error) { said.textContent = answer.error; return; }
  said.textContent = `${answer.class}: ${(100 * answer.probability).toFixed(1)} %`;
  bars.replaceChildren(...Object.entries(answer.probabilities).map(([name, p]) => {
    const row = document.createElement("tr");
    const cells = [name, "", `${(100 * p).toFixed(1)} %`].map(text => {
      const cell = document.createElement("td"); cell.textContent = text; row.append(cell); return cell;
    });
    const bar = document.createElement("div");
    bar.className = "bar"; bar.style.width = `${100 * p}%`; cells[1].className = "track"; cells[1].append(bar);
    return row;
  }));
}
clear();
</script>
</html>
"""

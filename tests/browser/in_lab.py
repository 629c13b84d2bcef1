"""What a person does in JupyterLab, and what they see there."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KERNEL_WAIT = 120_000  # milliseconds; a kernel that imports torch on a busy machine takes its time
_NOTHING_WAITS = "() => ![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.includes('*'))"
_HAS_RUN = "([prompt, before]) => ![before, '[*]:'].includes(prompt.textContent.trim())"

# Each visible text of an element with the contrast of its color to what lies behind it, as WCAG 2 computes it.
_CONTRASTS = """
element => {
  const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = color => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] / 255 + below[i] * (1 - top[3] / 255)).concat(255);
  const behind = node => {
    const layers = [];
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      layers.push(color);
      if (color[3] === 255) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 255]);
  };
  const luminance = color => {
    const [r, g, b] = color.slice(0, 3).map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const parent = node.parentElement;
    if (!node.textContent.trim() || !parent.checkVisibility({visibilityProperty: true})) continue;
    const back = behind(parent), front = over(rgba(getComputedStyle(parent).color), back);
    const [dark, light] = [luminance(front), luminance(back)].sort((a, b) => a - b);
    found.push([(light + 0.05) / (dark + 0.05), node.textContent.trim().slice(0, 60)]);
  }
  return found;
}
"""


def faintest(element: Any) -> tuple[float, str]:
    """The lowest contrast of a text in an element, and that text."""
    contrast, text = min(element.evaluate(_CONTRASTS))
    return contrast, text


def pixels(element: Any, file: Path | None = None) -> np.ndarray:
    """An element as it is seen."""
    element.scroll_into_view_if_needed()
    picture = element.screenshot(animations="disabled", path=file)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Any, lab: Any, path: str, *, go: bool = True) -> None:
        self.page, self.path, self.file = page, path, lab.course.work / path
        if go:
            page.goto(f"{lab.address}/lab/tree/{path}?reset&token={lab.token}")
        name = path.rpartition("/")[2]
        page.locator(f".lm-DockPanel-tabBar .lm-mod-current .lm-TabBar-tabLabel:text-is('{name}')").wait_for()
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        # At first there is an empty cell and no kernel yet.
        self.panel.locator(".jp-Cell").nth(len(self.saved()["cells"]) - 1).wait_for(state="attached")
        page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle$")).wait_for(timeout=KERNEL_WAIT)
        self.idle()

    def saved(self) -> dict[str, Any]:
        """The notebook as its file has it."""
        return json.loads(self.file.read_text(encoding="utf-8"))

    def cell(self, cell_id: str) -> Any:
        """A cell by its id (for an answer or a check, that is its grade_id)."""
        ids = [cell["id"] for cell in self.saved()["cells"]]
        return self.panel.locator(f".jp-Cell[data-windowed-list-index='{ids.index(cell_id)}']")

    def idle(self) -> None:
        """Waits until the kernel has nothing to do."""
        self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()

    def menu(self, *names: str) -> None:
        """Chooses from the menu bar: menu("Run", "Run All Cells")."""
        self.page.locator(f".lm-MenuBar-itemLabel:text-is('{names[0]}')").click()
        for name in names[1:]:
            self.page.locator(f".lm-Menu-itemLabel:text-is('{name}')").last.click()

    def run_all(self) -> None:
        """Run, Run All Cells; waits for the end."""
        first = self.panel.locator(".jp-CodeCell .jp-InputPrompt").first.element_handle()
        before = first.text_content().strip()
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(_HAS_RUN, arg=[first, before], timeout=KERNEL_WAIT)
        self.page.wait_for_function(_NOTHING_WAITS, timeout=KERNEL_WAIT)
        self.idle()

    def run(self, *cell_ids: str) -> None:
        """Runs cells, each with Shift-Enter, and waits for each."""
        for cell_id in cell_ids:
            self._edit(cell_id)
            prompt = self.cell(cell_id).locator(".jp-InputPrompt").element_handle()
            before = prompt.text_content().strip()
            self.page.keyboard.press("Shift+Enter")
            self.page.wait_for_function(_HAS_RUN, arg=[prompt, before], timeout=KERNEL_WAIT)

    def _edit(self, cell_id: str) -> None:
        cell = self.cell(cell_id)
        cell.scroll_into_view_if_needed()  # an editor is there once its cell is seen
        cell.locator(".cm-content").click()

    def text(self, cell_id: str) -> str:
        """What a cell shows."""
        cell = self.cell(cell_id)
        cell.scroll_into_view_if_needed()
        self.page.wait_for_function("cell => cell.innerText.trim()", arg=cell.element_handle())
        return cell.inner_text()

    def write(self, cell_id: str, text: str) -> None:
        """Puts a text in the place of what a cell holds."""
        self._edit(cell_id)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(text)

    def save(self) -> None:
        """Ctrl-S; waits until the file is written."""
        before = self.file.stat().st_mtime_ns
        self.page.keyboard.press("ControlOrMeta+s")
        for _ in range(200):
            if self.file.stat().st_mtime_ns != before:
                break
            self.page.wait_for_timeout(50)
        else:
            raise AssertionError(f"{self.file} was not saved")
        self.page.wait_for_timeout(200)

    def card(self, exercise: str) -> Any:
        """The card under the check of an exercise."""
        return self.cell(f"check_{exercise}").locator(".course-card")

    def errors(self) -> list[str]:
        """The errors that the saved notebook holds, name and text."""
        outputs = [output for cell in self.saved()["cells"] for output in cell.get("outputs", [])]
        return [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"]

"""Answers, looked for in what learners get."""

from __future__ import annotations

import json
import re

BLOCK = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)


def solution_blocks(text: str) -> list[str]:
    """The cleared regions of a source, spaces and comment marks aside."""
    return [squeezed(block) for block in BLOCK.findall(text)]


def squeezed(text: str) -> str:
    return " ".join(re.sub(r"^\s*#", "", line).strip() for line in text.splitlines() if line.strip())


def readable(name: str, content: bytes) -> str:
    """What a person or a search finds in a file; of a notebook, the text of its cells and outputs."""
    text = content.decode("utf-8", errors="replace")
    if name.endswith(".ipynb"):
        text = "\n".join(
            "".join(cell["source"]) + json.dumps(cell.get("outputs")) for cell in json.loads(text)["cells"]
        )
    return text

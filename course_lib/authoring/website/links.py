"""Checking built pages: links that lead nowhere, pictures without a text, anything fetched from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


def check(folder: Path) -> list[str]:
    """What is wrong with the pages in a folder; links to other sites are allowed and not followed."""
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        reader = _Reader()
        reader.feed(path.read_text(encoding="utf-8"))
        pages[path.resolve()] = reader.contents
    problems = []
    for path, contents in pages.items():
        place = path.relative_to(folder.resolve())
        problems += [f"{place}: {problem}" for problem in contents.problems]
        for address, line in [*contents.loaded, *contents.links]:
            if (fault := _fault(address, path, pages, is_loaded=(address, line) in contents.loaded)) is not None:
                problems.append(f"{place}: line {line}: {fault}")
    for path in sorted(folder.rglob("*.css")):
        for address in _css_addresses(path.read_text(encoding="utf-8")):
            if (fault := _fault(address, path.resolve(), pages, is_loaded=True)) is not None:
                problems.append(f"{path.relative_to(folder)}: {fault}")
    return problems


def _fault(address: str, page: Path, pages: dict[Path, _Contents], *, is_loaded: bool) -> str | None:
    parts = urlsplit(address)
    if parts.scheme in ("data", "mailto", "javascript") or address == "#":
        return None
    if parts.scheme or parts.netloc:
        return f"the page would fetch {address} from another site" if is_loaded else None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return f"{address} leads to no file"
    # A page that builds itself in the browser, the search, has no anchors to check.
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids and not is_loaded:
        return f"{address} leads to no place on its page"
    return None


@dataclass
class _Contents:
    """What one page has and points at: `links` are (address, line), `loaded` what a browser fetches by itself."""

    ids: set[str] = field(default_factory=set)
    links: list[tuple[str, int]] = field(default_factory=list)
    loaded: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


_CSS_ADDRESS = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class _Reader(HTMLParser):
    """Reads one page for `check`."""

    def __init__(self) -> None:
        super().__init__()
        self.contents = _Contents()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        line, contents = self.getpos()[0], self.contents
        self._in_style = tag == "style"
        if "id" in given:
            contents.ids.add(given["id"])
        if tag == "a" and "name" in given:
            contents.ids.add(given["name"])
        if tag == "a" and "href" in given:
            contents.links.append((given["href"], line))
        elif tag == "link" and "href" in given:
            # Search engines follow rel=canonical and the like; browsers fetch the rest.
            wanted = (
                contents.links
                if given.get("rel") in ("canonical", "next", "prev", "index", "search")
                else contents.loaded
            )
            wanted.append((given["href"], line))
        for name in ("src", "poster", "data"):
            if given.get(name) and tag != "a":
                contents.loaded.append((given[name], line))
        contents.loaded += [(each.split()[0], line) for each in given.get("srcset", "").split(",") if each.strip()]
        contents.loaded += [(address, line) for address in _css_addresses(given.get("style", ""))]
        if tag == "img" and not given.get("alt", "").strip() and given.get("aria-hidden") != "true":
            contents.problems.append(f"line {line}: a picture without alt text: {given.get('src', '')[:60]}")
        if tag == "html" and not given.get("lang"):
            contents.problems.append("the page does not say its language")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.contents.loaded += [(address, self.getpos()[0]) for address in _css_addresses(data)]
            self._in_style = False


def _css_addresses(text: str) -> Iterator[str]:
    for match in _CSS_ADDRESS.finditer(text):
        yield match.group(1) or match.group(2)

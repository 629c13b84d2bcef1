"""The rules of wording that a program can see: one list, each with the sentence that says what to write instead.

Rules of words hold wherever a person reads, comments in code included. Rules of sentences hold in the text cells of a
source, those of code in its code cells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from course_lib.authoring import prose

MAX_PLACEHOLDERS = 3
MAX_CODE_WIDTH = 88
# Where a text breaks a rule: lines below its first one, and what stands there.
Place = tuple[int, str]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: what it is called.
        places: finds where a text breaks it.
        instead: says what to write.
    """

    name: str
    places: Callable[[str], Iterable[Place]]
    instead: str

    def broken_in(self, text: str) -> Iterator[tuple[int, str]]:
        """Each place that breaks the rule: lines below the first one, and a sentence that says what to do."""
        for offset, found in self.places(text):
            yield offset, f"{found!r}: {self.instead}"


# --- words ---

# Between two words: blanks, or the end of a line and what begins the next one in a comment or a broken string.
_GAP = r'(?:[ ]+|[ ]*"?[ ]*\n[ #]*(?:f?")?)'
# What is counted, in front of "a class"; a verb such as "runs" is none. Singular nouns follow "one" or "a".
_NO_NOUN = (
    r"(?:of|to|in|on|at|from|for|with|without|or|and|nor|than|as|that|which|beside|outside|around|between|into|by|within"
    r"|what|where|when|is|was|has|\w+[^s\W]s|\w+ed|may|must|can)"
)
_COUNTED = (
    r"(?:labels?|glyphs|features|nats|bits|bytes|numbers?|images|rows|pages|folders|files|lines|entries|columns|values|points|scores"
    r"|parameters|seconds|minutes|hours|weeks|ms|MB|times|once|twice|errors?|copies|views|draws|samples|predictions"
    r"|cells|pixels|bars|curves|panels|kernels|processes|seeds|steps|epochs|batches|people|notebooks|students|tests"
    r"|questions|exercises|mistakes|cases|submissions|one|two|three|four|five|ten|twenty|fifty|hundred"
    rf"|(?:an?|one|single)(?:{{0}}(?!{_NO_NOUN}\b)[\w-]+)?{{0}}(?!{_NO_NOUN}\b)[a-z-]+)"
)
_PER = (
    r"(?:class|image|seed|batch|step|epoch|unit|exercise|student|learner|notebook|submission|case|side|bin|patch"
    r"|feature|row|line|page|second|minute|hour|day|week|experiment|function|file|process|pixel|channel|dimension"
    r"|latent|block|layer|label|worker|core|cell|call)"
)


def _words(pattern: str) -> Callable[[str], Iterator[Place]]:
    compiled = re.compile(pattern.replace("{0}", _GAP))

    def places(text: str) -> Iterator[Place]:
        for match in compiled.finditer(text):
            yield text.count("\n", 0, match.start()), re.sub(r'["#\s]+', " ", match.group()).strip()

    return places


def _word(word: str) -> Callable[[str], Iterator[Place]]:
    """The word, with or without a capital; one that stands alone in quotes or after a dot is a name in code."""
    either = f"[{word[0]}{word[0].upper()}]{word[1:].replace(' ', '{0}')}"
    return _words(rf"""(?<![\w.])(?!(?<=["'`]){either}["'`]){either}(?!\w)""")


WORDS: tuple[Rule, ...] = (
    Rule("whoever", _word("whoever"), "name the person or the code, as in `the caller`, `the grader`, `a person who`"),
    Rule("nobody", _word("nobody"), "say what is not done, as in `has not been labeled`, `no image is confident`"),
    Rule("somebody", _word("somebody"), "name the person, as in `another author`, `another student`"),
    Rule("shall", _word("shall"), "write should, must or will"),
    Rule("from memory", _words(r"\b(?:quoted|cited|is|are){0}from{0}memory\b"), "check the source, or leave it out"),
    Rule(
        "a for per",
        _words(rf"(?i)\b{_COUNTED}{{0}}an?{{0}}{_PER}\b(?!{{0}}(?:has|may|can|is)\b)"),
        "write per, as in `ten labels per class`, `nats per image`",
    ),
    Rule(
        "is no",
        _words(
            r"(?<!here )(?<!here\n)(?<!here\n# )\b(?:is|are|was|were|be){0}no{0}"
            r"(?!longer\b|more\b|less\b|better\b|worse\b|\w+er{0}than\b)\w+"
        ),
        "write `is not a`, as in `2,000 is not a multiple of 64`",
    ),
)


# --- sentences ---


def _sentences(text: str) -> Iterator[Place]:
    """The sentences of a text cell with the line each begins at: code, formulas, placeholders and citations aside."""
    plain = re.sub(r"\([^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)", lambda match: _blank(match.group()), prose.plain(text))
    for first, block in prose.paragraphs(plain):
        start = 0
        for end in [match.end() for match in re.finditer(r"[.?!][*_)\"]*(?=\s)", block)] + [len(block)]:
            sentence = block[start:end]
            lead = len(sentence) - len(sentence.lstrip())
            if sentence.strip():
                yield first + block.count("\n", 0, start + lead), sentence.strip()
            start = end


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _marks(text: str) -> Iterator[Place]:
    for offset, sentence in _sentences(text):
        without_label = re.sub(r"^\W*\*\*[^*]+\*\*:|\*\*[^*:]+:\*\*", "", sentence)
        if len(re.findall(r"[:;](?=\s|$)", without_label)) > 1:
            yield offset, _short(text.split("\n")[offset])


def _recorded(text: str) -> Iterator[Place]:
    for offset, sentence in _sentences(text):
        if re.match(r"[-*_\s]*Recorded,", sentence):
            yield offset, _short(text.split("\n")[offset])


def _every_seed(text: str) -> Iterator[Place]:
    for match in re.finditer(r"\b(?:every|each|all)\s+(?:of the\s+)?(?:three\s+)?seeds?\b", text):
        yield text.count("\n", 0, match.start()), _short(match.group())


def _placeholders(text: str) -> Iterator[Place]:
    single = re.sub(r"\{\{.*?\}\}", lambda match: "{{" + _blank(match.group()[2:-2]) + "}}", text, flags=re.DOTALL)
    for offset, block in prose.paragraphs(single):
        if block.count("{{") > MAX_PLACEHOLDERS and not block.lstrip().startswith("|"):
            yield offset, f"{block.count('{{')} placeholders"


def _short(text: str) -> str:
    """The beginning of a sentence, to find it by."""
    words = text.split()
    return " ".join(words[:8]) + (" ..." if len(words) > 8 else "")


SENTENCES: tuple[Rule, ...] = (
    Rule("marks", _marks, "more than one colon or semicolon; make two sentences, and say the link: because, so, but"),
    Rule("recorded", _recorded, "say what was measured first; `recorded` is explained once per notebook"),
    Rule("every seed", _every_seed, 'write {{ every_seed("a@5 > b@5") }}, which looks at the records'),
    Rule("placeholders", _placeholders, f"more than {MAX_PLACEHOLDERS} numbers in a paragraph; make a table of them"),
)


# --- code ---


def _long_lines(text: str) -> Iterator[Place]:
    for offset, line in enumerate(text.split("\n")):
        if len(line) > MAX_CODE_WIDTH:
            yield offset, _short(line)


CODE: tuple[Rule, ...] = (
    Rule("long lines", _long_lines, f"more than {MAX_CODE_WIDTH} characters of code, which a page cuts; break it"),
)


def for_cells(cell_type: str) -> tuple[Rule, ...]:
    """The rules for cells of a type, "markdown" or "code"."""
    return WORDS + {"markdown": SENTENCES, "code": CODE}.get(cell_type, ())

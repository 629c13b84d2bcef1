"""Messages as (id, fields) pairs, rendered only when shown: stored results are neutral, languages can be added.

The sentences of the contract and of the card stand in `SENTENCES`; those of an exercise, its criteria and its mistakes
are registered when its judge is loaded. English is what stands in the code. Every other language is a gettext catalogue
in course_lib/locale, where the message id is the context of a sentence; a sentence that it lacks, or whose English has
changed since, is shown in English. `course messages` says which those are.
"""

from __future__ import annotations

import functools
import gzip
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib import settings

if TYPE_CHECKING:
    from course_lib.exercises.contract import Exercise

SENTENCES = {
    "contract.right": "{takeaway}",
    "contract.borrowed": "This is the course's own version, borrowed so that you can go on. Come back to it.",
    "contract.not_attempted": (
        "Replace the line `raise NotImplementedError(...)` in the cell above by your code,"
        " run that cell, then run this one again."
    ),
    "contract.not_callable": (
        "`check.{name}` needs your function or class itself: `check.{name}({name})`. It was given {given}."
    ),
    "contract.error": "Your code stopped with {type}: {text}{where}. Inputs that led to it: {case}.",
    "contract.error_some": (
        "Your code works on some inputs, but stopped with {type}: {text}{where}. Inputs that led to it: {case}."
    ),
    "contract.interrupted": "The check was interrupted before your code finished. Is there a loop that never ends?",
    "contract.used_library": (
        "`{name}` from course_lib already does what you are asked to write here. Write it with PyTorch "
        "itself; afterwards the library's version is yours to use."
    ),
    "contract.cannot_be_called": (
        "The check calls your code as in `{signature}`, and your code cannot be called like that: {text}."
    ),
    "contract.unusable": (
        "Your code ran, but the check could not use what it returned: {type}: {text}{where}. Inputs: {case}."
    ),
    "contract.keeps_state": (
        "Your code gives another result when it is called again with the same inputs (inputs: {case}). Results must"
        " depend on the arguments alone. Look for a global variable, an attribute of the class or a default argument"
        " that your code changes, and for random numbers from another generator than the given one."
    ),
    "contract.too_much": (
        "Line {line} of your code does more than is asked for: without `{part}` your code would be right."
    ),
    # {key} is a part of the result, {part} the place inside it.
    "contract.returns_none": "{key} is None. Is the `return` missing?",
    "contract.is_none": "{key}{part} is None, but {expected} is expected (inputs: {case}).",
    "contract.missing": "{key}{part} is missing (inputs: {case}).",
    "contract.extra": "{key}{part} is there, but nothing is expected there (inputs: {case}).",
    "contract.wrong_type": "{key}{part} should be {expected}, but it is {given} (inputs: {case}).",
    "contract.wrong_shape": "{key}{part} should have shape {expected}, but it has shape {given} (inputs: {case}).",
    "contract.wrong_dtype": "{key}{part} should have dtype {expected}, but it has dtype {given} (inputs: {case}).",
    "contract.wrong_length": "{key}{part} should have length {expected}, but it has length {given} (inputs: {case}).",
    "contract.lacks": "{key}{part} lacks {lacking} (inputs: {case}).",
    "contract.has_besides": "{key}{part} also has {besides}, which is not expected (inputs: {case}).",
    "contract.has_others": "{key}{part} has {besides}, which is not expected, and lacks {lacking} (inputs: {case}).",
    "contract.not_finite": "{key}{part} contains {given}, which is not a finite number (inputs: {case}).",
    "contract.wrong_value": "{key}{part} is {given}, but {expected} is expected (inputs: {case}).",
    "contract.wrong_values": (
        "{key}{part} differs from what is expected in {share} of its {count} entries, most at `{place}`: it is {given} "
        "there, but {expected} is expected (inputs: {case})."
    ),
    "contract.unmet": "Not met yet: {titles}. Inputs that show it: {case}.",
    "contract.changed": (
        "Your code changes {names}, which the caller still needs as given. Work on a copy (`.clone()`, `list(...)`),"
        " or make a new tensor: `a = a + b` instead of `a += b`."
    ),
    "contract.left_gradients": (
        "After your code has run, gradients stay switched off or on for all code that follows."
        " Use `with torch.no_grad():`, which puts the old setting back."
    ),
    "contract.left_inference": (
        "After your code has run, torch stays in inference mode for all code that follows."
        " Use `with torch.inference_mode():`, which puts the old setting back."
    ),
    "contract.left_dtype": (
        "Your code changes torch's default dtype for all code that follows."
        " Give the dtype where you create a tensor: `torch.zeros(n, dtype=...)`."
    ),
    "contract.left_deterministic": (
        "Your code switches torch's deterministic algorithms for all code that follows. Leave this setting alone."
    ),
    "contract.judge_failed": (
        "This check itself failed ({text}). That is a fault of the course, not of your answer: please report it."
    ),
    # Of a check that a learner writes.
    "contract.check_refuses": (
        "Your check refuses {refused} of the {right} right answers, so it earns no points, because its message would"
        " send a reader to look for a mistake in code that has none. Assert only what the statement of the function"
        " promises, and compare floats with a tolerance."
    ),
    "contract.check_lets_pass": (
        "Your check lets every right answer pass, and it stops {stopped} of the {wrong} wrong ones. On your inputs the"
        " others do what your assertions expect. Add an input, or an assertion, that tells them apart."
    ),
    "contract.check_endless": (
        "On {endless} of the {count} answers your check does not end, so it was stopped after {seconds} s of"
        " computing and decided nothing. Look for a loop that waits for something that an answer may not do."
    ),
    # What fields may hold: kept in English, and said in the reader's language.
    "phrase.tensor": "a tensor of shape {shape}",
    "phrase.number": "a tensor with a single number",
    "phrase.list": "a list of length {count}",
    "phrase.a_value": "a value",
    "phrase.nothing": "nothing",
    "phrase.a": "a {name}",
    "phrase.an": "an {name}",
    "phrase.where": " (line {line}: `{source}`)",
    "phrase.line": " (line {line})",
    "phrase.raised_by": " (raised by `{name}`)",
    "phrase.at": " at `{place}`",
    "phrase.argument_after": "your argument `{name}` after the call",
    "phrase.gradient_of": "the gradient with respect to `{name}`",
    "phrase.dtype_of": "the dtype of `{name}`",
    "phrase.loading": "none, loading the file",
    "phrase.separator": "; ",
    # What observed values are called that several exercises look at.
    "observed.loss": "the loss that you return",
    "observed.gradient": "the gradient of the loss that you return",
    "observed.went_backward": "a path for gradients back from the loss that you return (yes or no)",
    "observed.mode_after": "the mode of the model after the call",
    "observed.mode_during": "the mode of the model while your code uses it",
    "observed.modes": "the mode of the model at its calls",
    "observed.batch_sizes": "the list of the sizes of the batches that the model is given",
    "observed.running_mean_after": "the running mean of the model's batch normalization after the call",
    "observed.weights_require_grad_after": "`requires_grad` of the model's parameters after the call (1 is True)",
    "observed.gradients_after": "the list of which parameters have a gradient after the call (1 is yes)",
    "observed.grad_mode_after": "the recording of gradients after the call (1 is on)",
    "observed.global_state_before": "the state of PyTorch's global generator before the call",
    "observed.global_state_after": "the state of PyTorch's global generator after the call",
    "observed.next_call": "the result of a second call",
    "observed.same_seed": "the result of a call with the same seed",
    # A state in the middle of a sentence or a table.
    "state.short.not_attempted": "not attempted",
    "state.short.error": "error",
    "state.short.wrong": "wrong",
    "state.short.right": "right",
    "state.short.borrowed": "{state} (borrowed)",
    # The card.
    "state.not_attempted": "Not attempted yet",
    "state.error": "Error",
    "state.wrong": "Not right yet",
    "state.right": "Right",
    "state.borrowed": "Borrowed",
    "card.title": "Exercise {number}: {title}",
    "card.points": "{score} of {points} points",
    "card.label": "{title}. {state}. {points}.",
    "card.criteria": "Criteria",
    "card.criterion": "({said}, {score})",
    "card.of": "{score} of {points}",
    "card.met": "met",
    "card.partly_met": "partly met",
    "card.not_met": "not met",
    "card.printed": "What your code printed",
    "card.hint": "Hint {number} of 3: {name}",
    "card.hint_concept": "concept",
    "card.hint_api": "functions to look up",
    "card.hint_skeleton": "skeleton",
    "card.solution": "One solution",
    "smallest.title": "The smallest inputs found that show it:",
    "smallest.given": "{key}{part} = {given}",
    "smallest.expected": "expected: {expected}",
    "smallest.stops": "your code stops with {type}: {text}",
    "smallest.not_contiguous": "not contiguous in memory",
    "smallest.yours": "yours",
    "smallest.wanted": "expected",
    "smallest.scale": "Black is {low}, white is {high}.",
    "smallest.alt": "{name}, {height} by {width} pixels",
    "check_example.counts": "Right answers refused: {refused} of {right}. Wrong answers stopped: {stopped} of {wrong}.",
    "check_example.refused": "A right answer that your check refuses. Its last call in your check:",
    "check_example.returns": "it returns {value}",
    "check_example.stops": "your check stops with {type}: {text}{where}",
    "check_example.passes": (
        "A wrong answer that your check lets pass. The check of Exercise {number} tells its author:"
    ),
    "card.text_title": "{state}: Exercise {number} {name}, {points}",
    # check.needs and other uses of `check`.
    "needs.open": (
        "this cell builds on Exercise {number}, `{name}` ({state}). Solve it and run its cell first. {way_out}"
    ),
    "needs.way_out": 'To go on without it, write check.needs("{name}", borrow=True) here.',
    "needs.undefined": "is not defined yet",
    "needs.sealed": "`{name}` cannot be borrowed in this copy of the course; ask your instructor.",
    "needs.borrowed": ("Borrowed for now: the course's own `{name}` (Exercise {number}). Come back to it."),
    # `course progress`.
    "progress.unit": "{unit}: {points}",
    "progress.try": "1 try",
    "progress.tries": "{count} tries",
    # Predictions. {of} is a unit such as nats, {points} are percentage points.
    "predict.left_out": "No prediction yet. Put {expected} in place of the dots and run this cell again.",
    "predict.said": "You said {value}.",
    "predict.changed": "You said {value} now, and {before} before. The last prediction before the result counts.",
    "predict.too_late": "You said {value} after the result was shown. It is kept, and {counts} still counts.",
    "predict.not_understood": "{given} is not a prediction that fits here. Give {expected}.",
    "predict.expected_share": "a share between 0 and 1, such as 0.6,",
    "predict.expected_chance": "how probable you think it is, between 0 (surely not) and 1 (surely),",
    "predict.expected_number": "a number ({of})",
    "predict.expected_choice": "one of {choices}",
    "predict.unknown": "notebook {notebook} asks for no prediction {name}; it asks for {known}.",
    "predict.line": "Your prediction, {what}: {parts}.",
    "predict.comma": ", ",
    "predict.part_said": "you said {value}",
    "predict.part_none": "nothing said",
    "predict.part_recorded": "recorded {value}",
    "predict.part_on": " (on {dataset})",
    "predict.part_own": "this run {value}",
    "predict.true": "true",
    "predict.false": "not true",
    "predict.seeds": "true on {count} of {of} seeds",
    "predict.head_what": "prediction",
    "predict.head_said": "you said",
    "predict.head_recorded": "recorded",
    "predict.head_off": "off by",
    "predict.right": "right",
    "predict.not_right": "not right",
    "predict.points": "{points} points",
    "predict.brier": "Brier score {score}",
    "predict.nothing": "No prediction is stored yet, so there is nothing to compare.",
    "predict.so_far": "All your predictions so far: {sentences}",
    "predict.shares": "Shares ({count}): off by {points} points on average.",
    "predict.optimistic": "You are optimistic by {points} points: results were worse than you said.",
    "predict.pessimistic": "You are pessimistic by {points} points: results were better than you said.",
    "predict.balanced": "You are neither optimistic nor pessimistic.",
    "predict.chances": (
        "Probabilities ({count}): a Brier score of {score}, where 0 is perfect and always saying 50 % gives 0.25."
    ),
    "predict.choices": "Choices: {right} of {count} right.",
    "predict.numbers": "Other numbers ({count}): off by {share} % of the recorded value on average.",
    "check.unknown": "unit {unit} has no exercise {name}; it has {known}.",
}

_registered: dict[str, str] = {}


@dataclass(frozen=True)
class Message:
    """A sentence by its id, with the fields that go into it."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)

    def render(self, language: str | None = None) -> str:
        """The sentence in a language, by default the reader's; braces in fields are harmless."""
        template = template_of(self.id, language)
        try:
            text = template.format_map(_Fields({k: said(v, language) for k, v in self.fields.items()}))
        except (ValueError, IndexError):  # a sentence that holds a brace of its own, such as a set in code
            return template
        # The name of a part of the result begins the sentence, and stands in the middle of others.
        begins = template.startswith("{key}") and (language or reader()) == "en"
        return text[:1].upper() + text[1:] if begins else text


class _Fields(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def say(message_id: str, **fields: Any) -> str:
    """A sentence in the reader's language, at once."""
    return Message(message_id, fields).render()


def register(message_id: str, sentence: str) -> None:
    """Makes a sentence known under an id; the same id must keep its sentence within a process."""
    _registered[message_id] = sentence


def template_of(message_id: str, language: str | None = None) -> str:
    """The sentence of an id before its fields are filled in, in a language: by default the reader's.

    Raises:
        KeyError: no sentence has that id.
    """
    for known in (SENTENCES, _registered):
        if message_id in known:
            return translated(message_id, known[message_id], language)
    raise KeyError(f"no sentence is registered under the message id {message_id!r}")


def catalogue() -> dict[str, str]:
    """Every sentence known in this process, in English, by id."""
    return {**SENTENCES, **_registered}


def sentences_of(exercise: Exercise) -> dict[str, str]:
    """What an exercise itself says, in English, by message id."""
    hints = exercise.hints
    parts = {"title": exercise.title, "takeaway": exercise.takeaway}
    parts |= {"hint.concept": hints.concept, "hint.api": hints.api, "hint.skeleton": hints.skeleton}
    parts |= {f"observed.{key}": words for key, words in exercise.words.items()}
    return {f"{exercise.name}.{part}": sentence for part, sentence in parts.items()}


def said_by(exercise: Exercise, part: str) -> str:
    """A sentence of an exercise in the reader's language: "title", "takeaway", "hint.concept"..."""
    message_id = f"{exercise.name}.{part}"
    return translated(message_id, sentences_of(exercise)[message_id])


# --- languages ------------------------------------------------------------------------------------------------------

LOCALE = Path(__file__).resolve().parent.parent / "locale"


def reader() -> str:
    """The reader's language. A wrong `COURSE_LANGUAGE` counts as English here: a check never raises."""
    try:
        return settings.language()
    except ValueError:
        return "en"


def translated(message_id: str, english: str, language: str | None = None) -> str:
    """A sentence in a language, by default the reader's; in English where that has no translation of just this."""
    return _translations(language or reader()).get((message_id, english), english)


def catalogue_file(language: str) -> Path:
    """Where the catalogue of a language is kept."""
    return LOCALE / language / "LC_MESSAGES" / "course.po"


@functools.cache
def _translations(language: str) -> dict[tuple[str, str], str]:
    """Translations by (id, English). In a student's copy they are packed, so that no mistake is read by accident."""
    path = catalogue_file(language)
    packed = path.with_name("course.po.gz")
    if language == "en" or not (path.is_file() or packed.is_file()):
        return {}
    from babel.messages.pofile import read_po

    text = path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
    entries = read_po(io.BytesIO(text))
    return {(str(e.context), str(e.id)): str(e.string) for e in entries if e.context and e.string and not e.fuzzy}


@functools.cache
def _pattern(phrase: str) -> re.Pattern[str]:
    kinds = {"name": r"\S+", "line": r"\d+", "shape": r"\(.*\)", "count": r"\d+", "place": r"\[.*\]"}
    pieces = re.split(r"\{(\w+)\}", phrase)
    pattern = "".join(
        f"(?P<{piece}>{kinds.get(piece, '.*')})" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)
    )
    return re.compile(pattern, re.DOTALL)


_JUDGES_OWN = re.compile(r"\.(mistake|hint)\.")


def said(value: Any, language: str | None = None) -> Any:
    """A field in a language: ids of sentences become these, phrases are translated, all else stays as it is.

    A phrase is a sentence whose id begins with "phrase."; what is stored is its English, so that a result is the same
    in every language.
    """
    if not isinstance(value, str):
        return value
    ids = value.split("; ")
    # A text of the learner's own may look like an id: it must not be answered with what only a judge may say.
    if all((each in SENTENCES or each in _registered) and not _JUDGES_OWN.search(each) for each in ids):
        return template_of("phrase.separator", language).join(template_of(each, language) for each in ids)
    if (language or reader()) != "en":
        for message_id, phrase in catalogue().items():
            if message_id.startswith("phrase.") and (found := _pattern(phrase).fullmatch(value)):
                return template_of(message_id, language).format_map(found.groupdict())
    return value

"""How many examples a test draws: few and always the same in the suite, so that no build fails by chance.

COURSE_EXAMPLES=3000 python -m pytest tests/grading/outside/test_fuzz.py tests/grading/outside/test_misplaced.py

draws so many at random instead. A layout or notebook that fails there is kept as an `@example`.
"""

from __future__ import annotations

import os

from hypothesis import settings


def drawn(count: int) -> settings:
    """The settings of a test that draws `count` examples in the suite."""
    at_random = int(os.environ.get("COURSE_EXAMPLES", "0"))
    return settings(max_examples=at_random or count, derandomize=not at_random, database=None, deadline=None)

"""`python -m course_lib` is `course` on every system, without make; it sets up .venv first where that is needed."""

import sys

from course_lib.desk import set_up

status = set_up.run(sys.argv[1:])
if status is not None:
    sys.exit(status)

from course_lib.desk.cli import main  # noqa: E402 - needs what the set-up installs

main()

"""`python -m course_lib.grading.kernelspec`: the name of outside/kernelspec.py for commands."""

from course_lib.grading.outside.kernelspec import main

if __name__ == "__main__":
    raise SystemExit(main())

"""`nbgrader export --exporter course_lib.grading.exports.ExerciseCsv`: the name of outside/exports.py for commands."""

from course_lib.grading.outside.exports import ExerciseCsv

__all__ = ["ExerciseCsv"]

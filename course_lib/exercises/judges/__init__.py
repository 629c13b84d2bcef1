"""The judges, one module a unit: references, criteria, known mistakes, other right answers.

In grading the student's process sees this folder empty.
"""

"""A unit of two small exercises that only the tests of the grader know."""

UNIT = "97_measures"
EXERCISES = ("double", "scale")

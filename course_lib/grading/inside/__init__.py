"""The half of the grader that runs beside students' code, in a sandbox. Imports nothing that knows an answer."""

"""What runs beside students' code, in the sandbox. Imports nothing that knows an answer."""

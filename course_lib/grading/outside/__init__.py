"""What starts the sandbox, judges what it says, and writes gradebook, pages and reports."""

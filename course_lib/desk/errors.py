"""What can be wrong with a learner's files."""


class WorkspaceError(Exception):
    """Something in work/ is not as it must be; the text says what and what to do."""


class NotANotebookError(WorkspaceError):
    """A file that was given as a notebook and is none."""

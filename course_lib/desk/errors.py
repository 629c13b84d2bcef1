"""What can be wrong at the desk: a learner's files, a demo."""


class WorkspaceError(Exception):
    """Something in work/ is not as it must be; the text says what and what to do."""


class NotANotebookError(WorkspaceError):
    """A file that was given as a notebook and is none."""


class DemoError(Exception):
    """The demo could not be played to its end."""

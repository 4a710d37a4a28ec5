"""The one exception for what a user can put right."""


class UserError(Exception):
    """A mistake in the input: its message names the file, row or key and says what to do.

    Commands print it as one line and exit with status 1; it never becomes a traceback.
    """


def one_line(error: Exception, at_most: int | None = 200) -> str:
    """What a library says, on one line and of so many characters at most: to be quoted in a :class:`UserError`."""
    return " ".join(str(error).split())[:at_most]

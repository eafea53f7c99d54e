"""What a store can answer instead of success, by what the caller must do.

StoreError
  Unavailable    hold and try again: down, slow, overloaded (429, 5xx, time-out, locked)
  Misconfigured  hold and tell a person: missing bucket or database, bad token (401 403 404)
  TooLarge       halve what is written (413)
  Refused        bisect and quarantine the culprit: the server does not take a point (400 422)
"""


class StoreError(Exception):
    """The store did not do what was asked; the text says what, where and what to do."""


class Unavailable(StoreError):
    """Try again later, after `retry_after_s` where the server named a time."""

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Misconfigured(StoreError):
    """A person must act: the bucket, the database or the account is not as configured."""


class TooLarge(StoreError):
    """The request is larger than the server takes."""


class Refused(StoreError):
    """The server refuses at least one point; `words` are the server's own."""

    def __init__(self, text: str, words: str) -> None:
        super().__init__(text)
        self.words = words

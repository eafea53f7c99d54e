"""What InfluxDB answers: the status table, and InfluxQL results as rows; pure.

The table was checked against 1.8.10 and 2.7.12. They differ: a type conflict is 400 in 1.8
and 422 in 2.x (the request's other lines are stored in both), an unparsable line is 400 and
stores the rest in 1.8 but nothing in 2.x, a missing retention policy is 500 in 1.8, and both
tell of a missing database within a query's 200.
"""

import math
import re
from collections.abc import Iterator

import msgspec

from store.errors import Misconfigured, Refused, StoreError, TooLarge, Unavailable

Cell = int | float | str | bool | None
Row = dict[str, Cell]
_MISSING = re.compile(
    r"(database|retention policy|bucket|organization|dbrp)\b.*\bnot found|could not find (bucket|org)",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"authori[sz]ed|forbidden|permission", re.IGNORECASE)
_OVERLOADED = re.compile(r"timeout|timed out|limit exceeded|shutting down|closed", re.IGNORECASE)
_WORDS_SHOWN = 500
_LONGEST_WAIT_S = 300.0
"""A store that is well again after a second is not left for a day, whatever it asked for."""


class Place(msgspec.Struct, frozen=True):
    """What a request was for: the server's URL and the bucket (empty: none in particular)."""

    url: str
    bucket: str = ""

    def __str__(self) -> str:
        return f"InfluxDB at {self.url}" + (f", bucket {self.bucket}" if self.bucket else "")


class _Series(msgspec.Struct):
    columns: list[str]
    values: list[list[Cell]] = []
    tags: dict[str, str] = {}
    partial: bool = False


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str | None = None
    partial: bool = False


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None


class _Words(msgspec.Struct):
    error: str = ""
    message: str = ""


_ANSWER = msgspec.json.Decoder(_Answer)
_WORDS = msgspec.json.Decoder(_Words)


def rows_of(body: bytes, place: Place) -> list[list[Row]]:
    """The rows of each statement of a query's answer, tags among them; raises StoreError.

    A float that is whole comes as an int; the time is `time`, in epoch µs.
    """
    try:
        answer = _ANSWER.decode(body)
    except msgspec.MsgspecError as error:
        raise Misconfigured(
            f"{place} answers a query with something else than InfluxDB's JSON ({error}); "
            "is this the URL of InfluxDB itself?"
        ) from error
    if answer.error is not None:
        raise query_error(answer.error, place)
    for result in answer.results:
        if result.error is not None:
            raise query_error(result.error, place)
        if result.partial or any(series.partial for series in result.series):
            raise Misconfigured(
                f"{place} cuts its answers (max-row-limit in its configuration); set it to 0"
            )
    return [list(_rows(result)) for result in answer.results]


def _rows(result: _Result) -> Iterator[Row]:
    for series in result.series:
        for values in series.values:
            yield {**series.tags, **dict(zip(series.columns, values, strict=True))}


def words_of(body: bytes) -> str:
    """The server's own words in an answer that is an error."""
    try:
        words = _WORDS.decode(body)
    except msgspec.MsgspecError:
        return body.decode("utf-8", "replace").strip()[:_WORDS_SHOWN]
    return (words.error or words.message).strip()


def query_error(words: str, place: Place) -> StoreError:
    """The error that a query's 200 carries inside."""
    if _MISSING.search(words):
        return _missing(words, place)
    if _FORBIDDEN.search(words):
        return _forbidden(words, place)
    if _OVERLOADED.search(words):
        return Unavailable(f"{place} did not finish a query: {words}; ask for less, or later")
    return Refused(f"{place} refuses a query: {words[:_WORDS_SHOWN]}", words)


def status_error(
    status: int, body: bytes, place: Place, retry_after: str | None = None
) -> StoreError:
    """The error that an answer's status means to the caller."""
    words = words_of(body)
    told = f"{status}: {words[:_WORDS_SHOWN]}" if words else str(status)
    match status:
        case 400 | 422:
            error: StoreError = Refused(
                f"{place} refuses at least one point ({told})", words or told
            )
        case 413:
            error = TooLarge(
                f"{place} finds the request too large ({told}); write less at once, or raise "
                "max-body-size there"
            )
        case 401:
            error = Misconfigured(
                f"{place} does not accept the token for this ({told}); give one that may "
                "(InfluxDB 1.8: user:password; `steam store init`: an administrator's)"
            )
        case 403:
            error = _forbidden(told, place)
        case _ if status == 404 or _MISSING.search(words):  # noqa: PLR2004 - an HTTP status
            error = _missing(told, place)
        case _ if status >= 500 or status in (408, 429):  # noqa: PLR2004
            error = Unavailable(
                f"{place} cannot answer now ({told}); look at its log and its load",
                _seconds(retry_after),
            )
        case _:
            error = Misconfigured(
                f"{place} answers {told}; is this the URL of InfluxDB itself, and not a proxy's?"
            )
    return error


def _missing(told: str, place: Place) -> Misconfigured:
    return Misconfigured(
        f"{place} is not there ({told}); check URL and organisation, and make the buckets with "
        "`steam store init`"
    )


def _forbidden(told: str, place: Place) -> Misconfigured:
    return Misconfigured(
        f"{place} does not permit this to the account ({told}); grant it, or give another "
        "token (`steam store init` needs an administrator's)"
    )


def _seconds(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None  # An HTTP date: the caller's own back-off is as good.
    return min(max(0.0, seconds), _LONGEST_WAIT_S) if math.isfinite(seconds) else None

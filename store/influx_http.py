"""HTTP to InfluxDB, through urllib3: one write, one query, and each version's API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from store.errors import Misconfigured, Unavailable
from store.influx_answers import Place, Row, rows_of, status_error

if TYPE_CHECKING:
    from urllib3 import PoolManager

_CONNECTIONS = 8


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer: status, body, and how long the server asks to wait."""

    status: int
    body: bytes
    retry_after: str | None = None


class InfluxHttp:
    """Requests to one InfluxDB, each made once: whoever calls decides on trying again.

    urllib3 is imported by `open`, so that commands which ask no InfluxDB start without it.
    """

    def __init__(
        self, url: str, *, token: str, org: str, timeout_s: float, ca_file: Path | None
    ) -> None:
        self.url = without_account(url)
        self.org = org
        self._full_url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._pool: PoolManager | None = None

    def open(self) -> None:
        """Make the connection pool, which connects when something is asked; raises Misconfigured."""
        if self._pool is not None:
            return
        if not self._full_url.startswith(("http://", "https://")):
            raise Misconfigured(
                f"{self.url!r} is no URL of InfluxDB; write it like http://influxdb:8086"
            )
        import urllib3

        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            timeout=self._timeout_s,
            retries=False,
            ca_certs=str(self._ca_file) if self._ca_file else None,
        )

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def write(self, bucket: str, body: bytes) -> None:
        """Write line protocol of µs precision to a bucket; returns when the server has it."""
        place = Place(self.url, bucket)
        query = {"org": self.org, "bucket": bucket, "precision": "us"}
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        answer = self._ask("POST", "/api/v2/write", query, body, headers, place)
        self.accepted(answer, place)

    def query(
        self, statements: str, params: Mapping[str, object], *, database: str, policy: str
    ) -> list[list[Row]]:
        """Ask in InfluxQL, values bound as `params`; the rows of each statement."""
        place = Place(self.url, f"{database}/{policy}")
        form = {
            "q": statements,
            "db": database,
            "rp": policy,
            "epoch": "u",
            "params": msgspec.json.encode(params).decode(),
        }
        answer = self.request("POST", "/query", form=form, place=place)
        return rows_of(self.accepted(answer, place), place)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: object = None,
        place: Place | None = None,
    ) -> HttpAnswer:
        """Make one request, with a form or a JSON body; any status is an answer."""
        headers, data = {}, None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            data = urlencode(form).encode()
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)
        return self._ask(method, path, query, data, headers, place or Place(self.url))

    def accepted(self, answer: HttpAnswer, place: Place | None = None) -> bytes:
        """The body of an answer that is no error; raises StoreError for one that is."""
        if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's range of success
            return answer.body
        where = place or Place(self.url)
        raise status_error(answer.status, answer.body, where, answer.retry_after)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        data: bytes | None,
        headers: dict[str, str],
        place: Place,
    ) -> HttpAnswer:
        if self._pool is None:
            raise RuntimeError("the InfluxDB store is not open; call open() first")
        if self._token:
            headers["Authorization"] = f"Token {self._token}"
        asked = f"{self._full_url}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._speaking(place):
            answer = self._pool.request(method, asked, body=data, headers=headers)
        return HttpAnswer(answer.status, answer.data, answer.headers.get("Retry-After"))

    @contextmanager
    def _speaking(self, place: Place) -> Iterator[None]:
        """Turn what urllib3 raises into the port's errors."""
        from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, SSLError
        from urllib3.exceptions import TimeoutError as TimedOut

        try:
            yield
        except SSLError as error:
            raise _tls_error(error, place) from error
        except NewConnectionError as error:
            # urllib3 counts it among the time-outs, though a refusal comes at once.
            raise _unreachable(error, place) from error
        except TimedOut as error:
            raise Unavailable(
                f"{place} did not answer within {self._timeout_s:g} s; is it up, and is the "
                "network between?"
            ) from error
        except (LocationParseError, ValueError) as error:
            raise Misconfigured(f"{place.url!r} is no URL of a server ({error})") from error
        except (HTTPError, OSError) as error:
            raise _unreachable(error, place) from error


def without_account(url: str) -> str:
    """The URL as it may be shown: without user and password."""
    parts = urlsplit(url.rstrip("/"))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _unreachable(error: BaseException, place: Place) -> Unavailable:
    return Unavailable(f"cannot reach {place} ({_reason(error)}); is it up, and is the URL right?")


def _tls_error(error: BaseException, place: Place) -> Misconfigured:
    return Misconfigured(
        f"{place} and this machine cannot agree on TLS ({_reason(error)}); is it to be https "
        "there, and does this machine trust the certificate?"
    )


def _reason(error: BaseException) -> str:
    """The innermost cause in short: "Connection refused" rather than urllib3's nesting."""
    while error.__context__ is not None and not isinstance(error, OSError):
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

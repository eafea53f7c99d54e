"""HTTP to InfluxDB, through influxdb-client: one write, one query, and each version's API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from store.errors import Misconfigured, StoreError, Unavailable
from store.influx_answers import Place, Row, rows_of, status_error

_CONNECTIONS = 8


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer: status, body, and how long the server asks to wait."""

    status: int
    body: bytes
    retry_after: str | None = None


class InfluxHttp:
    """Requests to one InfluxDB, each made once: whoever calls decides on trying again.

    influxdb-client takes a second and 20 MiB to import (and NumPy where it is installed), so
    that it is imported by `open`, not with this module.
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
        self._client: Any = None
        self._write_api: Any = None

    def open(self) -> None:
        """Make the connection pool, which connects when something is asked; raises Misconfigured."""
        if self._client is not None:
            return
        if not self._full_url.startswith(("http://", "https://")):
            raise Misconfigured(
                f"{self.url!r} is no URL of InfluxDB; write it like http://influxdb:8086"
            )
        from influxdb_client import InfluxDBClient
        from influxdb_client.client.write_api import SYNCHRONOUS

        self._client = InfluxDBClient(
            self._full_url,
            self._token,
            org=self.org,
            timeout=int(self._timeout_s * 1000),
            ssl_ca_cert=str(self._ca_file) if self._ca_file else None,
            connection_pool_maxsize=_CONNECTIONS,
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._write_api.close()
            self._client.close()
            self._client = self._write_api = None

    def write(self, bucket: str, body: bytes) -> None:
        """Write line protocol of µs precision to a bucket; returns when the server has it."""
        place = Place(self.url, bucket)
        self._require_open()
        from influxdb_client.rest import ApiException

        with self._speaking(place):
            try:
                self._write_api.write(bucket, self.org, body, write_precision="us")
            except ApiException as error:
                raise _api_error(error, place) from error

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
        self._require_open()
        headers = {"Authorization": f"Token {self._token}"} if self._token else {}
        data = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            data = urlencode(form).encode()
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)
        asked = f"{self._full_url}{path}" + (f"?{urlencode(query)}" if query else "")
        with self._speaking(place or Place(self.url)):
            answer = self._client.api_client.rest_client.pool_manager.request(
                method, asked, body=data, headers=headers, timeout=self._timeout_s
            )
        return HttpAnswer(answer.status, answer.data, answer.headers.get("Retry-After"))

    def accepted(self, answer: HttpAnswer, place: Place | None = None) -> bytes:
        """The body of an answer that is no error; raises StoreError for one that is."""
        if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's range of success
            return answer.body
        where = place or Place(self.url)
        raise status_error(answer.status, answer.body, where, answer.retry_after)

    def _require_open(self) -> None:
        if self._client is None:
            raise RuntimeError("the InfluxDB store is not open; call open() first")

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


def _api_error(error: Any, place: Place) -> StoreError:
    """The port's error for influxdb-client's ApiException."""
    if not error.status:
        return _tls_error(error, place)
    body = error.body.encode() if isinstance(error.body, str) else error.body or b""
    retry_after = error.headers.get("Retry-After") if error.headers else None
    return status_error(error.status, body, place, retry_after)


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

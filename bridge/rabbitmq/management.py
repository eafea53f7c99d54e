"""RabbitMQ's management HTTP API, as far as Steam needs it."""

from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

import msgspec

from bridge.broker import BrokerRefused, BrokerUnavailable

_TIMEOUT_S = 30.0
_UNAUTHORIZED, _NOT_FOUND = 401, 404


class Management:
    """Calls the management API of one broker for one virtual host.

    `url` is like `http://broker:15672`; user and password in it are used where
    `username` is not given. Every method raises BrokerUnavailable where the API cannot be
    reached and BrokerRefused where it says no.
    """

    def __init__(
        self, url: str, *, username: str = "", password: str = "", vhost: str = "/"
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"management address {_shown(url)!r} is not http(s)://host:port")
        self.vhost = vhost
        self._url = _shown(url).rstrip("/")
        user = username or unquote(parts.username or "")
        secret = password if username else unquote(parts.password or "")
        self._user = user
        self._authorization = "Basic " + b64encode(f"{user}:{secret}".encode()).decode()

    def get(self, *path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON of a resource; None where it does not exist."""
        return self._call("GET", path, query=query)

    def put(self, *path: str, body: object) -> None:
        """Make or replace a resource."""
        self._call("PUT", path, body=body)

    def post(self, *path: str, body: object) -> None:
        """Send `body` to a resource."""
        self._call("POST", path, body=body)

    def delete(self, *path: str) -> None:
        """Delete a resource; one that does not exist is fine."""
        self._call("DELETE", path)

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Any:
        address = "/".join([f"{self._url}/api", *(quote(step, safe="") for step in path)])
        if query:
            address += "?" + "&".join(f"{key}={quote(value)}" for key, value in query.items())
        request = Request(  # noqa: S310 - the scheme is checked in the constructor
            address,
            method=method,
            data=None if body is None else msgspec.json.encode(body),
            headers={"Authorization": self._authorization, "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - as above
                answer = response.read()
        except HTTPError as error:
            if error.code == _NOT_FOUND and method in ("GET", "DELETE"):
                return None
            raise self._refusal(error, f"{method} /{'/'.join(path)}") from None
        except (URLError, HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise BrokerUnavailable(
                f"cannot reach RabbitMQ's management API at {self._url} ({reason}); is the broker up, "
                "is its plugin rabbitmq_management enabled, is the address right?"
            ) from None
        try:
            return msgspec.json.decode(answer) if answer else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BrokerUnavailable(
                f"what answers at {self._url} is not RabbitMQ's management API (its answer is no "
                "JSON); is the address right?"
            ) from None

    def _refusal(self, error: HTTPError, what: str) -> BrokerRefused | BrokerUnavailable:
        detail = error.read(2000).decode("utf-8", "replace").strip()
        where = f"RabbitMQ's management API at {self._url}"
        if error.code == _UNAUTHORIZED:
            return BrokerRefused(
                f"{where} refused {what} for the account {self._user!r} (401): wrong password, or the "
                f"account lacks the tag or the permission for that: {detail}"
            )
        if error.code >= 500:  # noqa: PLR2004 - HTTP's border between the client's and the server's fault
            return BrokerUnavailable(f"{where} failed at {what} ({error.code}): {detail}")
        return BrokerRefused(f"{where} refused {what} ({error.code}): {detail}")


def _shown(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

"""An InfluxDB 1.8 or 2.7 for the tests: one from the environment, or an own server on loopback."""

import os
import secrets
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import msgspec

from tests.servers.ports import free_port
from tests.servers.process import ServerError, ServerProcess, ServerUnavailable, child_env

_INSTALL = {
    "1.8": (
        "no InfluxDB for the tests: run tests/servers/install.sh (it builds influxd 1.8.10 with Go), "
        "put influxd on the PATH, give STEAM_TEST_INFLUXDB_URL and STEAM_TEST_INFLUXDB_TOKEN, "
        "or set STEAM_TEST_DOCKER=1"
    ),
    "2.7": (
        "no InfluxDB 2.7 for the tests: give the path of its influxd in INFLUXD2, "
        "STEAM_TEST_INFLUXDB_URL and STEAM_TEST_INFLUXDB_TOKEN, or set STEAM_TEST_DOCKER=1"
    ),
}
_READY_S = 60.0
_ORG = "steam"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxDB:
    """Where an InfluxDB is; `version` is "1.8" or "2.7"; in 1.8 the token is `user:password` and `org` is ignored."""

    url: str
    version: str
    token: str
    org: str = _ORG

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Call the HTTP API as the administrator and return the answer's body.

        Raises:
            urllib.error.HTTPError: the server refuses; its `read()` says why.
        """
        asked = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = (
                "application/json" if body.startswith(b"{") else "text/plain; charset=utf-8"
            )
        request = urllib.request.Request(asked, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: bytes = response.read()
        return answer

    def clear(self) -> None:
        """Delete every database (1.8) or bucket of the organisation (2.7), so that a test starts from nothing."""
        if self.version.startswith("1."):
            for name in self._databases():
                if name != "_internal":
                    self.request("POST", "/query", query={"q": f'DROP DATABASE "{name}"'})
            return
        for bucket in self._json("/api/v2/buckets?limit=100")["buckets"]:
            if bucket["type"] != "system":
                self.request("DELETE", f"/api/v2/buckets/{bucket['id']}")

    def _databases(self) -> list[str]:
        results = self._json("/query", query={"q": "SHOW DATABASES"})["results"]
        return [row[0] for row in results[0]["series"][0].get("values", [])]

    def _json(self, path: str, *, query: Mapping[str, str] | None = None) -> Any:
        return msgspec.json.decode(self.request("GET", path, query=query))


class InfluxDBServer(Protocol):
    """An InfluxDB of our own in a folder; `stop` or `kill`, then `start`, keep its data and its port."""

    @property
    def address(self) -> InfluxDB:
        """Where it listens, and its administrator's token."""

    @property
    def process(self) -> ServerProcess:
        """The server's process."""

    def start(self) -> Self:
        """Start it and wait until it answers with its administrator made."""

    def stop(self) -> None:
        """Stop it in order; its data stays."""

    def kill(self) -> None:
        """End it with SIGKILL; its data stays."""

    def __enter__(self) -> Self:
        """Start it."""

    def __exit__(self, *_: object) -> None:
        """Stop it."""


class InfluxDB1Server:
    """InfluxDB 1.8 in `folder`; with `auth` (the default) every request needs the administrator's token.

    Flux stays off, which is 1.8's own default: Steam does not use it, and its library takes seconds to load.
    """

    def __init__(self, folder: Path, *, program: Path, auth: bool = True) -> None:
        """Choose a port and the administrator's password."""
        self.folder = folder
        self.auth = auth
        self.http_port, self.rpc_port = free_port(), free_port()
        self.username, self.password = "steam-test", secrets.token_hex(16)
        self.process = ServerProcess(
            "influxd",
            [str(program), "-config", str(folder / "influxd.toml")],
            folder=folder,
            env=child_env(folder),
        )

    @property
    def address(self) -> InfluxDB:
        """Where it listens, and its administrator's token (empty without `auth`)."""
        token = f"{self.username}:{self.password}" if self.auth else ""
        return InfluxDB(url=f"http://127.0.0.1:{self.http_port}", version="1.8", token=token)

    def start(self) -> Self:
        """Start it, wait until it answers, and make its administrator the first time.

        Raises:
            ServerError: it did not come up; the text holds its log's tail.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "influxd.toml").write_text(self._configuration(), encoding="utf-8")
        self.process.start()
        try:
            self.process.wait_ready(lambda: _answers(self.address, "/ping"), timeout_s=_READY_S)
            if self.auth:
                # Allowed without a token only while there is no administrator; repeating it changes nothing.
                account = f"CREATE USER \"{self.username}\" WITH PASSWORD '{self.password}' WITH ALL PRIVILEGES"
                self.address.request("POST", "/query", query={"q": account})
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        self.process.stop()

    def kill(self) -> None:
        """End it with SIGKILL; its data stays."""
        self.process.kill()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _configuration(self) -> str:
        folder = self.folder
        return f"""reporting-disabled = true
bind-address = "127.0.0.1:{self.rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "inmem"
  query-log-enabled = false
  cache-max-memory-size = "256m"
  cache-snapshot-memory-size = "8m"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.http_port}"
  auth-enabled = {str(self.auth).lower()}
  log-enabled = false
"""


class InfluxDB2Server:
    """InfluxDB 2.7 in `folder`, set up with the organisation `steam` and a token of its own."""

    def __init__(self, folder: Path, *, program: Path) -> None:
        """Choose a port and a token."""
        self.folder = folder
        self.http_port = free_port()
        self.token = secrets.token_hex(16)
        args = ["--http-bind-address", f"127.0.0.1:{self.http_port}", "--reporting-disabled"]
        args += [
            "--bolt-path",
            f"{folder}/influxd.bolt",
            "--sqlite-path",
            f"{folder}/influxd.sqlite",
        ]
        args += ["--engine-path", f"{folder}/engine", "--log-level", "warn"]
        self.process = ServerProcess(
            "influxd2",
            [str(program), *args],
            folder=folder,
            # It writes to $HOME/.cache; and it does not catch SIGTERM, which would end it as a crash does.
            env=child_env(folder),
            stop_signal=signal.SIGINT,
        )

    @property
    def address(self) -> InfluxDB:
        """Where it listens, and its administrator's token."""
        return InfluxDB(url=f"http://127.0.0.1:{self.http_port}", version="2.7", token=self.token)

    def start(self) -> Self:
        """Start it, wait until it answers, and set it up the first time.

        Raises:
            ServerError: it did not come up; the text holds its log's tail.
        """
        self.process.start()
        try:
            self.process.wait_ready(lambda: _answers(self.address, "/health"), timeout_s=_READY_S)
            set_up(self.address, secrets.token_hex(16))
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        self.process.stop()

    def kill(self) -> None:
        """End it with SIGKILL; its data stays."""
        self.process.kill()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def set_up(server: InfluxDB, password: str) -> None:
    """Make the organisation and the token of an InfluxDB 2 that has none; nothing to do when it has."""
    if not msgspec.json.decode(server.request("GET", "/api/v2/setup"))["allowed"]:
        return
    account = {"username": "steam-test", "password": password, "org": server.org, "bucket": "setup"}
    body = msgspec.json.encode({**account, "token": server.token})
    server.request("POST", "/api/v2/setup", body=body)


def from_environment(environ: Mapping[str, str]) -> InfluxDB | None:
    """Return the InfluxDB that STEAM_TEST_INFLUXDB_URL names, or None when it is not set.

    Raises:
        ServerError: it is named but does not answer: a test run must not quietly use another one.
    """
    url = environ.get("STEAM_TEST_INFLUXDB_URL", "").rstrip("/")
    if not url:
        return None
    token = environ.get("STEAM_TEST_INFLUXDB_TOKEN", "")
    org = environ.get("STEAM_TEST_INFLUXDB_ORG", _ORG)
    try:
        # Only 2.x has this page; asking it what it is would fail where influxd was built without a version.
        version = (
            "2.7"
            if _answers(InfluxDB(url=url, version="", token=token), "/api/v2/setup")
            else "1.8"
        )
        server = InfluxDB(url=url, version=version, token=token, org=org)
        server.request("GET", "/ping")
    except OSError as error:
        msg = f"STEAM_TEST_INFLUXDB_URL is set, but {url} does not answer: {error!r}"
        raise ServerError(msg) from error
    return server


def wanted_version(environ: Mapping[str, str]) -> str:
    """Return the version of InfluxDB to test on: "1.8", or "2.7" with STEAM_TEST_INFLUXDB=2."""
    return "2.7" if environ.get("STEAM_TEST_INFLUXDB", "1").startswith("2") else "1.8"


def find_program(environ: Mapping[str, str]) -> tuple[str, Path] | None:
    """Return the version ("1.8" or "2.7") and the path of an influxd on this machine, or None.

    1.8 is looked for on the PATH and in the cache folder that install.sh fills; with STEAM_TEST_INFLUXDB=2, 2.7 is
    taken from INFLUXD2 or from the cache folder of the offline build.
    """
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = wanted_version(environ)
    candidates = {
        "1.8": [
            cache / "steam" / "bin" / "influxd",
            shutil.which("influxd", path=environ.get("PATH")),
        ],
        "2.7": [environ.get("INFLUXD2"), cache / "influxdb2-offline" / "influxd"],
    }[version]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return version, Path(candidate)
    return None


def own_server(folder: Path) -> InfluxDBServer:
    """Return an own server in `folder`, not started, of the version that STEAM_TEST_INFLUXDB asks for.

    Raises:
        ServerUnavailable: the program is not on this machine.
    """
    found = find_program(os.environ)
    if found is None:
        raise ServerUnavailable(_INSTALL[wanted_version(os.environ)])
    version, program = found
    return (
        InfluxDB2Server(folder, program=program)
        if version == "2.7"
        else InfluxDB1Server(folder, program=program)
    )


@contextmanager
def any_influxdb(folder: Path) -> Iterator[InfluxDB]:
    """Yield an InfluxDB: the environment's, else an own one in `folder`, else a container.

    Raises:
        ServerUnavailable: there is none of the three.
    """
    named = from_environment(os.environ)
    if named is not None:
        yield named
    elif find_program(os.environ):
        with own_server(folder) as server:
            yield server.address
    else:
        from tests.servers.containers import influxdb_container

        container = influxdb_container()
        if container is None:
            raise ServerUnavailable(_INSTALL[wanted_version(os.environ)])
        with container as address:
            yield address


def _answers(server: InfluxDB, path: str) -> bool:
    try:
        server.request("GET", path)
    except urllib.error.HTTPError:
        return False
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True

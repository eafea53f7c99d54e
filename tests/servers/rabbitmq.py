"""A RabbitMQ with MQTT and management for the tests: one from the environment, or an own broker on loopback."""

import os
import secrets
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec
import pika
import pika.exceptions

from tests.servers.ports import free_port
from tests.servers.process import ServerError, ServerProcess, ServerUnavailable, child_env

# Started directly: the wrapper in /usr/sbin does `su rabbitmq`, which loses our environment.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PLUGINS = ("rabbitmq_management", "rabbitmq_mqtt")
INSTALL = (
    "no RabbitMQ for the tests: install it (Debian: apt-get install rabbitmq-server), or give STEAM_TEST_AMQP_URL, "
    "STEAM_TEST_MQTT_URL and STEAM_TEST_RABBITMQ_MANAGEMENT_URL, or set STEAM_TEST_DOCKER=1"
)
_READY_S = 90.0
# What a test broker decides itself, whatever the shipped file says.
_OWN_KEYS = (
    "default_pass",
    "default_user",
    "disk_free_limit.",
    "listeners.",
    "log.",
    "management.ssl.",
    "management.tcp.",
    "mqtt.allow_anonymous",
    "mqtt.listeners.",
    "raft.wal_max_size_bytes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQ:
    """Where a RabbitMQ is and an administrator's account on it."""

    amqp_url: str
    mqtt_host: str
    mqtt_port: int
    management_url: str
    username: str
    password: str
    version: str
    vhost: str = "/"

    @property
    def mqtt_username(self) -> str:
        """The administrator's name as MQTT must give it to land in `vhost` (`vhost:username`)."""
        return self.mqtt_user(self.username)

    def mqtt_user(self, username: str) -> str:
        """Return `username` as MQTT must give it to land in `vhost`."""
        return username if self.vhost == "/" else f"{self.vhost}:{username}"

    def connect(self) -> pika.BlockingConnection:
        """Open an AMQP connection as the administrator.

        Raises:
            pika.exceptions.AMQPError: the broker does not take it.
        """
        return pika.BlockingConnection(pika.URLParameters(self.amqp_url))

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Call the management API, e.g. `api("GET", "/overview")`, and return its JSON (None when empty).

        Raises:
            urllib.error.URLError: the API is away or refuses.
        """
        account = b64encode(f"{self.username}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            f"{self.management_url}/api{path}",
            data=None if body is None else msgspec.json.encode(body),
            headers={"Authorization": f"Basic {account}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = response.read()
        return msgspec.json.decode(answer) if answer else None

    @contextmanager
    def fresh_vhost(self) -> Iterator["RabbitMQ"]:
        """Make an empty virtual host, yield this broker pointing at it, and delete it with all it holds."""
        vhost = f"test-{secrets.token_hex(4)}"
        self.api("PUT", f"/vhosts/{vhost}", {})
        self.api(
            "PUT",
            f"/permissions/{vhost}/{quote(self.username, safe='')}",
            {"configure": ".*", "write": ".*", "read": ".*"},
        )
        parts = urlsplit(self.amqp_url)
        try:
            yield replace(self, vhost=vhost, amqp_url=urlunsplit(parts._replace(path=f"/{vhost}")))
        finally:
            self.api("DELETE", f"/vhosts/{vhost}")


class RabbitMQServer:
    """A broker of our own in `folder`: loopback only, own cookie, node name, epmd and ports; restartable.

    `stop` and `start`, or `kill` and `start`, keep the data and the ports. `close` also ends its epmd.
    """

    def __init__(
        self,
        folder: Path,
        *,
        program: Path = PROGRAM,
        conf: Path | None = None,
        plugins: Path | None = None,
        conf_extra: Sequence[str] = (),
    ) -> None:
        """Choose ports and names.

        `conf` and `plugins` are the rabbitmq.conf and enabled_plugins to run with (listeners and the first account are
        replaced by the test's own); `conf_extra` are lines put after them.
        """
        self.folder = folder
        self.conf = conf
        self.plugins = plugins
        self.conf_extra = tuple(conf_extra)
        self.node = f"steam-test-{secrets.token_hex(4)}@localhost"
        self.amqp_port, self.mqtt_port, self.management_port = free_port(), free_port(), free_port()
        self.epmd_port, self.distribution_port = free_port(), free_port()
        self.username, self.password = "steam-test", secrets.token_hex(16)
        self.epmd = ServerProcess(
            "epmd",
            [shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)],
            folder=folder,
            env=child_env(folder),
        )
        self.broker = ServerProcess("rabbitmq", [str(program)], folder=folder, env=self._env())
        self._version = "unknown"

    @property
    def address(self) -> RabbitMQ:
        """Where the broker listens, and its administrator."""
        return RabbitMQ(
            amqp_url=f"amqp://{self.username}:{self.password}@127.0.0.1:{self.amqp_port}/%2F",
            mqtt_host="127.0.0.1",
            mqtt_port=self.mqtt_port,
            management_url=f"http://127.0.0.1:{self.management_port}",
            username=self.username,
            password=self.password,
            version=self._version,
        )

    def start(self) -> Self:
        """Start epmd and the broker and wait until AMQP, MQTT and management answer.

        Raises:
            ServerError: it did not come up; the text holds its log's tail.
        """
        self._write_files()
        if not self.epmd.running:
            self.epmd.start()
            self.epmd.wait_ready(lambda: _listens(self.epmd_port), timeout_s=10)
        self.broker.start()
        try:
            self.broker.wait_ready(self._ready, timeout_s=_READY_S)
        except BaseException:
            self.close()
            raise
        return self

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl on this broker and return what it said.

        Raises:
            ServerError: it failed; the text holds what it said.
        """
        program = str(PROGRAM.with_name("rabbitmqctl"))
        done = subprocess.run(
            [program, "-n", self.node, "--quiet", *arguments],
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def await_on_disk(self, *queues: str, timeout_s: float = 15.0) -> None:
        """Wait until the quorum queues `queues`, just declared, would survive `kill`.

        The broker keeps their registration in a DETS table, which it writes some 3 s late. Killed before that,
        3.10.8 comes back with a queue that never elects a leader (seen: basic.get times out after 65 s).

        Raises:
            ServerError: they were not written in time.
        """
        names = next((self.folder / "mnesia").glob("*/quorum/*/names.dets"))
        wanted = [f"_{queue}".encode() for queue in queues]
        self.broker.wait_ready(
            lambda: all(queue in names.read_bytes() for queue in wanted), timeout_s=timeout_s
        )

    def stop(self) -> None:
        """Stop the broker in order; its data stays."""
        self.broker.stop(timeout_s=60)

    def kill(self) -> None:
        """End the broker with SIGKILL; its data stays."""
        self.broker.kill()

    def close(self) -> None:
        """End the broker and its epmd at once: an orderly stop takes 6 s, and nobody reads the data again."""
        self.kill()
        self.epmd.stop(timeout_s=10)

    def __enter__(self) -> Self:
        """Start the broker."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End the broker and its epmd."""
        self.close()

    def _ready(self) -> bool:
        if not (
            _listens(self.amqp_port) and _listens(self.mqtt_port) and _listens(self.management_port)
        ):
            return False
        try:
            with self.address.connect() as connection:
                connection.channel().close()
            self._version = self.address.api("GET", "/overview")["rabbitmq_version"]
        except (pika.exceptions.AMQPError, urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return mqtt_accepts(self.address)

    def _env(self) -> dict[str, str]:
        in_folder = {
            "ERL_CRASH_DUMP": "erl_crash.dump",
            "RABBITMQ_ADVANCED_CONFIG_FILE": "advanced.config",
            "RABBITMQ_CONFIG_FILE": "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": "generated",
            "RABBITMQ_LOG_BASE": "log",
            "RABBITMQ_MNESIA_BASE": "mnesia",
            "RABBITMQ_PID_FILE": "rabbitmq.pid",
            "RABBITMQ_SCHEMA_DIR": "schema",
        }
        return child_env(
            self.folder,
            **{name: str(self.folder / file) for name, file in in_folder.items()},
            ERL_EPMD_ADDRESS="127.0.0.1",
            ERL_EPMD_PORT=str(self.epmd_port),
            # Every Erlang program the scripts start, not only the broker, keeps its distribution port on loopback.
            ERL_AFLAGS="-kernel inet_dist_use_interface {127,0,0,1}",
            RABBITMQ_DIST_PORT=str(self.distribution_port),
            RABBITMQ_LOGS="-",
            RABBITMQ_NODENAME=self.node,
            # The start script then replaces itself by the broker: our pid is the broker's.
            detached="1",
        )

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        own = [
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp_port}",
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.mqtt_port}",
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {self.management_port}",
            "mqtt.allow_anonymous = false",
            f"default_user = {self.username}",
            f"default_pass = {self.password}",
            # The default of 512 MiB is written in full before the first segment: small disks and small machines.
            "raft.wal_max_size_bytes = 33554432",
            "log.console.level = info",
            "disk_free_limit.absolute = 64MB",
        ]
        shipped = (
            without_keys(self.conf.read_text(encoding="utf-8"), _OWN_KEYS) if self.conf else ""
        )
        text = "\n".join([shipped, *own, *self.conf_extra, ""])
        (self.folder / "rabbitmq.conf").write_text(text, encoding="utf-8")
        plugins = (
            self.plugins.read_text(encoding="utf-8")
            if self.plugins
            else f"[{','.join(PLUGINS)}].\n"
        )
        (self.folder / "enabled_plugins").write_text(plugins, encoding="utf-8")
        (self.folder / "rabbitmq-env.conf").touch()


def without_keys(conf: str, prefixes: Sequence[str]) -> str:
    """Return a rabbitmq.conf without the settings whose key starts with one of `prefixes`."""
    kept = [line for line in conf.splitlines() if not line.strip().startswith(tuple(prefixes))]
    return "\n".join(kept)


def mqtt_accepts(broker: RabbitMQ) -> bool:
    """Whether the broker takes an MQTT 3.1.1 connection of its administrator."""
    fields = ("steam-test-probe", broker.mqtt_username, broker.password)
    body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + b"".join(
        len(field.encode()).to_bytes(2, "big") + field.encode() for field in fields
    )
    try:
        with socket.create_connection((broker.mqtt_host, broker.mqtt_port), timeout=5) as link:
            link.sendall(bytes([0x10, len(body)]) + body)
            answer = link.recv(4)
            link.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answer == b"\x20\x02\x00\x00"


def from_environment(environ: Mapping[str, str]) -> RabbitMQ | None:
    """Return the RabbitMQ that STEAM_TEST_AMQP_URL names, or None when it is not set.

    Raises:
        ServerError: it is named but does not answer: a test run must not quietly use another one.
    """
    amqp_url = environ.get("STEAM_TEST_AMQP_URL")
    if not amqp_url:
        return None
    amqp = urlsplit(amqp_url)
    mqtt = urlsplit(environ.get("STEAM_TEST_MQTT_URL") or f"mqtt://{amqp.hostname}:1883")
    management = (
        environ.get("STEAM_TEST_RABBITMQ_MANAGEMENT_URL") or f"http://{amqp.hostname}:15672"
    )
    broker = RabbitMQ(
        amqp_url=amqp_url,
        mqtt_host=mqtt.hostname or "127.0.0.1",
        mqtt_port=mqtt.port or 1883,
        management_url=management.rstrip("/"),
        username=unquote(amqp.username or "guest"),
        password=unquote(amqp.password or "guest"),
        version="unknown",
        vhost=unquote(amqp.path[1:]) or "/",
    )
    try:
        with broker.connect():
            pass
        version = broker.api("GET", "/overview")["rabbitmq_version"]
    except (pika.exceptions.AMQPError, OSError) as error:
        msg = f"STEAM_TEST_AMQP_URL is set, but {amqp.hostname}:{amqp.port} or {management} does not answer: {error!r}"
        raise ServerError(msg) from error
    return replace(broker, version=version)


@contextmanager
def any_rabbitmq(
    folder: Path,
    *,
    conf: Path | None = None,
    plugins: Path | None = None,
    conf_extra: Sequence[str] = (),
) -> Iterator[RabbitMQ]:
    """Yield a RabbitMQ: the environment's, else an own one in `folder`, else a container.

    Raises:
        ServerUnavailable: there is none of the three.
    """
    named = from_environment(os.environ)
    if named is not None:
        yield named
    elif PROGRAM.exists():
        with RabbitMQServer(folder, conf=conf, plugins=plugins, conf_extra=conf_extra) as server:
            yield server.address
    else:
        from tests.servers.containers import rabbitmq_container

        container = rabbitmq_container(folder, conf=conf, plugins=plugins)
        if container is None:
            raise ServerUnavailable(INSTALL)
        with container as broker:
            yield broker


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False

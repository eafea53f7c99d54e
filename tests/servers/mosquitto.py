"""A mosquitto for the tests: an own broker on loopback, run with a given configuration."""

import re
import shutil
import socket
from pathlib import Path
from typing import Self

from tests.servers.ports import free_port
from tests.servers.process import ServerProcess, ServerUnavailable, child_env

INSTALL = "no mosquitto for the tests: install it (Debian: apt-get install mosquitto)"
_LISTENER = re.compile(r"^listener .*$", re.MULTILINE)
_REPLACED = ("persistence_location", "user ", "pid_file", "log_dest")
_MINIMAL = "allow_anonymous true\n"


class MosquittoServer:
    """A mosquitto in `folder`; `stop` or `kill`, then `start`, keep its port and what it stored.

    `conf` is the mosquitto.conf to run with: each of its listeners gets a free port on loopback, in order (`ports`), and
    where it persists, logs and writes its pid is replaced. Account files it names must be there.
    """

    def __init__(self, folder: Path, *, program: Path, conf: str = _MINIMAL) -> None:
        """Choose the ports."""
        self.folder = folder
        self.host = "127.0.0.1"
        self.conf = conf if _LISTENER.search(conf) else f"listener 1883\n{conf}"
        self.ports = tuple(free_port() for _ in _LISTENER.findall(self.conf))
        self.process = ServerProcess(
            "mosquitto",
            [str(program), "-c", str(folder / "mosquitto.conf")],
            folder=folder,
            env=child_env(folder),
        )

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self.ports[0]

    def start(self) -> Self:
        """Start it and wait until it listens.

        Raises:
            ServerError: it did not come up; the text holds its log's tail.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "mosquitto.conf").write_text(self._configuration(), encoding="utf-8")
        self.process.start()
        try:
            self.process.wait_ready(self._listens, timeout_s=20)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop it in order; what it persisted stays."""
        self.process.stop()

    def kill(self) -> None:
        """End it with SIGKILL; what it persisted stays."""
        self.process.kill()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _configuration(self) -> str:
        ports = iter(self.ports)
        conf = _LISTENER.sub(lambda _: f"listener {next(ports)} {self.host}", self.conf)
        kept = [line for line in conf.splitlines() if not line.strip().startswith(_REPLACED)]
        # As root it would become the user mosquitto, who may not write here.
        own = [f"persistence_location {self.folder}/", "log_dest stderr", "user root"]
        return "\n".join([*own, *kept, ""])

    def _listens(self) -> bool:
        try:
            for port in self.ports:
                socket.create_connection((self.host, port), timeout=1).close()
        except OSError:
            return False
        return True


def own_mosquitto(folder: Path, *, conf: str = _MINIMAL) -> MosquittoServer:
    """Return an own mosquitto in `folder`, not started.

    Raises:
        ServerUnavailable: the program is not on this machine.
    """
    program = shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    ) or shutil.which("mosquitto")
    if program is None:
        raise ServerUnavailable(INSTALL)
    return MosquittoServer(folder, program=Path(program), conf=conf)

"""A mosquitto for the tests: an own broker on loopback, run with a given configuration."""

import shutil
import socket
from pathlib import Path
from typing import Self

from tests.servers.ports import free_port
from tests.servers.process import ServerProcess, ServerUnavailable, child_env

INSTALL = "no mosquitto for the tests: install it (Debian: apt-get install mosquitto)"
_MINIMAL = "allow_anonymous true\n"


class MosquittoServer:
    """A mosquitto in `folder`; `stop` or `kill`, then `start`, keep its port and what it stored.

    `conf` is the mosquitto.conf to run with: its listeners, its user and where it persists are replaced by ours.
    """

    def __init__(self, folder: Path, *, program: Path, conf: str = _MINIMAL) -> None:
        """Choose a port."""
        self.folder = folder
        self.host, self.port = "127.0.0.1", free_port()
        self.conf = conf
        self.process = ServerProcess(
            "mosquitto",
            [str(program), "-c", str(folder / "mosquitto.conf")],
            folder=folder,
            env=child_env(folder),
        )

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
        replaced = (
            "listener",
            "port",
            "bind_address",
            "persistence_location",
            "user",
            "pid_file",
            "log_dest",
        )
        kept = [line for line in self.conf.splitlines() if not line.strip().startswith(replaced)]
        # As root it would become the user mosquitto, who may not write here. A listener's own settings follow it.
        own = [
            f"listener {self.port} {self.host}",
            f"persistence_location {self.folder}/",
            "log_dest stderr",
            "user root",
        ]
        return "\n".join([*own, *kept, ""])

    def _listens(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                return True
        except OSError:
            return False


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

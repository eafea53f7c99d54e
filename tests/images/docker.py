"""A Docker engine on this machine, and what the tests ask of it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import go_without

ROOT = Path(__file__).resolve().parents[2]
BASE = "steam-base:bookworm"
IMAGES = ("processor", "panel", "producer", "jobs")
_SOCKET = Path("/var/run/docker.sock")
_ENGINE_S = 30.0


class CommandFailed(AssertionError):
    """A command did not end with 0; the text is what it printed."""


class Docker:
    """The docker client of Debian's package, which builds by itself (later ones need a plugin)."""

    def __init__(self) -> None:
        self.program = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator["Docker"]:
        """An engine that answers; where none does, and this is root with dockerd, one of its own."""
        docker = cls()
        if docker.answers():
            yield docker
            return
        dockerd = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if dockerd is None or os.geteuid() != 0:
            go_without("a Docker engine: as root on Debian, apt-get install docker.io debootstrap")
        with (folder / "dockerd.log").open("wb") as log:
            process = subprocess.Popen(
                [dockerd, "--data-root", "/var/lib/docker-steam"], stdout=log, stderr=log
            )
        try:
            deadline = time.monotonic() + _ENGINE_S
            while not docker.answers():
                assert time.monotonic() < deadline, (folder / "dockerd.log").read_text()
                time.sleep(0.2)
            yield docker
        finally:
            process.terminate()
            process.wait(30)

    def answers(self) -> bool:
        """Whether an engine listens."""
        return _SOCKET.exists() and self._done("version").returncode == 0

    def run(self, *arguments: str, **env: str) -> str:
        """Run the client to its end; its output."""
        done = self._done(*arguments, **env)
        if done.returncode != 0:
            raise CommandFailed(f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}")
        return done.stdout.strip()

    def inspect(self, name: str) -> dict:
        """What the engine knows of an image or a container."""
        return json.loads(self.run("inspect", name))[0]

    def make_base(self) -> None:
        """The base image, once."""
        if self._done("image", "inspect", BASE).returncode == 0:
            return
        if shutil.which("debootstrap", path="/usr/sbin:/usr/bin") is None:
            go_without("debootstrap, which makes the base image: apt-get install debootstrap")
        done = subprocess.run(
            [str(ROOT / "infra" / "docker" / "make-base"), BASE],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=os.environ
            | {"PATH": f"{Path(self.program).parent}:/usr/sbin:{os.environ['PATH']}"},
        )
        assert done.returncode == 0, done.stdout[-3000:]

    def build(self, context: Path, tag: str, *more: str, **arguments: str) -> str:
        """Build an image; returns its tag."""
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self.run("build", "--network", "host", "--tag", tag, *given, *more, str(context))
        return tag

    def _done(self, *arguments: str, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=os.environ | {"DOCKER_BUILDKIT": "1"} | env,
        )


def built(docker: Docker, name: str) -> str:
    """One of Steam's images."""
    file = str(ROOT / "infra" / "docker" / "Dockerfile")
    tag = f"steam-boilers/{name}:latest"
    return docker.build(ROOT, tag, "--file", file, "--target", name, BASE=BASE)

"""kubectl and helm on one cluster, as the tests use them."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

CHARTS = Path(__file__).resolve().parents[2] / "infra" / "charts"
CHART_NAMES = ("steam-broker", "steam-influxdb", "steam")
RESTRICTED = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
USAGE = "kwok.x-k8s.io/usage"
_STORAGE_CLASS = "steam-test"
_VOLUMES = 8


class CommandFailed(AssertionError):
    """A command did not end with 0; the text is what it printed."""


def program(name: str) -> str:
    """A program on PATH or in the cache of the project's own tools."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = shutil.which(name) or shutil.which(name, path=str(cache / "steam" / "bin"))
    if found is None:
        raise CommandFailed(f"no {name} on this machine; `make infra-tools` installs it")
    return found


def run(*command: str, given: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; its output and errors together."""
    done = subprocess.run(
        command,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
        env=env,
    )
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}: {done.returncode}\n{done.stdout}")
    return done.stdout


def until(question: Callable[[], Any], what: str, within_s: float = 120.0) -> Any:
    """Ask until the answer is true; fails with what was waited for."""
    deadline = time.monotonic() + within_s
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(1)
    return answer


class Cluster:
    """One namespace of a cluster, and the releases in it."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.is_simulated = "kwok" in self.kubectl("get", "nodes", "-o", "wide")

    @classmethod
    @contextmanager
    def connected(cls) -> Iterator[Self]:
        """A cluster with a namespace of its own, removed at the end."""
        name = f"steam-test-{secrets.token_hex(3)}"
        cluster = cls(name)
        cluster.kubectl("create", "namespace", name)
        try:
            cluster.kubectl("label", "namespace", name, *RESTRICTED)
            cluster._offer_storage()
            yield cluster
        finally:
            cluster.kubectl("delete", "namespace", name, "--wait=false")

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return run(program("kubectl"), "-n", self.namespace, *arguments, given=given)

    def helm(self, *arguments: str, given: str | None = None) -> str:
        """Run helm in the namespace."""
        return run(program("helm"), "-n", self.namespace, *arguments, given=given)

    def get(self, kind: str, name: str = "", *more: str) -> dict[str, Any]:
        """An object or a list of them."""
        named = [name] if name else []
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, *named, *more, "-o", "json"))
        return found

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The living pods of a component."""
        items = self.get("pods", "", "-l", f"app.kubernetes.io/component={component}")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def use(self, component: str, *, cpu_m: int, memory_mi: int) -> None:
        """On simulated nodes: let the pods of a component share this CPU and use this memory each."""
        pods = self.pods(component)
        figures = (
            f"{USAGE}-cpu={cpu_m // max(1, len(pods))}m",
            f"{USAGE}-memory={memory_mi}Mi",
        )
        for pod in pods:
            # One that the autoscaler takes away meanwhile uses nothing any longer.
            with contextlib.suppress(CommandFailed):
                self.kubectl("annotate", "--overwrite", "pod", pod["metadata"]["name"], *figures)

    def _offer_storage(self) -> None:
        """Where nothing provides volumes, a few on the nodes' disks."""
        classes = json.loads(self.kubectl("get", "storageclass", "-o", "json"))["items"]
        if classes:
            return
        made: list[dict[str, Any]] = [
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": _STORAGE_CLASS,
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "kubernetes.io/no-provisioner",
            }
        ]
        made += [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{_STORAGE_CLASS}-{number}"},
                "spec": {
                    "capacity": {"storage": "500Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": _STORAGE_CLASS,
                    "persistentVolumeReclaimPolicy": "Delete",
                    "hostPath": {"path": f"/tmp/{_STORAGE_CLASS}-{number}"},
                },
            }
            for number in range(_VOLUMES)
        ]
        self.kubectl(
            "apply",
            "-f",
            "-",
            given=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}),
        )

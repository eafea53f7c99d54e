"""The make targets of the guide, on a cluster: each does what its line says."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cluster.kubernetes import program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def make(cluster):
    """Runs a target in a namespace of its own; returns exit code and output."""
    namespace = f"{cluster.namespace}-make"
    tools = f"{Path(program('helm')).parent}:{os.environ['PATH']}"

    def run(*arguments):
        done = subprocess.run(
            ["make", f"NAMESPACE={namespace}", *arguments],
            cwd=ROOT,
            env=os.environ | {"PATH": tools},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout

    yield run
    cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def test_make_targets_deploy_upgrade_and_uninstall(make):
    """What is installed is upgraded with its values, and not set anew by mistake."""
    plant = "PLANT=steam/demo_plant.yaml"
    code, said = make("deploy", "TARGET=local", plant, "REGISTRY=x", "TAG=1")
    assert code == 0, said

    code, said = make("deploy", "REGISTRY=x", "TAG=1")
    assert (code, "`make upgrade` keeps its values" in said) == (2, True)

    code, said = make("upgrade", "REGISTRY=x", "TAG=2")
    assert code == 0, said
    _, said = make("status")
    assert "deployment.apps/steam-producer" in said

    code, said = make("create-jobs")
    assert (code, "steam-backup" in said) == (0, True)
    assert make("delete-jobs")[0] == 0
    assert len(make("rabbit-password")[1].splitlines()[-1]) == 32
    code, said = make("set-rabbit-password", "ACCOUNT=nobody")
    assert "no account nobody" in said
    assert make("uninstall")[0] == 0


def test_make_deploy_of_devices_over_tls_asks_for_the_certificate_first(make):
    """Without it the broker would wait for ever."""
    code, said = make("deploy", "TARGET=edge", "PLANT=steam/demo_plant.yaml", "TAG=1")

    assert code == 2
    assert "first make the Secret steam-mqtt-tls" in said

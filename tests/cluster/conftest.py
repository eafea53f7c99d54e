"""A namespace of its own on the cluster that KUBECONFIG names."""

import os

import pytest

from tests.cluster.kubernetes import Cluster

if os.environ.get("STEAM_TEST_CLUSTER") != "1":
    # Not part of the default run: it takes minutes and a cluster.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def cluster():
    """The cluster, with a namespace under PodSecurity `restricted`, removed at the end."""
    with Cluster.connected() as found:
        yield found

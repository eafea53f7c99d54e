"""The charts, as far as a look at them tells: what they render, what they refuse, what they repeat."""

import subprocess
from pathlib import Path

import msgspec
import pytest
from ruamel.yaml import YAML

from bridge.accounts import Service
from bridge.plant import load_plant
from steam.settings import load_settings
from tests.cluster.kubernetes import CHART_NAMES, CHARTS, CommandFailed, program
from tests.conftest import go_without

ROOT = Path(__file__).resolve().parents[2]
KEPT_AFTER_DRAIN_MI = 75
"""What a replica keeps after it has drained 100,000 messages (docs/guides/deploy.md)."""


def helm(*arguments):
    try:
        path = program("helm")
    except CommandFailed as lacking:
        go_without(str(lacking))
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)


def rendered(chart, *arguments):
    done = helm("template", "steam", str(CHARTS / chart), "--kube-version", "1.34.0", *arguments)
    assert done.returncode == 0, done.stderr
    return [each for each in YAML(typ="safe").load_all(done.stdout) if each]


def of_kind(documents, kind):
    return [each for each in documents if each["kind"] == kind]


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_chart_is_without_a_fault(chart):
    """Helm's own lint, strictly, with the default values."""
    done = helm("lint", "--strict", "--kube-version", "1.34.0", str(CHARTS / chart))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("chart", "wrong", "told"),
    [
        ("steam", "autoscaling.maxReplica=4", "maxReplica"),
        ("steam", "panel.language=de", "language"),
        ("steam", "influxdb.url=influx", "url"),
        ("steam", "settings.deployment=embedded", "settings"),
        ("steam", "autoscaling.maxReplicas=9", "maxReplicas"),
        ("steam", "cronJobs.rollup.schedule=daily", "schedule"),
        ("steam-broker", "replicaCount=2", "replicaCount"),
        ("steam-broker", "persistence.size=10", "size"),
        ("steam-influxdb", "image.tag=latest", "tag"),
    ],
)
def test_value_that_is_wrong_is_refused_by_its_name(chart, wrong, told):
    """The schema says which key it is, before anything reaches a cluster."""
    done = helm(
        "template", "steam", str(CHARTS / chart), "--kube-version", "1.34.0", "--set", wrong
    )

    assert done.returncode != 0
    assert told in done.stderr


def test_settings_of_the_chart_are_settings_of_steam(tmp_path):
    """steam.yaml and plant.yaml of the ConfigMap are read by Steam itself."""
    for values in sorted((CHARTS / "steam" / "ci").glob("*.yaml")):
        (found,) = of_kind(rendered("steam", "-f", str(values)), "ConfigMap")
        for name, text in found["data"].items():
            (tmp_path / name).write_text(text, encoding="utf-8")

        settings = load_settings(tmp_path / "steam.yaml")

        assert settings.deployment == "server"
        load_plant(settings.plant_path)


def test_memory_request_lets_the_autoscaler_return_to_one():
    """2 -> 1 needs a use below 35 % of the request: at least three times what a replica keeps."""
    (processor,) = [
        each
        for each in of_kind(rendered("steam"), "Deployment")
        if each["metadata"]["name"].endswith("-processor")
    ]
    (container,) = processor["spec"]["template"]["spec"]["containers"]
    request_mi = int(container["resources"]["requests"]["memory"].removesuffix("Mi"))

    assert request_mi >= 3 * KEPT_AFTER_DRAIN_MI
    assert KEPT_AFTER_DRAIN_MI / request_mi < 0.35
    assert "replicas" not in processor["spec"]


def test_broker_secret_has_a_password_for_each_account():
    """An account that Steam's code knows is one that the chart makes a password for."""
    (secret,) = of_kind(rendered("steam-broker"), "Secret")

    assert set(secret["data"]) == {*(service.value for service in Service), "erlang-cookie"}


def test_broker_starts_with_the_configuration_that_is_tested():
    """A chart holds its files itself; this one is a copy."""
    copy = CHARTS / "steam-broker" / "files" / "rabbitmq.conf"

    assert copy.read_bytes() == (ROOT / "bridge" / "rabbitmq" / "rabbitmq.conf").read_bytes()


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_chart_has_a_helm_test_outside_of_what_it_asks(chart):
    """`helm test` runs something, and no Service or policy of its own release takes it for the server."""
    documents = rendered(chart)
    tests = [
        each
        for each in documents
        if "test" in each["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    ]
    assert len(tests) == 1
    if chart != "steam":
        labels = tests[0]["metadata"]["labels"].items()
        for service in of_kind(documents, "Service"):
            assert not set(service["spec"]["selector"].items()) <= set(labels)


def test_no_chart_names_an_image_of_bitnami():
    """Their versioned images are gone."""
    for chart in CHART_NAMES:
        assert "bitnami" not in msgspec.json.encode(rendered(chart)).decode().lower()


@pytest.mark.parametrize("target", ["local", "edge", "cloud"])
def test_values_of_a_target_are_accepted(target):
    """Each of the three charts takes its file of infra/values."""
    for chart in CHART_NAMES:
        assert rendered(chart, "-f", str(ROOT / "infra" / "values" / target / f"{chart}.yaml"))

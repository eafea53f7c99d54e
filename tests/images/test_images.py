"""The images: what is in them, how large they are, and as whom they run."""

import pytest

from tests.images.docker import BASE, IMAGES

MB = 1_000_000
LARGEST_ABOVE_BASE = {"processor": 50, "jobs": 50, "producer": 50, "panel": 350}
CONFINED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
)
COMMANDS = {
    "processor": ("processor", "notifier"),
    "panel": ("panel",),
    "producer": ("simulate", "replay"),
    "jobs": ("topology", "store", "device", "quarantine", "rollup", "backup", "restore", "doctor"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_image_is_no_larger_than_it_may_be(docker, images, name):
    """What it adds to the base."""
    above = docker.inspect(images[name])["Size"] - docker.inspect(BASE)["Size"]

    print(f"{name}: {above / MB:.0f} MB above the base")
    assert above <= LARGEST_ABOVE_BASE[name] * MB


@pytest.mark.parametrize(
    ("name", "command"), [(name, each) for name in IMAGES for each in COMMANDS[name]]
)
def test_command_runs_confined(docker, images, name, command):
    """Read-only, without capabilities or network, as nobody in particular, each command is there."""
    said = docker.run("run", "--rm", *CONFINED, images[name], command, "--help")

    assert f"steam {command}" in said
    assert "Not here" not in said


@pytest.mark.parametrize("name", IMAGES)
def test_image_says_what_it_is_and_runs_as_a_number(docker, images, name):
    """Labels of OCI, a numeric user, an entrypoint that is a program and no shell."""
    config = docker.inspect(images[name])["Config"]

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python3", "-m", "steam"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_image_holds_no_tests_and_no_secrets(docker, images):
    """Only what runs is in it."""
    listed = docker.run(
        "run", "--rm", "--entrypoint", "sh", images["processor"], "-c", "ls -A /opt/steam/app; env"
    )

    assert "tests" not in listed
    assert "PASSWORD" not in listed

"""The terraform folder, as far as reading it tells."""

import re
from pathlib import Path

import pytest

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
MODULES = sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
STACKS = sorted(path for path in (TERRAFORM / "stacks").glob("*/*") if path.is_dir())
_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.DOTALL | re.MULTILINE)


def blocks(folder):
    return [
        match.groups()
        for path in folder.glob("*.tf")
        for match in _BLOCK.finditer(path.read_text())
    ]


@pytest.mark.parametrize("folder", [*MODULES, *STACKS], ids=lambda path: path.name)
def test_variable_is_typed_and_described_and_in_the_readme(folder):
    """Who uses it finds what each input and output means."""
    readme = folder / "README.md" if folder in MODULES else folder.parent / "README.md"
    text = readme.read_text(encoding="utf-8")

    for kind, name, body in blocks(folder):
        assert "description" in body, name
        assert kind == "output" or re.search(r"^  type ", body, re.MULTILINE), name
        assert f"| `{name}` |" in text, name


@pytest.mark.parametrize("folder", MODULES, ids=lambda path: path.name)
def test_module_has_tests_and_an_example(folder):
    """Each can be tried and is tried."""
    assert list((folder / "tests").glob("*.tftest.hcl"))
    assert (folder / "examples" / "complete" / "main.tf").exists()


@pytest.mark.parametrize("folder", MODULES, ids=lambda path: path.name)
def test_every_validation_is_tested_by_what_it_refuses(folder):
    """A validation that nothing breaks may be one that refuses nothing."""
    tested = "".join(path.read_text() for path in (folder / "tests").glob("*.hcl"))

    for _, name, body in blocks(folder):
        if "validation {" in body:
            assert f"expect_failures = [var.{name}]" in tested, name


def test_no_secret_is_an_ordinary_argument():
    """What random_password makes reaches only write-only arguments."""
    text = (TERRAFORM / "modules" / "platform" / "main.tf").read_text(encoding="utf-8")

    uses = [line for line in text.splitlines() if "ephemeral.random_password" in line]
    assert uses
    assert all(line.strip().startswith("data_wo ") for line in uses)
    assert 'resource "random_password"' not in text

"""The command line: one sub-command a file in steam/commands."""

import importlib
import sys

import typer

from steam.console import FAILED, INSTALL, end, is_own

app = typer.Typer(
    name="steam",
    help=(
        "Watches industrial boilers. Steam monitors and records; it never controls or trips a "
        "boiler.\n\nExit codes: 0 done, 1 something failed, 2 wrong settings or call (nothing was "
        "started), 3 a broker or a store is away."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SINGLE = (
    "demo",
    "run",
    "processor",
    "notifier",
    "panel",
    "simulate",
    "replay",
    "rollup",
    "backup",
    "restore",
    "check",
    "doctor",
)
GROUPS = ("topology", "store", "device", "quarantine")


def main() -> None:
    """Run `steam`.

    Only the command that is called is imported, and all of them for the list of commands: each
    starts fast, and an installation needs what its own commands need.
    """
    known = (*SINGLE, *GROUPS)
    for name in [each for each in known if each in sys.argv[1:2]] or known:
        _add(name)
    app(prog_name="steam")


def _add(name: str) -> None:
    try:
        command: typer.Typer = importlib.import_module(f"steam.commands.{name}").app
    except ModuleNotFoundError as lacking:
        command = _lacking(name, lacking)
    app.add_typer(command, name=name if name in GROUPS else None)


def _lacking(name: str, lacking: ModuleNotFoundError) -> typer.Typer:
    """A command that says what is not installed; a module of Steam itself is never that."""
    if is_own(lacking):
        raise lacking
    command = typer.Typer()

    @command.command(name, help=f"Not here: {lacking.name} is not installed.")
    def absent() -> None:
        end(f"`steam {name}` needs {lacking.name}: {INSTALL}", FAILED)

    return command

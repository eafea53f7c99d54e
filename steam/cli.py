"""The command line: one sub-command a file in steam/commands."""

import importlib

import typer

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
    "check",
    "doctor",
)
GROUPS = ("topology", "store", "device", "quarantine")


def main() -> None:
    """Run `steam`."""
    for name in SINGLE:
        app.add_typer(importlib.import_module(f"steam.commands.{name}").app)
    for name in GROUPS:
        app.add_typer(importlib.import_module(f"steam.commands.{name}").app, name=name)
    app()

"""`steam store init`: make the store's buckets or tables."""

from pathlib import Path

import typer

from steam.console import ConfigOption, command, out, settings_at
from steam.stores import store_of

app = typer.Typer(help="The time-series store.", no_args_is_help=True)


@app.callback()
def store() -> None:
    """The time-series store."""


@app.command()
@command
def init(config: ConfigOption = Path("steam.yaml")) -> None:
    """Make buckets or tables with the retention of steam.yaml; run again to change it."""
    settings = settings_at(config)
    with_store = store_of(settings)
    with_store.open()
    try:
        for sentence in with_store.init(settings.retention):
            out.print(sentence, markup=False)
        out.print(f"ready: {with_store.check()}", markup=False)
    finally:
        with_store.close()

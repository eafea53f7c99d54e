"""`steam demo`."""

import logging
from typing import Annotated

import msgspec
import typer

from steam.console import FAILED, command, configure_logs, err
from steam.loops import set_on_signals

app = typer.Typer()


@app.command()
@command
def demo(
    for_s: Annotated[
        float | None, typer.Option("--for", min=1, help="End after so many seconds.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the dashboard in a browser.")] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="The dashboard's port.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Other seeds, other days.")] = 1,
) -> None:
    """Watch simulated boilers on this machine: no server, no root, no set-up. Ctrl-C ends it.

    After 8 s caldeira-1 loses its feedwater; an alarm follows, and its notification. At the
    end one JSON line says what became of every message; exit 1 where one was lost.
    """
    configure_logs(level=logging.WARNING)
    err.print("starting the broker, the processor, the dashboard and three boilers ...")
    from steam.demo import Demo

    show = Demo(open_browser=browser, port=port, seed=seed)
    set_on_signals(show.ending)
    port_shown = show.steam.settings.panel.port
    err.print(f"dashboard: http://127.0.0.1:{port_shown}/   (Ctrl-C ends the demo)", markup=False)
    figures = show.run(for_s)
    typer.echo(msgspec.json.encode(figures))
    if not figures.good:
        err.print("a message was lost or is still held: see the line above", style="red")
        raise typer.Exit(FAILED)

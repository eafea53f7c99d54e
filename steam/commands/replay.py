"""`steam replay FILE`: a recording through MQTT, with its own times or shifted to now."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.progress import Progress

from bridge.clock import to_us, utc_now
from bridge.plant import load_plant
from device.sim.link import Link, LinkConfig
from device.sim.session import Identity, MetricDescription, Session
from steam.console import (
    AWAY,
    WRONG_SETTINGS,
    ConfigOption,
    JsonOption,
    command,
    end,
    err,
    out,
    settings_at,
)
from steam.links import away, link_config
from steam.recording import Mapping, Recorded, load_mapping, read_rows, to_messages
from steam.settings import Settings

app = typer.Typer()
_CONNECT_WITHIN_S = 15.0
_ACKNOWLEDGE_WITHIN_S = 60.0


class Replayed(msgspec.Struct, frozen=True):
    """What was sent, for programs."""

    published: int
    acknowledged: int
    seconds: float


@app.command()
@command
def replay(
    file: Annotated[Path, typer.Argument(help="A CSV recording.")],
    mapping: Annotated[Path, typer.Option("--map", help="Which column is which metric (YAML).")],
    config: ConfigOption = Path("steam.yaml"),
    speed: Annotated[str, typer.Option(help="1 is real time, 10 ten times that, or max.")] = "1",
    shift_to: Annotated[
        Literal["now"] | None, typer.Option(help="Move the recording's first row to now.")
    ] = None,
    rows_per_message: Annotated[int, typer.Option(min=1, max=500)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Send a recording as its device would have; each message once, until acknowledged."""
    settings = settings_at(config)
    mapped = load_mapping(mapping)
    factor = _factor(speed)
    messages = list(to_messages(read_rows(file, mapped), mapped, rows_per_message=rows_per_message))
    if shift_to == "now" and messages:
        shift_ms = to_us(utc_now()) // 1000 - messages[0].at_ms
        messages = list(
            to_messages(
                read_rows(file, mapped),
                mapped,
                shift_ms=shift_ms,
                rows_per_message=rows_per_message,
            )
        )
    begun = time.monotonic()
    with Link(_config(settings), _session(settings, mapped)) as link:
        if not link.wait_connected(_CONNECT_WITHIN_S):
            end(away(settings), AWAY)
        _send(link, mapped, messages, factor)
        if not link.wait_acknowledged(_ACKNOWLEDGE_WITHIN_S):
            end(f"{link.counts().pending} messages were not acknowledged in time", AWAY)
        counts = link.counts()
    replayed = Replayed(
        counts.published.get("data", 0) + counts.published.get("hist", 0),
        counts.acknowledged.get("data", 0) + counts.acknowledged.get("hist", 0),
        round(time.monotonic() - begun, 3),
    )
    if as_json:
        typer.echo(msgspec.json.encode(replayed))
    else:
        out.print(f"{replayed.acknowledged} messages sent and acknowledged in {replayed.seconds} s")


def _config(settings: Settings) -> LinkConfig:
    return replace(link_config(settings), window=500)


def _session(settings: Settings, mapping: Mapping) -> Session:
    """The recorded device: it greets with the metrics that the plant describes."""
    known = load_plant(settings.plant_path).metrics
    described = [
        MetricDescription(
            name=name,
            unit=known[name].unit if name in known else "",
            decimals=known[name].decimals if name in known else 3,
        )
        for name in mapping.metrics
    ]
    identity = Identity(site=mapping.site, device=mapping.device, metrics=described, board="replay")
    return Session(identity, boot=mapping.boot, offset_ms=to_us(utc_now()) // 1000)


def _factor(speed: str) -> float:
    if speed == "max":
        return float("inf")
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not factor > 0:
        end(f"--speed {speed}: a number above 0, or max", WRONG_SETTINGS)
    return factor


def _send(link: Link, mapping: Mapping, messages: list[Recorded], factor: float) -> None:
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("sending", total=len(messages))
        for message, wait_s in zip(messages, _waits(messages, factor), strict=True):
            time.sleep(wait_s)
            link.publish("data", message.payload, boot=mapping.boot, seq=message.seq)
            progress.advance(task)


def _waits(messages: list[Recorded], factor: float) -> Iterator[float]:
    """Seconds to wait before each message, so that the whole keeps the recording's pace."""
    if not messages:
        return
    begun = time.monotonic()
    yield 0.0
    for _, after in pairwise(messages):
        due = (after.at_ms - messages[0].at_ms) / 1000 / factor
        yield max(0.0, begun + due - time.monotonic())

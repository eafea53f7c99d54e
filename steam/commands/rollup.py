"""`steam rollup`: compute the roll-ups of any span anew."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress

from bridge.clock import to_us, utc_now
from bridge.plant import Plant, load_plant
from bridge.series import ROLL_UPS
from bridge.topics import is_name
from processor.rollup import GRACE_US, Place
from steam.console import WRONG_SETTINGS, ConfigOption, JsonOption, command, end, out, settings_at
from steam.stores import store_of
from store.port import Store

app = typer.Typer()

_DAY_US = 86_400_000_000


class Rolled(msgspec.Struct, frozen=True, kw_only=True):
    """How many windows were stored, by measurement."""

    windows: dict[str, int]


@app.command()
@command
def rollup(
    since: Annotated[
        str, typer.Option("--from", help="Such as 2026-11-01; default: as far as rows are kept.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="Default: now.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, help="The last so many days, instead of --from.")
    ] = None,
    boiler: Annotated[
        str, typer.Option(help="Only this boiler; site/boiler for one that plant.yaml has no more.")
    ] = "",
    config: ConfigOption = Path("steam.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Compute roll-ups anew from the rows; may be interrupted and repeated, and changes no row.

    Steam does this by itself for whatever it stores; this is for data that came another way.
    """
    settings = settings_at(config)
    chosen = _chosen(load_plant(settings.plant_path), boiler)
    if not chosen:
        text = (
            f"no boiler {boiler!r} in {settings.plant_path}; for one that is gone give site/boiler"
        )
        end(text, WRONG_SETTINGS)
    now = utc_now()
    if days is not None:
        if since:
            end("give --days or --from, not both", WRONG_SETTINGS)
        since = (now - timedelta(days=days)).isoformat()
    start_us, end_us = _span(since, until, settings.retention.raw_days, now)
    spans = list(_days(start_us, end_us))
    done = dict.fromkeys(ROLL_UPS.values(), 0)
    store = store_of(settings)
    store.open()
    try:
        with Progress(console=out, transient=True, disable=as_json) as progress:
            task = progress.add_task("days", total=len(spans) * len(chosen))
            for place in chosen:
                for span in spans:
                    _roll_up(store, place, span, to_us(now), done)
                    progress.advance(task)
    finally:
        store.close()
    if as_json:
        typer.echo(msgspec.json.encode(Rolled(windows=done)))
        return
    told = ", ".join(f"{count} of {measurement}" for measurement, count in done.items())
    out.print(f"windows stored: {told}", markup=False)


def _chosen(plant: Plant, boiler: str) -> list[Place]:
    """The boilers of the plant, one of them, or one of a site that the plant has no more."""
    site, slash, name = boiler.partition("/")
    if slash and is_name(site) and is_name(name):
        return [(site, name)]
    return [(each.site, each.name) for each in plant.file.boilers if boiler in ("", each.name)]


def _roll_up(
    store: Store, place: Place, span: tuple[int, int], now_us: int, done: dict[str, int]
) -> None:
    """Compute every width's windows of one boiler in the span, as far as they are over."""
    low, high = span
    for width_us, measurement in ROLL_UPS.items():
        # A window that is not over would hide the rows that are still to come.
        over_us = min(high, (now_us - GRACE_US) // width_us * width_us)
        if low < over_us:
            done[measurement] += store.roll_up(width_us, low, over_us, place)


def _span(since: str, until: str, kept_days: int | None, now: datetime) -> tuple[int, int]:
    """The span that was asked for, as far as all rows of its first window are still there."""
    first = now - timedelta(days=3650 if kept_days is None else kept_days)
    start_us, end_us = to_us(_moment(since) or first), to_us(_moment(until) or now)
    if end_us <= start_us:
        end(f"--to {until or 'now'} is not after --from {since}", WRONG_SETTINGS)
    if kept_days is not None:
        start_us = max(start_us, to_us(first) + max(ROLL_UPS))
    return start_us, end_us


def _moment(text: str) -> datetime | None:
    """A date or a moment as people write it; without a zone it is UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        end(f"{text!r} is no date; write 2026-11-01 or 2026-11-01T06:00-03:00", WRONG_SETTINGS)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _days(start_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """Spans of whole windows of every width, a UTC day each, the last one to the hour's end."""
    widest = max(ROLL_UPS)
    low, last = start_us // widest * widest, -(-end_us // widest) * widest
    while low < last:
        high = min(low // _DAY_US * _DAY_US + _DAY_US, last)
        yield low, high
        low = high

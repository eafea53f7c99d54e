"""CSV files of the journal and of trends, as spreadsheets of each language open them."""

import csv
import io
from collections.abc import Iterable, Iterator

from bridge.clock import from_us
from bridge.plant import Plant
from bridge.records import AlarmEvent
from panel_app.i18n import Translator
from panel_app.pages.journal import journal_row, zone_of
from store.port import Series

BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes UTF-8 for Windows-1252."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def journal_csv(
    events: Iterable[AlarmEvent], plant: Plant, translator: Translator
) -> Iterator[str]:
    """A line per event, newest first; times in the site's zone and in UTC."""
    texts = translator.texts
    yield BYTE_ORDER_MARK + _line(
        translator,
        [
            texts.at_time,
            "UTC",
            texts.boiler,
            texts.alarm,
            texts.priority,
            texts.transition,
            texts.value,
            texts.limit,
            texts.who,
            texts.note,
            "id",
        ],
    )
    for event in events:
        row = journal_row(event, plant, translator)
        yield _line(
            translator,
            [
                row.at,
                _utc(event.at_us),
                row.boiler_title,
                row.title,
                str(event.priority),
                getattr(texts, f"event_{event.state.value}"),
                _number(event.value, translator),
                _number(event.setpoint, translator),
                event.by,
                event.note,
                event.id,
            ],
        )


def trend_csv(
    series: list[Series], boiler: str, plant: Plant, translator: Translator
) -> Iterator[str]:
    """A line per time, with mean, minimum and maximum of each metric."""
    language = translator.language
    head = [translator.texts.at_time, "UTC"]
    for one in series:
        metric = plant.metrics[one.metric]
        label = (
            f"{metric.label(language)} [{metric.unit}]" if metric.unit else metric.label(language)
        )
        head += [label, f"{label} min", f"{label} max"]
    yield BYTE_ORDER_MARK + _line(translator, head)
    zone = zone_of(plant, boiler)
    places = [{at_us: place for place, at_us in enumerate(one.times_us)} for one in series]
    for at_us in sorted({at_us for one in series for at_us in one.times_us}):
        cells = [translator.moment(at_us, zone), _utc(at_us)]
        for one, place_of in zip(series, places, strict=True):
            place = place_of.get(at_us)
            if place is None:
                cells += ["", "", ""]
            else:
                columns = (one.mean, one.minimum, one.maximum)
                cells += [_number(column[place], translator) for column in columns]
        yield _line(translator, cells)


def _line(translator: Translator, cells: list[str]) -> str:
    """A line; a cell that a spreadsheet would calculate is made text (CWE-1236)."""
    written = io.StringIO()
    delimiter = ";" if translator.portuguese else ","
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerow(
        [_inert(cell) for cell in cells]
    )
    return written.getvalue()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _number(value: float | None, translator: Translator) -> str:
    """A number at full precision, with the language's decimal sign."""
    if value is None:
        return ""
    text = f"{value:.9g}"
    return text.replace(".", ",") if translator.portuguese else text


def _utc(at_us: int) -> str:
    return from_us(at_us).isoformat(timespec="milliseconds").replace("+00:00", "Z")

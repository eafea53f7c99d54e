"""One session's language: its texts, and numbers and times as its people write them."""

from datetime import date, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from bridge.clock import from_us
from panel_app.i18n.en import EN
from panel_app.i18n.pt_br import PT_BR
from panel_app.i18n.texts import Texts

Language = Literal["pt-BR", "en"]
LANGUAGES: tuple[Language, ...] = ("pt-BR", "en")

_MOMENT = {"pt-BR": "dd/MM/yyyy HH:mm:ss", "en": "yyyy-MM-dd HH:mm:ss"}


class Translator(msgspec.Struct, frozen=True):
    """The texts and number formats of one language."""

    language: Language
    texts: Texts

    @property
    def portuguese(self) -> bool:
        """Whether this is Portuguese."""
        return self.language == "pt-BR"

    @property
    def locale(self) -> Locale:
        """The CLDR locale."""
        return Locale.parse("pt_BR" if self.portuguese else "en")

    def number(self, value: float | None, decimals: int, *, grouping: bool = True) -> str:
        """A number with a fixed count of decimals; "–" where there is none."""
        if value is None:
            return "–"
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        written = format_decimal(value, pattern, self.locale, group_separator=grouping)
        return written.replace("-", "−")

    def moment(self, at_us: int, zone: tzinfo) -> str:
        """The date and time of epoch µs in a time zone, to the second."""
        return format_datetime(from_us(at_us), _MOMENT[self.language], zone, self.locale)

    def day(self, day: date) -> str:
        """A day with its weekday, such as "segunda-feira, 23 de novembro de 2026"."""
        return format_date(day, "full", self.locale)


_TRANSLATORS: dict[Language, Translator] = {
    "pt-BR": Translator("pt-BR", PT_BR),
    "en": Translator("en", EN),
}


def translator_of(asked: str | None, default: Language = "pt-BR") -> Translator:
    """The translator of a wish such as "en" or "pt_BR", or the default's."""
    for language in LANGUAGES:
        if asked and asked.lower()[:2] == language[:2].lower():
            return _TRANSLATORS[language]
    return _TRANSLATORS[default]


def utc_offset(zone: ZoneInfo, at_us: int) -> int:
    """How many µs a time zone is ahead of UTC at a moment (epoch µs)."""
    offset = from_us(at_us).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * 1_000_000


def offset_text(offset: timedelta) -> str:
    """Such as UTC−3 or UTC+5:30."""
    minutes = round(offset.total_seconds() / 60)
    sign = "−" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")

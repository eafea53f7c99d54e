"""Both languages: complete, different, and used."""

import re
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import msgspec
import pytest

from panel_app import components
from panel_app.i18n import LANGUAGES, translator_of
from panel_app.i18n.en import EN
from panel_app.i18n.pt_br import PT_BR
from panel_app.i18n.texts import Texts
from panel_app.i18n.translator import utc_offset

SAME = {"normal", "span_10m", "span_1h", "span_8h", "span_24h", "bytes"}
"""Texts that are written alike in both languages."""

NAMES = [field.name for field in msgspec.structs.fields(Texts)]


def flat(value):
    if isinstance(value, dict):
        return [value[name] for name in sorted(value)]
    return list(value) if isinstance(value, tuple) else [value]


def placeholders(value):
    return [sorted(name for _, name, _, _ in Formatter().parse(one) if name) for one in flat(value)]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_there_in_both_languages(name):
    """Each text has words in both, and fills in the same things."""
    portuguese, english = getattr(PT_BR, name), getattr(EN, name)

    assert all(one.strip() for one in flat(portuguese) + flat(english))
    assert placeholders(portuguese) == placeholders(english)


@pytest.mark.parametrize("name", sorted(set(NAMES) - SAME))
def test_text_is_translated(name):
    """No text was left in the other language."""
    assert getattr(PT_BR, name) != getattr(EN, name)


def test_views_use_only_texts_that_exist_and_all_are_used():
    """A name that a view asks for is in the catalogue, and the catalogue holds nothing idle."""
    folder = Path(components.__file__).parent
    views = "\n".join(path.read_text() for path in folder.glob("*.js"))
    asked = set(re.findall(r"\b(?:t|texts)\.(\w+)", views))
    python = "\n".join(path.read_text() for path in folder.parent.rglob("*.py"))
    families = ("priority_", "state_", "event_", "span_", "data_")

    idle = {
        name
        for name in NAMES
        if name not in asked
        and not re.search(rf"(?:texts|PT_BR|EN)\.{name}\b", python)
        and not name.startswith(families)
        and name not in ("overview", "trends", "batches", "alarms")
    }

    assert asked <= set(NAMES)
    assert idle == set()


def test_numbers_are_written_as_each_language_does():
    """A comma in Portuguese, a point in English, a true minus in both."""
    portuguese, english = translator_of("pt-BR"), translator_of("en")

    assert portuguese.number(-1234.567, 2) == "−1.234,57"
    assert english.number(-1234.567, 2) == "−1,234.57"
    assert portuguese.number(None, 2) == "–"
    assert portuguese.number(8, 0) == "8"


def test_moments_are_local_to_the_site():
    """17:04 UTC is 14:04 in São Paulo."""
    at_us = 1_795_453_445_000_000
    zone = ZoneInfo("America/Sao_Paulo")

    assert translator_of("pt-BR").moment(at_us, zone) == "23/11/2026 14:04:05"
    assert translator_of("en").moment(at_us, zone) == "2026-11-23 14:04:05"
    assert utc_offset(zone, at_us) == -3 * 3_600_000_000


@pytest.mark.parametrize(
    ("asked", "default", "language"),
    [
        ("en", "pt-BR", "en"),
        ("pt", "en", "pt-BR"),
        ("", "en", "en"),
        ("xx", "pt-BR", "pt-BR"),
        (None, "pt-BR", "pt-BR"),
    ],
)
def test_language_is_the_asked_one_or_the_plants(asked, default, language):
    """An unknown wish leads to the language that the plant is configured for."""
    assert translator_of(asked, default).language == language


def test_burner_has_a_word_for_every_state_of_the_sequence():
    """Both languages name the same eight states."""
    assert len(PT_BR.burner_states) == len(EN.burner_states) == 8
    assert set(LANGUAGES) == {"pt-BR", "en"}

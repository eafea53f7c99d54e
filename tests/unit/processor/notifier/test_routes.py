"""The section `notifications`: what is accepted, what is refused and how it is told."""

from pathlib import Path

import msgspec
import pytest

from bridge.records import AlarmState
from bridge.settings_file import SettingsError, SettingsFile
from processor.notifier.routes import (
    Address,
    AddressMissing,
    DeadMan,
    NotificationSettings,
    Route,
    dead_man_url,
    route_faults,
)
from tests.unit.processor.notifier.fakes import event


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A steam.yaml with this section only."""

    notifications: NotificationSettings = NotificationSettings()


def faults(text):
    """The faults of a file, as they are told."""
    source = SettingsFile(Path("steam.yaml")).parse(text)
    try:
        settings = source.decode(File).notifications
    except SettingsError as error:
        return [str(fault) for fault in error.faults]
    found = route_faults(source, ("notifications",), settings, ["caldeira-1", "b2"])
    return [str(fault) for fault in found]


GOOD = """\
notifications:
  language: en
  dead_man: {url_env: STEAM_DEAD_MAN_URL, every_s: 30}
  routes:
    - name: turno
      targets:
        - {url_env: STEAM_TELEGRAM_URL, name: grupo}
        - {url_file: /run/secrets/mail}
        - json://127.0.0.1:8080/alarm
        - "mailto://steam:${MAIL_PASSWORD}@mail.example.org/?to=ana@example.org"
      min_priority: 2
      boilers: [caldeira-1]
      states: [UNACK, RTN_UNACK]
"""


def test_settings_well_formed_are_read_without_fault():
    """Every way of giving a target is taken."""
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[caldeira-1]", "[caldeira-2]", "steam.yaml:12: no boiler 'caldeira-2' in plant.yaml; did you mean 'caldeira-1'?"),
        ("min_priority: 2", "min_priority: 5", "steam.yaml:11: "),
        ("min_priority: 2", "min_prioriti: 2", "unknown key 'min_prioriti'; did you mean 'min_priority'?"),
        ("${MAIL_PASSWORD}", "hunter2", "steam.yaml:10: a password stands in the file"),
        ("json://127", "127", "steam.yaml:9: this is no URL"),
        ("{url_file: /run/secrets/mail}", "{url_file: /a, url_env: B}", "steam.yaml:8: give one of"),
        ("{url_file: /run/secrets/mail}", "{name: x}", "steam.yaml:8: give one of"),
        ("{url_env: STEAM_DEAD_MAN_URL, every_s: 30}", "{every_s: 30}", "steam.yaml:3: give one of"),
        ("UNACK, RTN", "UNACKED, RTN", "steam.yaml:13: "),
    ],
)  # fmt: skip
def test_settings_with_a_fault_say_line_and_remedy(old, new, expected):
    """Each fault is told once, with its line."""
    assert old in GOOD

    told = faults(GOOD.replace(old, new))

    assert len(told) == 1
    assert expected in told[0]


def test_settings_password_in_the_file_is_not_repeated():
    """The message about a secret does not hold it."""
    told = faults(GOOD.replace("${MAIL_PASSWORD}", "hunter2"))

    assert "hunter2" not in "".join(told)


def test_settings_route_named_twice_is_refused():
    """Names stand for routes in counters and ledger, so they must differ."""
    route = "    - {name: a, targets: [json://h]}\n"

    told = faults(f"notifications:\n  routes:\n{route}{route}")

    assert told == ["steam.yaml:4: 'a' is named twice"]


def test_settings_route_without_target_is_refused():
    """A route that leads nowhere is a mistake."""
    told = faults("notifications:\n  routes:\n    - {name: a, targets: []}\n")

    assert told == ["steam.yaml:3: a route needs at least one target"]


@pytest.mark.parametrize(
    ("route", "changes", "wanted"),
    [
        ({}, {}, True),
        ({}, {"state": AlarmState.RTN_UNACK}, False),
        ({}, {"state": AlarmState.ACKED}, False),
        ({"states": [AlarmState.UNACK, AlarmState.ACKED]}, {"state": AlarmState.ACKED}, True),
        ({"min_priority": 2}, {"priority": 2}, True),
        ({"min_priority": 2}, {"priority": 3}, False),
        ({"boilers": ["b2"]}, {}, False),
        ({"boilers": ["caldeira-1"]}, {}, True),
        ({}, {"retroactive": True}, False),
    ],
)
def test_route_wants_what_it_asks_for(route, changes, wanted):
    """Priority, boiler and state decide; a retroactive transition is wanted nowhere."""
    assert Route(name="r", targets=[], **route).wants(event(**changes), system=False) is wanted


def test_route_for_some_boilers_still_wants_system_alarms_unless_told():
    """An alarm about Steam itself belongs to no boiler."""
    route = Route(name="r", targets=[], boilers=["b2"])
    deaf = msgspec.structs.replace(route, system=False)

    assert route.wants(event(boiler="_steam", type="SYSTEM"), system=True)
    assert not deaf.wants(event(boiler="_steam", type="SYSTEM"), system=True)


def test_address_is_read_from_environment_file_and_text(tmp_path):
    """A variable, a variable naming a file, a file, and inserted variables all give the URL."""
    secret = tmp_path / "secret"
    secret.write_text("json://u:p@host\n", encoding="utf-8")

    assert Address(url_env="A").read({"A": "json://a"}) == "json://a"
    assert Address(url_env="A").read({"A_FILE": str(secret)}) == "json://u:p@host"
    assert Address(url_file=str(secret)).read({}) == "json://u:p@host"
    assert Address(url="json://u:${P}@h").read({"P": "x"}) == "json://u:x@h"


@pytest.mark.parametrize(
    ("address", "named"),
    [
        (Address(url_env="A"), "set A (or A_FILE)"),
        (Address(url="json://u:${P}@h"), "set P (or P_FILE)"),
        (Address(url_file="/nowhere/x"), "/nowhere/x"),
    ],
)
def test_address_missing_says_where_it_was_looked_for(address, named):
    """What is not there is named."""
    with pytest.raises(AddressMissing, match=named.replace("(", r"\(").replace(")", r"\)")):
        address.read({})


def test_dead_man_url_must_be_http():
    """Any other scheme is refused, so that no file is read by mistake."""
    settings = NotificationSettings(dead_man=DeadMan(url_env="D"))

    assert dead_man_url(settings, {"D": "https://hc.example/abc"}) == "https://hc.example/abc"
    assert dead_man_url(NotificationSettings(), {}) == ""
    with pytest.raises(AddressMissing, match="http"):
        dead_man_url(settings, {"D": "file:///etc/passwd"})

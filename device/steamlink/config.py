"""What a device's configuration is: defaults, changes, secrets, its file; pure but for reading it.

Loaded only where a configuration is read, changed or shown.
"""

import binascii
import json
import os

from . import forget
from .config_store import Config
from .constant import const

__all__ = ("Config", "defaults", "filled", "validate")

# One more whenever the schema refuses what it took before: kept copies are then judged anew.
SCHEMA = 1
_MOST_BYTES = const(16384)
_MASK = const("***")
_SECRET = const("password")
_AT_THE_DEVICE = ("ota", "site", "device")
_ADDRESS = ("host", "port", "tls", "ca", "server_name")


def defaults() -> dict:
    """A new configuration of defaults alone, which lacks `site`, `device` and `mqtt.host`."""
    return {
        "v": 1,
        "site": "",
        "device": "",
        "board": "",
        "boot_from": 0,
        "portal_password": "",
        "wifi": {"ssid": "", "password": "", "country": "BR"},
        "mqtt": {
            "host": "",
            "port": 1883,
            "user": "",
            "password": "",
            "password_next": "",
            "tls": False,
            "ca": "ca.der",
            "server_name": "",
            "keepalive_s": 30,
            "clean": True,
        },
        "ntp": ["pool.ntp.org"],
        "sampling": {"period_ms": 1000, "rows": 6, "publish_ms": 2000, "heartbeat_ms": 60000},
        "store": {
            "limit_kib": 512,
            "ring_kib": 16,
            "commit_s": 60,
            "spill_s": 30,
            "replay_per_s": 5,
        },
        "diag_s": 60,
        "ota": {"key": ""},
        "buses": {},
        "sensors": [],
        "limits": [],
    }


def filled(values: dict) -> dict:
    """A new configuration: the defaults with `values` over them; sections are new dicts."""
    whole = defaults()
    for key, value in values.items():
        if key not in whole:
            continue  # kept by a newer firmware, whose update was rolled back
        if isinstance(value, dict):
            whole[key].update(value)
        else:
            whole[key] = list(value) if isinstance(value, list) else value
    return whole


def validate(values: dict) -> "list[str]":
    """What is wrong with a configuration, as "path: what is wrong"; empty if nothing is."""
    from . import schema

    try:
        return schema.validate(values)
    finally:
        forget("schema")


def checked(values: dict) -> dict:
    """The same; ValueError tells all that is wrong with it."""
    faults = validate(values)
    if not faults and len(json.dumps(values)) > _MOST_BYTES:
        faults.append("the configuration has more than {} bytes".format(_MOST_BYTES))
    if faults:
        raise ValueError("; ".join(faults))
    return values


def changed(values: dict, changes: dict) -> dict:
    """A configuration after a change from afar (RFC 7386); ValueError tells all that is wrong.

    Whoever may send commands changes neither the key that updates are signed with nor who the
    device is, and no broker but the one that it was given for is shown a password.
    """
    if not isinstance(changes, dict):
        raise ValueError("a change is a JSON object, a part of the configuration")  # noqa: TRY004 - one error type
    changes = _unmasked(changes)
    after = checked(_merged(values, changes))
    old, new = filled(values), filled(after)
    for key in _AT_THE_DEVICE:
        if new[key] != old[key]:
            raise ValueError(key + ": is changed at the device only, by `steam device flash`")
    if _is_elsewhere(old["mqtt"], new["mqtt"]):
        given = changes["mqtt"]
        if not given.get("password"):
            raise ValueError(
                "mqtt.password: another host, port, tls, ca or server_name needs the password "
                "there in the same change; the one that is kept is not sent elsewhere"
            )
        if "password_next" not in given:
            after["mqtt"]["password_next"] = ""
    return after


def keep_way_in(values: dict, former: dict) -> None:
    """Keep the password before as the next one, in a configuration for the same account there.

    An old file that is copied again must not shut a device out whose password was changed since.
    """
    old, new = former["mqtt"], filled(values)["mqtt"]
    if new["password_next"] or new["user"] != old["user"] or _is_elsewhere(old, new):
        return
    for password in (old["password_next"], old["password"]):
        if password not in ("", new["password"]):
            values["mqtt"]["password_next"] = password
            return


def masked(value: object) -> object:
    """A copy with every password that is set shown as ***."""
    if isinstance(value, dict):
        shown = {}
        for key, inner in value.items():
            shown[key] = _MASK if _is_secret(key) and inner else masked(inner)
        return shown
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def new_in_file(path: str, known: object) -> "tuple[dict, int] | None":
    """(configuration, CRC-32) of a file, None if there is none or its CRC is `known`.

    ValueError tells all that is wrong with it, OSError that it cannot be read.
    """
    try:
        size = os.stat(path)[6]
    except OSError:
        return None
    # Asked for first: MicroPython would allocate all that `read` may give.
    if size > _MOST_BYTES:
        raise ValueError("more than {} bytes".format(_MOST_BYTES))
    with open(path, "rb") as file:
        content = file.read()
    crc = binascii.crc32(content)
    if crc == known:
        return None
    try:
        values = json.loads(content.decode())
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        raise ValueError("no JSON in UTF-8") from None
    return checked(values), crc


def checksum(value: object, crc: int = 0) -> int:
    """CRC-32 of a configuration: by sorted names, because MicroPython's dict has no order."""
    if isinstance(value, dict):
        for key in sorted(value):
            crc = checksum(value[key], binascii.crc32(b"{" + key.encode(), crc))
        return binascii.crc32(b"}", crc)
    if isinstance(value, list):
        for item in value:
            crc = checksum(item, binascii.crc32(b"[", crc))
        return binascii.crc32(b"]", crc)
    text = '"' + value if isinstance(value, str) else str(value)
    return binascii.crc32(text.encode(), crc)


def _merged(values: dict, changes: dict) -> dict:
    merged = dict(values)
    for key, change in changes.items():
        if change is None:
            merged.pop(key, None)
        elif isinstance(change, dict):
            old = merged.get(key)
            merged[key] = _merged(old if isinstance(old, dict) else {}, change)
        else:
            merged[key] = change
    return merged


def _is_elsewhere(old: dict, new: dict) -> bool:
    return any(new[key] != old[key] for key in _ADDRESS)


def _is_secret(key: object) -> bool:
    return isinstance(key, str) and _SECRET in key


def _unmasked(changes: dict) -> dict:
    kept = {}
    for key, change in changes.items():
        if not (_is_secret(key) and change == _MASK):
            kept[key] = _unmasked(change) if isinstance(change, dict) else change
    return kept

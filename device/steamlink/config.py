"""A device's configuration in flash: two copies, a technician's file, changes on trial."""

import binascii
import json
import os

from . import forget
from .constant import const
from .copies import Copies

# As text, because the dicts would take 5 KB of heap for ever.
_DEFAULTS = """{"v": 1, "site": "", "device": "", "board": "", "boot_from": 0,
"wifi": {"ssid": "", "password": "", "country": "BR"},
"mqtt": {"host": "", "port": 1883, "user": "", "password": "", "password_next": "", "tls": false,
"ca": "ca.der", "server_name": "", "keepalive_s": 30, "clean": true},
"ntp": ["pool.ntp.org"],
"sampling": {"period_ms": 1000, "rows": 6, "publish_ms": 2000, "heartbeat_ms": 60000},
"store": {"limit_kib": 512, "ring_kib": 16, "commit_s": 60, "spill_s": 30, "replay_per_s": 5},
"diag_s": 60, "ota": {"key": ""}, "buses": {}, "sensors": [], "limits": []}"""
# One more whenever the schema refuses what it took before: kept copies are then judged anew.
_SCHEMA = 1
_FILE = const("config.json")
_MOST_BYTES = const(16384)
_TRIAL_BOOTS = const(3)
_MASK = const("***")
_SECRET = const("password")


def defaults() -> dict:
    """A new configuration of defaults alone, which lacks `site`, `device` and `mqtt.host`."""
    return json.loads(_DEFAULTS)


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


class Config:
    """The configuration in `folder`; `load` first.

    `values` are in force, with defaults filled in; `source` is where they come from ("a", "b",
    "file", or "defaults": the device must be provisioned); `faults` says what was wrong;
    `trial` is whether they must yet prove themselves; `crc` is the CRC-32 of `values`.
    """

    TRIAL_MS = 300000

    def __init__(self, folder: str) -> None:
        self.values = {}
        self.source = "defaults"
        self.faults = []
        self.trial = False
        self.crc = 0
        self._path = folder.rstrip("/") + "/" + _FILE
        self._copies = Copies(folder, "config")
        self._record = {}

    def load(self) -> dict:
        """Read the newer good copy, take in a new config.json, and return `values`.

        Never raises for what is in flash. A change on its fourth boot without proof is rolled
        back here.
        """
        self.faults = []
        found = self._copies.load(self._is_good)
        for name in self._copies.damaged:
            self.faults.append("config.{}: damaged, not used".format(name))
        self._use(found[1] if found else {}, self._copies.source or "defaults")
        if self.trial:
            self._count_trial_boot()
        self._import_file()
        return self.values

    def save(self, values: dict) -> None:
        """Put a whole configuration in force, not on trial; ValueError tells all its faults."""
        _check(values)
        kept = json.loads(json.dumps(values))  # the caller's may change
        self._write({"values": kept, "file": self._record.get("file")})

    def patch(self, changes: dict) -> None:
        """Put a change in force, on trial: a partial configuration, null removes a key (RFC 7386).

        ValueError tells everything that is wrong with the outcome, OSError that flash refuses;
        then nothing has changed. A secret shown as *** stays what it is.
        """
        if not isinstance(changes, dict):
            raise ValueError("a change is a JSON object, a part of the configuration")  # noqa: TRY004 - one error type
        if self.trial:
            raise ValueError("another change is on trial: wait until it is online, or 5 minutes")
        before = self._record.get("values", {})
        values = _merged(before, _unmasked(changes))
        _check(values)
        self._write(
            {"values": values, "file": self._record.get("file"), "before": before, "tries": 0}
        )

    def confirm(self) -> bool:
        """The change on trial has proved itself; False if there is none, or flash refuses."""
        return self.trial and self._settle(self._record["values"])

    def rollback(self) -> bool:
        """Back to what was in force before the change on trial; False if there is none."""
        return self.trial and self._settle(self._record["before"])

    def public(self) -> dict:
        """`values` with every password that is set shown as ***."""
        return _masked(self.values)

    def _settle(self, values: dict) -> bool:
        try:
            self._write({"values": values, "file": self._record.get("file")})
        except OSError as fault:
            self.faults.append("flash: {}".format(fault))
            return False
        return True

    def _write(self, record: dict) -> None:
        record["schema"] = _SCHEMA
        self._copies.save(record)
        self._use(record, self._copies.source)

    def _use(self, record: dict, source: str) -> None:
        self._record = record
        self.source = source
        self.trial = "before" in record
        self.values = filled(record.get("values", {}))
        self.crc = _checksum(self.values, 0)

    def _is_good(self, record: dict) -> bool:
        """Whether a copy may be used: a newer firmware may refuse what an older one took."""
        if record.get("schema") == _SCHEMA:
            return True
        faults = validate(record.get("values"))
        self.faults += ["kept configuration, not used: " + fault for fault in faults]
        return not faults

    def _count_trial_boot(self) -> None:
        """A change that keeps the device from starting would never see its 5 minutes."""
        tries = self._record.get("tries")
        tries = tries if isinstance(tries, int) else _TRIAL_BOOTS
        if tries >= _TRIAL_BOOTS:
            self.faults.append("the last change was rolled back: it never came online")
            self.rollback()
            return
        record = dict(self._record)
        record["tries"] = tries + 1
        try:
            self._write(record)
        except OSError as fault:
            self.faults.append("flash: {}".format(fault))

    def _import_file(self) -> None:
        """Take in what a technician has copied, once; a bad file is left and told."""
        try:
            content = self._read_file()
            if content is None:
                return
            checksum = binascii.crc32(content)
            if checksum == self._record.get("file"):
                return
            values = _parsed(content)
        except (OSError, ValueError) as fault:
            self.faults.append("{}: {}; not used".format(_FILE, fault))
            return
        record = {"values": values, "file": checksum, "schema": _SCHEMA}
        try:
            self._copies.save(record)
        except OSError as fault:
            self.faults.append("flash: {}".format(fault))
        self._use(record, "file")

    def _read_file(self) -> "bytes | None":
        try:
            size = os.stat(self._path)[6]
        except OSError:
            return None
        # Asked for first: MicroPython would allocate all that `read` may give.
        if size > _MOST_BYTES:
            raise ValueError("more than {} bytes".format(_MOST_BYTES))
        with open(self._path, "rb") as file:
            return file.read()


def _parsed(content: bytes) -> dict:
    try:
        values = json.loads(content.decode())
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        raise ValueError("no JSON in UTF-8") from None
    _check(values)
    return values


def _check(values: dict) -> None:
    faults = validate(values)
    if not faults and len(json.dumps(values)) > _MOST_BYTES:
        faults.append("the configuration has more than {} bytes".format(_MOST_BYTES))
    if faults:
        raise ValueError("; ".join(faults))


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


def _is_secret(key: object) -> bool:
    return isinstance(key, str) and _SECRET in key


def _unmasked(changes: dict) -> dict:
    kept = {}
    for key, change in changes.items():
        if not (_is_secret(key) and change == _MASK):
            kept[key] = _unmasked(change) if isinstance(change, dict) else change
    return kept


def _masked(value: object) -> object:
    if isinstance(value, dict):
        shown = {}
        for key, inner in value.items():
            shown[key] = _MASK if _is_secret(key) and inner else _masked(inner)
        return shown
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _checksum(value: object, crc: int) -> int:
    """CRC-32 of a configuration: by sorted names, because MicroPython's dict has no order."""
    if isinstance(value, dict):
        for key in sorted(value):
            crc = _checksum(value[key], binascii.crc32(b"{" + key.encode(), crc))
        return binascii.crc32(b"}", crc)
    if isinstance(value, list):
        for item in value:
            crc = _checksum(item, binascii.crc32(b"[", crc))
        return binascii.crc32(b"]", crc)
    text = '"' + value if isinstance(value, str) else str(value)
    return binascii.crc32(text.encode(), crc)

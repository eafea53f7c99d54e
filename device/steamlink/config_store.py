"""A device's configuration in flash: two copies, a technician's file, changes on trial."""

import json

from . import forget
from .constant import const
from .copies import Copies

_FILE = const("config.json")
_TRIAL_BOOTS = const(3)


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
        forget("config")
        return self.values

    def save(self, values: dict) -> None:
        """Put a whole configuration in force, not on trial; ValueError tells all its faults."""
        from . import config

        kept = json.loads(json.dumps(config.checked(values)))  # the caller's may change
        self._write({"values": kept, "file": self._record.get("file")})

    def patch(self, changes: dict) -> None:
        """Put a change in force, on trial: a partial configuration, null removes a key (RFC 7386).

        ValueError tells everything that is wrong with the outcome, OSError that flash refuses;
        then nothing has changed. A secret shown as *** stays what it is.
        """
        from . import config

        if self.trial:
            raise ValueError("another change is on trial: wait until it is online, or 5 minutes")
        before = self._record.get("values", {})
        values = config.changed(before, changes)
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
        from . import config

        return config.masked(self.values)

    def _settle(self, values: dict) -> bool:
        try:
            self._write({"values": values, "file": self._record.get("file")})
        except OSError as fault:
            words = "flash: {}".format(fault)
            if words not in self.faults:  # each connection tries anew
                self.faults.append(words)
            return False
        return True

    def _write(self, record: dict) -> None:
        from . import config

        record["schema"] = config.SCHEMA
        self._copies.save(record)
        self._use(record, self._copies.source)

    def _use(self, record: dict, source: str) -> None:
        from . import config

        self._record = record
        self.source = source
        self.trial = "before" in record
        self.values = config.filled(record.get("values", {}))
        self.crc = config.checksum(self.values)

    def _is_good(self, record: dict) -> bool:
        """Whether a copy may be used: a newer firmware may refuse what an older one took."""
        from . import config

        if record.get("schema") == config.SCHEMA:
            return True
        faults = config.validate(record.get("values"))
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
        from . import config

        try:
            found = config.new_in_file(self._path, self._record.get("file"))
        except (OSError, ValueError) as fault:
            self.faults.append("{}: {}; not used".format(_FILE, fault))
            return
        if found is None:
            return
        config.keep_way_in(found[0], self.values)
        record = {"values": found[0], "file": found[1], "schema": config.SCHEMA}
        try:
            self._copies.save(record)
        except OSError as fault:
            self.faults.append("flash: {}".format(fault))
        self._use(record, "file")

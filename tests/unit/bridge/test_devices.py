from datetime import UTC, datetime

import pytest

from bridge.accounts import AccountFault, DeviceAccount
from bridge.broker import BrokerUnavailable
from bridge.devices import DeviceEntry, Devices
from bridge.plant import Device, load_plant
from bridge.plant_edit import PlantEditFault
from bridge.settings_file import SettingsError

PLANT = "sites:\n- name: s\nboilers:\n- name: b1\n  site: s\n"
NEW = Device(name="d1", site="s", boiler="b1")


class Broker:
    """Accounts and routes in memory; `did` is what was asked for, in order, and when plant.yaml had d1."""

    next_step = "tell the broker"

    def __init__(self, plant_file):
        self.plant_file = plant_file
        self.did = []
        self.accounts = {}
        self.broken = ""

    def note(self, what):
        """Remember what is asked for, and fail where the test wants it."""
        self.did.append((what, "d1" in load_plant(self.plant_file).devices))
        if what == self.broken:
            raise BrokerUnavailable("away")

    def add(self, site, device):
        """Make an account."""
        self.note("account")
        self.accounts[device] = site
        return "secret"

    def rotate(self, site, device, password=None):
        """Change a password."""
        self.note("rotate")
        return password or "secret 2"

    def remove(self, device):
        """Remove an account."""
        self.note("no account")
        del self.accounts[device]

    def listed(self):
        """The accounts."""
        return sorted(DeviceAccount(site, device) for device, site in self.accounts.items())

    def bind_device(self, site, device):
        """Bind."""
        self.note("bind")

    def unbind_device(self, site, device):
        """Unbind."""
        self.note("unbind")


@pytest.fixture
def broker(tmp_path):
    path = tmp_path / "plant.yaml"
    path.write_text(PLANT, encoding="utf-8")
    return Broker(path)


@pytest.fixture
def devices(broker):
    return Devices(
        broker.plant_file, broker, broker, lambda: datetime(2026, 11, 23, 23, tzinfo=UTC)
    )


def test_add_binds_then_registers_then_makes_the_account(broker, devices):
    """A new device can send only once its messages have a place and plant.yaml knows it."""
    change = devices.add(NEW)

    assert broker.did == [("bind", False), ("account", True)]
    assert (change.password, change.next_step) == ("secret", "tell the broker")
    assert "+  - name: d1" in change.diff


def test_revoke_removes_the_account_then_the_bindings_then_the_entry(broker, devices):
    """A device is shut out before its messages lose their place."""
    devices.add(NEW)
    broker.did.clear()

    change = devices.revoke("d1")

    assert broker.did == [("no account", True), ("unbind", True)]
    assert "d1" not in load_plant(broker.plant_file).devices
    assert "+  # revoked 2026-11-23" in change.diff


@pytest.mark.parametrize("broken", ["bind", "account"])
def test_add_that_failed_half_way_is_done_by_adding_again(broker, devices, broken):
    """After a broker that went away, the same command ends what it began."""
    broker.broken = broken
    with pytest.raises(BrokerUnavailable):
        devices.add(NEW)
    broker.broken = ""

    change = devices.add(NEW)

    assert change.password == "secret"
    assert devices.listed() == [DeviceEntry(site="s", device="d1", boiler="b1", account=True)]


@pytest.mark.parametrize("broken", ["no account", "unbind"])
def test_revoke_that_failed_half_way_is_done_by_revoking_again(broker, devices, broken):
    """After a broker that went away, the same command ends what it began."""
    devices.add(NEW)
    broker.broken = broken
    with pytest.raises(BrokerUnavailable):
        devices.revoke("d1")
    broker.broken = ""

    devices.revoke("d1")

    assert devices.listed() == []


def test_add_with_wrong_plant_touches_no_broker(broker, devices):
    """What plant.yaml does not allow is refused before anything is done."""
    with pytest.raises(SettingsError):
        devices.add(Device(name="d1", site="s", boiler="b9"))

    assert broker.did == []


def test_add_of_device_with_account_points_to_adopt(broker, devices):
    """An account that is there already is neither overwritten nor silently taken."""
    broker.accounts["d1"] = "s"

    with pytest.raises(AccountFault, match="steam device adopt"):
        devices.add(NEW)

    assert broker.did == []


def test_add_of_name_that_another_site_has_is_refused(broker, devices):
    """A device name is unique in the plant."""
    devices.add(NEW)
    broker.accounts.clear()
    broker.did.clear()

    with pytest.raises(PlantEditFault, match="unique"):
        devices.add(Device(name="d1", site="s2", boiler="b1"))

    assert broker.did == []


def test_adopt_registers_and_leaves_the_account(broker, devices):
    """An unknown device that sends already keeps its password."""
    broker.accounts["d1"] = "s"

    change = devices.adopt(NEW)

    assert broker.did == [("bind", False)]
    assert change.password is None
    assert load_plant(broker.plant_file).device("s", "d1") == NEW


def test_rotate_gives_a_registered_device_a_new_password(broker, devices):
    """A new password is for a device that plant.yaml knows."""
    devices.add(NEW)

    assert devices.rotate("d1").password == "secret 2"
    with pytest.raises(PlantEditFault, match="no device 'd2'; did you mean 'd1'"):
        devices.rotate("d2")


def test_revoke_of_account_that_plant_does_not_know_removes_it(broker, devices):
    """An account left over from an entry removed by hand is removed too."""
    broker.accounts["d1"] = "s"

    change = devices.revoke("d1")

    assert [what for what, _ in broker.did] == ["no account", "unbind"]
    assert change.diff == ""


def test_revoke_of_unknown_device_is_refused(broker, devices):
    """A slip of the pen revokes nothing."""
    with pytest.raises(PlantEditFault, match="no device 'd7'"):
        devices.revoke("d7")


def test_listed_shows_what_either_side_knows(broker, devices):
    """A device without an account and an account without a device are both seen."""
    devices.adopt(NEW)
    broker.accounts["stray"] = "s"

    assert devices.listed() == [
        DeviceEntry(site="s", device="d1", boiler="b1", account=False),
        DeviceEntry(site="s", device="stray", boiler="", account=True),
    ]


def test_adopt_without_an_account_says_so(tmp_path):
    """A device that nobody gave an account is registered, and what it may lack is told."""
    (tmp_path / "plant.yaml").write_text(PLANT)
    broker = Broker(tmp_path / "plant.yaml")
    devices = Devices(
        tmp_path / "plant.yaml", broker, broker, lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )

    assert "'d1' has no account" in devices.adopt(NEW).next_step
    broker.accounts["d1"] = "s"
    assert devices.adopt(NEW).next_step == ""

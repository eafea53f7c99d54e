"""Adds, adopts and revokes devices: plant.yaml, account and bindings, in the order that loses nothing."""

from pathlib import Path
from typing import Protocol

import msgspec

from bridge.accounts import AccountFault, DeviceAccount, DeviceAccounts, check_device_name
from bridge.clock import Clock
from bridge.plant import Device, load_plant
from bridge.plant_edit import PlantEditFault, plan_edit, with_device, without_device, write_edit
from bridge.settings_file import nearest


class DeviceRoutes(Protocol):
    """Where the broker takes the messages of one device; each method may raise BrokerError."""

    def bind_device(self, site: str, device: str) -> None:
        """Let the messages of a device reach their queues."""

    def unbind_device(self, site: str, device: str) -> None:
        """Treat the messages of a device as those of an unknown one."""


class NoRoutes:
    """The routes of a broker that knows MQTT only: every message reaches the processor."""

    def bind_device(self, site: str, device: str) -> None:
        """Nothing to do."""

    def unbind_device(self, site: str, device: str) -> None:
        """Nothing to do."""


class DeviceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: the lines of plant.yaml, the password if a new one was made, what is left."""

    diff: str = ""
    password: str | None = None
    next_step: str = ""


class DeviceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A device as plant.yaml (`boiler` is "" where it is not in it) and the broker know it."""

    site: str
    device: str
    boiler: str
    account: bool


class Devices:
    """The devices of a plant at one broker.

    Each method may raise SettingsError, PlantEditFault, AccountFault or BrokerError. One that
    failed half-way is simply called again.
    """

    def __init__(
        self, plant_file: Path, accounts: DeviceAccounts, routes: DeviceRoutes, clock: Clock
    ) -> None:
        self._plant_file = plant_file
        self._accounts = accounts
        self._routes = routes
        self._clock = clock

    def add(self, device: Device) -> DeviceChange:
        """Register a new device and make its account.

        Bindings first, account last: it cannot send before its messages have a place.
        """
        if device.name in {account.device for account in self._accounts.listed()}:
            raise AccountFault(
                f"the broker has an account {device.name!r} already: `steam device adopt` registers "
                "a device that has one, `steam device rotate` gives it a new password"
            )
        diff = self._register(device)
        password = self._accounts.add(device.site, device.name)
        return DeviceChange(diff=diff, password=password, next_step=self._accounts.next_step)

    def adopt(self, device: Device) -> DeviceChange:
        """Register a device that has an account and sends already; its account stays as it is."""
        diff = self._register(device)
        if DeviceAccount(device.site, device.name) in self._accounts.listed():
            return DeviceChange(diff=diff)
        return DeviceChange(diff=diff, next_step=_no_account(device.name))

    def rotate(self, name: str, password: str | None = None) -> DeviceChange:
        """Give a registered device's account a new password, `password` where one is given."""
        device = self._registered(name)
        password = self._accounts.rotate(device.site, name, password)
        return DeviceChange(password=password, next_step=self._accounts.next_step)

    def settle_accounts(self) -> str:
        """Make the broker know of the accounts as they are; what somebody must still do, or ""."""
        return self._accounts.settle()

    def check_account(self, name: str) -> None:
        """Refuse a device that is not registered or has no account, before anything is done."""
        device = self._registered(name)
        if DeviceAccount(device.site, name) not in self._accounts.listed():
            raise AccountFault(_no_account(name))

    def revoke(self, name: str) -> DeviceChange:
        """Shut a device out: its account, its bindings, its entry, in this order.

        The account goes first, so that nothing can arrive that no binding takes. What it sent
        before and nobody processed yet goes to quarantine as unknown_device; what is stored stays.
        """
        registered = load_plant(self._plant_file).devices.get(name)
        account = next((a for a in self._accounts.listed() if a.device == name), None)
        if registered is None and account is None:
            raise self._unknown(name)
        if account is not None:
            self._accounts.remove(name)
        self._routes.unbind_device((registered or account).site, name)  # type: ignore[union-attr]
        diff = ""
        if registered is not None:
            edit = plan_edit(self._plant_file, without_device(name, self._clock().date()))
            write_edit(edit)
            diff = edit.diff
        next_step = self._accounts.next_step if account is not None else ""
        return DeviceChange(diff=diff, next_step=next_step)

    def listed(self) -> list[DeviceEntry]:
        """Every device that plant.yaml or the broker knows, sorted by site and name."""
        registered = {
            DeviceAccount(device.site, device.name): device.boiler
            for device in load_plant(self._plant_file).file.devices
        }
        accounts = set(self._accounts.listed())
        return [
            DeviceEntry(
                site=known.site,
                device=known.device,
                boiler=registered.get(known, ""),
                account=known in accounts,
            )
            for known in sorted(registered.keys() | accounts)
        ]

    def _register(self, device: Device) -> str:
        """Bind, then write plant.yaml; returns the lines, "" where it has the device already."""
        check_device_name(device.site, device.name)
        known = load_plant(self._plant_file).devices.get(device.name)
        if known is not None and (known.site, known.boiler) != (device.site, device.boiler):
            raise PlantEditFault(
                f"{self._plant_file} has a device {device.name!r} already, of site {known.site}, "
                f"boiler {known.boiler}; device names are unique in the plant"
            )
        edit = None if known else plan_edit(self._plant_file, with_device(device))
        self._routes.bind_device(device.site, device.name)
        if edit is None:
            return ""
        write_edit(edit)
        return edit.diff

    def _registered(self, name: str) -> Device:
        device = load_plant(self._plant_file).devices.get(name)
        if device is None:
            raise self._unknown(name)
        return device

    def _unknown(self, name: str) -> PlantEditFault:
        names = load_plant(self._plant_file).devices
        return PlantEditFault(f"{self._plant_file} has no device {name!r}{nearest(name, names)}")


def _no_account(name: str) -> str:
    return (
        f"{name!r} has no account: it can send through a gateway, or to a broker that asks for "
        "none; `steam device add` makes one"
    )

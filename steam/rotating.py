"""Gives a device a new password without a gap: first the device knows it, then the broker.

At every moment the device holds the account's password, as `mqtt.password` or as
`mqtt.password_next`: it tries the one after the other and keeps the one that is taken.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from bridge.accounts import AccountFault, new_password
from bridge.broker import BrokerError
from bridge.device_commands import Commander, CommandRefused, DeviceFault, NoAnswer
from bridge.devices import DeviceChange, Devices

_KEPT_WITHIN_S = 15.0
_BACK_WITHIN_S = 180.0
_LOOK_EVERY_S = 2.0
_BY_HAND = (
    "the account keeps its password. A device that does not come back gets a new one at its USB "
    "port: `steam device config NAME --rotate --force`, then `steam device flash NAME`. `--show` "
    "changes it and shows it once, for the board's own portal when it opens; until it is entered, "
    "the device cannot connect anew"
)


class Rotation:
    """Rotates the password of a device that is connected; `told` takes a line for a person."""

    def __init__(
        self,
        devices: Devices,
        commander: Commander,
        told: Callable[[str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices = devices
        self._commander = commander
        self._told = told
        self._sleep = sleep
        self._monotonic = monotonic

    def rotate(self) -> DeviceChange:
        """Hand the device a new password, and once it keeps it, change the account.

        Raises DeviceFault, BrokerError, AccountFault or PlantEditFault; whatever failed, the
        device can connect, and rotating again is safe.
        """
        name = self._commander.device
        self._devices.check_account(name)
        try:
            self._settle_earlier()
            password = new_password()
            self._hand_over(password)
        except DeviceFault as fault:
            raise DeviceFault(f"{fault}; {_BY_HAND}") from None
        try:
            change = self._devices.rotate(name, password)
        except (BrokerError, AccountFault, OSError) as error:
            raise DeviceFault(
                f"{error}; {name} has the new password beside the old one and connects with "
                "either: run `steam device rotate` again once this is mended"
            ) from None
        return DeviceChange(next_step=change.next_step)

    def _settle_earlier(self) -> None:
        """See to it that the device holds no password that the account may have and only that.

        A password of an earlier rotation waits at the device until it connects anew. Which of
        its two the account has, a connection tells: after one the device has kept the other, or
        is on the first, so that the second may be replaced. A broker that may not have read its
        accounts yet tells nothing: the account may have the second already.
        """
        if not self._waits(self._look("get_config")):
            return
        left = self._devices.settle_accounts()
        self._restart()
        name = self._commander.device
        if left and self._waits(self._look("get_config")):
            raise AccountFault(
                f"{name} still waits to use the password of the last rotation, which the broker "
                f"may not know yet; nothing was changed. First: {left}. Then rotate again; if this "
                f"is told once more, `steam device config {name} --rotate --force` and `flash`"
            )

    def _restart(self) -> None:
        self._told("it has not used the password of the last rotation yet: it restarts first")
        boot = _boot(self._look("identify"))
        self._commander.do("restart")
        deadline = self._monotonic() + _BACK_WITHIN_S
        while self._monotonic() < deadline:
            self._sleep(_LOOK_EVERY_S)
            try:
                if _boot(self._commander.do("identify")) != boot:
                    return
            except NoAnswer:
                continue
        raise NoAnswer(f"{self._commander.device} did not come back within {_BACK_WITHIN_S:g} s")

    def _hand_over(self, password: str) -> None:
        """Return once the device has the password in its flash for good, not on trial."""
        self._commander.do("patch_config", {"mqtt": {"password_next": password}})
        deadline = self._monotonic() + _KEPT_WITHIN_S
        while self._monotonic() < deadline:
            answer = self._look("get_config")
            if answer.get("trial") is False and self._waits(answer):
                return
            self._sleep(1.0)
        raise CommandRefused(
            f"{self._commander.device} took the new password on trial and did not keep it"
        )

    def _look(self, op: str) -> dict[str, Any]:
        """What a command says that changes nothing; asked twice, for a device that was cut off."""
        try:
            return self._commander.do(op)
        except NoAnswer:
            return self._commander.do(op)

    def _waits(self, answer: Mapping[str, Any]) -> bool:
        """Whether the device holds a next password; raises CommandRefused where it does not say."""
        config = answer.get("config")
        mqtt = config.get("mqtt") if isinstance(config, dict) else None
        if not isinstance(mqtt, dict) or not isinstance(mqtt.get("password_next", ""), str):
            raise CommandRefused(
                f"{self._commander.device} does not show its configuration: its firmware is "
                "another one, or too old"
            )
        return bool(mqtt.get("password_next"))


def _boot(identity: Mapping[str, Any]) -> Any:
    return identity.get("boot")

"""What changes a device while it lives: configuration, next password, new firmware (ota).

Each of them proves itself by a connection, or is taken back.
"""

import asyncio

from . import forget
from .constant import const

_PORTAL_AFTER_S = 300
_PORTAL_S = const(600)
# As long as without Wi-Fi, after which the board starts anew of its own accord (link).
_FIRMWARE_TRIAL_MS = const(1800000)


class Renewal:
    """The changes of `app`, the device (app.App): its config, link, session, board, clock, log."""

    def __init__(self, app) -> None:
        self._app = app
        # A change that comes later than the start is tried at the next one.
        self._proving = app.config.trial
        self._trial_ends_ms = app.config.TRIAL_MS
        self._asked = False

    def tell_taken_back(self) -> None:
        """Tell of firmware that did not prove itself, once."""
        failed = self.ask_slots("take_failure")
        if failed is not None:
            self._app.session.event("config", {"update": "taken back", "slot": failed})

    def online(self, with_next: bool) -> None:
        """The device is connected: what was on trial stays; `with_next` told by the link."""
        app = self._app
        # Where flash refuses it is still on trial: the next connection tries again.
        if self._proving and app.config.confirm():
            self._proving = False
            app.session.event("config", {"confirmed": app.config.crc})
        if with_next and not app.config.trial:
            self._promote_password()
        self.ask_slots("confirm")

    def take_back(self, up_ms: int) -> str:
        """Give up a change that was not online within its trial; why to restart then, else "".

        A configuration is taken back at once, firmware after three starts (slots).
        """
        app = self._app
        if app.link is not None and app.link.connections:
            return ""
        if app.config.trial and up_ms >= self._trial_ends_ms:
            # A restart without it would change nothing but empty the RAM.
            self._trial_ends_ms = up_ms + app.config.TRIAL_MS
            return "config_rolled_back" if app.config.rollback() else ""
        if up_ms >= _FIRMWARE_TRIAL_MS and not self._asked:
            on_trial = self.ask_slots("on_trial")
            self._asked = on_trial is not None
            if on_trial:
                return "update_not_online"
        return ""

    def take_next_password(self) -> bool:
        """Whether a change is no more than the next password; then it is in force at once."""
        config, link = self._app.config, self._app.link
        new, old = config.values, link.config
        changed = [key for key in new if key != "mqtt" and new[key] != old[key]]
        changed += [key for key in new["mqtt"] if new["mqtt"][key] != old["mqtt"][key]]
        if changed != ["password_next"]:
            return False
        config.confirm()
        link.config = new
        return True

    def ask_slots(self, question: str):
        """Ask `slots`, which is loaded for that only; None where flash refuses."""
        from . import slots

        try:
            return getattr(slots, question)(self._app.board.folder)
        except OSError as fault:
            self._app.log.note("flash: {}".format(fault))
            return None
        finally:
            forget("slots")

    async def offer_portal(self, _checkin=None) -> None:
        """Serve the portal where there is nothing to connect to or by, or where Wi-Fi never let us in.

        The latter only after the power was switched on, which takes somebody at the board, and
        for a while: a mistyped password must not need a cable.
        """
        app = self._app
        if app.link is None:
            await self._serve_portal()
        elif app.board.has_wifi and not app.config.values["wifi"]["ssid"]:
            app.link.paused = True  # it has no network to join
            await self._serve_portal()
        elif app.board.has_wifi and app.board.reset_cause() == "power_on":
            await asyncio.sleep(_PORTAL_AFTER_S)
            if app.link.connections == 0 and not app.board.network.is_up():
                app.link.paused = True
                try:
                    await asyncio.wait_for(self._serve_portal(), _PORTAL_S)
                except asyncio.TimeoutError:
                    app.log.note("portal: nobody came")
                finally:
                    app.link.paused = False

    async def _serve_portal(self) -> None:
        from . import portal

        if await portal.serve(self._app.board, self._app.config):
            self._app.restart("portal")

    def slot(self) -> "dict[str, object]":
        """From which slot the firmware came, and whether one is on trial."""
        from . import slots

        folder = self._app.board.folder
        found = {
            "slot": slots.running(folder),
            "trial": slots.status(folder)["trial"] is not None,
        }
        forget("slots")
        return found

    def _promote_password(self) -> None:
        """The broker took the next password: it is the password from now on."""
        config, link = self._app.config, self._app.link
        values = config.values
        values["mqtt"]["password"] = values["mqtt"]["password_next"]
        values["mqtt"]["password_next"] = ""
        try:
            config.save(values)
        except OSError as fault:  # at the next start it is found by trying once more
            self._app.log.note("flash: {}".format(fault))
            return
        link.config = config.values
        link.password_promoted()
        self._app.log.note("the next password is in force")

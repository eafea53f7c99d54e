"""The firmware: everything of a device put together, from its start to its restart."""

import asyncio
import gc
import sys

from .boots import Boots
from .clock import Clock
from .config_store import Config
from .constant import const
from .diag import Counters
from .logring import LogRing
from .outbox import Outbox
from .renewal import Renewal
from .session import VERSION, Session
from .supervisor import SAFE_MODE_AFTER, Supervisor

_WATCHDOG_MS = const(60000)  # or what the board can: a Pico W 8.4 s
_GOODBYE_S = const(4)
_SETTLED_MS = const(60000)
_FLOOR_MS = const(3600000)
_SAFE_MS = const(600000)
_SYNCHRONISED = const(2)
_UNNAMED = const("unnamed")  # until the portal has named it; nothing is sent under it


class App:
    """One device on `board`, a board of steamlink.hal. `random` gives floats in [0, 1).

    `open` reads what is in flash and cannot fail on garbage; `run` ends only by a restart.
    """

    def __init__(self, board, random=None) -> None:
        self.board = board
        self.random = random
        self.link = None
        self.measuring = None
        self.commands = None
        self.supervisor = None
        self.updating = False
        self._restarting = False
        self._settled = False
        self._tasks = []

    def open(self) -> None:
        """Read configuration, count the boot, open the store, make the sensors."""
        board, folder = self.board, self.board.folder
        if self.random is None:
            from random import random

            self.random = random
        watchdog = board.start_watchdog(_WATCHDOG_MS)  # first: whatever hangs below is ended
        self.counters = Counters()
        self.clock = Clock(board)
        self.clock.begin()
        self.log = LogRing(self.clock)
        self.config = Config(folder)
        values = self.config.load()
        self.renewal = Renewal(self)
        for fault in self.config.faults:
            self.log.note("config: " + fault)
        self.boots = Boots(folder)
        cause = board.reset_cause()
        self._open_store(values)
        watchdog.feed()
        boot = self.boots.begin(cause, max(values["boot_from"], self.outbox.highest_boot()))
        self.safe = self.boots.failures >= SAFE_MODE_AFTER
        self.outbox.begin(boot)
        self.outbox.named(values["site"], values["device"])
        self.session = Session(
            site=values["site"] or _UNNAMED,
            device=values["device"] or _UNNAMED,
            board=board,
            boot=boot,
            reset=self.boots.reason or cause,
            clock=self.clock,
            outbox=self.outbox,
        )
        self._tell_start(cause, values)
        if not self.safe:
            from .measuring import open_sensors

            self.measuring = open_sensors(self, values)
        self._open_link(values)
        if hasattr(board.network, "country"):  # which channels the radio may use
            board.network.country(values["wifi"]["country"])
        self.supervisor = Supervisor(self.clock, watchdog, self.log, self.counters)
        self.supervisor.on_overdue = self._stalled
        gc.collect()

    async def run(self) -> None:
        """Sample, send, answer, until a restart."""
        tasks = self.supervisor
        if self.measuring is not None:
            period_ms = self.measuring.sampler.period_ms
            tasks.spawn("sampling", self.measuring.run, 3 * period_ms + 10000)
        if self.link is not None:
            tasks.spawn("link", self.link.run, 120000)
            if not self.safe:
                tasks.spawn("clock", self._keep_time, 0)
        tasks.spawn("housekeeping", self._keep_house, 30000)
        tasks.spawn("portal", self.renewal.offer_portal, 0)
        try:
            await tasks.run()
        except asyncio.CancelledError:  # CPython's way of an interrupt
            if not self._restarting:
                await self.leave()
                self.keep("stopped")  # now: the loop's own end may take long
            raise

    def introduction(self) -> str:
        """One line for whoever looks at the board's console."""
        named = "waits for its configuration" if self.link is None else self.session.device
        return "steam {} on {}, boot {}: {}".format(
            VERSION, self.board.name, self.session.boot, named
        )

    async def leave(self) -> None:
        """Say stopped to the broker, if it is there, for good."""
        if self.link is not None:
            self.link.over = True
            try:
                await asyncio.wait_for(self.link.close(), _GOODBYE_S)
            except asyncio.TimeoutError:
                self.log.note("link: no goodbye in time")

    # -- put together

    def _open_store(self, values) -> None:
        store = values["store"]
        self.outbox = Outbox(
            self.board.folder,
            boot=0,  # the number comes from above what is in it
            limit_bytes=store["limit_kib"] * 1024,
            ring_bytes=store["ring_kib"] * 1024,
            commit_ms=store["commit_s"] * 1000,
            spill_ms=store["spill_s"] * 1000,
            up_ms=self.clock.up_ms,
            flash_free=self.board.flash_free,
        )
        self.outbox.open()

    def _tell_start(self, cause: str, values) -> None:
        """The first event of a boot: why it began and what may be missing since the last."""
        self._dated()
        clean = self.boots.clean
        details = {
            "cause": cause,
            "reason": self.boots.reason,
            "clean": clean,
            "failures": self.boots.failures,
            "safe": self.safe,
            "config": self.config.source,
            "lost_at_most_s": 0 if clean else values["store"]["commit_s"],
        }
        self.session.event("reset", details)
        self.renewal.tell_taken_back()

    def _open_link(self, values) -> None:
        if not values["mqtt"]["host"] or not values["site"] or not values["device"]:
            return
        from .link import Link  # a portal needs no MQTT client

        self.link = link = Link(
            config=values,
            folder=self.board.folder,
            network=self.board.network,
            clock=self.clock,
            session=self.session,
            outbox=self.outbox,
            counters=self.counters,
            log=self.log,
            random=self.random,
        )
        link.on_command = self._obey
        link.on_online = self.renewal.online
        link.on_wedged = self._restart_soon
        link.on_distrust = self._tell_distrust

    # -- time

    def set_time(self, utc_ms: int) -> bool:
        """Take the processor's time."""
        if not self.clock.set_utc(utc_ms, 1):
            return False
        self._dated()
        return True

    def _dated(self) -> None:
        """The clock is known: what was sampled in this boot can be dated, once and for ever."""
        if self.clock.offset_ms is not None:
            self.outbox.set_anchor(
                self.session.boot, self.clock.offset_ms, ts=max(self.clock.state, 1)
            )
            if self.link is not None:
                self.link.wake()

    async def _keep_time(self, _checkin) -> None:
        from . import sntp

        hosts = self.link.config["ntp"]
        if hosts:
            await sntp.keep_time(
                self.clock,
                hosts,
                on_time=self._dated,
                random=self.random,
                log=self.log,
                ready=self.board.network.is_up,
                resolve=self.board.network.lookup,
            )
        else:
            await asyncio.Event().wait()

    def _ask_time(self) -> None:
        """A clock that NTP does not keep drifts: the birth is answered with the time."""
        self.clock.doubt()
        if self.link is not None and self.link.connected and self.clock.state != _SYNCHRONISED:
            self.rebirth()

    # -- each second

    async def _keep_house(self, checkin) -> None:
        diag_at = self.clock.up_ms()
        floor_at = diag_at + _FLOOR_MS
        while True:
            await asyncio.sleep(1)
            checkin.ok()
            up_ms = self.clock.up_ms()
            if self.measuring is not None:
                self.measuring.put_rows_if_due(up_ms)
            self.outbox.tick()
            self._tell_losses()
            if up_ms >= floor_at:
                floor_at = up_ms + _FLOOR_MS
                self.clock.save_floor()
                self._ask_time()
            if self.link is not None and self.link.connected and up_ms >= diag_at:
                diag_at = up_ms + 1000 * self.link.config["diag_s"]
                gc.collect()
                self._say_diag()
            self._prove(up_ms)

    def _tell_losses(self) -> None:
        losses = self.outbox.take_losses()
        try:
            while losses:
                boot, first, last, count = losses[0]
                details = {"boot": boot, "from": first, "to": last, "count": count}
                self.session.event("loss", details)
                losses.pop(0)
        finally:
            if losses:
                self.outbox.give_back_losses(losses)

    def _stalled(self, names) -> None:
        """A task hangs and the watchdog will bite in seconds: keep what there is, and say who."""
        self.boots.blame("stalled: " + ", ".join(names))
        self.outbox.flush()

    def _say_diag(self) -> None:
        counts = self.counters.snapshot()
        if self.measuring is not None:
            self.measuring.count(counts)
        counts["flash_faults"] = self.outbox.faults
        counts["flash_damage"] = self.outbox.corrupt
        counts["times_refused"] = self.clock.refused
        self.link.say("diag", self.session.diag(counts, max(0, self.link.connections - 1)))

    def _prove(self, up_ms: int) -> None:
        """After a minute this boot is a good one; a change that does not come online goes back."""
        if not self._settled and up_ms >= _SETTLED_MS:
            self._settled = True
            self.boots.settled()
            if not self.safe:  # there what is damaged may not even be loaded
                self.renewal.ask_slots("settled")
        if self.safe and up_ms >= _SAFE_MS:  # what kept it from working may be over
            self._restart_soon("safe_mode_over")
        why = self.renewal.take_back(up_ms)
        if why:
            self._restart_soon(why)

    # -- the broker's side

    def _tell_distrust(self, why: str) -> None:
        self.session.event("config", {"tls": "refused", "fault": why[:200]})

    def _obey(self, payload: bytes) -> None:
        if self.commands is None:
            from .commands import Commands

            self.commands = Commands(self, self.clock, self.counters)
        ack = self.commands.answer(payload)
        if ack is not None:
            self.link.say("ack", ack)
        self.commands.proceed()

    # -- what commands ask of a device (steamlink.commands)

    def rebirth(self) -> None:
        """Introduce the device again."""
        self.link.say("birth", self.session.birth(self.link.conn))

    def identify(self) -> "dict[str, object]":
        """Say who this is, and from which slot its firmware came."""
        found = self.session.identity()
        found.update(self.renewal.slot())
        return found

    def log_lines(self) -> "list[str]":
        """The last lines of the log."""
        return self.log.lines()

    def replay(self, boot: "int | None", first: int, last: int) -> "tuple[int, int]":
        """How many of these messages are still here, at most, and how many are not.

        What is here is on its way already; what the broker has acknowledged is kept no longer.
        """
        return self.session.still_here(boot, first, last)

    def restart(self, reason: str) -> None:
        """Restart once the answer is out; a new password alone needs no restart."""
        if reason == "config" and self.renewal.take_next_password():
            return
        self._restart_soon(reason)

    def start_update(self, args) -> None:
        """Fetch new firmware and start it on trial; nothing where one is `updating` already."""
        if not self.updating:
            self.updating = True
            self._spawn(self._update(args))

    async def _update(self, args) -> None:
        from . import ota

        try:
            if await ota.update_device(self, args):
                await self._restart("update")
        finally:
            self.updating = False

    # -- the end

    def _restart_soon(self, reason: str) -> None:
        self._spawn(self._restart(reason))

    async def _restart(self, reason: str) -> None:
        if self._restarting:
            return
        self._restarting = True
        try:
            await asyncio.sleep(0.3)  # the ack goes first
            await self.leave()
        finally:  # whatever came of the goodbye, or of what is kept
            try:
                self.keep(reason)
            finally:
                self.board.restart()

    def keep(self, reason: str) -> None:
        """Write what is only in memory: the last thing before a planned end."""
        self._attempt(gc.collect)
        self._attempt(self.clock.save_floor)
        kept = self.measuring is None or self._attempt(self.measuring.put_rows)
        kept = self._attempt(self.outbox.flush) and kept
        if kept:
            self.boots.ended(reason)
        else:  # the next boot shall not call this a clean end
            self.boots.blame(reason)
        self.board.sync()

    def _attempt(self, step):
        """What a step of the end gives, False where it fails: each of them is worth trying."""
        try:
            return step()
        except Exception as fault:  # noqa: BLE001 - see above
            self.log.note("at the end: {}".format(fault))
            return False

    def _spawn(self, coroutine) -> None:
        # Kept, or the collector may take a task that runs.
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(coroutine))


def run(app) -> None:
    """Open a device and run it; on an interrupt everything is kept and the program ends."""
    try:
        app.open()
        print(app.introduction())  # noqa: T201 - `steam device flash` waits for it
        asyncio.run(app.run())
    except KeyboardInterrupt:
        if app.supervisor is None:
            return  # it had not begun
        if sys.implementation.name == "micropython":  # its loop stands as it was
            asyncio.get_event_loop().run_until_complete(app.leave())
            app.keep("stopped")
    except Exception as fault:
        if app.supervisor is not None:
            app.boots.blame("crash: {}".format(type(fault).__name__))
        raise


def main(board) -> None:
    """Run the firmware on a board."""
    run(App(board))

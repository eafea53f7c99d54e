"""A whole device on a fake board, on both interpreters: what it does with what it finds at its start."""

import asyncio
import json
import sys
import unittest

from device.steamlink import app as firmware
from device.steamlink import codec, ota, renewal, slots
from device.steamlink.copies import Copies
from device.steamlink.hal import fake, unix
from tests.firmware import folders
from tests.firmware import scripted_broker as scripted

UTC_MS = 1795392000000
CONFIG = {
    "v": 1,
    "site": "mill",
    "device": "dev1",
    "mqtt": {"host": "127.0.0.1", "port": 1, "user": "dev1", "password": "old"},
    "wifi": {"ssid": "plant", "password": "secret-of-wifi"},
    "ntp": [],
    "sensors": [{"kind": "simulated", "metrics": ["steam_pressure", "water_level"]}],
}


def short(*_):
    """What finds no memory."""
    raise MemoryError


class TestApp(unittest.TestCase):
    """From power on to the planned end."""

    def setUp(self):
        self.folder = folders.new("app")
        self._path = list(sys.path)

    def tearDown(self):
        sys.path[:] = self._path
        folders.remove(self.folder)

    def started(self, config=CONFIG, utc_ms=UTC_MS, cause="power_on"):
        """A device that has been opened on a board with this configuration."""
        if config is not None:
            folders.write(self.folder + "/config.json", json.dumps(config))
        self.board = fake.Board(self.folder, utc_ms=utc_ms)
        self.board.cause = cause
        device = firmware.App(self.board, random=lambda: 0.0)
        device.open()
        return device

    def sent(self, device):
        """Everything that waits, as (kind, message), acknowledged."""
        found = []
        while True:
            entry = device.outbox.next_live() or device.outbox.next_backlog()
            if entry is None:
                return found
            found.append((entry.kind, json.loads(bytes(entry.payload).decode())))
            device.outbox.acknowledge(entry)

    def offer(self, device):
        """Run what offers the portal; how often it was served."""
        served = []

        async def serve():
            served.append(device.link is not None and device.link.paused)

        device.renewal._serve_portal = serve
        renewal._PORTAL_AFTER_S = 0.001
        asyncio.run(device.renewal.offer_portal())
        return served

    def test_app_without_configuration_waits_in_the_portal(self):
        """Nothing to connect to and nothing to measure: only the portal is wanted."""
        device = self.started(config=None)

        self.assertEqual(self.offer(device), [False])
        self.assertTrue(device.link is None and device.measuring is None)

    def test_app_wifi_that_never_let_it_in_opens_the_portal_after_power_on(self):
        """A mistyped password needs no cable: the link rests while the portal is served."""
        device = self.started()

        self.assertEqual(self.offer(device), [True])
        self.assertFalse(device.link.paused)

    def test_app_without_a_wifi_to_join_opens_the_portal_at_once(self):
        """However it was started: a configuration that leaves Wi-Fi to whoever stands there."""
        config = dict(CONFIG)
        del config["wifi"]
        self.assertEqual(self.offer(self.started(config, cause="soft")), [True])

    def test_app_portal_stays_closed_without_somebody_at_the_board(self):
        """After a watchdog, or once it was online, nobody near can open it by jamming the Wi-Fi."""
        self.assertEqual(self.offer(self.started(cause="watchdog")), [])
        device = self.started()
        device.link.connections = 1
        self.assertEqual(self.offer(device), [])

    def test_app_garbage_configuration_is_told_and_starts_all_the_same(self):
        """A config.json that is none leaves the device in its portal, with the fault in its log."""
        folders.write(self.folder + "/config.json", "{garbage")
        device = self.started(config=None)

        self.assertTrue("config.json" in " ".join(device.log.lines()))
        self.assertTrue(device.link is None)

    def test_app_first_event_after_power_cut_tells_what_may_be_lost(self):
        """A boot that was not ended in order is told by the next one, with the bound of the loss."""
        self.started()
        device = self.started()

        kind, event = self.sent(device)[0]
        self.assertEqual((kind, event["ev"], event["b"]), ("event", "reset", 1))
        kind, event = (self.sent(self.started()) or [(None, None)])[0]
        self.assertEqual((event["b"], event["d"]["clean"]), (3, False))
        self.assertEqual(event["d"]["lost_at_most_s"], 60)

    def test_app_ended_in_order_loses_nothing_and_says_so(self):
        """What was only in memory is in flash after `keep`, and the next boot tells a clean end."""
        device = self.started()
        device.measuring.take_row(1000, [7.5, 51.0], {})
        device.keep("update")

        messages = self.sent(self.started())
        rows = [message for kind, message in messages if kind == "data"]
        resets = [message["d"] for kind, message in messages if kind == "event"]
        self.assertEqual([row["r"] for row in rows], [[[0, 7.5, 51.0]]])
        self.assertEqual((resets[-1]["clean"], resets[-1]["reason"]), (True, "update"))
        self.assertEqual(resets[-1]["lost_at_most_s"], 0)

    def test_app_rows_before_the_clock_is_known_wait_and_are_dated_by_it(self):
        """Nothing goes out undated; the processor's time dates the rows of before."""
        device = self.started(utc_ms=None)
        self.board.advance(5000)
        device.measuring.take_row(device.clock.up_ms(), [7.5, 51.0], {})
        device.measuring.put_rows()

        before = self.sent(device)
        self.board.advance(1000)
        taken = device.set_time(UTC_MS)
        after = [message for kind, message in self.sent(device) if kind == "data"]

        self.assertEqual(before, [])
        self.assertTrue(taken)
        self.assertEqual([message["t"] for message in after], [UTC_MS - 1000])

    def test_app_rows_go_on_increasing_while_a_fast_clock_is_put_right(self):
        """16 s are taken back between the rows, those of ten milliseconds' distance too."""
        device = self.started()
        for number in range(1200):
            if number == 100:
                self.assertTrue(device.set_time(device.clock.utc_ms() - 16000))
            self.board.watchdog.feed()
            self.board.advance(10 if number % 7 else 7000)
            device.measuring.take_row(device.clock.up_ms(), [float(number), 51.0], {})
        device.measuring.put_rows()

        times = []
        for kind, message in self.sent(device):
            if kind == "data":
                times.extend([message["t"] + row[0] for row in message["r"]])
        self.assertEqual(len(times), 1200)
        self.assertTrue(all(times[at] < times[at + 1] for at in range(1199)))
        self.assertEqual(device.clock.ahead_ms, 0)
        self.assertEqual(times[-1], device.clock.true_ms())

    def test_app_asks_for_the_time_while_ntp_does_not_keep_its_clock(self):
        """On a connection that stands for months nothing else would tell it how far it is off."""
        device = self.started()
        device.link.say = lambda kind, payload: self.asked.append(kind)
        self.asked = []
        for connected, state, asked in ((False, 1, 0), (True, 2, 0), (True, 1, 1)):
            device.link.connected = connected
            device.clock.state = state
            device._ask_time()
            self.assertEqual(self.asked, ["birth"] * asked)

    def test_app_five_boots_that_did_not_settle_start_in_safe_mode(self):
        """No sensor is touched, but the device can be reached and repaired."""
        for _ in range(5):
            self.started(cause="watchdog")
        device = self.started(cause="watchdog")

        self.assertTrue(device.safe and device.measuring is None and device.link is not None)
        payload = device.session.birth(1)
        self.assertEqual(json.loads(payload.decode())["metrics"], [])

    def test_app_mains_that_comes_and_goes_is_no_reason_for_safe_mode(self):
        """Ten power cuts in a row: it samples all the same."""
        for _ in range(10):
            device = self.started()

        self.assertTrue(device.measuring is not None)

    def test_app_safe_mode_ends_by_itself(self):
        """After ten minutes it tries to work again."""
        for _ in range(6):
            device = self.started(cause="watchdog")
        restarts = []
        device._restart_soon = restarts.append
        self.board.watchdog = None
        self.board.advance(600000)
        device._prove(device.clock.up_ms())

        self.assertEqual(restarts, ["safe_mode_over"])
        self.assertFalse(self.started(cause="soft").safe)

    def test_app_settled_boot_ends_the_counting(self):
        """After a minute a boot is a good one."""
        for _ in range(5):
            device = self.started(cause="watchdog")
        self.board.watchdog = None
        self.board.advance(60001)
        device._prove(device.clock.up_ms())

        self.assertFalse(self.started(cause="watchdog").safe)

    def test_app_change_that_never_comes_online_is_rolled_back(self):
        """Five minutes without a broker: the configuration of before is in force again."""
        device = self.started()
        restarts = []
        device._restart_soon = restarts.append
        device.config.patch({"mqtt": {"host": "192.0.2.1", "password": "there"}})
        device = self.started(config=None)
        device._restart_soon = restarts.append
        self.board.watchdog = None
        self.board.advance(300000)
        device._prove(device.clock.up_ms())

        self.assertEqual(restarts, ["config_rolled_back"])
        self.assertEqual(self.started(config=None).config.values["mqtt"]["host"], "127.0.0.1")

    def test_app_change_that_flash_does_not_take_back_restarts_nothing(self):
        """A start would only empty the RAM, which then is the only store; it is tried again later."""
        device = self.started()
        device.config.patch({"mqtt": {"host": "192.0.2.1", "password": "there"}})
        device = self.started(config=None)
        restarts, tries = [], []
        device._restart_soon = restarts.append
        device.config.rollback = lambda: tries.append(1)
        self.board.watchdog = None
        self.board.advance(300000)
        for _ in range(301):
            device._prove(device.clock.up_ms())
            self.board.advance(1000)

        self.assertEqual((restarts, len(tries)), ([], 2))

    def start_on_trial(self):
        """A device whose firmware came from a slot that is on trial; what it restarts for."""
        folders.make(self.folder + "/a")
        slots.stage(self.folder, "a")
        sys.path.insert(0, slots.choose(self.folder))
        device = self.started()
        self.board.watchdog = None
        restarts = []
        device._restart_soon = restarts.append
        return device, restarts

    def test_app_update_that_never_comes_online_is_restarted(self):
        """It runs and does not connect: each half hour is a start, the third is its last."""
        device, restarts = self.start_on_trial()
        for seconds in (1799, 1, 3600):
            self.board.advance(1000 * seconds)
            device._prove(device.clock.up_ms())
            told = list(restarts)
            if seconds == 1799:
                self.assertEqual(told, [])

        self.assertEqual(restarts, ["update_not_online"])

    def test_app_update_that_was_online_once_is_not_restarted(self):
        """Nor is firmware that is on trial no longer, however long the broker is away."""
        device, restarts = self.start_on_trial()
        device.link.connections = 1
        self.board.advance(1900000)
        device._prove(device.clock.up_ms())
        device.renewal.online(False)
        device.link.connections = 0
        device._prove(device.clock.up_ms())

        self.assertEqual(restarts, [])

    def test_app_in_safe_mode_does_not_forget_the_failed_starts_of_its_slot(self):
        """What is damaged may be what it measures with, which safe mode does without."""
        folders.make(self.folder + "/a")
        slots.stage(self.folder, "a")
        sys.path.insert(0, slots.choose(self.folder))
        for _ in range(5):
            self.started(cause="watchdog")
            slots.blame(self.folder + "/a")
        device = self.started(cause="watchdog")
        self.board.watchdog = None
        self.board.advance(60001)
        device._prove(device.clock.up_ms())

        self.assertTrue(device.safe)
        self.assertTrue(folders.exists(self.folder + "/a.fails"))

    def test_app_that_settled_forgets_the_failed_starts_of_its_slot(self):
        """A minute of work."""
        device, _ = self.start_on_trial()
        slots.blame(self.folder + "/a")
        self.board.advance(60001)
        device._prove(device.clock.up_ms())

        self.assertFalse(folders.exists(self.folder + "/a.fails"))

    def test_app_change_that_comes_online_stays(self):
        """The first connection with a changed configuration confirms it."""
        device = self.started()
        device.config.patch({"sampling": {"period_ms": 250}})
        device = self.started(config=None)
        trial = device.config.trial
        device.renewal.online(False)

        self.assertTrue(trial and not device.config.trial)
        self.assertEqual(self.started(config=None).measuring.sampler.period_ms, 250)

    def test_app_change_that_flash_does_not_confirm_is_confirmed_by_a_later_connection(self):
        """It is not told as confirmed before it is, for a restart would take it back."""
        device = self.started()
        device.config.patch({"sampling": {"period_ms": 250}})
        device = self.started(config=None)
        self.sent(device)

        def refuse(copies, values):
            raise OSError(28)

        original, Copies.save = Copies.save, refuse
        try:
            for _ in range(2):
                device.renewal.online(False)
        finally:
            Copies.save = original
        told = [[message["d"] for _, message in self.sent(device)]]
        faults = [fault for fault in device.config.faults if "flash" in fault]
        device.renewal.online(False)
        told.append([message["d"] for _, message in self.sent(device)])

        self.assertEqual(told, [[], [{"confirmed": device.config.crc}]])
        self.assertEqual(len(faults), 1)
        self.assertFalse(device.config.trial)

    def test_app_next_password_alone_is_in_force_without_a_restart(self):
        """Rotation costs no row: the running link knows the next password at once."""
        device = self.started()
        restarts = []
        device._restart_soon = restarts.append
        device.config.patch({"mqtt": {"password_next": "new"}})
        device.restart("config")

        self.assertEqual(restarts, [])
        self.assertEqual(device.link.config["mqtt"]["password_next"], "new")
        self.assertFalse(device.config.trial)

    def test_app_next_password_that_was_taken_is_the_password(self):
        """Once the broker has accepted it the old one is forgotten, in flash too."""
        device = self.started()
        device.config.patch({"mqtt": {"password_next": "new"}})
        device.restart("config")
        device.renewal.online(True)

        mqtt = self.started(config=None).config.values["mqtt"]
        self.assertEqual((mqtt["password"], mqtt["password_next"]), ("new", ""))

    def test_app_wrong_sensor_is_told_and_the_others_sample(self):
        """One bad entry costs its own metric only."""
        config = dict(CONFIG)
        config["sensors"] = [{"kind": "thermocouple_of_mars", "metric": "oxygen"}] + CONFIG[
            "sensors"
        ]
        device = self.started(config)

        self.assertEqual(device.measuring.sampler.names[0], "oxygen")
        self.assertTrue("steam_pressure" in device.measuring.sampler.names)
        events = [message for kind, message in self.sent(device) if kind == "event"]
        self.assertTrue("thermocouple_of_mars" in json.dumps(events))

    def test_app_update_that_was_taken_back_is_told_once(self):
        """Three trial boots that nobody confirmed: the operator hears of it from the old firmware."""
        record = {"run": "", "trial": None, "tries": 0, "failed": "b"}
        Copies(self.folder, "slot").save(record)

        told = []
        for _ in range(2):
            events = [
                message["d"] for kind, message in self.sent(self.started()) if kind == "event"
            ]
            told.append([event for event in events if event.get("update") == "taken back"])

        self.assertEqual(told, [[{"update": "taken back", "slot": "b"}], []])

    def test_app_flash_that_refuses_starts_all_the_same(self):
        """A failed update that cannot be ticked off is no reason not to sample."""
        folders.write(self.folder + "/config.json", json.dumps(CONFIG))

        def refuse(copies, values):
            raise OSError(28)

        Copies(self.folder, "slot").save({"run": "", "trial": None, "tries": 0, "failed": "b"})
        original, Copies.save = Copies.save, refuse
        try:
            device = self.started()
        finally:
            Copies.save = original

        self.assertTrue(device.measuring is not None)

    def test_app_takes_one_update_at_a_time(self):
        """The second is not begun; once the first is refused another one is."""
        device = self.started()
        begun = []

        async def update(_app, args):
            begun.append(args)
            await asyncio.sleep(0.01)

        async def run():
            for args in (1, 2):
                device.start_update(args)
                await asyncio.sleep(0)
            during = device.updating
            await asyncio.sleep(0.05)
            device.start_update(3)
            await asyncio.sleep(0.05)
            return during

        kept, ota.update_device = ota.update_device, update
        try:
            self.assertTrue(asyncio.run(run()))
        finally:
            ota.update_device = kept
        self.assertEqual(begun, [1, 3])
        self.assertFalse(device.updating)

    def test_app_update_that_fails_in_whatever_way_lets_the_link_go_on(self):
        """An exception that nobody thought of must not keep the device away from its broker."""
        device = self.started()
        device.link.paused = False

        def explode():
            raise KeyError("nobody thought of it")

        device.clock.certificate_time = explode
        asyncio.run(device._update({"url": "https://192.0.2.1/x"}))

        self.assertFalse(device.link.paused)
        self.assertEqual(device.counters.get("updates_refused"), 1)
        self.assertIn("nobody thought of it", device.log_lines()[-1])

    def test_app_restart_whose_goodbye_fails_restarts(self):
        """The end comes, whatever the broker or the memory does to the goodbye."""
        device = self.started()

        async def starve():
            raise MemoryError

        device.link.close = starve
        try:
            asyncio.run(device._restart("command"))
        except SystemExit:
            self.assertEqual(self.started().boots.reason, "command")
        else:
            self.fail("it did not restart")

    def test_app_restart_without_memory_for_its_record_restarts(self):
        """The next boot then calls its end unplanned."""
        device = self.started()

        def starve(_reason):
            raise MemoryError

        device.boots.ended = device.boots.blame = starve
        try:
            asyncio.run(device._restart("command"))
        except SystemExit:
            pass
        else:
            self.fail("it did not restart")
        self.assertFalse(self.started().boots.clean)

    def test_app_portal_that_fails_lets_the_link_go_on(self):
        """A port that is taken, or no memory: the Wi-Fi may come back all the same."""
        device = self.started()

        async def fail():
            raise OSError(98)

        device.renewal._serve_portal = fail
        renewal._PORTAL_AFTER_S = 0.001
        self.assertRaises(OSError, asyncio.run, device.renewal.offer_portal())
        self.assertFalse(device.link.paused)

    def test_app_rows_that_no_message_holds_are_told_as_lost(self):
        """Their number is used up and named, so that the processor does not wait for it."""
        device = self.started()
        self.sent(device)
        device.measuring.take_row(1000, ["no number", 51.0], {})
        device.measuring.put_rows()

        self.assertEqual(device.outbox.take_losses(), [(1, 2, 2, 1)])
        self.assertEqual(device.outbox.drops, 1)

    def test_app_rows_that_found_no_memory_are_told_by_their_number(self):
        """The number was given already: it is the lost one, and the next message has the next."""
        device = self.started()
        self.sent(device)
        learn = device.outbox._times.learn

        device.outbox._times.learn = short
        device.measuring.take_row(1000, [7.5, 51.0], {})
        device.measuring.put_rows()
        device.outbox._times.learn = learn
        device.measuring.take_row(2000, [7.6, 51.0], {})
        device.measuring.put_rows()

        self.assertEqual(device.outbox.take_losses(), [(1, 2, 2, 1)])
        self.assertEqual([message["n"] for _, message in self.sent(device)], [3])

    def test_app_rows_that_wait_for_memory_are_sent_when_there_is_some(self):
        """Nothing of them is lost, and neither a number nor a task is."""
        device = self.started()
        self.sent(device)
        take = device.measuring.gathering.take

        device.measuring.gathering.take = short
        device.measuring.take_row(1000, [7.5, 51.0], {})
        device.measuring.put_rows()
        device.measuring.gathering.take = take
        device.measuring.take_row(2000, [7.6, 51.0], {})
        device.measuring.put_rows()

        messages = [message for _, message in self.sent(device)]
        self.assertEqual([message["n"] for message in messages], [2])
        self.assertEqual(messages[0]["r"], [[0, 7.5, 51.0], [1000, 7.6, 51.0]])
        self.assertEqual(device.outbox.drops, 0)
        self.assertEqual(device.counters.snapshot()["rows_waiting"], 1)

    def test_app_end_without_memory_for_its_rows_is_no_clean_one(self):
        """The next boot declares what may be missing."""
        device = self.started()
        device.measuring.take_row(1000, [7.5, 51.0], {})

        device.measuring.gathering.take = short
        device.keep("command")

        resets = [message["d"] for kind, message in self.sent(self.started()) if kind == "event"]
        self.assertEqual([told["clean"] for told in resets][-1], False)
        self.assertTrue(resets[-1]["lost_at_most_s"] > 0)

    def test_app_rows_without_memory_even_for_the_log_are_told_as_lost(self):
        """Their number is used up first."""
        device = self.started()
        self.sent(device)

        device.log.note = short
        device.measuring.take_row(1000, ["no number", 51.0], {})
        with self.assertRaises(MemoryError):
            device.measuring.put_rows()

        self.assertEqual(device.outbox.take_losses(), [(1, 2, 2, 1)])

    def test_app_losses_that_found_no_memory_are_told_later(self):
        """Each once, however many were told before; what telling of them lost is told too."""
        device = self.started()
        self.sent(device)
        for boot in (11, 12, 13):
            device.outbox._losses.add(boot, 1, 4, 4)
        event, told = device.session.event, []

        def scarce(name, details):
            if len(told) == 1:
                device.outbox.lose(99)
                raise MemoryError
            told.append((details["boot"], details["from"], details["to"], details["count"]))

        device.session.event = scarce
        with self.assertRaises(MemoryError):
            device._tell_losses()
        device.session.event = event
        device._tell_losses()

        self.assertEqual(told, [(11, 1, 4, 4)])
        later = [message["d"] for _, message in self.sent(device)]
        self.assertEqual(
            [(each["boot"], each["count"]) for each in later], [(12, 4), (13, 4), (1, 1)]
        )
        self.assertEqual(device.outbox.drops, 13)
        self.assertEqual(device.outbox.take_losses(), [])

    def test_app_message_never_takes_more_than_a_quarter_of_the_ring(self):
        """Whole, with every value bad, or good and without time: what is made can be read again."""
        config = dict(CONFIG)
        config["sampling"] = {"rows": 500, "publish_ms": 600000, "heartbeat_ms": 600000}
        config["store"] = {"ring_kib": 4, "spill_s": 600, "commit_s": 1200}
        for code in (24, 64):
            device = self.started(config)
            device.outbox.connected(True)
            self.sent(device)
            sizes = []
            for second in range(1, 121):
                device.measuring.take_row(
                    1000 * second, [-1234.567 + second, -251.25], {0: code, 1: code}
                )
                entry = device.outbox.next_live() or device.outbox.next_backlog()
                while entry is not None:
                    if entry.kind == "data":
                        sizes.append(len(entry.payload))
                    device.outbox.acknowledge(entry)
                    entry = device.outbox.next_live() or device.outbox.next_backlog()

            self.assertTrue(600 < max(sizes) <= 1024)

    def test_app_change_that_comes_while_it_runs_is_not_confirmed_before_it_was_tried(self):
        """A reconnection between the patch and the restart proves nothing."""
        device = self.started()
        device.config.patch({"mqtt": {"host": "192.0.2.1", "password": "there"}})
        device.renewal.online(False)

        self.assertTrue(device.config.trial)

    def test_app_replay_tells_what_is_here(self):
        """Of the oldest boot, of this one, of one that never was."""
        device = self.started()
        for up_ms in (1000, 2000, 3000):
            device.measuring.take_row(up_ms, [7.5, up_ms / 100], {})
            device.measuring.put_rows()
        device.keep("command")
        device = self.started()

        self.assertEqual(device.replay(1, 1, 4), (4, 0))
        self.assertEqual(device.replay(None, 1, 5), (1, 4))
        self.assertEqual(device.replay(9, 1, 5), (0, 5))

    def test_app_identify_tells_its_slot(self):
        """An update is over once the firmware of the other slot answers, no longer on trial."""
        found = self.started().identify()

        self.assertEqual((found["slot"], found["trial"]), ("", False))

    def test_app_boot_number_is_above_all_that_the_store_holds(self):
        """Both records of starts are gone and messages are not: no number is given twice."""
        device = self.started()
        device.keep("command")
        before = device.session.boot
        for path in (self.folder + "/boots.a", self.folder + "/boots.b"):
            if folders.exists(path):
                folders.remove(path)

        self.assertTrue(self.started().session.boot > before)

    def test_app_stalled_task_is_named_by_the_next_boot(self):
        """Before the watchdog bites, everything is kept and the culprit written down."""
        device = self.started()
        device.measuring.take_row(1000, [7.5, 51.0], {})
        device.measuring.put_rows()
        device._stalled(["sampling"])

        self.assertEqual(self.started().session.reset, "stalled: sampling")

    def test_app_end_with_a_store_that_fails_is_not_called_clean(self):
        """Each step of the end is tried; what was not kept is not denied by the next boot."""
        device = self.started()

        def refuse():
            raise OSError("broken")

        device.outbox.flush = refuse
        device.keep("command")

        boots = self.started().boots
        self.assertEqual((boots.clean, boots.reason), (False, "command"))

    def test_app_commands_good_and_bad_are_answered_while_it_samples(self):
        """Garbage is counted and told in diag, a good command answered; rows go on throughout."""
        sessions = []
        topic = "steam/v1/mill/dev1/cmd"
        rebirth = codec.encode_cmd(id="c1", op="rebirth", args={}, exp=2 * UTC_MS)

        async def script(session):
            sessions.append(session)
            await session.accept()
            for packet_id, payload in enumerate((b"\xff\x00garbage", b"[" * 3000, rebirth)):
                await session.send(scripted.message(topic, payload, packet_id=packet_id + 1))
            await session.serve()

        def kinds():
            found = []
            for _, body in sessions[0].of_kind(scripted.PUBLISH) if sessions else ():
                end = 2 + int.from_bytes(body[:2], "big")
                found.append(bytes(body[2:end]).decode().split("/")[-1])
            return found

        async def steps():
            broker = await scripted.Broker(script).start()
            config = dict(CONFIG)
            config["mqtt"] = {"host": "127.0.0.1", "port": broker.port}
            config["sampling"] = {"period_ms": 50, "publish_ms": 50}
            folders.write(self.folder + "/config.json", json.dumps(config))
            device = firmware.App(unix.Board(self.folder), random=lambda: 0.0)
            device.open()
            running = asyncio.create_task(device.run())
            await scripted.eventually(lambda: kinds().count("birth") == 2)
            await scripted.eventually(lambda: kinds().count("data") > 3)
            self.assertEqual(kinds().count("ack"), 1)
            self.assertEqual(device.counters.get("commands_garbage"), 2)
            running.cancel()
            for name in device.supervisor._tasks:
                device.supervisor._tasks[name].cancel()
            await asyncio.sleep(0.01)
            await broker.stop()

        scripted.run(steps())

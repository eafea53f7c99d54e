"""What a device answers to commands, on both interpreters."""

import binascii
import json
import unittest

from device.steamlink import codec
from device.steamlink.commands import Commands
from tests.firmware import updates

NOW = 1764000000000


class Clock:
    def __init__(self, utc_ms=NOW):
        self.utc = utc_ms
        self.up = 50000

    def up_ms(self):
        return self.up

    def true_ms(self):
        return self.utc


class Counters:
    def __init__(self):
        self.counts = {}

    def add(self, name, n=1):
        self.counts[name] = self.counts.get(name, 0) + n


class Config:
    TRIAL_MS = 300000

    def __init__(self):
        self.crc = 7
        self.source = "a"
        self.trial = False
        self.faults = []
        self.patched = []
        self.key = updates.KEY

    def public(self):
        return {"mqtt": {"password": "***"}, "ota": {"key": self.key}}

    def patch(self, changes):
        if "nonsense" in changes:
            raise ValueError("nonsense: unknown")
        self.patched.append(changes)
        self.crc = 8


class Device:
    """Keeps what was asked of it; it is its own session and link, in boot 3, connection 2."""

    boot = 3
    conn = 2
    updating = False

    def __init__(self, clock):
        self.session = self.link = self
        self.config = Config()
        self.done = []
        self.fault = None
        self.lines = ["1 started"]
        self._clock = clock

    def set_time(self, utc_ms):
        if utc_ms < NOW - 1000000:
            return False
        self._clock.utc = utc_ms
        return True

    def identify(self):
        if self.fault is not None:
            raise self.fault
        return {"device": "cal-1", "boot": 3}

    def log_lines(self):
        return self.lines

    def replay(self, boot, first, last):
        self.done.append(("replay", boot, first, last))
        return 2, last - first - 1

    def rebirth(self):
        self.done.append(("rebirth",))

    def restart(self, reason):
        self.done.append(("restart", reason))

    def start_update(self, args):
        self.done.append(("update", args["size"]))


class TestCommands(unittest.TestCase):
    """One device, asked in many ways."""

    def setUp(self):
        self.clock = Clock()
        self.counters = Counters()
        self.device = Device(self.clock)
        self.commands = Commands(self.device, self.clock, self.counters)
        self._number = 0

    def ask(self, op, args=None, exp=NOW + 1000, id_=None):
        """The decoded ack to a command."""
        self._number += 1
        message = {
            "v": 1,
            "id": id_ or f"c{self._number}",
            "op": op,
            "args": args or {},
            "exp": exp,
        }
        return json.loads(self.commands.answer(json.dumps(message).encode()).decode())

    def test_command_rebirth_is_acknowledged_then_done(self):
        """The ack is made first; the birth follows once it is on its way."""
        ack = self.ask("rebirth")

        self.assertEqual((ack["ok"], ack["err"], ack["res"]), (True, None, None))
        self.assertEqual(self.device.done, [])
        self.commands.proceed()
        self.assertEqual(self.device.done, [("rebirth",)])

    def test_command_done_once_is_not_done_at_the_next_proceed(self):
        """What waited for its ack is forgotten once it began."""
        self.ask("rebirth")
        self.commands.proceed()

        self.commands.proceed()

        self.assertEqual(len(self.device.done), 1)

    def test_command_time_sets_the_clock(self):
        """The answer tells the time that now is."""
        ack = self.ask("time", {"utc": NOW + 5000})

        self.assertEqual((ack["ok"], ack["res"]["utc"]), (True, NOW + 5000))

    def test_command_time_from_nowhere_is_judged_by_the_clock_if_there_is_one(self):
        """A broker may have kept it for hours; without a clock nobody can tell."""
        self.assertIn("expired", self.ask("time", {"utc": NOW + 9000}, exp=NOW - 1)["err"])
        self.clock.utc = None
        self.assertTrue(self.ask("time", {"utc": NOW + 9000}, exp=NOW - 900000)["ok"])

    def test_command_time_that_answers_our_birth_counts_half_its_way(self):
        """The birth said up 40 s, now it is 50 s: the answer was made within those 10 s."""
        args = {"utc": NOW + 7000, "boot": 3, "conn": 2, "up": 40000}
        for utc in (None, NOW + 900000000):  # a clock that is far ahead does not call it expired
            self.clock.utc = utc
            ack = self.ask("time", args, exp=NOW + 1)

            self.assertEqual((ack["ok"], self.clock.utc), (True, NOW + 12000))

    def test_command_time_that_answers_another_birth_is_refused(self):
        """Another boot, another connection, nonsense: it was kept somewhere."""
        self.clock.utc = None
        for changes in ({"boot": 2}, {"conn": 1}, {"conn": None}, {"up": None}, {"up": "1"}):
            args = {"utc": NOW, "boot": 3, "conn": 2, "up": 40000}
            args.update(changes)
            self.assertIn("another connection", self.ask("time", args)["err"])
        self.commands.proceed()

        self.assertEqual((self.clock.utc, self.device.done), (None, []))

    def test_command_time_that_was_long_on_its_way_is_asked_for_again(self):
        """More than 20 s there and back leave more than 10 s of doubt; a new birth follows."""
        self.clock.utc = None
        for up in (29999, 50001):
            args = {"utc": NOW, "boot": 3, "conn": 2, "up": up}
            self.assertIn("asked again", self.ask("time", args)["err"])
        self.assertTrue(self.ask("time", {"utc": NOW, "boot": 3, "conn": 2, "up": 30000})["ok"])
        self.commands.proceed()

        self.assertEqual(self.device.done, [("rebirth",)] * 2)

    def test_command_time_that_was_long_on_its_way_to_a_known_clock_is_not_asked_for_again(self):
        """A processor that is behind would be asked for ever."""
        args = {"utc": NOW, "boot": 3, "conn": 2, "up": 29999}

        self.assertEqual(self.ask("time", args)["err"], "time: 20001 ms on its way")
        self.commands.proceed()
        self.assertEqual(self.device.done, [])

    def test_command_time_near_enough_leaves_the_clock_as_it_is(self):
        """Within half its way and a second nobody can tell which of the two is right."""
        args = {"utc": NOW - 5000, "boot": 3, "conn": 2, "up": 40000}  # NOW, give or take 5 s
        for ahead_ms, left in ((-6001, False), (-6000, True), (6000, True), (6001, False)):
            self.clock.utc = NOW + ahead_ms
            res = self.ask("time", args)["res"]
            self.assertEqual(res["utc"], NOW + ahead_ms if left else NOW)

    def test_command_time_that_is_no_time_is_refused(self):
        """Text, fractions, truth values and other ages are refused."""
        for utc in ("now", None, 1.5, True, 0, -1, 10**14, 10**30, [NOW]):
            ack = self.ask("time", {"utc": utc})
            self.assertEqual(ack["err"], "time: utc is milliseconds since 1970")

    def test_command_time_below_the_floor_is_refused_by_the_clock(self):
        """The clock's own no becomes an error."""
        self.assertIn("out of range", self.ask("time", {"utc": 1000})["err"])

    def test_command_after_its_time_is_refused(self):
        """An order that waited too long is not carried out."""
        for op in ("restart", "get_config", "replay"):
            self.assertIn(
                "expired 2 s ago by this device's clock", self.ask(op, exp=NOW - 1001)["err"]
            )
        self.commands.proceed()

        self.assertEqual(self.device.done, [("rebirth",)] * 3)
        self.assertEqual(self.counters.counts, {"commands_refused": 3})

    def test_command_to_a_device_whose_clock_is_fast_is_done_the_second_time(self):
        """The first one has it ask for the time; so does `rebirth`, whatever its age."""
        self.clock.utc = NOW + 16000
        self.assertIn("send it again", self.ask("identify", exp=NOW + 15000)["err"])
        self.assertTrue(self.ask("rebirth", exp=NOW + 15000)["ok"])
        self.commands.proceed()
        self.assertEqual(self.device.done, [("rebirth",)] * 2)

        self.ask("time", {"utc": NOW, "boot": 3, "conn": 2, "up": 50000}, exp=NOW + 60000)

        self.assertTrue(self.ask("identify", exp=NOW + 15000)["ok"])

    def test_command_at_the_last_moment_is_done(self):
        """The limit belongs to the allowed time."""
        self.assertTrue(self.ask("rebirth", exp=NOW)["ok"])

    def test_command_that_changes_the_device_waits_for_a_clock(self):
        """Without a clock nobody can tell whether an order to restart is of last year."""
        self.clock.utc = None

        for op in ("restart", "patch_config", "ota"):
            self.assertIn("no clock yet", self.ask(op, {"a": 1})["err"])
        for op in ("rebirth", "get_config", "identify", "log"):
            self.assertTrue(self.ask(op)["ok"])

    def test_command_repeated_gets_its_first_answer_and_is_not_done_again(self):
        """QoS 1 may deliver twice; a device restarts once."""
        first = self.ask("restart", id_="same")
        again = self.ask("restart", id_="same")
        self.commands.proceed()

        self.assertEqual(first, again)
        self.assertEqual(self.device.done, [("restart", "command")])
        self.assertEqual(self.counters.counts["commands_repeated"], 1)

    def test_command_refused_then_repeated_is_refused_alike(self):
        """What was wrong the first time stays wrong under this id."""
        first = self.ask("replay", id_="same")

        self.assertEqual(self.ask("replay", {"from": 1, "to": 2}, id_="same"), first)

    def test_command_sixteen_later_is_still_remembered_and_then_forgotten(self):
        """The last sixteen are known; memory has an end."""
        self.ask("restart", id_="same")
        self.commands.proceed()
        for _ in range(15):
            self.ask("identify")
        self.ask("restart", id_="same")
        self.commands.proceed()
        self.assertEqual(len(self.device.done), 1)
        self.ask("identify")

        self.ask("restart", id_="same")
        self.commands.proceed()

        self.assertEqual(len(self.device.done), 2)

    def test_command_with_long_answer_is_answered_anew(self):
        """Long answers are not kept in memory: sixteen logs would fill it."""
        self.ask("log", id_="same")
        self.device.lines = ["2 later"]

        self.assertEqual(self.ask("log", id_="same")["res"], {"lines": ["2 later"]})

    def test_command_get_config_tells_no_secret(self):
        """What is sent is the public side, with where it came from."""
        result = self.ask("get_config")["res"]

        self.assertEqual(result["config"]["mqtt"]["password"], "***")
        self.assertEqual(
            (result["crc"], result["source"], result["trial"], result["faults"]),
            (7, "a", False, []),
        )

    def test_command_patch_config_is_tried_after_a_restart(self):
        """The change is stored, the ack goes out, the device restarts with it on trial."""
        ack = self.ask("patch_config", {"diag_s": 30})

        self.assertEqual(ack["res"], {"crc": 8, "trial_ms": 300000})
        self.assertEqual(self.device.config.patched, [{"diag_s": 30}])
        self.commands.proceed()
        self.assertEqual(self.device.done, [("restart", "config")])

    def test_command_patch_config_that_is_refused_says_why_and_changes_nothing(self):
        """The faults are those of the configuration; an empty patch is one too."""
        self.assertEqual(self.ask("patch_config", {"nonsense": 1})["err"], "nonsense: unknown")
        self.assertIn("args is the part", self.ask("patch_config")["err"])
        self.commands.proceed()

        self.assertEqual(self.device.done, [])

    def test_command_identify_tells_who_it_is(self):
        """The answer is what the device says of itself."""
        self.assertEqual(self.ask("identify")["res"], {"device": "cal-1", "boot": 3})

    def test_command_replay_tells_what_is_there_and_what_is_not(self):
        """Count and missing come back; the boot is this one unless named."""
        ack = self.ask("replay", {"from": 5, "to": 9})
        self.ask("replay", {"boot": 2, "from": 5, "to": 5})

        self.assertEqual(ack["res"], {"count": 2, "missing": 3})
        self.assertEqual(self.device.done, [("replay", None, 5, 9), ("replay", 2, 5, 5)])

    def test_command_replay_of_nonsense_is_refused(self):
        """Backwards, negative, too much, no numbers."""
        for args in (
            {},
            {"from": 1},
            {"from": "1", "to": "2"},
            {"from": 2, "to": 1},
            {"from": -5, "to": 1},
            {"from": 0, "to": 10000},
            {"from": 1, "to": 2, "boot": "x"},
            {"from": True, "to": True},
        ):
            self.assertIn("replay: ", self.ask("replay", args)["err"])

        self.assertEqual(self.device.done, [])

    def test_command_unknown_is_refused_with_those_known(self):
        """There is no op that moves a burner."""
        error = self.ask("open_fuel_valve")["err"]

        self.assertIn("open_fuel_valve: unknown; known: rebirth", error)
        self.assertIn("unknown", self.ask("answer")["err"])
        self.assertIn("unknown", self.ask("_later")["err"])

    def test_command_whose_device_fails_is_answered_with_the_fault(self):
        """Whatever breaks, the sender is told and the device lives."""
        for fault in (OSError(28), MemoryError(), KeyError("x"), RuntimeError("deep")):
            self.device.fault = fault
            self.assertFalse(self.ask("identify")["ok"])

        self.assertIn("RuntimeError: deep", self.ask("identify")["err"])

    def test_command_with_endless_error_is_cut(self):
        """An ack stays small."""
        self.device.fault = ValueError("x" * 5000)

        self.assertEqual(len(self.ask("identify")["err"]), 300)

    def test_command_with_answer_beyond_a_message_says_so(self):
        """More than 64 KiB cannot be sent; the ack tells it."""
        self.device.lines = ["y" * 1000] * 70

        self.assertIn("a message holds at most", self.ask("log")["err"])

    def test_command_that_is_garbage_is_counted_and_has_no_answer(self):
        """Nothing can be answered to what has no id."""
        deep = b'{"v":1,"id":"a","op":"time","exp":1,"args":' + b"[" * 2000 + b"]" * 2000 + b"}"
        for payload in (
            b"",
            b"\xff\xfe",
            b"null",
            b"[1]",
            b'{"v":2,"id":"a","op":"time","exp":1}',
            b'{"v":1,"id":"","op":"time","exp":1}',
            b'{"v":1,"id":"a b","op":"time","exp":1}',
            b'{"v":1,"id":"a","op":5,"exp":1}',
            b'{"v":1,"id":"a","op":"time","exp":"soon"}',
            b'{"v":1,"id":"a","op":"time","exp":1,"args":[]}',
            deep,
        ):
            self.assertIsNone(self.commands.answer(payload))

        self.assertEqual(self.counters.counts, {"commands_garbage": 11})

    def test_command_that_is_too_long_is_counted_and_not_even_read(self):
        """8 KiB are enough for any command."""
        self.assertIsNone(self.commands.answer(b" " * 8193))

        self.assertEqual(self.counters.counts, {"commands_oversize": 1})

    def test_command_that_was_retained_is_ignored(self):
        """It would come back with each connection."""
        payload = codec.encode_cmd(id="a", op="restart", args={}, exp=NOW + 1)

        self.assertIsNone(self.commands.answer(payload, True))
        self.assertEqual(self.counters.counts, {"commands_retained": 1})

    def test_command_flood_before_its_acks_are_out_is_refused(self):
        """What waits is bounded; the configuration is not changed without its restart."""
        for _ in range(4):
            self.assertTrue(self.ask("restart")["ok"])

        self.assertIn("busy", self.ask("restart")["err"])
        self.assertIn("busy", self.ask("patch_config", {"diag_s": 1})["err"])
        self.assertEqual(self.device.config.patched, [])

    def test_command_ota_signed_with_the_key_begins_after_its_ack(self):
        """A good order starts the update once the answer is out."""
        content = updates.update("9")

        ack = self.ask("ota", updates.command(content, "http://10.0.0.1/u.tar"))

        self.assertEqual((ack["ok"], ack["err"]), (True, None))
        self.assertEqual(self.device.done, [])
        self.commands.proceed()
        self.assertEqual(self.device.done, [("update", len(content))])

    def test_command_ota_while_another_is_fetched_is_refused(self):
        """Two at once would go into the same slot."""
        self.device.updating = True

        ack = self.ask("ota", updates.command(updates.update("9"), "http://10.0.0.1/u.tar"))

        self.assertIn("an update is being fetched", ack["err"])
        self.commands.proceed()
        self.assertEqual(self.device.done, [])

    def test_command_ota_that_cannot_be_trusted_is_refused_at_once(self):
        """Unsigned, signed by another, for a device without a key, or malformed."""
        content = updates.update("9")
        good = updates.command(content, "http://10.0.0.1/u.tar")
        digest = binascii.unhexlify(good["sha256"])
        for changes, words in (
            ({"sig": None}, "unsigned"),
            ({"sig": updates.sign_with_other(digest)}, "does not fit"),
            ({"sha256": "0" * 64}, "does not fit"),
            ({"sha256": "zz" * 32}, "64 hex digits"),
            ({"sha256": None}, "64 hex digits"),
            ({"size": "1024"}, "size"),
            ({"size": 0}, "size"),
            ({"size": 1000}, "size"),
            ({"size": 2097152}, "size"),
            ({"url": "ftp://10.0.0.1/u"}, "http"),
            ({"url": None}, "url"),
        ):
            args = dict(good)
            args.update(changes)
            self.assertIn(words, self.ask("ota", args)["err"])
        self.device.config.key = ""
        self.assertIn("no key", self.ask("ota", good)["err"])
        self.commands.proceed()

        self.assertEqual(self.device.done, [])

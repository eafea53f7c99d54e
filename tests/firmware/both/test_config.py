"""A device's configuration, on both interpreters."""

import json
import random
import unittest

from device.steamlink import config
from device.steamlink.config import Config
from tests.firmware import cuts, folders
from tests.firmware.failing_files import FailingFiles, PowerCut, flash

GOOD = '{"site": "matriz", "device": "cal-1", "mqtt": {"host": "broker", "password": "secret"}}'


def good(**more):
    """A small good configuration, with more keys."""
    values = json.loads(GOOD)
    values.update(more)
    return values


class TestSchema(unittest.TestCase):
    """What a configuration may hold."""

    def faults(self, **more):
        """The faults of a good configuration with more in it."""
        return config.validate(good(**more))

    def test_config_of_the_three_names_alone_is_good(self):
        """All else has defaults."""
        self.assertEqual(config.validate(good()), [])
        whole = config.filled(good())
        self.assertEqual(config.validate(whole), [])
        self.assertEqual((whole["mqtt"]["port"], whole["sampling"]["rows"]), (1883, 6))
        self.assertEqual(whole["mqtt"]["host"], "broker")

    def test_config_of_defaults_alone_lacks_site_device_and_broker(self):
        """The paths of what is missing begin the faults."""
        paths = [fault.partition(":")[0] for fault in config.validate(config.defaults())]
        self.assertEqual(paths, ["site", "device", "mqtt.host"])

    def test_config_with_everything_in_it_is_good(self):
        """As a plant has it."""
        faults = self.faults(
            v=1,
            board="esp32",
            boot_from=3600000,
            wifi={"ssid": "Caldeira nº 1", "password": "12345678", "country": "BR"},
            ntp=["a.ntp.br", "192.0.2.1"],
            sampling={"period_ms": 500},
            buses={"w1": {"kind": "onewire", "pin": 4}, "rs": {"kind": "uart", "parity": None}},
            sensors=[
                {"kind": "ds18b20", "bus": "w1", "metric": "feedwater_temperature", "low": -10.5},
                {"kind": "simulated"},
            ],
            limits=[{"metric": "steam_pressure", "type": "HIHI", "setpoint": 10.5}],
            ota={"key": "C0FFEE"},
            portal_password="k7m2p9xwqrst",
        )
        self.assertEqual(faults, [])

    def test_config_with_unknown_keys_is_told_the_nearest_known_ones(self):
        """A slip of the pen names what was meant."""
        for path, near in (
            ("mqtt.prot", "mqtt.port"),
            ("sampling.period", "sampling.period_ms"),
            ("wifi.passwd", "wifi.password"),
            ("stie", "site"),
            ("host", "mqtt.host"),
        ):
            section, _, leaf = path.rpartition(".")
            values = good()
            values.setdefault(section, {}) if section else None
            (values[section] if section else values)[leaf] = 1
            self.assertEqual(config.validate(values), [path + ": unknown; " + near + " is known"])
        self.assertEqual(self.faults(zzzzzzzzzzzz=1), ["zzzzzzzzzzzz: unknown"])

    def test_config_of_wrong_types_or_out_of_range_is_refused_with_its_path(self):
        """Each of them alone makes one fault."""
        broker = {"host": "broker"}
        for path, more in (
            ("v", {"v": 2}),
            ("site", {"site": "Matriz"}),
            ("device", {"device": "a.b"}),
            ("device", {"device": ""}),
            ("device", {"device": 5}),
            ("boot_from", {"boot_from": -1}),
            ("boot_from", {"boot_from": 4000000001}),
            ("diag_s", {"diag_s": True}),
            ("diag_s", {"diag_s": 1.5}),
            ("diag_s", {"diag_s": "60"}),
            ("diag_s", {"diag_s": None}),
            ("wifi", {"wifi": None}),
            ("wifi.ssid", {"wifi": {"ssid": "x" * 33}}),
            ("wifi.ssid", {"wifi": {"ssid": "a\nb"}}),
            ("wifi.password", {"wifi": {"password": "short"}}),
            ("portal_password", {"portal_password": "short"}),
            ("mqtt", {"mqtt": []}),
            ("mqtt.host", {"mqtt": {}}),
            ("mqtt.host", {"mqtt": {"host": "mqtt://broker"}}),
            ("mqtt.host", {"mqtt": {"host": "two words"}}),
            ("mqtt.port", {"mqtt": dict(broker, port=0)}),
            ("mqtt.port", {"mqtt": dict(broker, port=65536)}),
            ("mqtt.tls", {"mqtt": dict(broker, tls=1)}),
            ("mqtt.ca", {"mqtt": dict(broker, ca="../ca.der")}),
            ("ntp", {"ntp": "pool.ntp.org"}),
            ("ntp", {"ntp": ["a b"]}),
            ("ntp", {"ntp": [None]}),
            ("ntp", {"ntp": ["x"] * 9}),
            ("sampling.rows", {"sampling": {"rows": 501}}),
            ("store.limit_kib", {"store": {"limit_kib": 0}}),
            ("ota.key", {"ota": {"key": "xyz"}}),
            ("buses", {"buses": []}),
            ("buses.w1.kind", {"buses": {"w1": {"kind": "usb"}}}),
            ("buses.w1.kind", {"buses": {"w1": None}}),
            ("sensors", {"sensors": {}}),
            ("sensors", {"sensors": [{"kind": "simulated"}] * 65}),
            ("sensors[0]", {"sensors": [5]}),
            ("sensors[1].kind", {"sensors": [{"kind": "simulated"}, {"kind": "../x"}]}),
            ("sensors[0].bus", {"sensors": [{"kind": "ds18b20", "bus": "w1"}]}),
            ("sensors[0].low", {"sensors": [{"kind": "simulated", "low": float("nan")}]}),
            ("sensors[0].high", {"sensors": [{"kind": "simulated", "high": float("inf")}]}),
            ("sensors[0].name", {"sensors": [{"kind": "simulated", "name": "x" * 513}]}),
            ("limits[0].type", {"limits": [{"metric": "o", "type": "HIGH", "setpoint": 1}]}),
            ("limits[0].setpoint", {"limits": [{"metric": "o", "type": "HI"}]}),
            ("limits[0].metric", {"limits": [{"type": "HI", "setpoint": 1}]}),
            (
                "limits[0].deadband",
                {"limits": [{"metric": "o", "type": "HI", "setpoint": 1, "deadband": -1}]},
            ),
            (
                "limits[0].setpont",
                {"limits": [{"metric": "o", "type": "HI", "setpoint": 1, "setpont": 1}]},
            ),
        ):
            paths = [fault.partition(":")[0] for fault in self.faults(**more)]
            self.assertEqual(paths, [path], str(more))

    def test_config_too_deep_or_no_object_is_refused(self):
        """Nesting is bounded, and other JSON is none."""
        deep = 1
        for _ in range(9):
            deep = [deep]
        self.assertEqual(len(self.faults(sensors=[{"kind": "simulated", "x": deep}])), 1)
        for other in (None, [], "text", 5):
            self.assertEqual(len(config.validate(other)), 1)

    def test_config_with_hundreds_of_faults_tells_a_dozen(self):
        """The answer to a bad patch is short."""
        more = {}
        for number in range(300):
            more["key{}".format(number)] = 1
        more.update({"mqtt": 5, "wifi": [], "sensors": {}})
        self.assertEqual(len(self.faults(**more)), 12)


class TestConfig(unittest.TestCase):
    """The configuration in a folder."""

    def setUp(self):
        self.folder = folders.new("config")

    def tearDown(self):
        folders.remove(self.folder)

    def start(self):
        """The device starts."""
        loaded = Config(self.folder)
        loaded.load()
        return loaded

    def saved(self, **more):
        """The device was provisioned."""
        loaded = self.start()
        loaded.save(good(**more))
        return loaded

    def copy_file(self, text):
        """A technician copies a config.json."""
        folders.write(self.folder + "/config.json", text)

    # -- copies

    def test_config_of_a_new_device_is_the_defaults(self):
        """It has to be provisioned; nothing is wrong with it."""
        loaded = self.start()

        self.assertEqual((loaded.source, loaded.faults, loaded.trial), ("defaults", [], False))
        self.assertEqual(loaded.values, config.defaults())

    def test_config_saved_is_there_after_a_restart(self):
        """With defaults filled in, and the same crc."""
        first = self.saved(diag_s=30)
        second = self.start()

        self.assertEqual(second.values, config.filled(good(diag_s=30)))
        self.assertEqual((second.source, second.faults, second.trial), ("a", [], False))
        self.assertEqual((second.values, second.crc), (first.values, first.crc))

    def test_config_crc_is_the_same_on_both_interpreters_and_for_any_order_of_keys(self):
        """It is sent, so that the plant can compare."""
        self.assertEqual(self.saved(wifi={"ssid": "nº 1"}).crc, CRC)

    def test_config_saved_wrong_raises_with_all_faults_and_changes_nothing(self):
        """Whoever saves is told everything at once."""
        loaded = self.saved()
        try:
            loaded.save(good(diag_s=0, site="?"))
        except ValueError as fault:
            self.assertIn("diag_s", str(fault))
            self.assertIn("site", str(fault))
        else:
            self.fail("not refused")

        self.assertEqual(loaded.values, config.filled(good()))
        self.assertEqual(self.start().values, config.filled(good()))

    def test_config_does_not_change_with_what_was_saved_or_given_out(self):
        """A caller that goes on with its dict changes no configuration."""
        loaded = self.start()
        values = good()
        loaded.save(values)
        values["mqtt"]["host"] = "elsewhere"
        loaded.values["mqtt"]["host"] = "elsewhere"
        loaded.patch({"diag_s": 30})

        self.assertEqual(loaded.values["mqtt"]["host"], "broker")

    def test_config_with_fuzz_in_one_copy_is_the_other_s(self):
        """Whatever bytes are in either copy, the other is in force."""
        random.seed(6)
        for turn in range(40):
            self.tearDown()
            self.setUp()
            self.saved(diag_s=10)
            self.start().save(good(diag_s=20))
            letter = "ab"[turn % 2]
            path = self.folder + "/config." + letter
            with open(path, "rb") as file:
                content = bytearray(file.read())
            if turn % 3 == 0:
                content = content[: random.getrandbits(8) % len(content)]
            for _ in range(1 + turn % 5):
                if content:
                    content[random.getrandbits(16) % len(content)] = random.getrandbits(7)
            with open(path, "wb") as file:
                file.write(content)
            loaded = self.start()
            self.assertIn(loaded.values["diag_s"], (10, 20))
            if loaded.faults:
                self.assertEqual(loaded.faults, ["config." + letter + ": damaged, not used"])
                self.assertEqual(loaded.values["diag_s"], 10 if letter == "b" else 20)

    def test_config_with_half_a_file_is_the_other_copy_s(self):
        """A file that ends early is damage."""
        self.saved(diag_s=10)
        self.start().save(good(diag_s=20))
        whole = folders.read(self.folder + "/config.b")
        folders.write(self.folder + "/config.b", whole[: len(whole) // 2])
        loaded = self.start()

        self.assertEqual((loaded.source, loaded.values["diag_s"]), ("a", 10))

    def test_config_with_garbage_in_both_copies_is_the_defaults_and_says_so(self):
        """The device opens its portal instead of dying."""
        self.saved()
        self.start().save(good())
        for letter in ("a", "b"):
            folders.write(self.folder + "/config." + letter, "garbage")
        loaded = self.start()

        self.assertEqual((loaded.source, loaded.values), ("defaults", config.defaults()))
        self.assertEqual(len(loaded.faults), 2)

    def test_config_with_the_power_cut_at_every_step_of_a_save_is_old_or_new(self):
        """And never the defaults."""
        at, cut = 0, True
        while cut:
            self.tearDown()
            self.setUp()
            self.saved(diag_s=10)
            loaded = self.start()
            cut = self.cut(at, loaded.save, good(diag_s=20))
            self.assertIn(self.start().values["diag_s"], (10, 20) if cut else (20,))
            at += 1
        self.assertTrue(at > 3)

    def test_config_kept_by_a_schema_that_is_gone_is_judged_anew(self):
        """A copy of another firmware that is wrong by this one's schema is not used."""
        loaded = self.saved(diag_s=10)
        loaded._copies.save({"values": good(diag_s=0), "schema": 99})
        loaded = self.start()

        self.assertEqual((loaded.source, loaded.values["diag_s"]), ("a", 10))
        self.assertEqual(len(loaded.faults), 1)

    def test_config_with_keys_of_a_newer_firmware_still_starts_the_older(self):
        """An update that was rolled back may leave keys behind."""
        loaded = self.saved()
        loaded._copies.save({"values": good(novel={"a": 1}, other=5), "schema": config.SCHEMA})

        self.assertEqual(self.start().values["mqtt"]["host"], "broker")

    # -- changes on trial

    def test_config_patched_is_in_force_on_trial_until_confirmed(self):
        """A partial change; what it does not name stays."""
        self.saved(diag_s=10)
        loaded = self.start()
        loaded.patch({"diag_s": 20, "mqtt": {"keepalive_s": 15}})
        self.assertTrue(loaded.trial)
        loaded = self.start()
        self.assertEqual((loaded.trial, loaded.values["diag_s"]), (True, 20))
        self.assertEqual(loaded.values["mqtt"]["keepalive_s"], 15)
        self.assertEqual(loaded.values["mqtt"]["password"], "secret")

        self.assertTrue(loaded.confirm())
        self.assertFalse(loaded.trial)
        loaded = self.start()
        self.assertEqual((loaded.trial, loaded.values["diag_s"]), (False, 20))
        self.assertEqual((loaded.confirm(), loaded.rollback()), (False, False))

    def test_config_patched_with_null_has_the_default_again(self):
        """Null removes a key (RFC 7386)."""
        loaded = self.saved(diag_s=10, ntp=["a"])
        loaded.patch({"diag_s": None, "ntp": None, "mqtt": {"password": None}})

        self.assertEqual((loaded.values["diag_s"], loaded.values["ntp"]), (60, ["pool.ntp.org"]))
        self.assertEqual(loaded.values["mqtt"]["password"], "")

    def test_config_patched_wrong_is_refused_whole(self):
        """Nothing of a change with one fault is taken, and no trial begins."""
        loaded = self.saved(diag_s=10)
        for changes in (
            {"diag_s": 20, "mqtt": {"port": 0}},
            {"diag_s": 20, "mqtt": None},
            {"diag_s": 20, "site": None},
            {"diag_s": 20, "sensorz": []},
            {"diag_s": 20, "mqtt": 5},
            {"diag_s": 20, "sensors": [{"kind": "ds18b20", "bus": "none"}]},
            {"diag_s": 20, "sensors": [{"kind": "simulated", "text": "x" * 500}] * 60},
            [],
            None,
            "diag_s",
        ):
            with self.assertRaises(ValueError):
                loaded.patch(changes)
            self.assertEqual((loaded.trial, loaded.values["diag_s"]), (False, 10))
        loaded = self.start()
        self.assertEqual((loaded.trial, loaded.values["diag_s"]), (False, 10))

    def test_config_patched_keeps_the_key_of_updates_and_the_names(self):
        """Whoever may send commands chooses neither what firmware runs nor as whom."""
        key = "c0ffee"
        loaded = self.saved(ota={"key": key})
        for changes in (
            {"ota": {"key": "beef"}},
            {"ota": {"key": ""}},
            {"ota": {"key": None}},
            {"ota": None},
            {"ota": {}, "site": "other"},
            {"device": "cal-2"},
        ):
            try:
                loaded.patch(changes)
            except ValueError as fault:
                words = str(fault)
            else:
                words = "taken"
            self.assertIn("is changed at the device only", words)
            self.assertEqual((loaded.trial, loaded.values["ota"]["key"]), (False, key))
        loaded.patch({"ota": {"key": key}, "site": "matriz", "diag_s": 20})
        self.assertEqual(loaded.values["diag_s"], 20)

    def test_config_patched_sends_no_kept_password_elsewhere(self):
        """Another broker, or the same one in clear, needs its password in the same change."""
        mqtt = {"host": "broker", "password": "secret", "password_next": "soon", "tls": True}
        for change in (
            {"host": "evil"},
            {"port": 1884},
            {"tls": False},
            {"tls": None},
            {"ca": "other.der"},
            {"server_name": "evil"},
            {"host": "evil", "password": "***"},
            {"host": "evil", "password": ""},
            {"host": "evil", "password": None},
            {"host": "evil", "password_next": "x"},
        ):
            loaded = self.saved(mqtt=mqtt)
            with self.assertRaises(ValueError):
                loaded.patch({"mqtt": change})
            self.assertEqual(loaded.values["mqtt"]["password"], "secret")
            self.assertEqual(loaded.trial, False)
        loaded.patch({"mqtt": {"host": "new", "password": "of the new"}})
        there = loaded.values["mqtt"]
        self.assertEqual((there["password"], there["password_next"]), ("of the new", ""))

    def test_config_takes_one_change_on_trial_at_a_time(self):
        """A second one waits for the first."""
        loaded = self.saved()
        loaded.patch({"diag_s": 20})
        with self.assertRaises(ValueError):
            loaded.patch({"diag_s": 30})
        loaded.confirm()
        loaded.patch({"diag_s": 30})

        self.assertEqual(loaded.values["diag_s"], 30)

    def test_config_rolled_back_is_what_it_was(self):
        """The five minutes are over and the device is not online."""
        first = self.saved(diag_s=10)
        crc = first.crc
        first.patch({"mqtt": {"host": "nowhere", "password": "x"}})
        loaded = self.start()
        self.assertTrue(loaded.rollback())
        self.assertEqual((loaded.values["mqtt"]["host"], loaded.crc), ("broker", crc))
        loaded = self.start()

        self.assertEqual((loaded.values["mqtt"]["host"], loaded.crc), ("broker", crc))
        self.assertEqual((loaded.trial, loaded.faults), (False, []))

    def test_config_on_trial_that_never_proves_itself_is_rolled_back_at_the_fourth_boot(self):
        """A change with which the device dies at once does not see its five minutes."""
        self.saved(diag_s=10).patch({"diag_s": 20})
        boots = [self.start() for _ in range(5)]

        self.assertEqual([boot.values["diag_s"] for boot in boots], [20, 20, 20, 10, 10])
        self.assertEqual([len(boot.faults) for boot in boots], [0, 0, 0, 1, 0])

    def test_config_on_trial_whose_copy_is_damaged_is_what_it_was(self):
        """The other copy is from before the trial."""
        self.saved(diag_s=10).patch({"diag_s": 20})
        folders.write(self.folder + "/config.b", "garbage")
        loaded = self.start()

        self.assertEqual((loaded.trial, loaded.values["diag_s"]), (False, 10))

    def test_config_with_the_power_cut_in_any_step_of_a_trial_can_go_either_way(self):
        """Cut in patch, the first boot, confirm or rollback: on trial, old or new, never lost."""
        for step in ("patch", "boot", "confirm", "rollback"):
            at, cut = 0, True
            while cut:
                self.tearDown()
                self.setUp()
                self.saved(diag_s=10)
                cut = self.trial_with_cut(step, at)
                loaded = self.start()
                self.assertEqual(loaded.values["site"], "matriz")
                if loaded.trial:
                    self.assertEqual(loaded.values["diag_s"], 20)
                    self.assertTrue(cut or step in ("patch", "boot"))
                    self.assertTrue(loaded.rollback())
                    self.assertEqual(self.start().values["diag_s"], 10)
                else:
                    wanted = {"patch": 10, "confirm": 20, "rollback": 10}
                    self.assertEqual(loaded.values["diag_s"], wanted.get(step))
                at += 1
            self.assertTrue(at > 3)

    def trial_with_cut(self, step, at):
        """A trial whose power is cut in one step; whether it was."""
        loaded = self.start()
        if step == "patch":
            return self.cut(at, loaded.patch, {"diag_s": 20})
        loaded.patch({"diag_s": 20})
        if step == "boot":
            return self.cut(at, Config(self.folder).load)
        loaded = self.start()
        return self.cut(at, loaded.confirm if step == "confirm" else loaded.rollback)

    def cut(self, at, call, *arguments):
        """Call with the power going off at an operation; whether it did."""
        with FailingFiles(at):
            try:
                call(*arguments)
            except PowerCut:
                return True
        return False

    def test_config_on_a_flash_that_refuses_stays_as_it_is(self):
        """A patch raises, a confirmation waits for a better day; neither kills the device."""
        loaded = self.saved(diag_s=10)
        with FailingFiles(0, OSError(28), once=True), self.assertRaises(OSError):
            loaded.patch({"diag_s": 20})
        self.assertEqual((loaded.trial, loaded.values["diag_s"]), (False, 10))
        loaded.patch({"diag_s": 20})
        with FailingFiles(0, OSError(28), once=True):
            self.assertFalse(loaded.confirm())
        self.assertTrue(loaded.trial)
        with FailingFiles(0, OSError(28)):
            again = self.start()
        self.assertEqual((again.trial, again.values["diag_s"]), (True, 20))
        self.assertTrue(again.confirm())

    # -- a technician's file

    def test_config_file_is_taken_in_once(self):
        """A later change by the plant is not undone by the file that is still there."""
        self.copy_file(GOOD)
        loaded = self.start()
        self.assertEqual((loaded.source, loaded.faults), ("file", []))
        self.assertEqual(loaded.values["mqtt"]["host"], "broker")
        loaded.patch({"mqtt": {"host": "other", "password": "there"}})
        loaded.confirm()
        loaded = self.start()

        self.assertEqual(loaded.values["mqtt"]["host"], "other")
        self.assertIn(loaded.source, ("a", "b"))

    def test_config_file_that_is_new_replaces_what_was(self):
        """Copying another file is how a technician changes a device; it ends a trial too."""
        self.copy_file(GOOD)
        self.start().patch({"diag_s": 20})
        self.copy_file(json.dumps(good(device="cal-2")))
        loaded = self.start()
        self.assertEqual((loaded.source, loaded.values["device"]), ("file", "cal-2"))
        self.assertEqual((loaded.trial, loaded.values["diag_s"]), (False, 60))

        self.assertEqual(self.start().values["device"], "cal-2")

    def test_config_file_that_is_bad_is_refused_kept_and_told(self):
        """The last good copy stays in force, at every boot."""
        self.saved(diag_s=10)
        for text in (
            "",
            "{",
            GOOD[:-5],
            "[1]",
            "null",
            json.dumps(good(diag_s=0)),
            GOOD + "x",
            "[" * 3000,
            " " * 20000,
        ):
            self.copy_file(text)
            for _ in range(2):
                loaded = self.start()
                self.assertEqual((loaded.source, loaded.values["diag_s"]), ("a", 10))
                self.assertEqual(len(loaded.faults), 1)
                self.assertEqual(loaded.faults[0][:13], "config.json: ")
            self.assertEqual(folders.read(self.folder + "/config.json"), text)

    def test_config_file_of_random_bytes_never_raises(self):
        """Garbage of any kind is told and left."""
        random.seed(7)
        for _ in range(30):
            with open(self.folder + "/config.json", "wb") as file:
                file.write(bytes([random.getrandbits(8) for _ in range(random.getrandbits(7) + 1)]))
            loaded = self.start()
            self.assertEqual((loaded.source, len(loaded.faults)), ("defaults", 1))

    def test_config_file_on_a_flash_that_refuses_is_in_force_all_the_same(self):
        """What cannot be kept can still be used."""
        self.copy_file(GOOD)
        with FailingFiles(0, OSError(28)):
            loaded = self.start()

        self.assertEqual((loaded.source, loaded.values["site"]), ("file", "matriz"))
        self.assertEqual(len(loaded.faults), 1)

    def test_config_file_with_the_power_cut_in_its_import_is_imported_next_time(self):
        """The file stays until it is in a copy, and after."""
        at, cut = 0, True
        while cut:
            self.tearDown()
            self.setUp()
            self.copy_file(GOOD)
            cut = self.cut(at, Config(self.folder).load)
            self.assertEqual(self.start().values["site"], "matriz")
            at += 1
        self.assertTrue(at > 3)

    def test_config_file_that_is_old_leaves_the_way_in_open(self):
        """The password since is tried as the next one: an old file shuts nobody out."""
        self.copy_file(GOOD)
        loaded = self.start()
        loaded.patch({"mqtt": {"password": "newer"}})
        loaded.confirm()
        self.copy_file(GOOD + "\n")
        mqtt = self.start().values["mqtt"]
        self.assertEqual((mqtt["password"], mqtt["password_next"]), ("secret", "newer"))

        self.copy_file(GOOD + "\n\n")
        mqtt = self.start().values["mqtt"]
        self.assertEqual((mqtt["password"], mqtt["password_next"]), ("secret", "newer"))

    def test_config_file_for_another_account_or_broker_takes_no_password_along(self):
        """What was the password here is not told there."""
        for more in ({"user": "other"}, {"host": "elsewhere"}, {"tls": True}, {"port": 1}):
            self.tearDown()
            self.setUp()
            self.copy_file(GOOD)
            self.start()
            self.copy_file(json.dumps(good(mqtt=dict(good()["mqtt"], password="mine", **more))))
            mqtt = self.start().values["mqtt"]
            self.assertEqual((mqtt["password"], mqtt["password_next"]), ("mine", ""))

    # -- secrets

    def test_config_public_shows_no_password(self):
        """Wherever one is, three stars stand for it; one that is not set shows as that."""
        loaded = self.saved(
            wifi={"ssid": "net", "password": "12345678"},
            sensors=[{"kind": "modbus", "x_password": "hidden"}],
        )
        public = loaded.public()

        self.assertEqual(public["mqtt"]["password"], "***")
        self.assertEqual(public["mqtt"]["password_next"], "")
        self.assertEqual(public["wifi"], {"ssid": "net", "password": "***", "country": "BR"})
        self.assertEqual(public["sensors"], [{"kind": "modbus", "x_password": "***"}])
        self.assertEqual(loaded.values["mqtt"]["password"], "secret")

    def test_config_patched_with_what_public_showed_keeps_the_passwords(self):
        """Reading, changing and sending back does no harm."""
        loaded = self.saved(wifi={"ssid": "net", "password": "12345678"})
        public = loaded.public()
        public["diag_s"] = 20
        loaded.patch(public)

        self.assertEqual(loaded.values["mqtt"]["password"], "secret")
        self.assertEqual(loaded.values["wifi"]["password"], "12345678")
        self.assertEqual(loaded.values["diag_s"], 20)


class TestConfigOnFlash(unittest.TestCase):
    """On the real littlefs where the interpreter has it."""

    def setUp(self):
        self.flash = flash()

    def tearDown(self):
        self.flash.close()

    def start(self):
        """The device starts."""
        loaded = Config(self.flash.folder)
        loaded.load()
        return loaded

    def test_config_on_flash_cut_at_every_erase_and_program_of_a_trial_is_never_lost(self):
        """Patch, boot, confirm; patch, boot, rollback: every state that is found is one of them."""
        self.start().save(good(diag_s=10))
        at, cut = 1, True
        while cut:
            self.flash.cut_at(at)
            try:
                self.start().patch({"diag_s": 20})
                self.start().confirm()
                self.start().patch({"diag_s": 30})
                self.start().rollback()
                cut = self.flash.operations >= at
            except (cuts.PowerCut, OSError):
                cut = True
            self.flash.again()
            loaded = self.start()
            self.assertEqual(loaded.faults, [])
            self.assertIn(loaded.values["diag_s"], (20, 30) if loaded.trial else (10, 20))
            loaded.save(good(diag_s=10))
            at += 1
        self.assertTrue(at > 12)


CRC = 4133004156

if __name__ == "__main__":
    unittest.main()

"""A record in two copies, on both interpreters."""

import random
import unittest

from device.steamlink.copies import Copies
from tests.firmware import cuts, folders
from tests.firmware.failing_files import FailingFiles, PowerCut, flash


class TestCopies(unittest.TestCase):
    """The record `x` in a folder."""

    def setUp(self):
        self.folder = folders.new("copies")

    def tearDown(self):
        folders.remove(self.folder)

    def load(self):
        """What a device that starts now finds."""
        found = Copies(self.folder, "x").load()
        return found and found[1]

    def damage(self, letter, content):
        """Put other bytes into a copy."""
        with open(self.folder + "/x." + letter, "wb") as file:
            file.write(content)

    def content(self, letter):
        """The bytes of a copy."""
        with open(self.folder + "/x." + letter, "rb") as file:
            return file.read()

    def test_copies_of_an_empty_folder_are_none(self):
        """A new device has neither, and neither is damaged."""
        copies = Copies(self.folder, "x")

        self.assertIsNone(copies.load())
        self.assertEqual((copies.source, copies.damaged), ("", []))

    def test_copies_saved_in_turn_give_the_newest(self):
        """Each save goes into the older file and counts one up."""
        seen = []
        for number in range(5):
            Copies(self.folder, "x").save({"n": number})
            copies = Copies(self.folder, "x")
            seen.append((copies.load(), copies.source))

        wanted = [((n + 1, {"n": n}), "ab"[n % 2]) for n in range(5)]
        self.assertEqual(seen, wanted)

    def test_copies_of_text_beyond_ascii_come_back_equal(self):
        """Names of networks have accents."""
        values = {"ssid": "Caldeira nº 1 ☕", "list": [1, 2.5, None, True, {"a": "\n"}]}
        Copies(self.folder, "x").save(values)

        self.assertEqual(self.load(), values)

    def test_copies_with_garbage_in_the_newer_give_the_older(self):
        """Whatever the newer file holds, the older is found and the damage told."""
        Copies(self.folder, "x").save({"n": 1})
        Copies(self.folder, "x").save({"n": 2})
        whole = self.content("b")
        for garbage in (
            b"",
            b" ",
            b"\xff\xfe\x00",
            b"00000000 ",
            b"-1 9\n{}",
            b"1" * 40000,
            whole[: len(whole) // 2],
            whole[1:],
            whole + b" ",
            b"[" * 20000,
        ):
            self.damage("b", garbage)
            copies = Copies(self.folder, "x")
            self.assertEqual(copies.load(), (1, {"n": 1}))
            self.assertEqual((copies.source, copies.damaged), ("a", ["b"]))

    def test_copies_with_any_byte_changed_give_the_older(self):
        """CRC-32 finds every single changed byte."""
        Copies(self.folder, "x").save({"n": 1})
        Copies(self.folder, "x").save({"n": 2, "text": "some"})
        whole = self.content("b")
        random.seed(6)
        for place in range(len(whole)):
            changed = bytearray(whole)
            changed[place] ^= 1 + random.getrandbits(7)
            self.damage("b", changed)
            found = self.load()
            # The header's checksum is read as hex, in which "a" and "A" are the same.
            self.assertTrue(found == {"n": 1} or bytes(changed).lower() == whole)

    def test_copies_whole_but_of_no_object_are_damage(self):
        """A list with a good checksum is no record."""
        import binascii

        body = b"7\n[1]"
        self.damage("a", "{:08x} ".format(binascii.crc32(body)).encode() + body)

        self.assertIsNone(self.load())

    def test_copies_both_damaged_are_none_and_can_be_saved_again(self):
        """The next save starts over."""
        self.damage("a", b"junk")
        self.damage("b", b"junk")
        copies = Copies(self.folder, "x")

        self.assertIsNone(copies.load())
        self.assertEqual(copies.damaged, ["a", "b"])
        copies.save({"n": 1})
        self.assertEqual(self.load(), {"n": 1})

    def test_copies_with_the_power_cut_at_every_step_of_a_save_keep_the_old_or_have_the_new(self):
        """No cut ever loses both, or gives anything else."""
        for before in (1, 2, 3):
            at = 0
            while True:
                self.tearDown()
                self.setUp()
                for number in range(before):
                    Copies(self.folder, "x").save({"n": number})
                cut = self.save_with_cut({"n": before}, at)
                found = self.load()
                self.assertIn(found, ({"n": before - 1}, {"n": before}))
                if not cut:
                    self.assertEqual(found, {"n": before})
                    break
                # Life goes on after the cut.
                Copies(self.folder, "x").save({"n": 99})
                self.assertEqual(self.load(), {"n": 99})
                at += 1
            self.assertTrue(at >= 3)

    def save_with_cut(self, values, at):
        """Save with the power going off at an operation; whether it did."""
        with FailingFiles(at):
            try:
                Copies(self.folder, "x").save(values)
            except PowerCut:
                return True
        return False

    def test_copies_on_a_full_flash_raise_and_keep_the_old(self):
        """An error of the flash leaves the newer copy and no waste."""
        Copies(self.folder, "x").save({"n": 1})
        for at in range(2):
            with FailingFiles(at, OSError(28), once=True), self.assertRaises(OSError):
                Copies(self.folder, "x").save({"n": 2})
            self.assertEqual(self.load(), {"n": 1})
            self.assertFalse(folders.exists(self.folder + "/x.tmp"))

    def test_copies_on_a_worn_flash_raise_and_keep_the_old(self):
        """A block that takes a write and gives something else back is found out at once."""
        Copies(self.folder, "x").save({"n": 1})
        with FailingFiles(rots=True), self.assertRaises(OSError):
            Copies(self.folder, "x").save({"n": 2})

        self.assertEqual(self.load(), {"n": 1})

    def test_copies_too_big_are_refused(self):
        """What could not be read back is not written."""
        with self.assertRaises(ValueError):
            Copies(self.folder, "x").save({"n": "x" * 40000})

        self.assertIsNone(self.load())

    def test_copies_turned_down_by_the_caller_give_the_older(self):
        """A caller may refuse what is whole."""
        Copies(self.folder, "x").save({"n": 1})
        Copies(self.folder, "x").save({"n": 2})
        copies = Copies(self.folder, "x")

        self.assertEqual(copies.load(lambda values: values["n"] < 2), (1, {"n": 1}))
        self.assertIsNone(copies.load(lambda values: False))


class TestCopiesOnFlash(unittest.TestCase):
    """On the real littlefs where the interpreter has it."""

    def setUp(self):
        self.flash = flash()

    def tearDown(self):
        self.flash.close()

    def test_copies_on_flash_cut_at_every_erase_and_program_keep_the_old_or_have_the_new(self):
        """A torn program of littlefs loses neither copy, and the next save works."""
        Copies(self.flash.folder, "x").save({"n": 0})
        at, number, cut = 1, 0, True
        while cut:
            self.flash.cut_at(at)
            try:
                Copies(self.flash.folder, "x").save({"n": number + 1})
                cut = self.flash.operations >= at
            except (cuts.PowerCut, OSError):
                cut = True
            self.flash.again()
            found = Copies(self.flash.folder, "x").load()
            self.assertIn(found and found[1], ({"n": number}, {"n": number + 1}))
            if not cut:
                self.assertEqual(found[1], {"n": number + 1})
            number = found[1]["n"] + 1
            Copies(self.flash.folder, "x").save({"n": number})
            at += 1
        self.assertTrue(at > 3)


if __name__ == "__main__":
    unittest.main()

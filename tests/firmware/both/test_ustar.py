"""How an archive is unpacked that somebody hostile may have made, on both interpreters."""

import os
import unittest

from device.steamlink import ustar
from tests.firmware import folders, updates
from tests.firmware.updates import archive, entry


class TestUstar(unittest.TestCase):
    """One archive into one folder."""

    def setUp(self):
        self.around = folders.new("ustar")
        self.folder = self.around + "/a"

    def tearDown(self):
        folders.remove(self.around)

    def unpack(self, content, piece=700, room=1000000):
        """Unpack, as the pieces come."""
        unpacker = ustar.Unpacker(self.folder, room)
        try:
            for at in range(0, len(content), piece):
                unpacker.feed(content[at : at + piece])
            unpacker.finish()
        finally:
            unpacker.close()

    def assert_refused(self, words, content, **limits):
        """It is refused with these words, and nothing lies outside of the folder."""
        try:
            self.unpack(content, **limits)
        except ValueError as fault:
            self.assertIn(words, str(fault))
        else:
            self.fail("not refused: " + words)
        self.assertTrue([name for name in os.listdir(self.around) if name != "a"] == [])

    def test_ustar_files_and_folders_are_as_they_were_packed(self):
        """Content, nested folders, an empty file, a folder of its own."""
        content = archive(
            entry("empty"),
            entry("lib/", kind="5"),
            entry("lib/deep/x.mpy", b"x" * 513),
            entry("y-1_z.json", b"{}", kind="\x00"),
        )
        for piece in (1, 511, 512, 513, 5000):
            self.unpack(content, piece)

            self.assertEqual(folders.read(self.folder + "/empty"), "")
            self.assertEqual(folders.read(self.folder + "/lib/deep/x.mpy"), "x" * 513)
            self.assertEqual(folders.read(self.folder + "/y-1_z.json"), "{}")
            folders.remove(self.folder)

    def test_ustar_name_outside_of_the_folder_is_refused(self):
        """Upwards, absolute, home, another drive, or with a hole in it."""
        for name in (
            "../x",
            "a/../../x",
            "..",
            ".",
            "/etc/passwd",
            "//x",
            "a//x",
            "./x",
            "a/./x",
            "~/x",
            "C:x",
            "a\\x",
            "a b",
            "a\nb",
            "\u00e9",
            "a/" * 7 + "x",
            "",
        ):
            self.assert_refused("archive: ", archive(entry(name, b"x")))

    def test_ustar_name_longer_than_its_field_is_refused(self):
        """The second half of a name could bring back what was refused in the first."""
        self.assert_refused("more than 100", archive(entry("x", b"x", prefix="../..")))

    def test_ustar_link_or_device_is_refused(self):
        """Only files and folders: a link leads out, a device is none of ours."""
        for kind in ("1", "2", "3", "4", "6", "7", "x", "g", "L", "K", "S"):
            self.assert_refused("a link or something", archive(entry("x", kind=kind, link="/etc")))

    def test_ustar_folder_with_content_is_refused(self):
        """It would shift everything behind it."""
        self.assert_refused("a link or something", archive(entry("x", b"x" * 512, kind="5")))

    def test_ustar_file_twice_is_refused(self):
        """The second would be what nobody looked at."""
        self.assert_refused("comes twice", archive(entry("x", b"1"), entry("x", b"2")))
        folders.remove(self.folder)
        self.assert_refused("comes twice", archive(entry("x/", kind="5"), entry("x", b"2")))

    def test_ustar_file_as_folder_is_refused_by_the_file_system(self):
        """What is a file cannot hold another."""
        with self.assertRaises(OSError):
            self.unpack(archive(entry("x", b"1"), entry("x/y", b"2")))

    def test_ustar_too_large_is_refused_before_it_is_written(self):
        """The sum of what is said counts, not what has come: whole blocks of flash, and folders."""
        two = archive(entry("x", b"1" * 600), entry("y", b"2" * 600))
        self.unpack(two, room=8192 + 4096 + 4096 + 2 * 512)
        folders.remove(self.folder)
        self.assert_refused("too large", two, room=8192 + 4096 + 4096 + 2 * 512 - 1)
        self.assertFalse(folders.exists(self.folder + "/y"))
        self.assert_refused("too large", archive(entry("z/", kind="5")), room=8192)
        self.assertFalse(folders.exists(self.folder + "/z"))

    def test_ustar_with_endless_entries_is_refused(self):
        """200 files are more than the firmware has."""
        many = [entry(f"f{number}") for number in range(201)]

        self.assert_refused("more than 200", archive(*many))

    def test_ustar_cut_anywhere_is_refused(self):
        """Half an archive is none, wherever it was cut."""
        content = archive(entry("x", b"1" * 600), entry("y", b"2"))
        for length in range(0, len(content), 37):
            self.assert_refused("cut off", content[:length])
            if folders.exists(self.folder):
                folders.remove(self.folder)

    def test_ustar_with_something_behind_its_end_is_refused(self):
        """After the empty blocks there is nothing."""
        self.assert_refused("follows its end", archive(entry("x")) + archive(entry("y")))

    def test_ustar_header_with_any_byte_changed_is_refused_or_harmless(self):
        """The sum in each header finds a damaged one."""
        content = archive(entry("lib/x", b"data"))
        for at in range(0, 345, 7):
            damaged = bytearray(content)
            damaged[at] ^= 0x21
            self.assert_refused("archive: ", bytes(damaged))

    def test_ustar_numbers_that_are_none_are_refused(self):
        """Base 256, signs, letters, nothing."""
        for size in (b"\x80" + b"\x00" * 11, b"-0000000001\x00", b"0000000000z\x00", b" " * 12):
            header = bytearray(entry("x"))
            header[124:136] = size
            header[148:156] = b" " * 8
            header[148:156] = f"{sum(header):06o}\x00 ".encode()
            self.assert_refused("no ustar", archive(bytes(header)))

    def test_ustar_that_is_something_else_is_refused(self):
        """A gzip, a web page, an old tar."""
        for content in (b"\x1f\x8b" + b"x" * 600, b"<html>" + b" " * 600):
            self.assert_refused("no ustar", content)
        old = bytearray(entry("x"))
        old[257:265] = bytes(8)
        old[148:156] = b" " * 8
        old[148:156] = f"{sum(old):06o}\x00 ".encode()
        self.assert_refused("no ustar", archive(bytes(old)))

    def test_ustar_of_an_update_of_the_tests_is_whole(self):
        """What the other tests use is a good archive."""
        self.unpack(updates.update("7"))

        self.assertIn("VERSION = '7'", folders.read(self.folder + "/steamlink/app.py"))

"""Updates of the firmware, good, bad, forged and interrupted, on both interpreters."""

import asyncio
import sys
import unittest

from device.steamlink import copies, ota, slots, ustar
from device.steamlink.hal.fake import Board
from tests.firmware import cuts, folders, updates, web


class Feed:
    """Stands for http: hands out the bytes at once."""

    def __init__(self, content):
        self._content = content

    def split(self, url):
        return url

    async def fetch(self, url, sink, *, most_bytes, begin, lookup, tls):
        await begin(len(self._content))
        for at in range(0, len(self._content), 700):
            sink(self._content[at : at + 700])
        return len(self._content)


def start(folder, path):
    """Boot: what runs now ("" is the flat firmware)."""
    sys.path[:] = path
    chosen = slots.choose(folder)
    if chosen:
        sys.path.insert(0, chosen)
    return chosen[len(folder) + 1 :]


class TestOta(unittest.TestCase):
    """An update over HTTP into a folder."""

    def setUp(self):
        web.start_anew()
        self._path = list(sys.path)
        self.folder = folders.new("ota")
        self.board = Board(self.folder)
        self.content = updates.update("2")

    def tearDown(self):
        sys.path[:] = self._path
        folders.remove(self.folder)

    def update(self, answer=None, key=updates.KEY, signed=None, keep=0, **changes):
        """Take an update that a scripted server sends; the slot's name."""
        self.progress = []

        async def run():
            async with web.Server(web.ok(self.content) if answer is None else answer) as url:
                args = updates.command(signed or self.content, url + "/u.tar")
                args.update(changes)
                return await ota.update(
                    args,
                    self.board,
                    key,
                    lambda done, size: self.progress.append((done, size)),
                    keep=keep,
                )

        return asyncio.run(run())

    def boot(self):
        """Start the board."""
        return start(self.folder, self._path)

    def assert_refused(self, kind, words, *arguments, **changes):
        """Refused with these words; what runs stays, and the idle slot is empty."""
        before = self.boot(), slots.status(self.folder)
        try:
            self.update(*arguments, **changes)
        except (OSError, ValueError) as fault:
            self.assertIsInstance(fault, kind, repr(fault))
            self.assertIn(words, str(fault))
        else:
            self.fail("not refused: " + words)
        self.assertEqual((self.boot(), slots.status(self.folder)), before)
        idle = slots.idle(self.folder)
        self.assertFalse(folders.exists(self.folder + "/" + idle))
        self.assertFalse(folders.exists(self.folder + "/" + idle + ".ok"))

    def test_ota_signed_update_boots_on_trial_and_stays_once_confirmed(self):
        """The whole way: fetched, checked, unpacked, tried, kept; progress is told."""
        self.assertEqual(self.update(), "a")

        self.assertEqual(self.progress[-1], (len(self.content), len(self.content)))
        self.assertEqual(self.boot(), "a")
        self.assertIn("VERSION = '2'", folders.read(self.folder + "/a/steamlink/app.py"))
        self.assertTrue(slots.confirm(self.folder))
        self.assertEqual([self.boot() for _ in range(4)], ["a"] * 4)
        self.assertTrue(self.board.syncs >= 2)

    def test_ota_update_that_never_comes_online_is_given_up_after_three_boots(self):
        """Three failed trial boots bring the old firmware back; another update is possible."""
        self.update()

        self.assertEqual([self.boot() for _ in range(5)], ["a", "a", "a", "", ""])
        self.assertEqual(slots.take_failure(self.folder), "a")
        self.content = updates.update("3")
        self.update()
        self.assertEqual(self.boot(), "a")
        self.assertIn("VERSION = '3'", folders.read(self.folder + "/a/steamlink/app.py"))

    def test_ota_update_that_never_comes_leaves_the_way_back(self):
        """No answer, no such file, another length, no room: the firmware before stays in its slot."""
        self.update()
        self.boot()
        slots.confirm(self.folder)
        self.content = updates.update("3")
        self.update()
        self.boot()
        slots.confirm(self.folder)
        before = folders.read(self.folder + "/a/steamlink/app.py")

        for words, answer, changes in (
            ("404", b"HTTP/1.0 404 Not Found\r\n\r\n", {}),
            ("bytes; ", web.ok(self.content[:512]), {}),
            ("nothing came|ended within", b"", {}),
            ("are needed", None, {"keep": 1 << 40}),
        ):
            fault = None
            try:
                self.update(answer, **changes)
            except (OSError, ValueError) as error:
                fault = str(error)
            self.assertTrue(any(word in fault for word in words.split("|")), fault)
            self.assertEqual(folders.read(self.folder + "/a/steamlink/app.py"), before)
            self.assertTrue(folders.exists(self.folder + "/a.ok"))

    def test_ota_second_update_goes_into_the_other_slot(self):
        """What runs is never written over; the one before is the way back."""
        self.update()
        self.boot()
        slots.confirm(self.folder)
        self.content = updates.update("3")

        self.assertEqual(self.update(), "b")
        self.assertEqual([self.boot() for _ in range(4)], ["b", "b", "b", "a"])
        self.assertIn("VERSION = '2'", folders.read(self.folder + "/a/steamlink/app.py"))

    def test_ota_update_while_another_is_on_trial_is_refused(self):
        """One at a time."""
        self.update()
        self.boot()

        with self.assertRaises(ValueError):
            self.update()
        self.assertEqual(self.boot(), "a")

    def test_ota_not_signed_with_the_key_is_refused_before_it_is_fetched(self):
        """Unsigned, signed by another, signed for other bytes, no key, wrong key."""
        other = updates.command(updates.update("9"), "")["sig"]
        for words, changes in (
            ("unsigned", {"sig": None}),
            ("does not fit", {"sig": other}),
            ("does not fit", {"key": updates.OTHER_KEY}),
            ("does not fit", {"sha256": "ab" * 32}),
            ("no key", {"key": ""}),
            ("512 hex digits", {"key": "beef"}),
        ):
            self.assert_refused(ValueError, words, **changes)
            self.assertEqual(self.progress, [])

    def test_ota_other_bytes_than_signed_are_refused(self):
        """One byte changed on the way, or another update of the same length."""
        changed = bytearray(self.content)
        changed[1100] ^= 1
        for body in (bytes(changed), updates.update("3")):
            self.assert_refused(ValueError, "sha256 differs", web.ok(body))

    def test_ota_cut_off_or_lengthened_is_refused(self):
        """Less, with and without a length; more, and never-ending."""
        whole = self.content
        self.assert_refused(OSError, "ended after", web.ok(whole[:3000], len(whole)))
        self.assert_refused(ValueError, "the server has 3072 bytes", web.ok(whole[:3072]))
        self.assert_refused(ValueError, "bytes came", web.ok(whole[:3072], ""))
        self.assert_refused(ValueError, "at most", web.ok(whole + bytes(512)))
        self.assert_refused(ValueError, "more than", web.ok(whole + bytes(512), ""))

    def test_ota_redirected_or_missing_is_refused(self):
        """The server's answers are those of http; nothing is left of them."""
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"
        self.assert_refused(ValueError, "redirects", moved)
        self.assert_refused(ValueError, "404", b"HTTP/1.1 404 Not Found\r\n\r\n")
        self.assert_refused(
            ValueError, "plain body", web.ok(b"", "", "Transfer-Encoding: chunked\r\n")
        )

    def test_ota_signed_archive_that_leaves_its_folder_is_refused(self):
        """Not even the owner of the key writes outside: a mistake there would brick the board."""
        for bad in (
            updates.entry("../boot.py", b"x"),
            updates.entry("/boot.py", b"x"),
            updates.entry("boot.py", kind="2", link="/boot.py"),
            updates.entry("steamlink/app.py", b"x"),
        ):
            self.content = updates.update("2", more=bad)
            self.assert_refused(ValueError, "archive: ")
            self.assertFalse(folders.exists(self.folder + "/boot.py"))

    def test_ota_signed_archive_without_end_is_refused(self):
        """It was cut before it was signed."""
        self.content = self.content[:-1024]

        self.assert_refused(ValueError, "cut off")

    def test_ota_update_of_another_board_is_refused(self):
        """A Pico's firmware does not go onto an ESP32."""
        self.content = updates.update("2", board="pico_w")
        self.assert_refused(ValueError, "is for pico_w; this is fake")
        for about in (b"", b"[]", b"{}", b"{", b"\xff"):
            self.content = updates.archive(updates.entry("update.json", about))
            self.assert_refused(ValueError, "for which board")

    def test_ota_made_before_what_runs_is_refused(self):
        """An old update is signed as well, with all the faults that were mended since."""
        self.content = updates.update("2", made=1795000000)
        self.update()
        self.boot()
        slots.confirm(self.folder)
        for made in (1794999999, 0, None, "1795000001"):
            self.content = updates.update("1", made=made)
            self.assert_refused(ValueError, "made before the firmware that runs")
        for made in (1795000000, 1795000001):
            self.content = updates.update("3", made=made)
            self.update()
            self.boot()
            slots.confirm(self.folder)

    def test_ota_over_firmware_that_does_not_say_when_it_was_made_is_taken(self):
        """As it was flashed before updates said it."""
        for version in ("2", "3"):
            self.content = updates.update(version, made=None)
            self.update()
            self.boot()
            slots.confirm(self.folder)

    def test_ota_without_room_is_refused(self):
        """Room for all of it and for what the store may take; half an update is not begun."""
        need = ota.room(len(self.content)) + 49152 + 300000
        self.board.flash = need - 1
        self.assert_refused(ValueError, "292 of them by the store", keep=300000)
        self.board.flash = need
        self.assertEqual(self.update(keep=300000), "a")

    def test_ota_on_a_full_flash_leaves_what_runs(self):
        """Where the file system refuses in the middle, the old firmware goes on."""

        def full(path, mode="r"):
            if "w" in mode:
                raise OSError(28)
            return open(path, mode)

        ustar.open = full
        try:
            self.assert_refused(OSError, "28")
        finally:
            del ustar.open

    def test_ota_cancelled_in_the_middle_leaves_nothing(self):
        """A restart for another reason ends a download; what came is removed."""

        async def run():
            server = web.Server(web.ok(self.content, len(self.content)), piece=512, pause_s=0.05)
            async with server as url:
                args = updates.command(self.content, url + "/u.tar")
                task = asyncio.create_task(ota.update(args, self.board, updates.KEY))
                await asyncio.sleep(0.3)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    return True
            return False

        self.assertTrue(asyncio.run(run()))
        self.assertEqual(self.boot(), "")
        self.assertFalse(folders.exists(self.folder + "/a"))


class TestPowerCut(unittest.TestCase):
    """The power goes at any moment of an update, its trial and its confirmation."""

    def setUp(self):
        web.start_anew()
        self._path = list(sys.path)
        self._http = ota.http
        self.flash = None

    def tearDown(self):
        sys.path[:] = self._path
        ota.http = self._http
        if self.flash is not None:
            self.flash.close()

    def begin(self, first):
        """A flash with the flat firmware, or with version 1 in slot a."""
        self.flash = cuts.flash(ustar, slots, copies)
        self.board = Board(self.flash.folder)
        self.board.flash = 1 << 20  # its blocks are of 512 bytes, and few
        if first:
            self.update("1")
            self.boot()
            slots.confirm(self.flash.folder)
            self.boot()

    def boot(self):
        return start(self.flash.folder, self._path)

    def update(self, version):
        content = updates.update(version)
        ota.http = Feed(content)
        args = updates.command(content, "http://h/")
        return asyncio.run(ota.update(args, self.board, updates.KEY))

    def prove(self):
        """What a board does after an update: boots it, confirms it, boots again."""
        self.update("2")
        self.boot()
        slots.confirm(self.flash.folder)
        self.boot()

    def version(self, slot):
        """The version that a slot holds, whole; "" for the flat firmware."""
        if not slot:
            return ""
        folder = self.flash.folder + "/" + slot
        said = folders.read(folder + "/steamlink/app.py")
        self.assertEqual(said, said[:14] * 300)
        for name in ("/steamlink/__init__.py", "/steamlink/hal/__init__.py", "/update.json"):
            self.assertTrue(folders.exists(folder + name), slot + name)
        return said[11]

    def sweep(self, first, allowed):
        """Cut at each operation; after each the board starts and can be updated."""
        self.begin(first)
        self.flash.cut_at(-1)
        self.prove()
        operations = self.flash.operations
        self.flash.close()
        self.flash = None
        self.assertTrue(operations > 20)
        cut, seen = set(), set()
        for operation in range(1, operations + 1):
            self.begin(first)
            self.flash.cut_at(operation)
            try:
                self.prove()
            except (cuts.PowerCut, OSError):
                cut.add(operation)
            self.flash.again()
            started = self.version(self.boot())
            self.assertIn(started, allowed, f"cut at {operation}")
            seen.add(started)
            if operation % 16 == 0:
                self._recover()
            self.flash.close()
            self.flash = None
        self.assertEqual(seen, set(allowed))
        self.assertTrue(len(cut) > operations // 2)

    def _recover(self):
        """What the cut left behind does not stop the next update."""
        if slots.status(self.flash.folder)["trial"] is None:
            self.update("3")
            self.assertEqual(self.version(self.boot()), "3")

    def test_power_cut_at_every_step_of_a_first_update_leaves_a_firmware_that_starts(self):
        """The flat one before, the whole new one after; never half of it."""
        self.sweep(first=False, allowed=("", "2"))

    def test_power_cut_at_every_step_of_a_later_update_leaves_a_slot_that_starts(self):
        """The old slot before, the whole new one after; never the flat one, never half."""
        self.sweep(first=True, allowed=("1", "2"))

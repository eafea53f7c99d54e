"""The captive portal over real HTTP on loopback, on both interpreters."""

import asyncio
import os
import socket
import struct
import unittest

from device.steamlink import portal, portal_names
from device.steamlink.config import Config
from device.steamlink.hal.fake import Board
from tests.firmware import folders, web

GOOD = (
    "ssid=Casa+de+Caldeiras&wifi_password=uma+senha%21&host=192.168.0.10&port=8883&user=cal-1"
    "&password=p%26q&site=matriz&device=cal-1"
)
HOSTILE = "\"><script>alert(1)</script>'&"
HOSTILE_SENT = "%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E%27%26"


def get(target="/"):
    """A GET as a phone sends it."""
    return f"GET {target} HTTP/1.1\r\nHost: 192.168.4.1\r\nAccept: */*\r\n\r\n".encode()


def post(body, target="/"):
    """A POST of a form."""
    content = body.encode()
    head = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n"
    return head.format(target, len(content)).encode() + content


def changed(**fields):
    """The good form with some fields changed (values already encoded)."""
    pairs = [pair.split("=") for pair in GOOD.split("&")]
    kept = [name + "=" + fields.pop(name, value) for name, value in pairs]
    return "&".join(kept + [name + "=" + fields[name] for name in sorted(fields)])


class Idle:
    """A server that nobody comes to; a `busy` one is never closed."""

    def __init__(self, busy=False):
        self._busy = busy

    def close(self):
        pass

    async def wait_closed(self):
        if self._busy:
            await asyncio.Event().wait()


class TestPortal(unittest.TestCase):
    """A new board, and a phone beside it."""

    def setUp(self):
        web.start_anew()
        self.folder = folders.new("portal")
        self.board = Board(self.folder)
        self.config = Config(self.folder)
        self.config.load()

    def tearDown(self):
        folders.remove(self.folder)

    def talk(self, conversation):
        """What `conversation(port)` returns, and whether the portal saved."""
        return asyncio.run(self._talk(conversation))

    async def _talk(self, conversation):
        done = asyncio.Event()
        serving, port = await self._serve(done)
        answer = await asyncio.wait_for(conversation(port), 20)
        done.set()
        saved = await asyncio.wait_for(serving, 5)
        return answer, saved

    async def _serve(self, done):
        while True:
            port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
            serving = asyncio.create_task(
                portal.serve(
                    self.board,
                    self.config,
                    host=web.HOST,
                    port=port,
                    dns_port=None,
                    done=done,
                    request_s=0.5,
                )
            )
            await asyncio.sleep(0.05)
            if not serving.done():
                return serving, port

    def ask(self, *requests):
        """The answers to requests, one connection each, and whether the portal saved."""

        async def conversation(port):
            answers = []
            for raw in requests:  # MicroPython awaits in no comprehension
                answers.append((await web.exchange(port, raw)).decode())  # noqa: PERF401
            return answers

        return self.talk(conversation)

    def assert_form_refused(self, body, *words):
        """Not saved; the form comes back with these words in it."""
        before = self.config.crc
        (page,), saved = self.ask(post(body))
        self.assertEqual(page.split("\r\n")[0], "HTTP/1.1 422 Unprocessable Entity")
        for word in words:
            self.assertIn(word, page)
        self.assertEqual((saved, self.config.crc), (False, before))
        return page

    def test_portal_network_is_named_after_the_board(self):
        """Name and password come from the id that the technician has seen."""
        self.assertEqual(portal.access(self.board), ("steam-89ab", "456789ab"))
        self.ask(get())
        self.assertEqual(self.board.network.asked, ("steam-89ab", "456789ab"))

    def test_portal_network_of_a_provisioned_board_has_its_own_password(self):
        """That from the id is told by the network's name and address: it opens nothing any more."""
        values = self.config.values
        values.update({"site": "s", "device": "d", "portal_password": "k7m2p9xwqrst"})
        values["mqtt"]["host"] = "b"
        self.config.save(values)
        self.ask(get())
        self.assertEqual(self.board.network.asked, ("steam-89ab", "k7m2p9xwqrst"))
        self.assertEqual(self.config.public()["portal_password"], "***")

        (page,), _ = self.ask(post(GOOD))
        self.assertEqual(self.config.values["portal_password"], "k7m2p9xwqrst")
        self.assertFalse("k7m2" in page)

    def test_portal_form_of_another_page_is_refused(self):
        """Whoever reaches it by ssh has other pages open in the same browser."""
        theirs = post(GOOD).replace(b"Host: x", b"Host: x\r\nOrigin: https://evil.example")
        ours = post(GOOD).replace(b"Host: x", b"Host: x\r\nOrigin: http://x")
        (answer,), saved = self.ask(theirs)
        self.assertTrue(answer.startswith("HTTP/1.1 403 ") and not saved)
        self.assertTrue(self.ask(ours)[1])

    def test_portal_without_a_radio_asks_for_no_wifi(self):
        """A Raspberry Pi has its network from its system."""
        self.board.has_wifi = False
        (page, answer), saved = self.ask(get(), post(changed(ssid="", wifi_password="")))

        self.assertFalse('name="ssid"' in page)
        self.assertTrue(saved)
        self.assertIn("se conecta a <strong>", answer)

    def test_portal_takes_its_network_off_the_air_when_it_ends(self):
        """However it ends: saved, ended, or without a port."""
        seen = []

        async def look(port):
            seen.append(self.board.network.point)

        self.talk(look)
        self.assertEqual((seen, self.board.network.point), ([True], False))
        self.ask(post(GOOD))
        self.assertFalse(self.board.network.point)

    def test_portal_whose_port_is_taken_says_so_and_leaves_the_air(self):
        """The fault names the port; nobody waits for a page that cannot come."""

        async def twice(port):
            try:
                await portal.serve(self.board, self.config, host=web.HOST, port=port, dns_port=None)
            except OSError as fault:
                return str(fault), self.board.network.point
            return "served", None

        (words, point), _ = self.talk(twice)

        self.assertIn("portal: cannot listen on 127.0.0.1:", words)
        self.assertFalse(point)

    def test_portal_without_a_radio_is_for_this_machine_alone(self):
        """Everybody in the plant's network could enter a configuration; port 80 takes rights."""
        asked = []

        async def refused(take, host, port):
            asked.append((host, port))
            raise OSError(13)

        kept = asyncio.start_server
        asyncio.start_server = refused
        try:
            for has_wifi in (True, False):
                self.board.has_wifi = has_wifi
                with self.assertRaises(OSError):
                    asyncio.run(portal.serve(self.board, self.config, dns_port=None))
        finally:
            asyncio.start_server = kept
        self.assertEqual(asked, [("0.0.0.0", 80), ("127.0.0.1", 8080)])

    def test_portal_without_a_radio_answers_no_names(self):
        """Nobody joins a network of it, and port 53 takes rights."""
        asked = []

        async def names(host, port, address):
            asked.append(port)

        kept, portal_names.serve = portal_names.serve, names
        try:
            for has_wifi in (True, False):
                self.board.has_wifi = has_wifi
                self.serve_a_moment(Idle())
        finally:
            portal_names.serve = kept
        self.assertEqual(asked, [53])

    def test_portal_ends_though_a_browser_keeps_a_connection_open(self):
        """CPython from 3.12.1 on waits for it; what was saved must come into force all the same."""
        self.board.has_wifi = False
        saved = self.serve_a_moment(Idle(busy=True))

        self.assertEqual((saved, self.board.network.point), (False, False))

    def serve_a_moment(self, server):
        """Whether the portal saved, where `server` is what listens for it."""

        async def start(take, host, port):
            return server

        async def serve():
            done = asyncio.Event()
            serving = asyncio.create_task(
                portal.serve(self.board, self.config, done=done, request_s=0.01)
            )
            await asyncio.sleep(0.01)
            done.set()
            return await serving

        kept, asyncio.start_server = asyncio.start_server, start
        try:
            return asyncio.run(serve())
        finally:
            asyncio.start_server = kept

    def test_portal_form_is_portuguese_first_and_english_on_request(self):
        """Each page leads to the other language."""
        (first, second), _ = self.ask(get(), get("/?en"))

        self.assertIn('lang="pt-BR"', first)
        self.assertIn("Rede Wi-Fi", first)
        self.assertIn('href="/?en"', first)
        self.assertIn('lang="en"', second)
        self.assertIn("Wi-Fi network", second)
        self.assertIn('href="/?pt"', second)

    def test_portal_form_has_all_fields_and_asks_nothing_of_the_internet(self):
        """There is no internet on this network: all of it is in one small page."""
        (page,), _ = self.ask(get())
        head, _, body = page.partition("\r\n\r\n")

        for name in (
            "ssid",
            "wifi_password",
            "host",
            "port",
            "user",
            "password",
            "tls",
            "site",
            "device",
        ):
            self.assertEqual(body.count(f'name="{name}"'), 1, name)
        for outside in ("http", "src=", "url(", "@import", "//"):
            self.assertFalse(outside in body, outside)
        self.assertTrue(len(body.encode()) < 6144)
        self.assertIn(f"Content-Length: {len(body.encode())}\r\n", head)

    def test_portal_other_paths_lead_to_the_form(self):
        """What phones ask to find a captive network is sent on."""
        requests = [get("/generate_204"), get("/hotspot-detect.html"), get("/a?b"), get("//x")]
        answers, _ = self.ask(*requests)

        for answer in answers:
            self.assertEqual(answer.split("\r\n")[0], "HTTP/1.1 302 Found")
            self.assertIn("\r\nLocation: http://127.0.0.1:", answer)

    def test_portal_good_form_is_saved_and_ends_the_portal(self):
        """The configuration is in flash; what the form does not ask for stays as it was."""
        (page,), saved = self.ask(post(GOOD))
        values = Config(self.folder).load()

        self.assertTrue(saved)
        self.assertIn("HTTP/1.1 200 OK", page)
        self.assertIn("<strong>Casa de Caldeiras</strong>", page)
        self.assertEqual(
            (values["wifi"]["ssid"], values["wifi"]["password"], values["wifi"]["country"]),
            ("Casa de Caldeiras", "uma senha!", "BR"),
        )
        mqtt = values["mqtt"]
        self.assertEqual((mqtt["host"], mqtt["port"], mqtt["tls"]), ("192.168.0.10", 8883, False))
        self.assertEqual((mqtt["user"], mqtt["password"]), ("cal-1", "p&q"))
        self.assertEqual((values["site"], values["device"]), ("matriz", "cal-1"))

    def test_portal_saved_page_is_in_the_language_of_the_form(self):
        """The switch holds through the POST."""
        (page,), _ = self.ask(post(GOOD, "/?en"))

        self.assertIn("The device restarts", page)

    def test_portal_empty_password_keeps_the_one_before(self):
        """It is never shown, so it need not be typed again; a new network or user has its own."""
        self.ask(post(GOOD))
        self.ask(post(changed(wifi_password="", password="")))
        self.assertEqual(self.config.values["wifi"]["password"], "uma senha!")
        self.assertEqual(self.config.values["mqtt"]["password"], "p&q")

        self.ask(post(changed(wifi_password="", password="", ssid="Outra", user="x")))

        self.assertEqual(self.config.values["wifi"]["password"], "")
        self.assertEqual(self.config.values["mqtt"]["password"], "")

    def test_portal_sends_no_kept_password_elsewhere(self):
        """Another host or port, or TLS taken away: whoever stands here does not know the password."""
        for field, value in (("host", "evil"), ("port", "1884"), ("tls", "")):
            self.ask(post(GOOD))
            values = self.config.values
            values["mqtt"].update({"password_next": "soon", "tls": field == "tls"})
            self.config.save(values)
            self.ask(post(changed(**{"password": "", field: value})))
            mqtt = self.config.values["mqtt"]
            self.assertEqual((mqtt["password"], mqtt["password_next"]), ("", ""), field)
            self.assertFalse(mqtt["tls"])

    def test_portal_form_shows_what_is_known_but_no_password(self):
        """Passwords do not leave the device."""
        self.ask(post(GOOD))

        (page,), _ = self.ask(get())

        self.assertIn('value="Casa de Caldeiras"', page)
        self.assertIn("mantém a atual", page)
        self.assertFalse("uma senha!" in page)
        self.assertFalse("p&amp;q" in page)

    def test_portal_hostile_names_are_shown_as_text(self):
        """A network may be called anything: in the form, after a fault, and once saved."""
        page = self.assert_form_refused(changed(ssid=HOSTILE_SENT, site="X", user=HOSTILE_SENT))
        (saved_page,), saved = self.ask(post(changed(ssid=HOSTILE_SENT, user=HOSTILE_SENT)))
        (form,), _ = self.ask(get())

        self.assertTrue(saved)
        self.assertEqual(self.config.values["wifi"]["ssid"], HOSTILE)
        for text in (page, saved_page, form):
            self.assertFalse("<script>alert" in text)
            self.assertIn("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&amp;", text)

    def test_portal_wrong_fields_are_marked_and_kept(self):
        """Each fault is beside its field, what was typed stays, nothing is saved."""
        page = self.assert_form_refused(
            changed(
                ssid="", wifi_password="curta", host="a+b", port="0", site="Matriz", device="-"
            ),
            "Nada foi salvo",
            "De 1 a 32 bytes",
            "De 8 a 63 caracteres",
            "sem espaços",
            "De 1 a 65535",
            'value="Matriz"',
            'value="a b"',
        )

        self.assertEqual(page.count('aria-invalid="true"'), 6)

    def test_portal_ports_that_are_none_are_refused(self):
        """Letters, signs, too large, too long."""
        for port in ("x", "-1", "65536", "1e3", "", "00001883", "%D9%A1"):
            self.assert_form_refused(changed(port=port), "De 1 a 65535")

    def test_portal_name_of_more_than_32_bytes_is_refused(self):
        """Eleven letters of three bytes are too long for the radio."""
        self.assert_form_refused(changed(ssid="%E2%82%AC" * 11), "De 1 a 32 bytes")

    def test_portal_tls_without_a_certificate_is_refused(self):
        """It could never connect; with the file there it is saved."""
        self.assert_form_refused(changed(tls="1"), "ca.der", "checked")
        folders.write(self.folder + "/ca.der", "x")

        _, saved = self.ask(post(changed(tls="1")))

        self.assertTrue(saved)
        self.assertTrue(self.config.values["mqtt"]["tls"])

    def test_portal_refusal_of_the_configuration_is_shown(self):
        """What the device itself refuses, and a flash that is full, are told in its words."""

        def refuse(values):
            raise ValueError("mqtt.host: <bad>; wifi: worse")

        def full(values):
            raise OSError(28)

        save = self.config.save
        self.config.save = refuse
        self.assert_form_refused(GOOD, "recusou", "mqtt.host: &lt;bad&gt;<br>wifi: worse")
        self.config.save = full
        self.assert_form_refused(GOOD, "recusou", "28")
        self.config.save = save
        self.assertTrue(self.ask(post(GOOD))[1])

    def test_portal_lost_configuration_is_told(self):
        """Who opens the form learns why the device asks again."""
        for letter in ("a", "b"):
            folders.write(self.folder + "/config." + letter, "garbage <b>")
        self.config.load()

        (page,), _ = self.ask(get())

        self.assertIn("não pôde ser lida", page)

    def test_portal_body_or_headers_too_large_are_refused(self):
        """4 KiB are enough for any form."""
        (body, said, head), saved = self.ask(
            post("ssid=" + "x" * 5000),
            b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"y" * 6000 + b"\r\n\r\n",
        )

        self.assertIn("413 ", body[:20])
        self.assertIn("413 ", said[:20])
        self.assertIn("431 ", head[:20])
        self.assertFalse(saved)

    def test_portal_nonsense_is_refused_and_the_next_one_is_served(self):
        """No HTTP, no form, broken escapes, control characters, other methods."""
        bad = [
            (b"\x16\x03\x01\x02\x00\r\n\r\n", "400"),
            (b"GET /\r\n\r\n", "400"),
            (b"\r\n\r\n", "400"),
            (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "400"),
            (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400"),
            (b"DELETE / HTTP/1.1\r\n\r\n", "405"),
            (post(""), "400"),
            (post("other=1"), "400"),
            (post(changed(ssid="%zz")), "400"),
            (post(changed(ssid="%")), "400"),
            (post(changed(ssid="%FF%FE")), "400"),
            (post(changed(ssid="a%0D%0Ab")), "400"),
            (post(changed(host="a%00b")), "400"),
        ]
        answers, saved = self.ask(*([raw for raw, _ in bad] + [get()]))

        for (raw, code), answer in zip(bad, answers):  # noqa: B905 - MicroPython has no strict
            self.assertEqual(answer[9:12], code, repr(raw))
        self.assertIn("Rede Wi-Fi", answers[-1])
        self.assertFalse(saved)

    def test_portal_dribble_is_timed_out_and_the_next_one_is_served(self):
        """Who sends a byte now and then has the device for half a second."""

        async def conversation(port):
            slow = asyncio.create_task(web.exchange(port, get()[:40], pause_s=0.05))
            await asyncio.sleep(0.1)
            page = await web.exchange(port, get())
            return (await slow)[:20], page

        (slow, page), _ = self.talk(conversation)

        self.assertTrue(slow in (b"HTTP/1.1 408 Request", b""))
        self.assertIn("Rede Wi-Fi", page.decode())

    def test_portal_that_is_left_in_the_middle_serves_the_next_one(self):
        """A phone that walks away."""

        async def conversation(port):
            _, writer = await asyncio.open_connection(web.HOST, port)
            writer.write(post(GOOD)[:60])
            await writer.drain()
            web.close(writer)
            return await web.exchange(port, get())

        page, saved = self.talk(conversation)

        self.assertIn("Rede Wi-Fi", page.decode())
        self.assertFalse(saved)

    def test_portal_with_many_at_once_serves_some_and_survives(self):
        """Four may wait; the others are turned away, and later ones are served."""

        async def conversation(port):
            silent = []
            for _ in range(8):
                silent.append(await asyncio.open_connection(web.HOST, port))  # noqa: PERF401
            await asyncio.sleep(0.1)
            turned_away = await web.exchange(port, get())
            for _, writer in silent:
                web.close(writer)
            await asyncio.sleep(0.3)
            return turned_away, await web.exchange(port, get())

        (turned_away, page), _ = self.talk(conversation)

        self.assertEqual(turned_away, b"")
        self.assertIn("Rede Wi-Fi", page.decode())


def question(name=b"\x05steam\x05local\x00", kind=1, network=1, flags=0x0100, count=1):
    """A DNS query."""
    head = struct.pack(">HHHHHH", 0xBEEF, flags, count, 0, 0, 0)
    return head + name + struct.pack(">HH", kind, network)


class TestPortalNames(unittest.TestCase):
    """Every name is this device."""

    def test_names_address_of_any_name_is_the_device(self):
        """The question comes back with one answer."""
        answer = portal_names.answer(question(), "192.168.4.1")

        self.assertEqual(answer[:12], struct.pack(">HHHHHH", 0xBEEF, 0x8500, 1, 1, 0, 0))
        self.assertEqual(answer[12 : 12 + 17], question()[12:])
        self.assertEqual(answer[-4:], bytes([192, 168, 4, 1]))
        self.assertEqual(answer[29:41], struct.pack(">HHHIH", 0xC00C, 1, 1, 10, 4))

    def test_names_of_other_kinds_has_no_answer_but_no_error(self):
        """IPv6 and service records: known name, nothing there, so that phones ask on."""
        for kind in (28, 65, 16, 255):
            answer = portal_names.answer(question(kind=kind), "192.168.4.1")
            self.assertEqual(answer[2:12], struct.pack(">HHHHH", 0x8500, 1, 0, 0, 0))
            self.assertEqual(len(answer), len(question()))

    def test_names_nonsense_gets_no_answer(self):
        """Answers, several questions, pointers, names without end, too short, too long."""
        for query in (
            b"",
            b"x" * 16,
            question(flags=0x8180),
            question(count=0),
            question(count=2),
            question(name=b"\xc0\x0c"),
            question(name=b"\x3fabc\x00"),
            question(name=b"\x40" + b"a" * 64 + b"\x00"),
            question()[:-3],
            question(name=(b"\x3f" + b"a" * 63) * 9 + b"\x00"),
        ):
            self.assertIsNone(portal_names.answer(query, "192.168.4.1"))

    def test_names_server_answers_over_udp(self):
        """A real datagram, between garbage."""
        web.start_anew()

        async def run():
            port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
            serving = asyncio.create_task(portal_names.serve(web.HOST, port, "192.168.4.1"))
            await asyncio.sleep(0.1)
            phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            phone.setblocking(False)
            place = socket.getaddrinfo(web.HOST, port)[0][-1]
            answer = None
            try:
                for query in (b"", b"\xff" * 40, question()):
                    phone.sendto(query, place)
                for _ in range(40):
                    await asyncio.sleep(0.05)
                    try:
                        answer = phone.recv(512)
                        break
                    except OSError:
                        continue
            finally:
                phone.close()
                serving.cancel()
                await asyncio.sleep(0)
            return answer

        self.assertEqual(asyncio.run(run())[-4:], bytes([192, 168, 4, 1]))

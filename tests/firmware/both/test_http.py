"""How a file is fetched, from servers that behave badly, on both interpreters."""

import asyncio
import unittest

from device.steamlink import http
from tests.firmware import web

BODY = bytes(range(256)) * 20


def fetch(server, path="/u.tar", most_bytes=10000, idle_s=2, total_s=6, lookup=None):
    """(body, fault) of one GET from a scripted server."""
    web.start_anew()
    pieces = []

    async def run():
        async with server as url:
            return await http.fetch(
                url + path,
                pieces.append,
                most_bytes=most_bytes,
                lookup=lookup,
                idle_s=idle_s,
                total_s=total_s,
            )

    try:
        count = asyncio.run(run())
    except (OSError, ValueError) as fault:
        return b"".join(pieces), fault
    assert count == len(b"".join(pieces))
    return b"".join(pieces), None


class TestHttp(unittest.TestCase):
    """One GET, bounded."""

    def assert_refused(self, kind, words, server, **limits):
        """The fault is of this kind and says these words."""
        _, fault = fetch(server, **limits)
        self.assertIsInstance(fault, kind, repr(fault))
        self.assertIn(words, str(fault))

    def test_http_host_is_looked_up_where_nothing_is_held_up(self):
        """By whoever the network knows; a name server that is silent ends in time."""
        asked = []

        async def lookup(name):
            asked.append(name)
            return name

        async def silent(_name):
            await asyncio.Event().wait()

        self.assertTrue(fetch(web.Server(web.ok(BODY)), lookup=lookup) == (BODY, None))
        self.assertEqual(asked, [web.HOST])
        _, fault = fetch(web.Server(web.ok(BODY)), lookup=silent, idle_s=0.1)
        self.assertIn("nothing came for 0.1 s", str(fault))

    def test_http_body_of_the_said_length_is_handed_over_piece_by_piece(self):
        """All bytes come, in order; no piece is large."""
        server = web.Server(web.ok(BODY))

        self.assertTrue(fetch(server) == (BODY, None))

    def test_http_request_is_plain_and_complete(self):
        """The path and the query go as they are, with the host and its port."""
        server = web.Server(web.ok(b"x"))

        fetch(server, "/a/b.tar?x=1&y=2")

        request = server.requests[0].decode().split("\r\n")
        self.assertEqual(request[0], "GET /a/b.tar?x=1&y=2 HTTP/1.0")
        self.assertEqual(request[1][:16], "Host: 127.0.0.1:")
        self.assertEqual(request[-2:], ["", ""])

    def test_http_body_without_length_ends_with_the_connection(self):
        """HTTP/1.0 servers need not say how long it is."""
        self.assertTrue(fetch(web.Server(web.ok(BODY, ""))) == (BODY, None))

    def test_http_body_in_crumbs_is_whole(self):
        """Headers and body cut anywhere are put together."""
        self.assertTrue(fetch(web.Server(web.ok(BODY[:300]), piece=7)) == (BODY[:300], None))

    def test_http_body_shorter_than_said_is_refused(self):
        """A connection that ends early has lost something."""
        server = web.Server(web.ok(BODY, len(BODY) + 1))

        self.assert_refused(OSError, "ended after 5120 of 5121 bytes", server)

    def test_http_body_longer_than_allowed_is_refused_before_it_comes(self):
        """What the server says is too long is not read at all."""
        body, fault = fetch(web.Server(web.ok(BODY)), most_bytes=5119)

        self.assertEqual(body, b"")
        self.assertIn("5120 bytes; at most 5119", str(fault))

    def test_http_body_without_length_longer_than_allowed_is_cut(self):
        """The limit holds where nothing was said."""
        body, fault = fetch(web.Server(web.ok(BODY, "")), most_bytes=2000)

        self.assertTrue(len(body) <= 2000)
        self.assertIn("more than 2000 bytes", str(fault))

    def test_http_bytes_beyond_the_said_length_are_not_read(self):
        """The length counts."""
        self.assertTrue(fetch(web.Server(web.ok(BODY + b"more", 5120))) == (BODY, None))

    def test_http_redirect_is_refused(self):
        """An update comes from where the command says."""
        for code in (301, 302, 303, 307, 308):
            answer = f"HTTP/1.1 {code} Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n"
            self.assert_refused(
                ValueError, "redirects are not followed", web.Server(answer.encode())
            )

    def test_http_answer_other_than_200_is_refused_with_its_number(self):
        """Not found, forbidden, a part, a server's fault."""
        for code in (204, 206, 403, 404, 500, 503):
            answer = f"HTTP/1.1 {code} No\r\nContent-Length: 2\r\n\r\nno"
            self.assert_refused(ValueError, f"answers {code}", web.Server(answer.encode()))

    def test_http_chunks_and_compression_are_refused(self):
        """They were not asked for."""
        for header in ("Transfer-Encoding: chunked", "content-encoding: gzip"):
            server = web.Server(web.ok(b"5\r\nhello\r\n0\r\n\r\n", "", header + "\r\n"))
            self.assert_refused(ValueError, "only a plain body", server)

    def test_http_length_that_is_no_number_or_two_numbers_is_refused(self):
        """Two lengths are an attack or a bug."""
        for length in ("-1", "x", "1e3", "99999999999", "5\r\nContent-Length: 6", " "):
            server = web.Server(web.ok(b"hello", length))
            self.assert_refused(ValueError, "content-length", server)

    def test_http_answer_of_another_protocol_is_refused(self):
        """A mail server, a broker, noise."""
        for answer in (b"220 smtp ready\r\n", b"\x20\x02\x00\x00\n", b"\xff\xfe\n", b"HTTP/2\n"):
            self.assert_refused(ValueError, "not HTTP", web.Server(answer))

    def test_http_headers_without_end_are_cut(self):
        """Neither one endless line nor endless lines fill the memory."""
        head = b"HTTP/1.1 200 OK\r\n"
        self.assert_refused(ValueError, "a header of more", web.Server(head + b"a" * 100000))
        self.assert_refused(ValueError, "more than 64", web.Server(head + b"a: b\r\n" * 5000))

    def test_http_connection_closed_within_the_headers_is_a_fault(self):
        """Nothing, or half a line."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nConte"):
            self.assert_refused(OSError, "ended within the headers", web.Server(answer))

    def test_http_server_that_never_answers_is_given_up(self):
        """An open connection without a byte ends after the idle time."""
        self.assert_refused(
            OSError, "nothing came for 0.3 s", web.Server(b"", hang=True), idle_s=0.3
        )

    def test_http_server_that_stops_in_the_body_is_given_up(self):
        """The same in the middle."""
        server = web.Server(web.ok(BODY, 9000), hang=True)

        self.assert_refused(OSError, "nothing came for", server)

    def test_http_server_that_dribbles_is_given_up(self):
        """A byte now and then keeps no device busy for ever."""
        server = web.Server(web.ok(BODY), piece=1, pause_s=0.02)

        self.assert_refused(OSError, "not done within 0.5 s", server, total_s=0.5)

    def test_http_nobody_there_is_a_fault_of_the_connection(self):
        """A closed port."""
        web.start_anew()
        with self.assertRaises(OSError):
            asyncio.run(http.fetch("http://127.0.0.1:9/", print, most_bytes=1, idle_s=1))

    def test_http_fault_of_the_sink_ends_the_download(self):
        """Whoever takes the pieces may refuse them."""
        web.start_anew()

        def refuse(piece):
            raise ValueError("full")

        async def run():
            async with web.Server(web.ok(BODY)) as url:
                await http.fetch(url + "/", refuse, most_bytes=9999, idle_s=1)

        with self.assertRaises(ValueError):
            asyncio.run(run())

    def test_http_address_is_split(self):
        """Scheme, host, port and path, with their defaults."""
        for url, parts in (
            ("http://h/p", (False, "h", 80, "/p")),
            ("https://h", (True, "h", 443, "/")),
            ("http://h:8080/a?b=/c", (False, "h", 8080, "/a?b=/c")),
            ("http://h?x", (False, "h", 80, "/?x")),
        ):
            self.assertEqual(http.split(url), parts)

    def test_http_address_that_is_none_is_refused(self):
        """Other schemes, users, no host, no port, line breaks, endless ones."""
        for url in (
            None,
            7,
            "",
            "h/p",
            "ftp://h/p",
            "http://",
            "http:///p",
            "http://u:p@h/",
            "http://u@h/",
            "http://h:0/",
            "http://h:65536/",
            "http://h:x/",
            "http://h:/",
            "http://h/a b",
            "http://h/\r\nX: y",
            "http://h/\u00e9",
            "http://h/#x",
            "http://[::1]/",
            "http://h/" + "a" * 600,
        ):
            with self.assertRaises(ValueError):
                http.split(url)

    def test_http_secure_address_without_a_ca_is_refused(self):
        """Never unchecked, never plain instead."""
        web.start_anew()
        with self.assertRaises(ValueError):
            asyncio.run(http.fetch("https://127.0.0.1:9/", print, most_bytes=1))

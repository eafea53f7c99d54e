"""Apprise against real targets on loopback: SMTP, HTTP, and the Telegram Bot API's form."""

import email
import email.policy
import io
import json
import logging
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog
from aiosmtpd.controller import Controller
from apprise.plugins.telegram import NotifyTelegram

from bridge.clock import from_us
from processor.counters import NotifierCounters
from processor.notifier.apprise_target import TargetsRefused, open_targets
from processor.notifier.routes import Address, NotificationSettings, Route
from processor.notifier.service import Notifier
from processor.notifier.source import MemoryLedger
from processor.notifier.sqlite_ledger import SqliteLedger
from processor.notifier.sqlite_outbox import SqliteOutbox
from processor.notifier.target import SendFailed
from processor.notifier.text import Notification, Severity
from tests.servers.ports import free_port
from tests.unit.processor.notifier.fakes import PLANT, T0_US, MemorySource, event, until

TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz01234"
CHAT = "-1001234567890"
HOSTILE = Notification(
    title="ALARME P1 · <b>Caldeira</b> & Cia: Nível muito baixo (23,4 %)",
    body="Nota: <script>alert(1)</script>\nLimite: 25,0 % & <i>agora</i>",
    severity=Severity.CRITICAL,
)


class Hooks:
    """An HTTP server on loopback that keeps what is posted and answers as told."""

    def __init__(self):
        self.posts = []
        self.status = 200
        self.hanging = threading.Event()
        self.hanging.set()
        self._server = None

    def open(self, port=0):
        """Listen."""
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.hanging.wait(20)
                hooks.posts.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(hooks.status)
                self.end_headers()
                self.wfile.write(b'{"ok": true, "result": {}}')

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    @property
    def port(self):
        """The port that it listens on."""
        return self._server.server_address[1]

    def close(self):
        """Stop."""
        self.hanging.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Mailbox:
    """What aiosmtpd hands over: envelopes and parsed messages."""

    def __init__(self):
        self.mails = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - its name there
        """Keep the mail."""
        if self.answer.startswith("250"):
            parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.mails.append((envelope, parsed))
        return self.answer


@pytest.fixture
def hooks():
    hooks = Hooks().open()
    yield hooks
    hooks.close()


@pytest.fixture
def mailbox():
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    mailbox.port = controller.port
    yield mailbox
    controller.stop()


@pytest.fixture
def telegram(hooks, monkeypatch):
    """The Bot API's place, taken by the HTTP server."""
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://127.0.0.1:{hooks.port}/bot")
    return hooks


@pytest.fixture
def run():
    """Runs notifiers in threads; they end with the test."""
    running = []

    def start(settings, source, ledger=None, environment=None):
        notifier = Notifier(
            settings,
            lambda: PLANT,
            source,
            ledger or MemoryLedger(),
            open_targets(settings, environment or {}),
            NotifierCounters(),
            rng=random.Random(1),
            first_retry_s=0.05,
            clock=lambda: from_us(T0_US + 1_000_000),  # soon after the events
        )
        stopping = threading.Event()
        thread = threading.Thread(target=notifier.run, args=(stopping,))
        thread.start()

        def stop():
            stopping.set()
            thread.join(15)

        running.append(stop)
        notifier.stop = stop
        return notifier

    yield start
    for stop in running:
        stop()


def only_target(*targets, environment=None):
    """The one target of a route."""
    settings = NotificationSettings(routes=[Route(name="ops", targets=list(targets))])
    (routed,) = open_targets(settings, environment or {})
    return routed.target


def mail_url(port):
    return f"mailto://127.0.0.1:{port}/?from=steam@example.org&to=ana@example.org"


def test_email_arrives_at_a_real_smtp_server(mailbox):
    """Sender, recipient, subject and text arrive, accents included."""
    only_target(mail_url(mailbox.port)).send(HOSTILE)

    ((envelope, mail),) = mailbox.mails
    assert envelope.rcpt_tos == ["ana@example.org"]
    assert mail["From"].addresses[0].addr_spec == "steam@example.org"
    assert str(mail["Subject"]) == HOSTILE.title
    plain = mail.get_body(("plain",))
    assert plain is None or "25,0 %" in plain.get_content()


def test_email_markup_in_the_text_is_never_markup(mailbox):
    """Where the mail has an HTML part, device text in it is escaped."""
    only_target(mail_url(mailbox.port) + "&format=html").send(HOSTILE)

    html = mailbox.mails[0][1].get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&amp;" in html


def test_email_refused_by_the_server_is_a_failure(mailbox):
    """A mail that the server does not take is not counted as sent."""
    mailbox.answer = "554 no thanks"

    with pytest.raises(SendFailed, match=r"ana@example\.org"):
        only_target(mail_url(mailbox.port)).send(HOSTILE)


def test_http_target_receives_title_body_and_type(hooks):
    """Apprise's JSON form carries the text unchanged."""
    only_target(f"json://127.0.0.1:{hooks.port}/alarm").send(HOSTILE)

    ((path, _, body),) = hooks.posts
    assert path == "/alarm"
    assert (body["title"], body["message"]) == (HOSTILE.title, HOSTILE.body)
    assert body["type"] == "failure"


def test_http_target_answering_an_error_is_a_failure_with_the_reason(hooks):
    """A status outside 2xx fails and is named."""
    hooks.status = 503

    with pytest.raises(SendFailed, match="503"):
        only_target(f"json://127.0.0.1:{hooks.port}/").send(HOSTILE)


def test_http_target_that_never_answers_fails_in_time(hooks):
    """A read that takes too long ends by itself."""
    hooks.hanging.clear()
    start = time.monotonic()

    with pytest.raises(SendFailed, match="timed out"):
        only_target(f"json://127.0.0.1:{hooks.port}/?rto=0.2").send(HOSTILE)

    assert time.monotonic() - start < 5


def test_telegram_request_has_the_bot_api_form(telegram):
    """POST /bot<token>/sendMessage with chat_id, text and parse_mode, as the Bot API asks.

    Source: https://core.telegram.org/bots/api#sendmessage and #html-style.
    """
    only_target(
        Address(url_env="STEAM_TELEGRAM_URL"),
        environment={"STEAM_TELEGRAM_URL": f"tgram://{TOKEN}/{CHAT}"},
    ).send(HOSTILE)

    ((path, headers, body),) = telegram.posts
    assert path == f"/bot{TOKEN}/sendMessage"
    assert headers["Content-Type"] == "application/json"
    assert str(body["chat_id"]) == CHAT
    assert body["parse_mode"] == "HTML"
    assert 1 <= len(body["text"]) <= 4096
    assert set(re.findall(r"</?([a-z]+)", body["text"])) <= {"b", "i", "u", "s", "a", "code", "pre"}
    assert "<b>Caldeira</b>" not in body["text"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body["text"]
    assert "Nível muito baixo" in body["text"]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_telegram_failure_says_why_without_the_token(telegram, status):
    """The reason names chat and status; no part of the token is in it."""
    telegram.status = status

    with pytest.raises(SendFailed) as caught:
        only_target(Address(url=f"tgram://${{TOKEN}}/{CHAT}"), environment={"TOKEN": TOKEN}).send(
            HOSTILE
        )

    assert str(status) in str(caught.value)
    assert not any(part in str(caught.value) for part in TOKEN.split(":"))


@pytest.fixture
def root_log():
    """All that reaches the root logger at DEBUG (caplog also listens where nobody else does)."""
    root, text = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


def test_secrets_stay_out_of_every_log(telegram, root_log):
    """With everything logged at DEBUG, neither token nor password shows anywhere."""
    telegram.status = 500  # an answer, because urllib3 logs a request's path only then
    environment = {"T": f"tgram://{TOKEN}/{CHAT}", "P": "hunter2"}
    failures = []

    with structlog.testing.capture_logs() as logged:
        for address in (
            Address(url_env="T"),
            Address(url="mailto://steam:${P}@127.0.0.1:1/?to=a@b.org&from=c@d.org"),
            Address(url="json://steam:${P}@127.0.0.1:1/x"),
        ):
            with pytest.raises(SendFailed) as caught:
                only_target(address, environment=environment).send(HOSTILE)
            failures.append(str(caught.value))

    everything = root_log.getvalue() + str(logged) + "".join(failures)
    assert "500" in failures[0]
    assert "refused" in failures[1]
    for secret in ("hunter2", *TOKEN.split(":")):
        assert secret not in everything


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"tgram://{TOKEN}/{CHAT}", "a secret stands in the file"),
        ("jsn://127.0.0.1", "no service 'jsn'; did you mean 'json'?"),
        ("mailto://h/?from=a@b.org&to=c@d.org,e@f.org", "names 2 recipients"),
        (Address(url_env="NOT_SET"), "set NOT_SET (or NOT_SET_FILE) in the environment"),
        (Address(url="tgram://${SHORT}/1"), "Apprise cannot use this tgram:// URL"),
    ],
)
def test_targets_that_cannot_be_used_are_refused_with_place_and_remedy(target, expected):
    """Before anything starts, each bad target is told, without its secret."""
    settings = NotificationSettings(
        routes=[Route(name="ops", targets=["json://127.0.0.1:9/", target])]
    )

    with pytest.raises(TargetsRefused) as caught:
        open_targets(settings, {"SHORT": "nonsense"})

    assert "route 'ops', target 2: " in str(caught.value)
    assert expected in str(caught.value)
    assert "AAF-" not in str(caught.value)
    assert [(fault.route, fault.target) for fault in caught.value.faults] == [(0, 1)]


def test_targets_same_recipient_in_two_routes_is_one_target(hooks):
    """Two routes that lead to one address tell it once."""
    url = f"json://127.0.0.1:{hooks.port}/"
    settings = NotificationSettings(
        routes=[Route(name="a", targets=[url], min_priority=1), Route(name="b", targets=[url])]
    )

    (routed,) = open_targets(settings, {})

    assert routed.name == "a/json"
    assert routed.wants(event(priority=4))


def test_notifier_dead_server_delays_no_other_and_is_told_when_it_comes_up(hooks, mailbox, run):
    """Mail and one HTTP target have the alarm at once; the absent one gets it when it appears."""
    port = free_port()
    route = Route(
        name="ops",
        targets=[
            f"json://127.0.0.1:{port}/absent",
            f"json://127.0.0.1:{hooks.port}/present",
            mail_url(mailbox.port),
        ],
    )
    source = MemorySource()
    notifier = run(NotificationSettings(routes=[route]), source)

    source.put([event(1)])
    until(lambda: len(hooks.posts) == 1 and len(mailbox.mails) == 1)
    until(lambda: notifier.counters.target("ops/json").failed >= 1)
    assert source.finished == []
    late = Hooks().open(port)
    until(lambda: source.finished == ["e1"], 15)
    late.close()

    assert [path for path, _, _ in late.posts] == ["/absent"]
    assert [path for path, _, _ in hooks.posts] == ["/present"]
    assert len(mailbox.mails) == 1
    assert notifier.counters.notifications_sent == 3
    assert late.posts[0][2]["title"].startswith("ALARME P1 · Caldeira 1")


def test_notifier_languages_follow_the_routes(hooks, run):
    """Each route's targets read their own language."""
    base = f"json://127.0.0.1:{hooks.port}"
    settings = NotificationSettings(
        routes=[
            Route(name="turno", targets=[f"{base}/pt"]),
            Route(name="head-office", targets=[f"{base}/en"], language="en"),
        ]
    )
    source = MemorySource()
    run(settings, source)

    source.put([event(1)])
    until(lambda: source.finished == ["e1"])

    titles = {path: body["title"] for path, _, body in hooks.posts}
    assert titles["/pt"].startswith("ALARME P1")
    assert titles["/en"].startswith("ALARM P1")


def test_notifier_restarted_sends_nothing_twice(hooks, run, tmp_path):
    """A process that ends while one target is away leaves only that target's messages to the next."""
    path = tmp_path / "alarms.db"
    port = free_port()
    settings = NotificationSettings(
        routes=[
            Route(
                name="ops",
                targets=[
                    Address(url=f"json://127.0.0.1:{port}/away", name="away"),
                    Address(url=f"json://127.0.0.1:{hooks.port}/here", name="here"),
                ],
            )
        ]
    )
    outbox = SqliteOutbox(path)
    outbox.open()
    first = run(settings, outbox, SqliteLedger(path))
    outbox.put([event(1), event(2)])
    until(lambda: len(hooks.posts) == 2 and first.counters.target("ops/away").failed >= 1)
    first.stop()

    late = Hooks().open(port)
    second = run(settings, SqliteOutbox(path), SqliteLedger(path))
    until(lambda: second.counters.target("ops/away").sent == 2 and second.pending == 0)
    second.stop()
    late.close()

    assert len(late.posts) == 2
    assert len(hooks.posts) == 2
    with SqliteOutbox(path) as rest:
        assert rest.waiting() == 0

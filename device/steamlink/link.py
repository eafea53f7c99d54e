"""The connection of one device over time: Wi-Fi, broker, greeting, live first, then the backlog.

One task makes the connection again whenever it ends; nothing here is ever lost, because an
entry leaves the outbox only with its PUBACK.
"""

import asyncio

from . import contract, mqtt, pacing
from .constant import const

WINDOW = 4
_BACKLOG_WINDOW = WINDOW - 1  # one place is always free for live rows
_TURN_MS = const(1000)
_LEAST_MS = const(50)
_MOST_TRIES = const(5)
_MOST_WAITING = const(16)
_MOST_DELAY_MS = const(30000)
_NETWORK_MS = const(30000)
_CONNECT_MS = const(15000)
_STEADY_MS = const(2000)
_HURRIED_MS = const(500)  # after a shorter one, doubled by each in a row: two boards of one name
_SLOWLY_MS = const(30000)  # after a refusal: it asks for a person, not for haste
_RESET_NETWORK_MS = const(300000)
_RESTART_MS = const(1800000)
_NOT_AUTHORISED = (4, 5)


class Link:
    """Keeps `session` connected as `config` says and sends what `outbox` has.

    `on_command(payload)` takes a command; `on_online(with_next)` is told of each connection, and
    whether the next password opened it; `on_distrust(why)` once for each reason for which the
    broker's certificate does not hold; `on_wedged(reason)` once the network, not the broker, has
    been away for half an hour.
    """

    def __init__(
        self, *, config, folder, network, clock, session, outbox, counters, log, random
    ) -> None:
        self.config = config
        self.clock = clock
        self.session = session
        self.outbox = outbox
        self.counters = counters
        self.on_command = None
        self.on_online = None
        self.on_wedged = None
        self.on_distrust = None
        self.conn = 0
        self.connections = 0
        self.connected = False
        self.paused = False
        self.over = False
        self.connect_ms = _CONNECT_MS
        self.puback_ms = 10000
        self._folder = folder
        self._network = network
        self._log = log
        self._random = random
        self._backoff = pacing.Backoff(random)
        self._pace = pacing.Pace(1, 0)
        self._wake = asyncio.Event()
        self._client = None
        self._greeting = None  # packet id of the state that was not acknowledged yet
        self._waiting = []  # (kind, payload): acks, births, diags
        self._flying = {}  # packet id -> (entry, up_ms)
        self._use_next = False
        self._online_ms = 0
        self._least_ms = 0
        self._hurried = 0  # connections in a row that ended soon after the greeting
        self._network_since = None
        self._distrust = ""

    def password_promoted(self) -> None:
        """The next password is the password from now on."""
        self._use_next = False

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def say(self, kind: str, payload: bytes) -> None:
        """Send a message that is not kept: an ack, a birth, a diag. The oldest of 16 gives way."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.pop(0)
            self.counters.add("unsaid")
        self._waiting.append((kind, payload))
        self._wake.set()

    async def run(self, checkin) -> None:
        """Connect, and again after each end, until `over`."""
        while not self.over:
            checkin.ok()
            if self.paused:
                await asyncio.sleep(0.2)
                continue
            wait_ms = self._least_ms = 0
            try:
                await self._live(checkin)
            except mqtt.Refused as refused:
                wait_ms = self._refused(refused)
            except mqtt.TlsFault as fault:
                wait_ms = self._distrusted(fault)
            except OSError as lost:
                self._note(lost)
            await self._rest(self._backoff.next_ms(max(wait_ms, self._least_ms)), checkin)

    async def close(self) -> None:
        """Say stopped and leave; what is not acknowledged stays in the outbox."""
        self.paused = True
        client = self._client
        if client is None:
            return
        if not self.connected:
            client.close()  # one that is being opened ends once it is open: see _live
            return
        try:
            await client.publish(
                self.session.topics["state"], self.session.state("stopped", self.conn)
            )
            for _ in range(20):
                if client.in_flight == 0:
                    break
                await asyncio.sleep(0.05)
            await client.disconnect()
        except OSError:
            client.close()

    # -- one connection

    async def _live(self, checkin) -> None:
        await self._join_network()
        checkin.ok()
        settings = self.config["mqtt"]
        self.conn += 1
        client = self._client = self._new_client(settings)
        sender = None
        try:
            await client.connect(
                settings["host"],
                settings["port"],
                tls=self._tls(settings),
                server_name=settings["server_name"] or settings["host"],
                timeout_ms=self.connect_ms,
            )
            if self.paused:
                raise mqtt.ConnectionLost("paused")
            sender = asyncio.create_task(self._converse(client, checkin))
            await client.run()
        finally:
            self._ended(client)
            if sender is not None:
                sender.cancel()

    async def _join_network(self) -> None:
        network, wifi = self._network, self.config["wifi"]
        if network.is_up():
            self._network_since = None
            return
        up_ms = self.clock.up_ms()
        if self._network_since is None:
            self._network_since = up_ms
        away_ms = up_ms - self._network_since
        if away_ms >= _RESTART_MS and self.on_wedged is not None:
            self.on_wedged("network_wedged")
        elif away_ms >= _RESET_NETWORK_MS:
            self.counters.add("network_resets")
            await network.reset()
        self.counters.add("network_joins")
        await network.up(wifi["ssid"], wifi["password"], _NETWORK_MS)
        self._network_since = None

    def _new_client(self, settings):
        use_next = self._use_next and settings["password_next"]
        client = mqtt.Client(
            client_id=self.session.device,
            user=settings["user"] or None,
            password=(settings["password_next"] if use_next else settings["password"]) or None,
            keepalive_s=settings["keepalive_s"],
            clean=settings["clean"],
            will=(self.session.topics["state"], self.session.state("offline", self.conn)),
            puback_timeout_ms=self.puback_ms,
            up_ms=self.clock.up_ms,
            resolve=self._network.lookup,
        )
        client.on_acknowledged = self._acknowledged
        client.on_message = self._received
        return client

    def _tls(self, settings):
        if not settings["tls"]:
            return None
        from . import tls

        self.clock.certificate_time()
        return tls.from_file(self._folder + "/" + settings["ca"] if settings["ca"] else None)

    async def _converse(self, client, checkin) -> None:
        """Greet, then send until the connection ends; a fault here ends the connection."""
        try:
            await self._greet(client)
            # Looked at each turn: CPython 3.11's wait_for may swallow a cancellation (bpo-42130).
            while client is self._client:
                checkin.ok()
                if self.connected:
                    await self._send(client)
                await self._wait()
        except Exception as fault:  # noqa: BLE001 - whatever it was, the connection begins anew
            self._note(fault)
        finally:
            client.close()

    async def _greet(self, client) -> None:
        topics = self.session.topics
        await client.subscribe(topics["cmd"])
        await client.publish(topics["birth"], self.session.birth(self.conn))
        online = self.session.state("online", self.conn)
        self._greeting = await client.publish(topics["state"], online)

    def _greeted(self) -> None:
        """The broker took birth and state: an account that may not send is not online."""
        self._greeting = None
        self.connected = True
        self.connections += 1
        self._backoff.reset()
        self._online_ms = self.clock.up_ms()
        self.outbox.connected(True)
        self._begin_backlog()
        if self.on_online is not None:
            self.on_online(bool(self._use_next))

    def _begin_backlog(self) -> None:
        # A fleet that comes back together spreads; a small backlog does not wait for that.
        up_ms = self.clock.up_ms()
        self._pace = pacing.Pace(self.config["store"]["replay_per_s"], up_ms)
        most_ms = min(_MOST_DELAY_MS, 100 * self.outbox.backlog)
        self._pace.start_at(up_ms + int(self._random() * most_ms))

    async def _send(self, client) -> None:
        while client.in_flight < WINDOW:
            if self._waiting:
                kind, payload = self._waiting.pop(0)
                await client.publish(self.session.topics[kind], payload)
                continue
            entry = self.outbox.next_live()
            if entry is None:
                entry = self._from_backlog(client)
            if entry is None:
                return
            await self._publish(client, entry)

    def _from_backlog(self, client):
        if client.in_flight >= _BACKLOG_WINDOW or not self.outbox.backlog:
            return None
        if not self._pace.take(self.clock.up_ms()):
            return None
        return self.outbox.next_backlog()

    async def _publish(self, client, entry) -> None:
        try:
            origin = self.outbox.origin(entry)  # another name, if it was made under one
            if origin and entry.tries >= _MOST_TRIES:
                self.outbox.disown(entry)  # this account may not write the name of before
                return
            kind = "hist" if entry.kind == "data" and not entry.live else entry.kind
            topic = (
                contract.topic(origin[0], origin[1], kind) if origin else self.session.topics[kind]
            )
            dup = entry.tries > 0
            entry.tries += 1
            flight = entry, self.clock.up_ms()
            packet_id = await client.publish(topic, entry.payload, dup=dup)
            self._flying[packet_id] = flight
        except BaseException:
            self.outbox.give_back([entry])
            raise

    def _acknowledged(self, packet_id: int) -> None:
        flight = self._flying.pop(packet_id, None)
        if packet_id == self._greeting:
            self._greeted()
            self._wake.set()
        if flight is None:
            return  # of a birth, a state, an ack or a diag
        entry, sent_ms = flight
        self.outbox.acknowledge(entry)
        self._pace.acknowledged(self.clock.up_ms() - sent_ms)
        self._wake.set()

    async def _wait(self) -> None:
        """Until there is something to send, or a turn is over."""
        turn_ms = _TURN_MS
        if self.outbox.backlog:
            turn_ms = max(20, min(turn_ms, self._pace.wait_ms(self.clock.up_ms())))
        try:
            await asyncio.wait_for(self._wake.wait(), turn_ms / 1000)
        except asyncio.TimeoutError:
            return
        self._wake.clear()

    def _received(self, topic: str, payload: bytes, retained: bool) -> None:
        # A retained command is an old one; nothing in the contract relies on retain.
        if retained or topic != self.session.topics["cmd"]:
            self.counters.add("refused_commands")
        elif self.on_command is not None:
            self.on_command(payload)

    def _ended(self, client) -> None:
        client.close()
        for name in ("strays", "resends", "oversize", "callback_faults"):
            if getattr(client, name):
                self.counters.add("mqtt_" + name, getattr(client, name))
        self._client = self._greeting = None
        if self.connected and self.clock.up_ms() - self._online_ms < _STEADY_MS:
            self._least_ms = min(_HURRIED_MS << self._hurried, _SLOWLY_MS)
            self._hurried = min(self._hurried + 1, 6)
        elif self.connected:
            self._hurried = 0
        self.connected = False
        flying = [entry for entry, _ in self._flying.values()]
        self._flying = {}
        self._waiting = []
        flying.sort(key=lambda entry: (entry.boot, entry.seq))
        self.outbox.give_back(flying)
        self.outbox.connected(False)

    # -- between connections

    def _refused(self, refused) -> int:
        """Try the other password where there is one; returns how much longer to wait."""
        self.counters.add("refused_%d" % refused.code)
        self._note(refused)
        if refused.code not in _NOT_AUTHORISED:
            return 0
        tried_next = self._use_next
        self._use_next = not tried_next and bool(self.config["mqtt"]["password_next"])
        return 0 if self._use_next else _SLOWLY_MS

    def _distrusted(self, fault) -> int:
        """Never without TLS; told once for each reason; returns how much longer to wait."""
        self._note(fault)
        if str(fault) != self._distrust and self.on_distrust is not None:
            self._distrust = str(fault)
            self.on_distrust(self._distrust)
        return _SLOWLY_MS

    def _note(self, lost) -> None:
        self.counters.add("disconnects")
        self._log.note("link: {}".format(str(lost) or type(lost).__name__))

    async def _rest(self, wait_ms: int, checkin) -> None:
        left_ms = max(wait_ms, _LEAST_MS)  # the others get a turn, whatever was drawn
        until = self.clock.up_ms() + left_ms
        while left_ms > 0 and not self.paused:
            checkin.ok()
            await asyncio.sleep(min(left_ms, _TURN_MS) / 1000)
            left_ms = until - self.clock.up_ms()

"""The faults, one function each: it does what it says to a scene in full flow, and ends the fault."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.scene import Scene

RECOVER_S = 30.0
HALF_OPEN_S = 90.0


@dataclass(frozen=True, slots=True)
class Case:
    """A fault by name: what happens, how soon all must be well, and how the scene is set."""

    name: str
    fault: Callable[[Scene], None]
    recover_s: float = RECOVER_S
    replicas: int = 1
    settings: str = ""
    is_short: bool = False
    alarms_exact: bool = True

    @property
    def text(self) -> str:
        """What the fault is, in a sentence."""
        return (self.fault.__doc__ or "").strip()


CASES: list[Case] = []


def case(**how: object) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register the function as a case under its name."""

    def register(fault: Callable[[Scene], None]) -> Callable[[Scene], None]:
        CASES.append(Case(fault.__name__, fault, **how))  # type: ignore[arg-type]
        return fault

    return register


# -- the processor


@case(is_short=True)
def processor_killed(scene: Scene) -> None:
    """SIGKILL of the only processor in full flow; another one starts."""
    (replica,) = scene.running
    replica.kill()
    scene.flow(200)
    scene.start_processor()


@case(is_short=True)
def processor_killed_between_stored_and_acknowledged(scene: Scene) -> None:
    """SIGKILL once InfluxDB has answered 204 and before the processor has seen it."""
    (replica,) = scene.running
    scene.http.on_answer = lambda piece: replica.kill() if b" 204 " in piece[:20] else None
    scene.until(lambda: not replica.running, "the processor killed at a 204")
    scene.http.on_answer = lambda _piece: None
    scene.flow(100)
    scene.start_processor()


@case()
def processor_crash_loop(scene: Scene) -> None:
    """SIGKILL again and again with messages in flight: none is taken for poison and dead-lettered."""
    for _ in range(6):
        for replica in scene.running:
            replica.kill()
        scene.flow(100)
        replica = scene.start_processor()
        scene.until(lambda replica=replica: _evaluated(replica) > 0, "messages in its hands")
    if scene.rig.queue_length("steam.dead"):
        scene.faults.append("messages were dead-lettered")


@case()
def replicas_1_4_2(scene: Scene) -> None:
    """One processor, four, then two by SIGTERM, under load."""
    for _ in range(3):
        scene.start_processor()
    scene.flow(400)
    for replica in scene.running[:2]:
        if replica.stop():
            scene.faults.append("a processor did not end with 0")
    scene.flow(400)


@case(replicas=3)
def evaluator_killed(scene: Scene) -> None:
    """SIGKILL of whichever processor evaluates, twice, with others waiting."""
    for _ in range(2):
        owner = max(scene.running, key=_evaluated)
        owner.kill()
        before = {replica.port: _evaluated(replica) for replica in scene.running}
        scene.until(
            lambda before=before: any(_evaluated(r) > before[r.port] for r in scene.running),
            "another evaluator",
            5,
        )
        scene.flow(300)


# -- the store


@case(is_short=True)
def store_killed(scene: Scene) -> None:
    """SIGKILL of InfluxDB; it comes back after some hundred messages."""
    scene.servers.influxdb.kill()
    scene.until(lambda: not scene.running[0].ready, "the processor to notice")
    scene.flow(400)
    scene.servers.influxdb.start()


@case()
def store_answers_503(scene: Scene) -> None:
    """InfluxDB answers 503 with Retry-After to everything."""
    scene.http.answer = _http("503 Service Unavailable", "Retry-After: 1\r\n", "busy")
    scene.until(lambda: not scene.running[0].ready, "the processor to notice")
    scene.flow(400)
    scene.http.answer = None


@case()
def store_refuses_the_account(scene: Scene) -> None:
    """InfluxDB answers 401: everything is held, and a system alarm goes out."""
    scene.http.answer = _http("401 Unauthorized", "", '{"error":"authorization failed"}')
    scene.until(lambda: not scene.running[0].ready, "the processor to notice")
    scene.flow(400)
    scene.http.answer = None
    scene.until(lambda: "store_refuses" in scene.system_alarms(), "the alarm store_refuses")


@case()
def store_without_its_bucket(scene: Scene) -> None:
    """A bucket is dropped and writes are answered 404: held, alarmed, well again after `steam store init`."""
    influx = scene.servers.influxdb.address
    drop = 'DROP RETENTION POLICY "rollup" ON "steam"'
    influx.request("POST", "/query", query={"q": drop})
    scene.http.answer = _http("404 Not Found", "", '{"error":"retention policy not found: raw"}')
    scene.until(lambda: not scene.running[0].ready, "the processor to notice")
    scene.flow(300)
    scene.http.answer = None
    scene.rig.run("store", "init")
    scene.until(lambda: "store_refuses" in scene.system_alarms(), "the alarm store_refuses")


@case()
def store_takes_only_small_requests(scene: Scene) -> None:
    """InfluxDB answers 413 to more than 2,000 bytes, with a backlog: flushes are halved until they fit."""
    scene.http.half_open = True
    scene.flow(400)
    scene.http.most_body = 2_000
    scene.http.half_open = False
    scene.flow(200)
    if not scene.http.too_large:
        scene.faults.append("nothing was answered with 413")
    scene.http.most_body = None


@case(settings="amqp: {hand_back_after_s: 5}")
def store_away_until_deliveries_are_handed_back(scene: Scene) -> None:
    """InfluxDB is away for longer than deliveries are held: they go back to the broker once."""
    scene.servers.influxdb.kill()
    scene.until(
        lambda: _metric(scene, "steam_messages_returned_total", "record") > 0, "handed back"
    )
    scene.flow(400)
    scene.servers.influxdb.start()


@case(settings="amqp: {hand_back_after_s: 20}")
def store_away_beyond_the_acknowledgement_timeout(scene: Scene) -> None:
    """RabbitMQ closes channels that acknowledge nothing for a minute; the store is away for two and a half."""
    scene.servers.rabbitmq.ctl("eval", "application:set_env(rabbit, consumer_timeout, 60000).")
    try:
        scene.amqp.reset()  # The time-out is that of the channel's beginning.
        scene.flow(200)
        scene.servers.influxdb.kill()
        scene.flow(12_000, 200)
        scene.servers.influxdb.start()
    finally:
        scene.servers.rabbitmq.ctl(
            "eval", "application:set_env(rabbit, consumer_timeout, 1800000)."
        )
    if "PRECONDITION_FAILED" in scene.logs():
        scene.faults.append("the broker closed a channel in anger")


@case(recover_s=HALF_OPEN_S)
def store_link_half_open(scene: Scene) -> None:
    """The connections to InfluxDB stand and nothing moves on them, until the processor has noticed."""
    scene.http.half_open = True
    scene.until(lambda: not scene.running[0].ready, "the processor to notice", HALF_OPEN_S)
    scene.http.half_open = False


# -- the broker


@case(is_short=True)
def broker_killed(scene: Scene) -> None:
    """SIGKILL of RabbitMQ in the middle of publishing and acknowledging."""
    scene.servers.rabbitmq.kill()
    scene.until(lambda: not scene.running[0].ready, "the processor to notice")
    scene.servers.rabbitmq.start()


@case()
def broker_restarted(scene: Scene) -> None:
    """RabbitMQ is stopped in order and started again."""
    scene.servers.rabbitmq.stop()
    scene.until(lambda: not scene.running[0].ready, "the processor to notice")
    scene.servers.rabbitmq.start()


@case()
def amqp_connections_reset(scene: Scene) -> None:
    """Every AMQP connection is reset, five times."""
    for _ in range(5):
        scene.amqp.reset()
        scene.flow(60)


@case()
def amqp_connections_cut_while_slow(scene: Scene) -> None:
    """Each piece takes 50 ms more, then every connection ends."""
    scene.amqp.delay_s = 0.05
    scene.flow(200)
    scene.amqp.cut()
    scene.amqp.delay_s = 0.0


@case(recover_s=HALF_OPEN_S)
def amqp_half_open(scene: Scene) -> None:
    """The AMQP connections stand and nothing moves on them, until the processor has noticed."""
    scene.amqp.half_open = True
    scene.until(lambda: not scene.running[0].ready, "the processor to notice", HALF_OPEN_S)
    scene.amqp.half_open = False


@case()
def mqtt_half_open(scene: Scene) -> None:
    """The devices' connections stand and nothing moves on them, until they have noticed."""
    connected = scene.mqtt.accepted
    scene.mqtt.half_open = True
    scene.until(lambda: scene.mqtt.accepted >= connected + 4, "the devices to notice")
    scene.mqtt.half_open = False


@case()
def broker_memory_alarm(scene: Scene) -> None:
    """RabbitMQ's memory alarm blocks whoever publishes; then it ends."""
    scene.servers.rabbitmq.ctl("set_vm_memory_high_watermark", "0.00001")
    seen = scene.ledger.acknowledged
    try:
        scene.until(lambda: _is_still(scene), "publishers blocked")
    finally:
        scene.servers.rabbitmq.ctl("set_vm_memory_high_watermark", "0.4")
    scene.until(lambda: scene.ledger.acknowledged > seen + 100, "publishers let go")


@case()
def broker_disk_alarm(scene: Scene) -> None:
    """RabbitMQ's disk alarm blocks whoever publishes; then it ends."""
    scene.servers.rabbitmq.ctl("set_disk_free_limit", "900000GB")
    seen = scene.ledger.acknowledged
    try:
        scene.until(lambda: _is_still(scene), "publishers blocked")
    finally:
        scene.servers.rabbitmq.ctl("set_disk_free_limit", "50MB")
    scene.until(lambda: scene.ledger.acknowledged > seen + 100, "publishers let go")


@case(alarms_exact=False)
def binding_removed(scene: Scene) -> None:
    """A device's bindings are removed: what it sends is kept as unrouted, and they are made again."""
    with scene.broker.connect() as connection:
        channel = connection.channel()
        for queue in ("steam.record", "steam.evaluate"):
            channel.queue_unbind(queue, "amq.topic", "steam.v1.mill.dev1.*")
    scene.flow(100)
    scene.until(lambda: "topology_repaired" in scene.system_alarms(), "the alarm topology_repaired")


@case(alarms_exact=False)
def queue_deleted(scene: Scene) -> None:
    """The evaluator's queue is deleted with what it holds: it is declared again, alarms go on."""
    with scene.broker.connect() as connection:
        connection.channel().queue_delete("steam.evaluate")
    scene.until(lambda: "topology_repaired" in scene.system_alarms(), "the alarm topology_repaired")
    before = len(scene.events())
    scene.until(lambda: len(scene.events()) > before + 8, "alarms again")


@case()
def policies_removed(scene: Scene) -> None:
    """The policies are deleted: they are set again within a minute."""
    for policy in ("steam.alternate-exchange", "steam.record"):
        scene.broker.api("DELETE", f"/policies/{scene.broker.vhost}/{policy}")
    scene.until(lambda: "topology_repaired" in scene.system_alarms(), "the alarm topology_repaired")
    names = {each["name"] for each in scene.broker.api("GET", f"/policies/{scene.broker.vhost}")}
    if not {"steam.alternate-exchange", "steam.record"} <= names:
        scene.faults.append("the policies are not back")


@case()
def dead_letter_queue_deleted(scene: Scene) -> None:
    """Where dead letters go is deleted: it is declared again."""
    with scene.broker.connect() as connection:
        channel = connection.channel()
        channel.queue_delete("steam.dead")
        channel.exchange_delete("steam.dead")
    scene.until(lambda: "topology_repaired" in scene.system_alarms(), "the alarm topology_repaired")
    scene.broker.api("GET", f"/queues/{scene.broker.vhost}/steam.dead")


def _connections(scene: Scene) -> list[str]:
    """The processor's connections, as the management API names them."""
    return [
        connection["name"]
        for connection in scene.broker.api("GET", "/connections")
        if str(connection.get("user_provided_name", "")).startswith("steam ")
    ]


@case()
def connections_closed_by_an_operator(scene: Scene) -> None:
    """Every connection of the processor is closed at the broker, three times."""
    for _ in range(3):
        # The broker lists a connection with a delay of some seconds.
        for name in scene.until(lambda: _connections(scene), "connections of the processor"):
            scene.broker.api("DELETE", f"/connections/{_quoted(name)}")
        scene.flow(150)


# -- bad messages


@case(is_short=True)
def poison_among_good(scene: Scene) -> None:
    """Messages that nobody can read, among good ones: each is quarantined, and costs no other."""
    for body in _POISON:
        scene.publish("steam/v1/mill/dev1/data", body)
        scene.flow(20)


@case()
def device_invents_metrics(scene: Scene) -> None:
    """A device names new metrics in every message: the store's series and fields stay as they are."""
    before = scene.cardinality()
    body = b'{"v":1,"b":9,"n":%d,"up":1,"t":%d,"ts":2,"k":["m%d"],"r":[[0,1.5]]}'
    now_ms = scene.now_ms()
    bodies = [body % (number + 1, now_ms, number) for number in range(2_000)]
    scene.publish("steam/v1/mill/dev2/data", *bodies)
    scene.flow(100)
    if scene.cardinality() != before:
        scene.faults.append(f"series and fields went from {before} to {scene.cardinality()}")


@case()
def device_floods(scene: Scene) -> None:
    """A device sends more bad messages than its share: the rest is counted, and alarmed."""
    bodies = [b"flood %d" % number for number in range(10_500)]
    scene.publish("steam/v1/mill/dev3/data", *bodies, kept=10_000)
    scene.until(lambda: "device_flooding_dev3" in scene.system_alarms(), "the alarm", 30)


@case()
def clocks_wrong(scene: Scene) -> None:
    """Devices whose clocks are an hour ahead or in 1970, or that have none: quarantined, whole."""
    now = scene.now_ms()
    for at in (now + 3_600_000, 0, -1, 946_684_800_000_000):
        body = b'{"v":1,"b":7,"n":1,"up":1,"t":%d,"ts":2,"k":["steam_pressure"],"r":[[0,1.5]]}'
        scene.publish("steam/v1/mill/dev4/data", body % at)
    body = b'{"v":1,"b":7,"n":2,"up":1,"ts":0,"k":["steam_pressure"],"r":[[0,1.5]]}'
    scene.publish("steam/v1/mill/dev4/data", body)
    scene.flow(50)


@case()
def device_unknown(scene: Scene) -> None:
    """A device that is not registered: kept with its reason, alarmed, and its neighbours unharmed."""
    for number in range(50):
        scene.publish("steam/v1/mill/stranger/data", b'{"v":1,"n":%d}' % number)
    scene.until(lambda: "unknown_device" in scene.system_alarms(), "the alarm unknown_device")


_POISON = (
    b"",
    b"\x00\xff\xfe",
    b"{" * 5_000,
    b"[" * 60_000,
    b'{"v":1,"b":1,"n":1,"up":1,"t":1,"ts":2,"k":["steam_pressure"],"r":[[0,NaN]]}',
    b'{"v":1,"b":1,"n":1,"up":1,"t":1,"ts":2,"k":["steam_pressure"],"r":[[0,"8.0"]]}',
    b'{"v":1,"b":1,"n":1,"up":1,"t":1,"ts":2,"k":["a\\u0000b"],"r":[[0,1]]}',
    b'{"v":1,"b":1,"n":99999999999999999999,"up":1,"t":1,"ts":2,"k":[],"r":[]}',
    b'{"v":1,"b":1,"n":1,"up":1,"t":1e999,"ts":2,"k":["steam_pressure"],"r":[[0,1]]}',
    b'{"v":2,"b":1}',
    b"null",
    b'"text"',
    b'{"v":1,"b":1,"n":1,"up":1,"t":1,"ts":2,"k":["steam_pressure"],"r":[[0,1e400]]}',
    b"x" * 65_000,
)


def _http(status: str, headers: str, body: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _metric(scene: Scene, name: str, role: str) -> float:
    text = "".join(replica.get("/metrics")[1] for replica in scene.running)
    lines = [line for line in text.splitlines() if line.startswith(f'{name}{{role="{role}"')]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _evaluated(replica) -> float:
    lines = [
        line
        for line in replica.get("/metrics")[1].splitlines()
        if line.startswith("steam_messages_received_total") and 'role="evaluate"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _is_still(scene: Scene) -> bool:
    """Whether no message was acknowledged for two seconds."""
    before = scene.ledger.acknowledged
    return not scene.acknowledged_within(before, 2.0)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")

"""Two hundred devices lose one broker and come back at once."""

import asyncio
import gc
import json
import threading
import time
from collections import Counter

import pytest

from device.steamlink import app as firmware
from device.steamlink.hal import unix

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.xdist_group("device")]

DEVICES = 200
PERIOD_MS = 2000
QUEUE = "swarm"
LONGEST_S = 120  # 200 devices write to one disk, and each waits until it is there


class Devices:
    """Firmware of many devices in one event loop, in a thread of its own."""

    def __init__(self, folder, broker):
        self.apps = []
        self.online_at = []
        self._tasks = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="devices")
        for number in range(DEVICES):
            board = unix.Board(str(folder / f"d{number}"))
            (folder / f"d{number}" / "config.json").write_text(
                json.dumps(
                    {
                        "v": 1,
                        "site": "mill",
                        "device": f"d{number}",
                        "mqtt": {
                            "host": broker.mqtt_host,
                            "port": broker.mqtt_port,
                            "user": broker.mqtt_username,
                            "password": broker.password,
                            "keepalive_s": 30,
                        },
                        "ntp": [],
                        "sampling": {"period_ms": PERIOD_MS, "publish_ms": 500},
                        "sensors": [{"kind": "simulated", "metrics": ["steam_pressure"]}],
                    }
                )
            )
            self.apps.append(firmware.App(board))

    def start(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(LONGEST_S)

    async def _start(self):
        for app in self.apps:
            app.open()
            app.link.connect_ms = 5000
            online = app.link.on_online
            app.link.on_online = lambda with_next, online=online: (
                self.online_at.append(time.monotonic()),
                online(with_next),
            )
            self._tasks.append(asyncio.create_task(app.run()))

    @property
    def connected(self):
        return sum(app.link.connected for app in self.apps)

    def sent(self):
        """The seq below which the broker has acknowledged all, by device."""

        async def look():
            return {app.session.device: app.session.oldest()[1] for app in self.apps}

        return asyncio.run_coroutine_threadsafe(look(), self._loop).result(LONGEST_S)

    def close(self):
        async def end():
            await asyncio.gather(*(app.leave() for app in self.apps))
            everything = asyncio.all_tasks() - {asyncio.current_task()}
            for task in everything:
                task.cancel()
            await asyncio.gather(*everything, return_exceptions=True)

        try:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(LONGEST_S)
        except TimeoutError:
            pytest.fail(f"still there: {asyncio.all_tasks(self._loop)}")
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(LONGEST_S)
        self._loop.close()


class Arrivals:
    """A durable queue of all that devices number; it is there before the first of them is."""

    def __init__(self, broker):
        self._broker = broker
        with broker.connect() as connection:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True)
            for kind in ("data", "hist", "event"):
                channel.queue_bind(QUEUE, "amq.topic", f"steam.v1.mill.*.{kind}")

    def take(self):
        """The (device, boot, seq) of all that is in it by now."""
        found = set()
        with self._broker.connect() as connection:
            channel = connection.channel()
            waiting = channel.queue_declare(QUEUE, passive=True).method.message_count
            for method, _, payload in channel.consume(QUEUE, auto_ack=True):
                message = json.loads(payload)
                found.add((method.routing_key.split(".")[3], message["b"], message["n"]))
                waiting -= 1
                if not waiting:
                    break
        return found


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture
def arrivals(rabbitmq_server):
    return Arrivals(rabbitmq_server.address)


@pytest.fixture
def devices(tmp_path, rabbitmq_server, arrivals):
    gc.collect()
    gc.freeze()  # each device collects for itself: not all that the test process has loaded
    swarm = Devices(tmp_path / "devices", rabbitmq_server.address)
    swarm.start()
    yield swarm
    swarm.close()
    gc.unfreeze()


@pytest.mark.timeout(600)
def test_swarm_broker_killed_comes_back_spread_and_loses_nothing(
    devices, arrivals, rabbitmq_server
):
    """All 200 are back within 90 s, not in one wave; what they say is sent has arrived."""
    until(lambda: devices.connected == DEVICES, 60, "all connected")
    rabbitmq_server.kill()
    until(lambda: devices.connected == 0, 30, "the broker's end noticed")
    devices.online_at.clear()
    rabbitmq_server.start()
    up_at = time.monotonic()

    until(lambda: devices.connected == DEVICES, 90, "all back")
    made = {app.session.device: app.session.seq for app in devices.apps}
    until(lambda: all(sent > made[name] for name, sent in devices.sent().items()), 60, "all sent")

    sent = devices.sent()
    expected = {(name, 1, seq) for name, oldest in sent.items() for seq in range(1, oldest)}
    waves = Counter(int(at - up_at) for at in devices.online_at[:DEVICES])
    assert sorted(expected - arrivals.take()) == []
    assert sum(app.outbox.drops for app in devices.apps) == 0
    assert min(sent.values()) > 3
    assert max(waves.values()) < DEVICES // 2, waves

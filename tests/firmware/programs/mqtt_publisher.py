"""Publishes COUNT numbered messages and takes commands, through every end of the connection.

`mqtt_publisher.py HOST PORT USER PASSWORD COUNT TOPIC`: publishes the numbers from 0 on to TOPIC
with QoS 1, again until each is acknowledged, and ends once a command on TOPIC/cmd said `stop`.
"""

import asyncio
import gc
import sys
import time

from device.steamlink import mqtt

WINDOW = 8


def up_ms():
    return time.ticks_ms() if hasattr(time, "ticks_ms") else int(time.monotonic() * 1000)


class Publisher:
    """Numbers not acknowledged wait in `left`; those in flight in `flying`, by packet id."""

    def __init__(self, topic, count):
        self.topic = topic
        self.left = list(range(count))
        self.flying = {}
        self.stopped = False
        self.connections = 0
        self.moved = asyncio.Event()

    def acknowledged(self, packet_id):
        del self.flying[packet_id]
        self.moved.set()

    def command(self, topic, payload, retained):
        print("command", payload.decode())
        self.stopped = payload == b"stop"
        self.moved.set()

    async def send(self, client):
        await client.subscribe(self.topic + "/cmd")
        print("subscribed")
        while self.left or self.flying or not self.stopped:
            while self.left and client.in_flight < WINDOW:
                number = self.left.pop(0)
                packet_id = await client.publish(self.topic, b"%d" % number)
                self.flying[packet_id] = number
            self.moved.clear()
            await self.moved.wait()
        await client.disconnect()

    async def one_connection(self, client, host, port):
        await client.connect(host, port, timeout_ms=3000)
        self.connections += 1
        sending = asyncio.create_task(self.send(client))
        try:
            await client.run()
        finally:
            sending.cancel()

    async def run(self, client, host, port):
        client.on_acknowledged = self.acknowledged
        client.on_message = self.command
        while self.left or self.flying or not self.stopped:
            try:
                await self.one_connection(client, host, port)
            except mqtt.ConnectionLost as error:
                print("lost", error)
            self.left = sorted(self.flying.values()) + self.left
            self.flying = {}
            await asyncio.sleep(0.2)


async def main(host, port, user, password, count, topic):
    publisher = Publisher(topic, int(count))
    client = mqtt.Client(
        client_id="fw-publisher",
        user=user,
        password=password,
        keepalive_s=4,
        clean=False,
        will=(topic + "/will", b"gone"),
        puback_timeout_ms=5000,
        up_ms=up_ms,
    )
    await publisher.run(client, host, int(port))
    gc.collect()
    heap = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
    print("connections", publisher.connections, "heap", heap, "faults", client.callback_faults)


asyncio.run(main(*sys.argv[1:]))

"""Names on a Linux machine: which of several addresses is taken."""

import asyncio
import socket
import threading

import pytest

from device.steamlink.hal.linux_lookups import lookup

IPV6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0))
IPV4 = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{host}", 0)) for host in range(1, 4)]


def test_lookup_of_a_silent_name_server_holds_one_thread(monkeypatch):
    """However many ask and give up; the answer, once it comes, is everybody's."""
    asked, answered = [], threading.Event()

    def silent(name, *_, **__):
        asked.append(name)
        answered.wait(10)
        return IPV4[:1]

    monkeypatch.setattr(socket, "getaddrinfo", silent)

    async def attempts() -> str:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lookup("broker.plant.example"), 0.01)
        waiting = asyncio.create_task(lookup("broker.plant.example"))
        await asyncio.sleep(0)
        answered.set()
        return await waiting

    assert asyncio.run(attempts()) == "192.0.2.1"
    assert asked == ["broker.plant.example"]


@pytest.mark.parametrize(
    ("answer", "addresses"),
    [
        ([IPV6, *IPV4], {"192.0.2.1", "192.0.2.2", "192.0.2.3"}),
        ([IPV6], {"2001:db8::1"}),
    ],
    ids=["both", "ipv6"],
)
def test_lookup_of_several_addresses_gives_each_of_ipv4_in_time(monkeypatch, answer, addresses):
    """One where nobody is costs an attempt, not the connection; IPv6 where there is nothing else."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)

    async def attempts() -> set[str]:
        return {await lookup("broker.plant.example") for _ in range(100)}

    assert asyncio.run(attempts()) == addresses

"""Names looked up by the system, without holding up the loop or the program's end."""

import asyncio
import random
import socket

try:
    from threading import Thread
except ImportError:  # MicroPython on Linux: its getaddrinfo is asked where the address is used
    Thread = None


async def lookup(name: str) -> str:
    """An address of a name, another one each time; OSError where nobody knows it.

    IPv4 if there is one: boards know nothing else, so a plant's broker listens there.

    In a daemon thread: asyncio's own threads are waited for at the program's end, as long as a
    name server is silent, and systemd would not wait so long.
    """
    if Thread is None:
        return name
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def tell(result, fault) -> None:
        if answer.done():
            return
        if fault is None:
            answer.set_result(result)
        else:
            answer.set_exception(fault)

    def ask() -> None:
        result = fault = None
        try:
            result = _one_of(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            fault = OSError("{}: {}".format(name, error))
        try:
            loop.call_soon_threadsafe(tell, result, fault)
        except RuntimeError:
            return  # the loop has ended meanwhile

    Thread(target=ask, daemon=True).start()
    return await answer


def _one_of(found: list) -> str:
    """By chance, so that the next attempt gets past an address where nobody is."""
    preferred = [place for family, _, _, _, place in found if family == socket.AF_INET]
    return random.choice(preferred or [place for *_, place in found])[0]

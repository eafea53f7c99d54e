"""Names looked up by the system, without holding up the loop or the program's end."""

import asyncio
import random
import socket

try:
    from threading import Thread
except ImportError:  # MicroPython on Linux: its getaddrinfo is asked where the address is used
    Thread = None

_asked = {}  # (loop, name) -> the answer that is waited for


async def lookup(name: str) -> str:
    """An address of a name, one of several by chance; OSError where nobody knows it.

    IPv4 if there is one: boards know nothing else, so a plant's broker listens there. Whoever asks
    for a name that is asked for already gets the same answer: a silent name server holds one thread.
    """
    if Thread is None:
        return name
    asked = asyncio.get_running_loop(), name
    if asked not in _asked:
        _asked[asked] = _ask(*asked)
    return await asyncio.shield(_asked[asked])


def _ask(loop, name: str):
    """The future of an address.

    In a daemon thread: asyncio's own threads are waited for at the program's end, as long as a
    name server is silent, and systemd would not wait so long.
    """
    answer = loop.create_future()
    answer.add_done_callback(lambda _: (_asked.pop((loop, name)), answer.exception()))

    def tell(result, fault) -> None:
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
            _asked.pop((loop, name), None)  # the loop has ended meanwhile

    Thread(target=ask, daemon=True).start()
    return answer


def _one_of(found: list) -> str:
    """By chance, so that another attempt gets past an address where nobody is."""
    preferred = [place for family, _, _, _, place in found if family == socket.AF_INET]
    return random.choice(preferred or [place for *_, place in found])[0]

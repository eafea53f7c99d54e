"""Names looked up by the system, without holding up the loop or the program's end."""

import asyncio
import socket

try:
    from threading import Thread
except ImportError:  # MicroPython on Linux: its getaddrinfo is asked where the address is used
    Thread = None


async def lookup(name: str) -> str:
    """The address of a name; OSError where nobody knows it.

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
            result = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0]
        except (OSError, UnicodeError) as error:
            fault = OSError("{}: {}".format(name, error))
        try:
            loop.call_soon_threadsafe(tell, result, fault)
        except RuntimeError:
            return  # the loop has ended meanwhile

    Thread(target=ask, daemon=True).start()
    return await answer

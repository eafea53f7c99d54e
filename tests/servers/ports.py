"""Free TCP ports on loopback for servers that are told their port."""

import random
import socket

# Below the kernel's ephemeral range (32768 and up on Linux): a client's outgoing connection can then
# never take the port between our look and the server's bind, nor while a server is down for a restart.
_LOWEST = 20_000
_HIGHEST = 32_000
_handed_out: set[int] = set()
# The tests seed `random`; two runs at the same time must still draw different ports.
_draw = random.SystemRandom()


def free_port() -> int:
    """Return a loopback TCP port that nothing listens on and that this process has not handed out yet.

    Raises:
        OSError: no free port was found in 200 draws.
    """
    for _ in range(200):
        port = _draw.randint(_LOWEST, _HIGHEST)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    msg = f"no free TCP port on 127.0.0.1 between {_LOWEST} and {_HIGHEST}; is a test leaking servers?"
    raise OSError(msg)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

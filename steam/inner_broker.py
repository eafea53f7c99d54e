"""An MQTT broker inside the process (amqtt): for the demo and for trials."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from bridge.accounts import OWN_NAMES
from bridge.inner_accounts import ACCESS_FILE, PASSWORDS_FILE, inner_plugins, note_read
from steam.inner_gate import DeviceGate

_START_WITHIN_S = 60.0
_LAST_WORDS_S = 0.3
GUARANTEE = (
    "broker inside the process: messages that arrive while Steam restarts wait at the devices; "
    "use mosquitto or RabbitMQ where a crash may lose nothing"
)


class InnerBroker:
    """amqtt on its own event loop in its own thread; a context manager.

    `accounts` is the folder of its password and access files. Without it anybody who
    reaches the address may connect, so it then listens on loopback only. Devices are
    admitted once the clients named in `awaited` have subscribed.
    """

    def __init__(
        self, host: str, port: int, accounts: Path | None = None, awaited: Sequence[str] = ()
    ) -> None:
        if accounts is None and host not in ("127.0.0.1", "::1", "localhost"):
            text = f"a broker without passwords may listen on loopback only, not on {host}"
            raise ValueError(text)
        self.host = host
        self.port = port
        self._accounts = accounts
        self._awaited = list(awaited)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broker: Any = None
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt-broker", daemon=True)

    def open(self) -> None:
        """Start to listen; raises OSError where the address cannot be had."""
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        if self._accounts is not None and (self._accounts / PASSWORDS_FILE).exists():
            note_read(self._accounts / PASSWORDS_FILE)
        self._thread.start()
        if not self._started.wait(_START_WITHIN_S):
            raise OSError(f"the inner MQTT broker did not start on {self.host}:{self.port}")
        if self._error is not None:
            text = f"no MQTT broker on {self.host}:{self.port}: {self._error}; is the port taken?"
            raise OSError(text) from self._error

    def dismiss_devices(self) -> None:
        """Disconnect every device and admit none, then hand over what they had sent."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._dismiss_devices(), loop).result(10)

    def close(self) -> None:
        """Stop listening and end the thread."""
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._broker.shutdown(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(10)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        from amqtt.broker import Broker

        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        try:
            self._broker = Broker(config=self._config(), loop=self._loop)
            self._loop.run_until_complete(self._broker.start())
        except BaseException as error:  # noqa: BLE001 - told to `open`
            self._error = error
            self._started.set()
            return
        self._started.set()
        self._loop.run_forever()
        self._loop.close()

    async def _dismiss_devices(self) -> None:
        for plugin in self._broker.plugins_manager.plugins:
            if isinstance(plugin, DeviceGate):
                plugin.shut()
        for name, (_, handler) in list(self._broker.sessions.items()):
            if not name.startswith(OWN_NAMES):
                await handler.handle_connection_closed()
                await handler.stop()
        await asyncio.sleep(_LAST_WORDS_S)

    def _config(self) -> dict[str, Any]:
        plugins: dict[str, Any] = {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
        }
        if self._accounts is not None:
            plugins = inner_plugins(self._accounts / PASSWORDS_FILE, self._accounts / ACCESS_FILE)
        plugins["steam.inner_gate.DeviceGate"] = {"awaited": self._awaited}
        return {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": plugins,
            "timeout_disconnect_delay": 2,
        }

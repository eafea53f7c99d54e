"""Keeps devices waiting at the broker inside the process while nobody takes their messages in."""

import asyncio
from dataclasses import dataclass, field

from amqtt.broker import BrokerContext
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from bridge.accounts import OWN_NAMES


class DeviceGate(BaseAuthPlugin):  # type: ignore[misc] # amqtt ships no types
    """Answers the CONNECT of a device once the `awaited` clients have subscribed.

    amqtt acknowledges what nobody has subscribed and drops it; a device that waits for its
    CONNACK keeps its readings. Shut again at the end, the gate refuses, and devices try again.
    """

    @dataclass
    class Config:
        """Client identifiers that must have subscribed before devices may connect."""

        awaited: list[str] = field(default_factory=list)

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self._awaited = set(self.config.awaited)
        self._decided = asyncio.Event()
        self._admitting = True
        if not self._awaited:
            self._decided.set()

    async def authenticate(self, *, session: Session) -> bool | None:
        """Let Steam's own clients pass at once, others as soon as the gate is open.

        To pass is not to be admitted: the broker's other plugins decide who a client is, and
        refuse one without an account where accounts are asked for (None: no opinion).
        """
        if (session.client_id or "").startswith(OWN_NAMES):
            return None
        await self._decided.wait()
        return None if self._admitting else False

    async def on_broker_client_subscribed(self, *, client_id: str, topic: str, qos: int) -> None:  # noqa: ARG002 - amqtt passes them by name
        """Open once the last of the awaited has subscribed."""
        self._awaited.discard(client_id)
        if not self._awaited:
            self._decided.set()

    def shut(self) -> None:
        """Refuse every device from now on, those that wait included."""
        self._admitting = False
        self._decided.set()

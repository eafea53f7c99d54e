"""The rules of accounts as plugins of amqtt, which loads them by name."""

from dataclasses import dataclass, field

from amqtt.plugins.base import BaseAuthPlugin
from amqtt.plugins.topic_checking import TopicAccessControlListPlugin
from amqtt.session import Session

from bridge.accounts import EMBEDDED


class AccountTopics(TopicAccessControlListPlugin):  # type: ignore[misc] # amqtt ships no types
    """amqtt's own plugin with a name for each direction: its Config knows only the old `acl`."""

    @dataclass
    class Config:
        """Topic filters by account."""

        publish_acl: dict[str, list[str]] = field(default_factory=dict)
        subscribe_acl: dict[str, list[str]] = field(default_factory=dict)


class AccountIdentity(BaseAuthPlugin):  # type: ignore[misc] # amqtt ships no types
    """Refuses a device under another client id than its own, or with a will for another's topic.

    The broker gives a session to whoever says its client id, and sends a will unasked.
    """

    @dataclass
    class Config:
        """The topics that an account may publish to, and so name in its will."""

        publish_acl: dict[str, list[str]] = field(default_factory=dict)

    async def authenticate(self, *, session: Session) -> bool | None:
        """False where the session does not fit its account; else no opinion."""
        if session.username == EMBEDDED:
            return None
        if session.client_id != session.username:
            return False
        allowed = self.config.publish_acl.get(session.username, [])
        will = session.will_topic if session.will_flag else None
        return None if will is None or will in allowed else False

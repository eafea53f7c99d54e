"""The topic filters of accounts as a plugin of amqtt, which loads it by name."""

from dataclasses import dataclass, field

from amqtt.plugins.topic_checking import TopicAccessControlListPlugin


class AccountTopics(TopicAccessControlListPlugin):  # type: ignore[misc] # amqtt ships no types
    """amqtt's own plugin with a name for each direction: its Config knows only the old `acl`."""

    @dataclass
    class Config:
        """Topic filters by account."""

        publish_acl: dict[str, list[str]] = field(default_factory=dict)
        subscribe_acl: dict[str, list[str]] = field(default_factory=dict)

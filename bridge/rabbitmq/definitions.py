"""Files from which a new RabbitMQ broker starts ready for Steam.

RabbitMQ listens for MQTT before it imports definitions, and imports the users of a file before
its bindings. A device that connected between the two would have its messages acknowledged and
lost. So the topology is one file, users follow in the next, permissions in the last; RabbitMQ
imports the files of a folder in the order of their names (tested on 3.10.8), and nobody can
publish before the last.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from bridge.accounts import Account
from bridge.rabbitmq.accounts import user_body
from bridge.topology import Topology


def definition_files(
    topology: Topology, accounts: Iterable[tuple[Account, str]], vhost: str = "/"
) -> dict[str, bytes]:
    """The files of a definitions folder by name, for a topology and accounts with passwords.

    The files hold the passwords' hashes. RabbitMQ loads them at every start, so give the accounts
    of services only: a device's account in them would come back after it was revoked. With
    definitions RabbitMQ makes no default user, so one account must be an administrator.
    """
    accounts = list(accounts)
    return {
        "10-topology.json": _json(_topology(topology, vhost)),
        "20-users.json": _json(_users(accounts, vhost)),
        "30-permissions.json": _json(
            {"permissions": [_permission(account, vhost) for account, _ in accounts]}
        ),
    }


def _json(definitions: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(definitions), indent=1)


def _topology(topology: Topology, vhost: str) -> dict[str, Any]:
    return {
        "vhosts": [{"name": vhost}],
        "exchanges": [
            {
                "name": exchange.name,
                "vhost": vhost,
                "type": exchange.type,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for exchange in topology.exchanges
        ],
        "queues": [
            {
                "name": queue.name,
                "vhost": vhost,
                "durable": True,
                "auto_delete": False,
                "arguments": queue.arguments,
            }
            for queue in topology.queues
        ],
        "bindings": [
            {
                "source": binding.exchange,
                "vhost": vhost,
                "destination": binding.queue,
                "destination_type": "queue",
                "routing_key": binding.binding_key,
                "arguments": {},
            }
            for binding in topology.bindings
        ],
        "policies": [
            {
                "name": policy.name,
                "vhost": vhost,
                "pattern": policy.pattern,
                "apply-to": policy.apply_to,
                "priority": policy.priority,
                "definition": policy.definition,
            }
            for policy in topology.policies
        ],
    }


def _users(accounts: list[tuple[Account, str]], vhost: str) -> dict[str, Any]:
    return {
        "users": [
            {"name": account.name, **user_body(account, password)} for account, password in accounts
        ],
        "topic_permissions": [
            {
                "user": account.name,
                "vhost": vhost,
                "exchange": topic.exchange,
                "write": topic.write,
                "read": topic.read,
            }
            for account, _ in accounts
            for topic in account.topic_permissions
        ],
    }


def _permission(account: Account, vhost: str) -> dict[str, Any]:
    permission = account.permission
    return {
        "user": account.name,
        "vhost": vhost,
        "configure": permission.configure,
        "write": permission.write,
        "read": permission.read,
    }

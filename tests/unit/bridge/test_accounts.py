import re

import pytest

from bridge.account_files import AccountFiles
from bridge.accounts import (
    AccountFault,
    DeviceAccount,
    MqttAccess,
    Service,
    device_access,
    device_account,
    device_of,
    device_of_topics,
    embedded_access,
    service_account,
)
from bridge.mosquitto.accounts import hashed as mosquitto_hashed
from bridge.rabbitmq.accounts import password_hash
from bridge.topics import Kind, Topic
from bridge.topology import QueueName

FORBIDDEN_NAMES = ["", "A", "d.1", "d*", "d#1", "d+", "d 1", "-d", "d" * 33, ".*", "é", "d\n"]


def writes(account, routing_key):
    return re.search(account.topic_permissions[0].write, routing_key) is not None


def reads(account, routing_key):
    return re.search(account.topic_permissions[0].read, routing_key) is not None


@pytest.mark.parametrize("kind", list(Kind))
def test_device_account_sends_all_but_commands_and_takes_only_commands(kind):
    """A device writes each of its own kinds except cmd, and reads cmd alone."""
    account = device_account("s", "d1")
    key = Topic("s", "d1", kind).routing_key

    assert writes(account, key) == (kind is not Kind.CMD)
    assert reads(account, key) == (kind is Kind.CMD)


@pytest.mark.parametrize(
    "key",
    [
        "steam.v1.s.d2.data",
        "steam.v1.s.d11.data",
        "steam.v1.s2.d1.data",
        "steam.v1.s.d1.data.x",
        "steam.v1.s.d1.datax",
        "xsteam.v1.s.d1.data",
        "steamxv1.s.d1.data",
        "steam.v1.s.*.cmd",
        "steam.v1.#",
        "#",
    ],
)
def test_device_account_touches_no_other_routing_key(key):
    """A device neither writes nor reads anything that is not exactly its own."""
    account = device_account("s", "d1")

    assert not writes(account, key)
    assert not reads(account, key)


@pytest.mark.parametrize("name", FORBIDDEN_NAMES)
def test_device_account_with_name_outside_the_grammar_is_refused(name):
    """No name reaches a regular expression that could mean more than itself."""
    with pytest.raises(AccountFault, match="is no name of a device"):
        device_account("s", name)
    with pytest.raises(AccountFault, match="is no name of a site"):
        device_account(name, "d1")


@pytest.mark.parametrize("service", list(Service))
def test_device_account_named_like_a_service_is_refused(service):
    """A device cannot be given the account of a program."""
    with pytest.raises(AccountFault, match="Steam's own"):
        device_account("s", service.value)


def test_device_of_own_permission_is_that_device():
    """The device is read back from what was written for it, at both kinds of broker."""
    write = device_account("s", "d1").topic_permissions[0].write

    assert device_of(write) == DeviceAccount("s", "d1")
    assert device_of_topics(device_access("s", "d1")) == DeviceAccount("s", "d1")


@pytest.mark.parametrize("service", list(Service))
def test_device_of_service_permission_is_none(service):
    """No program's account is taken for a device's, so none is ever removed as one."""
    writes_of = [topic.write for topic in service_account(service).topic_permissions]

    assert [device_of(write) for write in writes_of] == [None] * len(writes_of)


def test_device_of_steams_own_mqtt_account_is_none():
    """Nor is Steam's own account at a broker that knows MQTT only."""
    assert device_of_topics(embedded_access()) is None


@pytest.mark.parametrize(
    ("service", "queues"),
    [
        (Service.PROCESSOR, set(QueueName) - {QueueName.ALARMS}),
        (Service.NOTIFIER, {QueueName.ALARMS}),
        (Service.PANEL, set()),
        (Service.GATEWAY, set()),
        (Service.ACCOUNTS, set()),
        (Service.DESK, {QueueName.QUARANTINE, QueueName.UNROUTED, QueueName.DEAD}),
    ],
)
def test_service_account_consumes_from_its_own_queues(service, queues):
    """Each program reads the queues it is for, and no other."""
    read = service_account(service).permission.read

    assert {queue for queue in QueueName if re.search(read, queue)} == queues


@pytest.mark.parametrize("service", sorted(set(Service) - {Service.GATEWAY, Service.DESK}))
def test_service_account_cannot_publish_telemetry(service):
    """Only a gateway and the quarantine's desk speak for devices: no other program's account may write a device's data."""
    account = service_account(service)
    may_write = re.search(account.permission.write, "amq.topic") is not None
    key = Topic("s", "d1", Kind.DATA).routing_key

    assert not (may_write and any(re.search(t.write, key) for t in account.topic_permissions))
    assert not may_write or account.topic_permissions


def test_password_hash_of_rabbitmq_is_the_documented_one():
    """The example of RabbitMQ's documentation: `test12`, salt 908DC60A."""
    salt = bytes.fromhex("908DC60A")

    assert password_hash("test12", salt) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_hash_of_mosquitto_is_what_mosquitto_passwd_writes():
    """A line that mosquitto_passwd 2.0.11 wrote for the password `secret`."""
    salt = bytes.fromhex("4ceda433e2f6c783a756cd26")

    assert mosquitto_hashed("secret", salt) == (
        "$7$101$TO2kM+L2x4OnVs0m$0DUPeO1cxQQtTPMi8o2QEhLjKQdLZPwuAL4Y"
        "H+FrEMfJIp7Y2FB9toQNlisW9M2AF9Q8Tm2avI6KVD5fPBrXtg=="
    )


@pytest.fixture
def files(tmp_path):
    return AccountFiles(
        tmp_path / "passwords",
        tmp_path / "acl",
        hashed=lambda password: f"hash of {password}",
        told=lambda: "tell the broker",
    )


def test_account_files_keep_what_others_wrote(files, tmp_path):
    """Comments, patterns and accounts of others stay through add, rotate and remove."""
    (tmp_path / "passwords").write_text("other:x\n", encoding="utf-8")
    acl = "# mine\ntopic read all\n\nuser other\ntopic #\n# theirs\npattern read p/%u\n"
    (tmp_path / "acl").write_text(acl, encoding="utf-8")

    files.add("s", "d1")
    files.rotate("s", "d1")
    files.remove("d1")

    assert (tmp_path / "passwords").read_text(encoding="utf-8") == "other:x\n"
    assert (tmp_path / "acl").read_text(encoding="utf-8") == acl


def test_account_files_hold_the_hash_and_the_topics(files, tmp_path):
    """An account is a line of the password file and a section of the ACL file."""
    password = files.put(MqttAccess(name="p", publish=("a/b",), subscribe=("c/+",)))

    assert (tmp_path / "passwords").read_text(encoding="utf-8") == f"p:hash of {password}\n"
    acl = (tmp_path / "acl").read_text(encoding="utf-8")
    assert acl == "user p\ntopic write a/b\ntopic read c/+\n"
    assert files.next_step == "tell the broker"


def test_account_files_that_cannot_be_written_are_told(tmp_path):
    """A folder that is not there is told with its name."""
    away = AccountFiles(
        tmp_path / "no" / "passwords", tmp_path / "no" / "acl", hashed=str, told=str
    )

    with pytest.raises(AccountFault, match=r"no: No such file"):
        away.add("s", "d1")


def test_new_account_files_are_readable_by_their_owner_alone(files, tmp_path):
    """Hashes are nobody else's business."""
    files.add("s", "d1")

    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o600


def test_account_file_keeps_its_mode(files, tmp_path):
    """Who let the broker's group read the file finds it so afterwards."""
    (tmp_path / "passwords").touch(mode=0o640)
    (tmp_path / "passwords").chmod(0o640)

    files.add("s", "d1")

    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o640

"""How much of the quarantine a device may fill."""

import msgspec

from bridge.messages import Reason
from processor.quarantine import BadMessage
from processor.quota import Quota, Verdict

DAY_US = 86_400_000_000
MESSAGE = BadMessage(
    routing_key="steam.v1.mill.dev1.data",
    body=b"{",
    reason=Reason.MALFORMED,
    detail="not JSON",
    at_us=1_795_435_200_000_000,
)


def verdicts(quota, count, **changed):
    message = msgspec.structs.replace(MESSAGE, **changed)
    return [quota.judge(message) for _ in range(count)]


def test_quota_keeps_a_share_and_tells_once_that_it_is_filled():
    """After `share` messages the next is the first over, and all later ones are over."""
    assert verdicts(Quota(3), 6) == [Verdict.KEEP] * 3 + [Verdict.FIRST_OVER] + [Verdict.OVER] * 2


def test_quota_of_other_devices_and_reasons_is_their_own():
    """One device's flood takes nothing from its other reasons or from other devices."""
    quota = Quota(1)
    verdicts(quota, 5)

    assert verdicts(quota, 1, reason=Reason.UNKNOWN_METRIC) == [Verdict.KEEP]
    assert verdicts(quota, 1, routing_key="steam.v1.mill.dev2.data") == [Verdict.KEEP]


def test_quota_comes_back_within_a_day():
    """Half a day gives half a share back, and the next flood is told again."""
    quota = Quota(10)
    verdicts(quota, 12)

    later = verdicts(quota, 7, at_us=MESSAGE.at_us + DAY_US // 2 + 1_000_000)

    assert later == [Verdict.KEEP] * 5 + [Verdict.FIRST_OVER, Verdict.OVER]


def test_quota_with_time_going_backwards_gives_nothing_back():
    """A clock set back admits no more."""
    quota = Quota(2)
    verdicts(quota, 2)

    assert verdicts(quota, 1, at_us=MESSAGE.at_us - DAY_US) == [Verdict.FIRST_OVER]


def test_quota_of_invented_device_names_is_one_for_all_beyond_the_first():
    """A million invented names fill one share, and the table stays small."""
    quota = Quota(5, most_unknown=10)
    names = [
        quota.judge(
            msgspec.structs.replace(
                MESSAGE, reason=Reason.UNKNOWN_DEVICE, routing_key=f"steam.v1.mill.x{number}.data"
            )
        )
        for number in range(1000)
    ]

    assert names.count(Verdict.KEEP) == 10 + 5
    assert names.count(Verdict.FIRST_OVER) == 1
    assert len(quota) <= 12


def test_quota_of_topics_outside_the_grammar_is_one_for_all():
    """Routing keys that name no device share one share a reason."""
    quota = Quota(5)
    kept = [
        quota.judge(msgspec.structs.replace(MESSAGE, routing_key=f"nonsense.{number}"))
        for number in range(20)
    ]

    assert kept.count(Verdict.KEEP) == 5
    assert len(quota) == 1


def test_owner_of_the_share_that_many_have_together_is_nobody():
    """Beyond the names that have a share each, a message counts against no device of its own."""
    quota = Quota(2, most_unknown=1)
    first, second = (
        msgspec.structs.replace(
            MESSAGE, reason=Reason.UNKNOWN_DEVICE, routing_key=f"steam.v1.mill.{device}.data"
        )
        for device in ("d1", "d2")
    )

    quota.judge(first)
    quota.judge(second)

    assert (quota.owner(first), quota.owner(second)) == ("d1", "")

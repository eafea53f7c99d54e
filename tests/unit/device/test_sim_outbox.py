"""The outbox: order, window, backlog, and counts that always add up."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device.sim.outbox import Counts, Message, Outbox


def data(seq: int) -> Message:
    """A numbered data message."""
    return Message("data", b"%d" % seq, 1, seq)


def send_all(outbox: Outbox, now_s: float = 0.0) -> list[tuple[str, int | None]]:
    """Send what may be sent; (kind, seq) in order. Packet ids are the orders."""
    sent = []
    while (entry := outbox.next(now_s)) is not None:
        outbox.sent(entry.order, entry, now_s=now_s, published_at=100.0)
        sent.append((entry.kind, entry.message.seq))
    return sent


def test_outbox_greetings_first_then_live_then_backlog():
    """A new connection says who it is, then what is new, then what is old, oldest first."""
    outbox = Outbox(limit=10, window=10)
    for seq in (1, 2):
        outbox.put(data(seq), live=False)
    outbox.put(data(3), live=True)
    outbox.put(Message("birth", b""), live=True)

    assert send_all(outbox) == [("birth", None), ("data", 3), ("hist", 1), ("hist", 2)]


def test_outbox_window_bounds_what_is_in_flight():
    """No more than the window is unacknowledged; an acknowledgement lets the next go."""
    outbox = Outbox(limit=10, window=2)
    for seq in (1, 2, 3):
        outbox.put(data(seq), live=True)

    first = send_all(outbox)
    outbox.acknowledge(1)
    then = send_all(outbox)

    assert first == [("data", 1), ("data", 2)]
    assert then == [("data", 3)]


def test_outbox_lost_connection_resends_as_hist_in_order():
    """What was not acknowledged goes again, in its first order and as hist; old greetings do not."""
    outbox = Outbox(limit=10, window=2)
    for message in (Message("state", b""), data(1), data(2), Message("event", b"e", 1, 3), data(4)):
        outbox.put(message, live=True)
    send_all(outbox)
    outbox.acknowledge(2)

    outbox.disconnected()
    again = send_all(outbox)
    counts = outbox.counts()

    assert again == [("hist", 2), ("event", 3)]
    assert (counts.superseded, counts.resent, counts.pending) == (1, 0, 3)
    assert counts.acknowledged == {"data": 1}


def test_outbox_message_sent_twice_is_published_once():
    """`published` counts messages, `resent` the repetitions, and the first time is kept."""
    outbox = Outbox(limit=10, window=10)
    outbox.put(data(1), live=True)
    send_all(outbox, now_s=5.0)
    outbox.disconnected()
    send_all(outbox, now_s=9.0)

    counts = outbox.counts()

    assert counts.published == {"data": 1}
    assert counts.resent == 1
    assert outbox.in_flight(1).published_at == 100.0
    assert outbox.sent_longest_ago() == 9.0


def test_outbox_full_gives_up_the_oldest_and_says_which():
    """Given no room the oldest goes, and its number is told once."""
    outbox = Outbox(limit=2, window=10)
    outbox.put(data(1), live=False)
    outbox.put(data(2), live=True)

    was_full = outbox.full
    outbox.drop_oldest()

    assert was_full
    assert not outbox.full
    assert outbox.take_losses() == [(1, 1)]
    assert outbox.take_losses() == []
    assert outbox.counts().dropped == 1


def test_outbox_backlog_rate_is_kept():
    """A slowed backlog leaves room for live messages."""
    outbox = Outbox(limit=10, window=10, backlog_per_s=2)
    for seq in (1, 2, 3):
        outbox.put(data(seq), live=False)

    assert send_all(outbox, 0.0) == [("hist", 1)]
    assert send_all(outbox, 0.4) == []
    assert send_all(outbox, 0.5) == [("hist", 2)]


def test_outbox_oldest_is_the_lowest_number_not_acknowledged():
    """The oldest stored (boot, seq) moves on with the acknowledgements."""
    outbox = Outbox(limit=10, window=1)
    assert outbox.oldest() is None
    outbox.put(data(1), live=True)
    outbox.put(data(2), live=True)
    send_all(outbox)

    before = outbox.oldest()
    outbox.acknowledge(1)

    assert (before, outbox.oldest()) == ((1, 1), (1, 2))


def test_counts_of_several_links_add_up():
    """The fleet's counts are the sums of its links'."""
    one = Counts(accepted=2, published={"data": 2}, acknowledged={"data": 1}, pending=1)
    two = Counts(accepted=1, published={"birth": 1}, acknowledged={"birth": 1}, connections=1)

    both = Counts.sum([one, two])

    assert both == Counts(
        accepted=3,
        published={"data": 2, "birth": 1},
        acknowledged={"data": 1, "birth": 1},
        pending=1,
        connections=1,
    )
    assert (both.total_published, both.total_acknowledged) == (3, 2)


class OutboxMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, no message is unaccounted for."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(limit=5, window=3)
        self.seq = 0
        self.packets: list[int] = []

    @rule(live=st.booleans(), kind=st.sampled_from(["data", "event", "birth", "diag"]))
    def put(self, live, kind):
        """A message comes; a full outbox gives up its oldest."""
        self.seq += 1
        if self.outbox.full:
            self.outbox.drop_oldest()
        self.outbox.put(Message(kind, b"", 1, self.seq if kind != "birth" else None), live=live)

    @rule()
    def send(self):
        """One message is sent, if one may be."""
        entry = self.outbox.next(0.0)
        if entry is not None:
            self.outbox.sent(entry.order, entry, now_s=0.0, published_at=1.0)
            self.packets.append(entry.order)

    @precondition(lambda self: self.packets)
    @rule(pick=st.integers(0, 100))
    def acknowledge(self, pick):
        """Any packet in flight is acknowledged."""
        self.outbox.acknowledge(self.packets.pop(pick % len(self.packets)))

    @rule()
    def disconnect(self):
        """The connection breaks."""
        self.outbox.disconnected()
        self.packets.clear()

    @invariant()
    def adds_up(self):
        """Accepted is acknowledged, pending, dropped or superseded."""
        counts = self.outbox.counts()
        acknowledged = counts.total_acknowledged
        assert counts.accepted == (
            acknowledged + counts.pending + counts.dropped + counts.superseded
        )
        assert acknowledged <= counts.total_published


OutboxMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestOutboxMachine = OutboxMachine.TestCase

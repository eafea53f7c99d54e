"""Deliveries read from AMQP frames: the same as pika reads, however the bytes come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pika import frame, spec
from pika.exceptions import InvalidFrameError

from processor.adapters.amqp_frames import FrameReader


def delivery(tag=1, *, consumer="steam.record", key="steam.v1.mill.dev1.data", body=b"{}",
             redelivered=False, exchange="amq.topic", most=131_064):  # fmt: skip
    """What a broker sends for one delivery, by pika's own encoder."""
    method = spec.Basic.Deliver(consumer, tag, redelivered, exchange, key)
    properties = spec.BasicProperties(delivery_mode=2, headers={"x": "y"})
    parts = [frame.Method(1, method).marshal(), frame.Header(1, len(body), properties).marshal()]
    parts += [frame.Body(1, body[low : low + most]).marshal() for low in range(0, len(body), most)]
    return b"".join(parts)


HEARTBEAT = frame.Heartbeat().marshal()
CANCEL = frame.Method(1, spec.Basic.Cancel("steam.record")).marshal()


class Sink:
    """Keeps what a reader hands over, in order."""

    def __init__(self):
        self.got = []
        self.reader = FrameReader(lambda *each: self.got.append(each), self.got.append)


def read(data, *cuts):
    sink = Sink()
    at = 0
    for cut in (*sorted(cuts), len(data)):
        sink.reader.feed(data[at:cut])
        at = cut
    return sink.got


def test_delivery_is_handed_over_whole():
    """Every part of it arrives as it was sent."""
    data = delivery(7, redelivered=True, exchange="", key="steam.results", body=b"\x00\xce[]")

    assert read(data) == [("steam.record", 7, True, "", b"steam.results", b"\x00\xce[]")]


def test_other_frames_are_left_to_pika_in_their_place():
    """A heartbeat and a cancellation between deliveries come between them."""
    data = HEARTBEAT + delivery(1) + CANCEL + delivery(2) + HEARTBEAT

    got = read(data)

    assert [each if isinstance(each, bytes) else each[1] for each in got] == [
        HEARTBEAT,
        1,
        CANCEL,
        2,
        HEARTBEAT,
    ]


def test_body_in_several_frames_is_joined():
    """A body larger than a frame comes in parts."""
    body = bytes(range(256)) * 20

    assert read(delivery(body=body, most=1000))[0][5] == body


def test_empty_body_has_no_frame():
    """Nothing is a message too, and the next one follows at once."""
    got = read(delivery(1, body=b"") + delivery(2, body=b"x"))

    assert [(each[1], each[5]) for each in got] == [(1, b""), (2, b"x")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just(HEARTBEAT),
            st.just(CANCEL),
            st.builds(
                delivery,
                st.integers(1, 2**40),
                key=st.text(max_size=40),
                body=st.binary(max_size=300),
                redelivered=st.booleans(),
                exchange=st.sampled_from(["", "amq.topic", "steam.commands"]),
                most=st.integers(1, 200),
            ),
        ),
        max_size=8,
    ),
    st.lists(st.integers(0, 3000), max_size=10),
)
def test_frames_cut_anywhere_are_read_alike(frames, cuts):
    """However the network cuts the stream, the same comes out."""
    data = b"".join(frames)

    assert read(data, *(cut for cut in cuts if cut < len(data))) == read(data)
    assert len(read(data)) == len(frames)


@pytest.mark.parametrize("at", ["end", "kind"])
def test_delivery_whose_frames_are_broken_ends_the_connection(at):
    """What AMQP does not allow is an error, not a wrong message."""
    good = delivery()
    method_end = len(frame.Method(1, spec.Basic.Deliver("steam.record", 1, False, "amq.topic",
                                                        "steam.v1.mill.dev1.data")).marshal())  # fmt: skip
    broken = bytearray(good)
    broken[method_end - 1 if at == "end" else method_end] = 9

    with pytest.raises(InvalidFrameError):
        read(bytes(broken))


def test_broker_of_another_protocol_is_left_to_pika():
    """Its refusal is no frame."""
    assert read(b"AMQP\x00\x00\x09\x01") == [b"AMQP\x00\x00\x09\x01"]


def test_large_delivery_in_small_pieces_is_looked_at_a_few_times(monkeypatch):
    """Its cost grows with its size, not with the square of it."""
    looks = []
    read_delivery = FrameReader._read_delivery
    monkeypatch.setattr(
        FrameReader,
        "_read_delivery",
        lambda reader, *arguments: looks.append(1) or read_delivery(reader, *arguments),
    )
    body = bytes(range(256)) * 16_384
    sent = delivery(1, body=body) + delivery(2)

    got = read(sent, *range(4_096, len(sent), 4_096))

    assert [each[5] for each in got] == [body, b"{}"]
    assert len(looks) < 20

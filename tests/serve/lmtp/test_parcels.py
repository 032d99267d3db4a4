"""Records of deliveries, over the deaths of those who made them."""

import asyncio
import os
import socket
from contextlib import closing

import pytest

from mtspam.serve.lmtp.parcels import MAX_RECIPIENTS, Parcels
from mtspam.serve.lmtp.past import Past
from mtspam.serve.lmtp.session import Path

NUMBER, OTHER = "0f" * 16, "f0" * 16
ANA, BOB, EVA = (f"{name}@example.org" for name in ("ana", "bob", "eva"))


@pytest.fixture
def parcels():
    with closing(Parcels()) as made:
        yield made


@pytest.fixture
def wire():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def in_a_process_that_dies(work):
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def hold(parcels, *names, wire=None, is_given=True):
    parcel = parcels.hold(NUMBER, names)
    if wire is not None:
        parcel.keep(wire.fileno())
    if is_given:
        parcel.begin_end()
    return parcel


def test_what_a_process_noted_before_it_died_is_known(parcels):
    def work():
        parcel = hold(parcels, ANA, BOB, EVA)
        parcel.note(0, is_delivered=True)
        parcel.note(1, is_delivered=False)

    in_a_process_that_dies(work)
    (found,) = parcels.taken_over(NUMBER)
    assert [found.place_of(name) for name in (ANA, BOB, EVA)] == [0, None, None]
    assert found.open_places() == [2]


def test_its_connection_outlives_it(parcels, wire):
    ours, theirs = wire
    in_a_process_that_dies(lambda: hold(parcels, ANA, wire=ours))
    ours.close()
    theirs.sendall(b"250 2.0.0 Stored\r\n")
    (found,) = parcels.taken_over(NUMBER)
    with found.connection() as connection:
        assert connection.recv(100) == b"250 2.0.0 Stored\r\n"
    # Not before everybody is done with it is it closed.
    theirs.sendall(b"x")
    found.give_up()
    found.release()
    with pytest.raises(BrokenPipeError):
        theirs.sendall(b"x")


def test_whoever_takes_it_over_may_die_as_well(parcels, wire):
    ours, theirs = wire
    in_a_process_that_dies(lambda: hold(parcels, ANA, wire=ours))
    in_a_process_that_dies(lambda: parcels.taken_over(NUMBER)[0].connection())
    theirs.sendall(b"250 x\r\n")
    (found,) = parcels.taken_over(NUMBER)
    with found.connection() as connection:
        assert connection.recv(100) == b"250 x\r\n"


def test_what_was_not_given_whole_is_not_known_and_its_connection_is_closed(parcels, wire):
    ours, theirs = wire
    in_a_process_that_dies(lambda: hold(parcels, ANA, wire=ours, is_given=False))
    ours.close()
    assert parcels.taken_over(NUMBER) == []
    assert theirs.recv(1) == b""


def test_nobody_takes_over_what_somebody_works_at(parcels):
    parcel = hold(parcels, ANA)
    assert parcels.taken_over(NUMBER) is None
    assert parcels.taken_over(OTHER) == []
    reader, writer = os.pipe()

    def work():
        os.write(writer, b"%d" % (parcels.taken_over(NUMBER) is None))

    in_a_process_that_dies(work)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)
    parcel.note(0, is_delivered=True)
    parcel.release()
    assert len(parcels.taken_over(NUMBER)) == 1


def test_what_everybody_was_told_is_forgotten(parcels):
    parcel = hold(parcels, ANA, BOB)
    parcel.note(0, is_delivered=True)
    parcel.note(1, is_delivered=False)
    parcel.settle(0)
    parcel.release()
    parcel.release()  # twice is no harm
    assert parcels.taken_over(NUMBER) == []


def test_records_are_bounded_and_the_oldest_makes_room(parcels):
    held = []
    while (parcel := parcels.hold(OTHER, [ANA])) is not None:
        held.append(parcel)
    assert 8 <= len(held) <= 1_000
    held.pop().release()
    hold(parcels, ANA).release()  # may be stored: remains
    assert len(parcels.taken_over(NUMBER)) == 1
    assert parcels.hold(OTHER, [ANA]) is None
    held.pop().release()
    assert parcels.hold(OTHER, [ANA] * (MAX_RECIPIENTS + 1)) is None
    for parcel in held:
        parcel.begin_end()
        parcel.note(0, is_delivered=True)
        parcel.release()
    for _ in held:
        assert parcels.hold(NUMBER, [ANA]) is not None


@pytest.mark.parametrize("is_lmtp", [True, False])
def test_a_reply_to_what_was_sent_on_top_undoes_nothing(parcels, wire, is_lmtp):
    """It comes in one piece with the last reply about the message."""
    ours, theirs = wire
    hold(parcels, ANA, BOB, wire=ours).release()
    theirs.sendall(b"250 stored\r\n" * (2 if is_lmtp else 1) + b"500 no such command\r\n")
    past = Past(parcels, NUMBER)
    known = past.recall([Path(ANA), Path(BOB)], is_lmtp=is_lmtp, seconds=10)
    assert sorted(asyncio.run(known)) == [0, 1]
    past.release()

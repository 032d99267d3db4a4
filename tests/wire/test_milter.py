"""The same packets as in the captures of rspamd's milter: ours answer in the same form.

Where they differ, and why:

* steps: we also ask for NOUNKNOWN, SKIP and LEADSPC where they are offered, so that odd commands
  are not sent at all and the message is rebuilt byte for byte;
* actions: we ask for the three that we use, rspamd for all that it is offered;
* forged fields: we delete every one under our names and always put ours in, rspamd deletes
  X-Spam alone and adds nothing to ham;
* fields are inserted at the top (``i``), not appended (``h``): what is added on the way is above;
* an offer of version 2 is taken by us, with what that version can do; rspamd hangs up;
* GTUBE is for us a message like any other: what is refused is the admin's choice of limits.
"""

import struct

import pytest

from mtspam.serve.contract import Action
from mtspam.serve.milter.message import Room
from mtspam.serve.milter.session import Close, Reply, Session, Submitted
from tests.serve.milter.conftest import ruling, split
from tests.wire.captures import named, read_captures

CAPTURES = read_captures("rspamd-3.4-milter-bytes.txt")
ACTIONS, NO_REPLIES = 0x31, 0xFF080
ADDED = NO_REPLIES | 0x100 | 0x400 | 0x100000
RULINGS = {
    "y": ruling(Action.REJECT, text="554 5.7.1 Gtube pattern"),
    "Subject": ruling(Action.REWRITE_SUBJECT, subject="*** SPAM *** lunch"),
    "h": ruling(Action.ADD_HEADER, fields=(("X-Spam-Flag", "YES"), ("X-Spam-Level", "***"))),
    "": ruling(fields=(("X-Mtspam-Id", "1"),)),
}


def talked(capture, answer):
    """Send what the client of a capture sent; return our packets and the messages we saw."""
    session = Session(1_000_000, Room(10_000_000))
    sent, messages, is_closed = [], [], False
    for data in capture.client:
        assert not is_closed
        session.feed(data)
        while (step := session.next()) is not None:
            if isinstance(step, Reply):
                sent += split(step.data)
            elif isinstance(step, Submitted):
                messages.append(step)
                sent += split(session.answer(answer(step)))
            elif isinstance(step, Close):
                is_closed = True
                break
    assert is_closed == (capture.client[-1][4:5] == b"Q")
    return sent, messages


def finals(packets):
    return [(command, data) for command, data in packets if command in b"acdrty"]


@pytest.mark.parametrize("capture", named(CAPTURES))
def test_our_packets_agree_in_form(capture):
    theirs = [one for data in capture.server for one in split(data)]
    is_refused = any(command == b"y" for command, _ in theirs)
    kinds = {command for command, _ in theirs}
    if b"h" in kinds:
        chosen = RULINGS["h"]
    elif any(b"Subject" in data for _, data in theirs):
        chosen = RULINGS["Subject"]
    else:
        chosen = RULINGS[""]

    def answer(message):
        return RULINGS["y"] if is_refused and b"GTUBE" in message.raw else chosen

    ours, messages = talked(capture, answer)
    if not theirs:
        assert ours == [(b"O", struct.pack(">III", 2, 0x11, 0))]
        return
    (_, offered), (_, agreed) = theirs[0], ours[0]
    assert struct.unpack(">III", offered) == (6, 0x1FF, NO_REPLIES)
    assert struct.unpack(">III", agreed) == (6, ACTIONS, ADDED)
    assert finals(ours[1:]) == finals(theirs[1:])
    assert len(messages) == len(finals(theirs))
    # What both change, both change in the same form; our blank is explicit.
    for command, data in theirs[1:]:
        if command == b"m" and data.endswith(b"Subject\0*** SPAM *** lunch\0"):
            assert (command, data.replace(b"\0***", b"\0 ***")) in ours
        if command == b"m" and data == b"\0\0\0\1X-Spam\0\0":
            assert (command, data.replace(b"X-Spam", b"x-spam")) in ours


@pytest.mark.parametrize("capture", named(CAPTURES[:1]))
def test_the_envelope_and_the_message_of_a_capture(capture):
    _, (message,) = talked(capture, lambda _: RULINGS[""])
    assert message.envelope.recipients == ("b@example.com", "z@example.com")
    assert message.envelope.sender == "a@example.org"
    assert message.envelope.queue_id == "4QUEUE1"
    assert (message.envelope.client_address, message.envelope.helo) == (
        "192.0.2.1",
        "mx.example.net",
    )
    assert message.raw.startswith(b"Received:from mx.example.net (")
    assert message.raw.endswith(
        b"Content-Type:text/plain\r\n\r\nShall we have lunch on Friday at the usual place?\r\n"
    )

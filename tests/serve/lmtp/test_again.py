"""A message that comes again because nobody heard what became of it."""

import asyncio
from contextlib import closing

import pytest

from mtspam.serve.contract import Envelope
from mtspam.serve.lmtp import past
from mtspam.serve.lmtp.copies import make_plan
from mtspam.serve.lmtp.nexthop import Connection
from mtspam.serve.lmtp.parcels import Parcels
from mtspam.serve.lmtp.server import start
from mtspam.serve.lmtp.session import Path
from tests.serve.lmtp.mailboxes import Mailboxes, listening
from tests.serve.lmtp.test_server import MAIL, ByName, play

NAMES = ("ana@a", "eva@a")
DIALECTS = pytest.mark.parametrize("is_lmtp", [True, False])


@pytest.fixture
def service():
    service = ByName()
    with closing(Parcels()) as service.parcels:
        yield service


async def stored(boxes, n_messages):
    while len(boxes.stored) < n_messages:
        await asyncio.sleep(0.001)


async def given_and_left(world, *names):
    """Give a message to who stores it and says nothing yet; the client leaves."""
    client = await world.client()
    await client.hello()
    giving = asyncio.get_running_loop().create_task(client.give(*names))
    await stored(world.mailboxes, len(names))
    giving.cancel()
    client.writer.close()
    await client.writer.wait_closed()


async def again(world, *names, raw=MAIL):
    client = await world.client()
    await client.hello()
    return (await client.give(*names, raw=raw))[1]


def slow(is_lmtp=True, **more):
    return Mailboxes(is_lmtp=is_lmtp, may_answer=asyncio.Event(), **more)


@DIALECTS
def test_whose_client_left_is_not_delivered_again(service, is_lmtp):
    async def scene(world):
        await given_and_left(world, *NAMES)
        meanwhile = await again(world, *NAMES)
        world.mailboxes.may_answer.set()
        while "451" in (later := await again(world, *NAMES))[0]:
            await asyncio.sleep(0.001)
        other = await again(world, *NAMES, raw=b"To: x\r\n" + MAIL)
        return meanwhile, later, other, world.mailboxes.stored

    meanwhile, later, other, kept = play(scene, slow(is_lmtp), service=service)
    assert [one[:9] for one in meanwhile] == ["451 4.3.0"] * 2
    assert later == ["250 2.0.0 Delivered before"] * 2
    assert [one[:3] for one in other] == ["250"] * 2
    assert [name for name, _ in kept] == [*NAMES, *NAMES]


@DIALECTS
def test_whose_worker_went_is_not_delivered_again(service, is_lmtp):
    async def scene(world):
        await given_and_left(world, *NAMES)
        await world.face.close(0.0)
        world.mailboxes.may_answer.set()
        # What is told of one is told of that one alone.
        first = await next_worker(world, "eva@a")
        return first, await next_worker(world, "ana@a", "eva@a"), world.mailboxes.stored

    async def next_worker(world, *names):
        settings = world.face.settings
        sock = listening()
        world.face, world.address = await start(service, sock, settings), sock.getsockname()
        replies = await again(world, *names)
        await world.face.close(1.0)
        return replies

    first, second, kept = play(scene, slow(is_lmtp), service=service)
    assert first == ["250 2.0.0 Delivered before"]
    assert second[0] == "250 2.0.0 Delivered before"
    assert second[1][:3] == "250"
    # The mail server asked again for one of whom it had been told, which is none of our tries.
    assert [name for name, _ in kept] == [*NAMES, "eva@a"]


def test_who_was_refused_is_asked_for_again(service):
    boxes = slow(answers={"eva@a": "452 4.2.2 Over quota"})

    async def scene(world):
        client = await world.client()
        await client.hello()
        giving = asyncio.get_running_loop().create_task(client.give(*NAMES))
        await stored(world.mailboxes, 1)
        giving.cancel()
        client.writer.close()
        world.mailboxes.may_answer.set()
        while "451" in (later := await again(world, *NAMES))[0]:
            await asyncio.sleep(0.001)
        return later, world.mailboxes.stored

    later, kept = play(scene, boxes, service=service)
    assert later[0] == "250 2.0.0 Delivered before"
    assert later[1] == "452 4.2.2 Over quota"
    assert boxes.commands.count("DATA") == 2
    assert [name for name, _ in kept] == ["ana@a"]


async def begun(world, service, *names, end=b".\r\n"):
    """Be a giver that dies: all is sent up to the end, the record says so, nothing was read."""
    rulings = service.rule(MAIL, Envelope(recipients=names))
    hop = world.face.hop
    reader, writer = await asyncio.open_connection(hop.host, hop.port)
    parcel = service.parcels.hold(make_plan(MAIL, "s@x.example", rulings).delivery, names)
    parcel.keep(writer.get_extra_info("socket").fileno())
    named = "".join(f"RCPT TO:<{name}>\r\n" for name in names).encode()
    writer.write(b"LHLO a\r\nMAIL FROM:<s@x.example>\r\n" + named + b"DATA\r\n" + MAIL + end)
    while not (await reader.readline()).startswith(b"354"):
        pass
    parcel.begin_end()
    return reader, writer, parcel


@pytest.mark.parametrize("is_there", [True, False])
def test_the_last_line_of_a_message_whose_giver_died_before_or_after_it(
    service, is_there, monkeypatch
):
    monkeypatch.setattr(past, "_SILENT_SECONDS", 0.05)

    async def scene(world):
        end = b".\r\n" if is_there else b""
        _, writer, parcel = await begun(world, service, "ana@one", end=end)
        if is_there:
            await stored(world.mailboxes, 1)
        parcel.release()
        writer.close()
        asking = asyncio.get_running_loop().create_task(again(world, "ana@one"))
        world.mailboxes.may_answer.set()
        return await asking, world.mailboxes.stored

    replies, kept = play(scene, slow(), service=service)
    assert replies == ["250 2.0.0 Delivered before"]
    assert len(kept) == 1


@pytest.mark.parametrize("n_lost", [1, 2, 3])
def test_answers_that_died_with_who_had_read_them_are_not_waited_for(service, n_lost, monkeypatch):
    monkeypatch.setattr(past, "_SILENT_SECONDS", 0.05)
    names = ("ana@one", "bob@one", "eva@one")

    async def scene(world):
        world.mailboxes.may_answer.set()
        reader, writer, parcel = await begun(world, service, *names)
        for _ in names[:n_lost]:
            assert (await reader.readline()).startswith(b"250")
        # For the rest it had the time to note them.
        unread = await reader.readexactly(len(b"250 2.0.0 Stored\r\n") * (len(names) - n_lost))
        for _ in unread.splitlines():
            parcel.note(parcel.open_places()[-1], is_delivered=True)
        parcel.release()
        writer.close()
        async with asyncio.timeout(20):
            return await again(world, *names), world.mailboxes.stored

    replies, kept = play(scene, slow(), service=service)
    assert replies == ["250 2.0.0 Stored"] * n_lost + ["250 2.0.0 Delivered before"] * (3 - n_lost)
    # Nobody can know of them: the number in the header tells the mailbox server.
    assert [name for name, _ in kept] == [*names, *names[:n_lost]]


def test_an_answer_is_noted_before_anybody_has_read_it(service):
    async def scene(world):
        connection = await Connection.open(world.face.hop, world.face.patience, "a")
        await connection.mail(Path("s@x.example"))
        for name in NAMES:
            await connection.rcpt(Path(name))
        parcel = service.parcels.hold("0f" * 16, NAMES)
        world.mailboxes.may_answer.set()
        replies = connection.data(MAIL, len(NAMES), parcel)
        first = await anext(replies)
        async with asyncio.timeout(20):
            while parcel.open_places():
                await asyncio.sleep(0.001)
        places = [parcel.place_of(name) for name in NAMES]
        others = [reply async for reply in replies]
        connection.drop()
        return first, places, others

    boxes = slow(answers={"eva@a": "452 4.2.2 Over quota"})
    first, places, others = play(scene, boxes, service=service)
    assert (first.code, [reply.code for reply in others]) == (250, [452])
    assert places == [0, None]

"""The proxy on real sockets, between a client of LMTP and mailboxes that may misbehave."""

import asyncio
import contextlib
import smtplib
import socket

import pytest
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from mtspam.config import Settings
from mtspam.errors import ConfigError
from mtspam.serve.contract import Action, BusyError, Ruling, UnavailableError
from mtspam.serve.limits import connection_limit
from mtspam.serve.lmtp.server import start
from mtspam.serve.local import open_local_service
from mtspam.serve.supervisor import check_settings
from mtspam.types import Label
from tests.serve.lmtp.mailboxes import Mailboxes, listening, mailboxes_at
from tests.serve.lmtp.test_copies import JUDGEMENT

MAIL = b"Received: from a\r\nSubject: hello\r\n\r\nSee you\r\n..\r\n"
SECONDS = 60


class ByName:
    """Rules by the first word of the recipient's name; the name itself is shown in a field."""

    def __init__(self):
        self.envelopes = []
        self.error = None

    def rule(self, raw, envelope):
        self.envelopes.append(envelope)
        if self.error is not None:
            raise self.error
        return tuple(self._one(name) for name in envelope.recipients)

    def _one(self, name):
        words = {"reject": Action.REJECT, "later": Action.TEMPFAIL, "drop": Action.DISCARD}
        action = words.get(name.partition("@")[0], Action.NO_ACTION)
        return Ruling(
            recipient=name,
            judgement=JUDGEMENT,
            action=action,
            points=0,
            required=5,
            fields=(("X-Spam-Status", name.partition("@")[2]),),
        )


class Client:
    """One connection to the proxy."""

    def __init__(self, streams):
        self.reader, self.writer = streams

    async def reply(self):
        lines = []
        while not lines or lines[-1][3:4] == b"-":
            line = await self.reader.readline()
            if not line:
                raise EOFError
            lines.append(line.rstrip(b"\r\n"))
        return lines[-1].decode() if len(lines) == 1 else b"\n".join(lines).decode()

    async def ask(self, *commands):
        self.writer.write("".join(f"{one}\r\n" for one in commands).encode())
        return [await self.reply() for _ in commands]

    async def hello(self):
        await self.reply()
        return (await self.ask("LHLO client"))[0]

    async def give(self, *recipients, raw=MAIL, sender="s@x.example"):
        """Give a message to recipients; return the replies to RCPT and to the message."""
        begin = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{name}>" for name in recipients), "DATA"]
        _, *named, go_on = await self.ask(*begin)
        if not go_on.startswith("354"):
            return named, [go_on]
        dotted = raw.replace(b"\r\n.", b"\r\n..")
        self.writer.write(dotted + b".\r\n")
        n_accepted = sum(one.startswith("2") for one in named)
        return named, [await self.reply() for _ in range(n_accepted)]


class World:
    """A proxy, its service, its mailboxes."""

    def __init__(self, face, service, mailboxes, address):
        self.face, self.service, self.mailboxes = face, service, mailboxes
        self.address = address
        self.clients = []

    async def client(self):
        if isinstance(self.address, str):
            streams = await asyncio.open_unix_connection(self.address)
        else:
            streams = await asyncio.open_connection(*self.address)
        self.clients.append(Client(streams))
        return self.clients[-1]

    async def close(self):
        await self.face.close(0.0)
        for client in self.clients:
            client.writer.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()


def play(scene, mailboxes=None, *, service=None, hop=None, sock=None, **settings):
    """Run a scene; settings are of the section lmtp, but `serve` is one of its own."""

    async def main():
        boxes = mailboxes or Mailboxes()
        behind = listening()
        dialect = "lmtp" if boxes.is_lmtp else "smtp"
        next_hop = hop or f"{dialect}:127.0.0.1:{behind.getsockname()[1]}"
        everything = Settings.from_mapping(
            {"serve": settings.pop("serve", {}), "lmtp": {"next_hop": next_hop, **settings}}
        )
        before = sock or listening()
        served = service or ByName()
        async with mailboxes_at(boxes, behind), asyncio.timeout(SECONDS):
            face = await start(served, before, everything)
            world = World(face, served, boxes, before.getsockname())
            try:
                return await scene(world)
            finally:
                await world.close()

    return asyncio.run(main())


class TestDelivery:
    def test_each_recipient_gets_a_copy_and_a_reply_of_its_own(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            return await client.give("ana@one", "bob@two", "eva@one"), world.mailboxes

        (named, replies), boxes = play(scene)
        assert [one[:3] for one in named + replies] == ["250"] * 6
        assert [name for name, _ in boxes.stored] == ["ana@one", "eva@one", "bob@two"]
        for name, raw in boxes.stored:
            assert raw.startswith(f"X-Spam-Status: {name.partition('@')[2]}\r\n".encode())
            assert raw.endswith(MAIL)
        assert b"two" not in boxes.of("ana@one")[0]
        assert b"one" not in boxes.of("bob@two")[0]

    def test_one_copy_for_all_needs_one_transaction(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            await client.give("ana@one", "eva@one")
            await client.give("bob@one")
            return world.mailboxes

        boxes = play(scene)
        verbs = [line.partition(" ")[0] for line in boxes.commands]
        assert verbs == ["LHLO", *("MAIL", "RCPT", "RCPT", "DATA"), *("MAIL", "RCPT", "DATA")]
        assert boxes.n_connections == 1

    def test_the_message_is_ruled_on_once_with_all_that_is_known(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            await client.ask("XFORWARD ADDR=192.0.2.7 NAME=mx.example HELO=mx IDENT=4Q")
            await client.give("ana@one", "bob@two")
            return world.service

        (envelope,) = play(scene).envelopes
        assert envelope.recipients == ("ana@one", "bob@two")
        assert (envelope.sender, envelope.queue_id) == ("s@x.example", "4Q")
        assert (envelope.client_address, envelope.client_name) == ("192.0.2.7", "mx.example")
        assert envelope.protocol == "lmtp"

    def test_actions_are_each_recipients_own(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            names = ("reject@a", "ana@a", "later@a", "drop@a")
            return await client.give(*names), world.mailboxes

        (_, replies), boxes = play(scene)
        assert [one[:9] for one in replies] == ["550 5.7.1", "250 2.0.0", "451 4.7.1", "250 2.0.0"]
        assert [name for name, _ in boxes.stored] == ["ana@a"]

    def test_a_refusal_by_the_mailbox_server_reaches_who_it_is_about(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            given = await client.give("ana@a", "nobody@a", "full@b", "eva@b")
            return given, world.mailboxes

        boxes = Mailboxes(unknown={"nobody@a"}, answers={"full@b": "452 4.2.2 Over quota"})
        (named, replies), boxes = play(scene, boxes)
        assert [one[:9] for one in named][1] == "550 5.1.1"
        assert [one[:9] for one in replies] == ["250 2.0.0", "452 4.2.2", "250 2.0.0"]
        assert [name for name, _ in boxes.stored] == ["ana@a", "eva@b"]

    def test_a_probe_without_a_message_hears_the_mailbox_server(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            answers = await client.ask("MAIL FROM:<>", "RCPT TO:<nobody@a>", "RSET", "QUIT")
            return [one[:3] for one in answers]

        boxes = Mailboxes(unknown={"nobody@a"})
        assert play(scene, boxes) == ["250", "550", "250", "221"]
        assert boxes.stored == []

    def test_over_smtp_one_answer_holds_for_all_of_a_copy(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            return (await client.give("ana@a", "eva@a", "bob@b"))[1]

        replies = play(scene, Mailboxes(is_lmtp=False, answers={"ana@a": "450 4.2.1 x"}))
        assert [one[:3] for one in replies] == ["450", "450", "250"]

    def test_over_a_unix_socket(self, tmp_path):
        path = str(tmp_path / "lmtp")

        async def scene(world):
            client = await world.client()
            await client.hello()
            return (await client.give("ana@a"))[1]

        assert play(scene, sock=listening(socket.AF_UNIX, path))[0][:3] == "250"

    @pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n"])
    def test_no_second_message_is_smuggled_through(self, end):
        evil = b"a" + end + b"MAIL FROM:<evil@x>\r\nRCPT TO:<ana@a>\r\nDATA\r\nevil\r\n"

        async def scene(world):
            client = await world.client()
            await client.hello()
            return (await client.give("ana@a", raw=b"To: a\r\n\r\n" + evil)), world.mailboxes

        (_, replies), boxes = play(scene)
        assert len(replies) == len(boxes.stored) == 1
        raw = boxes.stored[0][1]
        assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")

    def test_what_the_next_hop_offers_is_offered(self):
        async def scene(world):
            client = await world.client()
            offer = await client.hello()
            given = await client.ask("MAIL FROM:<á@x> SMTPUTF8 BODY=8BITMIME SIZE=9")
            return offer, given[0], world.mailboxes.commands[-1]

        boxes = Mailboxes(offered=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 9"))
        offer, given, command = play(scene, boxes)
        for word in (
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "SMTPUTF8",
            "SIZE 104857600",
        ):
            assert word in offer
        assert given[:3] == "250"
        assert command == "MAIL FROM:<á@x> SMTPUTF8 BODY=8BITMIME"
        assert "SMTPUTF8" not in play(scene, Mailboxes())[0]


class TestNextHopFails:
    def test_it_is_away(self):
        async def scene(world):
            client = await world.client()
            answer = await client.hello()
            with pytest.raises(EOFError):
                await client.reply()
            return answer

        assert play(scene, hop="lmtp:/nowhere/at/all")[:9] == "421 4.4.1"

    @pytest.mark.parametrize("how", [{"silent_at": "LHLO"}, {"hang_up_at": ["LHLO"]}])
    def test_it_says_nothing_or_hangs_up(self, how):
        async def scene(world):
            return await (await world.client()).hello()

        answer = play(scene, Mailboxes(**how), connect_seconds=0.3, command_seconds=0.3)
        assert answer[:9] == "421 4.4.1"

    def test_it_speaks_another_dialect(self):
        async def scene(world):
            return await (await world.client()).hello()

        async def main():
            behind = listening()
            async with mailboxes_at(Mailboxes(), behind):
                place = f"smtp:127.0.0.1:{behind.getsockname()[1]}"
                return await asyncio.to_thread(play, scene, hop=place)

        assert asyncio.run(main())[:9] == "421 4.4.1"

    def test_it_hung_up_between_messages(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            await client.give("ana@a")
            world.mailboxes.hang_up_at.append("MAIL")
            return (await client.give("ana@a"))[1], world.mailboxes

        replies, boxes = play(scene)
        assert replies[0][:3] == "250"
        assert len(boxes.stored) == boxes.n_connections == 2

    @pytest.mark.parametrize("stage", ["DATA", "END"])
    def test_it_breaks_off_within_a_copy_and_the_others_are_delivered(self, stage):
        async def scene(world):
            client = await world.client()
            await client.hello()
            return (await client.give("ana@a", "eva@a", "bob@b"))[1]

        replies = play(scene, Mailboxes(hang_up_at=[stage]))
        assert [one[:9] for one in replies] == ["451 4.4.2", "451 4.4.2", "250 2.0.0"]

    def test_what_it_answered_before_it_broke_off_holds(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            return (await client.give("ana@a", "eva@a"))[1]

        replies = play(scene, Mailboxes(hang_up_at=["END 1"]))
        assert [one[:9] for one in replies] == ["250 2.0.0", "451 4.4.2"]

    def test_it_breaks_off_while_recipients_are_named(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            return await client.give("ana@a", "bob@a", "eva@a"), world.mailboxes

        boxes = Mailboxes(hang_up_at=["RCPT TO:<bob@a>"])
        (named, replies), boxes = play(scene, boxes)
        assert [one[:3] for one in named] == ["250", "451", "451"]
        assert [one[:3] for one in replies] == ["250"]
        assert [name for name, _ in boxes.stored] == ["ana@a"]

    def test_it_takes_too_long_to_store(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            return (await client.give("ana@a"))[1]

        assert play(scene, Mailboxes(silent_at="DATA"), command_seconds=2.0)[0][:9] == "451 4.4.2"

    def test_it_refuses_all_when_named_anew(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            begin = ["MAIL FROM:<>", "RCPT TO:<ana@a>", "RCPT TO:<bob@b>", "DATA"]
            await client.ask(*begin)
            world.mailboxes.unknown = {"ana@a", "bob@b"}
            client.writer.write(b"x\r\n.\r\n")
            return [await client.reply() for _ in range(2)]

        assert [one[:9] for one in play(scene)] == ["550 5.1.1"] * 2


class TestServiceFails:
    @pytest.mark.parametrize(
        "error", [BusyError("full"), UnavailableError("gone"), KeyError("bug")]
    )
    def test_mail_stays_with_the_mail_server(self, error):
        async def scene(world):
            world.service.error = error
            client = await world.client()
            await client.hello()
            replies = (await client.give("ana@a", "bob@b"))[1]
            world.service.error = None
            return replies, (await client.give("ana@a"))[1], world.mailboxes

        replies, later, boxes = play(scene)
        assert [one[:9] for one in replies] == ["451 4.3.0"] * 2
        assert [one[:3] for one in later] == ["250"]
        assert len(boxes.stored) == 1

    def test_or_goes_on_without_a_verdict(self):
        async def scene(world):
            world.service.error = UnavailableError("gone")
            client = await world.client()
            await client.hello()
            raw = b"X-Spam-Flag: NO\r\nTo: a\r\n\r\nb\r\n"
            return (await client.give("ana@a", "bob@b", raw=raw))[1], world.mailboxes

        replies, boxes = play(scene, on_failure="pass")
        assert [one[:3] for one in replies] == ["250", "250"]
        assert len(boxes.stored) == 2
        assert b"X-Spam" not in boxes.stored[0][1]

    @pytest.mark.parametrize(
        "settings",
        [{"on_failure": "shrug"}, {"next_hop": ""}, {"next_hop": "lmtp:a"}, {"next_hop": "x:/a"}],
    )
    def test_what_cannot_be_is_said_at_the_start(self, settings, tmp_path):
        async def main():
            with contextlib.closing(listening()) as sock:
                whole = {"next_hop": "lmtp:/a", **settings}
                await start(ByName(), sock, Settings.from_mapping({"lmtp": whole}))

        with pytest.raises(ConfigError, match="lmtp"):
            asyncio.run(main())
        whole = {"listen": "127.0.0.1:0", "next_hop": "lmtp:/a", **settings}
        with pytest.raises(ConfigError, match="lmtp"):
            check_settings(Settings.from_mapping({"lmtp": whole}), tmp_path)


class TestLimits:
    def test_a_message_that_is_too_large(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            large = (await client.give("ana@a", "bob@a", raw=b"x" * 70_000 + b"\r\n"))[1]
            return large, (await client.give("ana@a"))[1], world.mailboxes

        large, small, boxes = play(scene, max_message_bytes=65_536)
        assert [one[:9] for one in large] == ["552 5.3.4"] * 2
        assert small[0][:3] == "250"
        assert [line.partition(" ")[0] for line in boxes.commands].count("DATA") == 1

    def test_more_at_once_than_there_is_room_for_is_put_off(self):
        async def scene(world):
            first, second = await world.client(), await world.client()
            for client in (first, second):
                await client.hello()
                await client.ask("MAIL FROM:<>", "RCPT TO:<ana@a>", "DATA")
            # In lines, since the next hop refuses lines longer than the standard allows.
            first.writer.write((b"x" * 98 + b"\r\n") * 9_000)
            await first.writer.drain()
            second.writer.write((b"y" * 98 + b"\r\n") * 10_000)
            second.writer.write(b".\r\n")
            put_off = await second.reply()
            first.writer.write(b".\r\n")
            taken = await first.reply()
            return put_off, taken, (await second.give("ana@a"))[1][0]

        put_off, taken, later = play(scene, max_held_bytes=1_048_576)
        # Whichever of the two was read last is the one that is put off.
        assert sorted([put_off[:9], taken[:9]]) == ["250 2.0.0", "452 4.3.1"]
        assert later[:3] == "250"

    def test_more_connections_than_allowed(self):
        async def scene(world):
            first = await world.client()
            await first.hello()
            turned_away = await (await world.client()).reply()
            first.writer.close()
            await first.writer.wait_closed()
            while connection_limit(1).n_open:
                await asyncio.sleep(0)
            return turned_away, await (await world.client()).hello()

        turned_away, later = play(scene, serve={"max_connections": 1})
        assert turned_away[:9] == "421 4.3.2"
        assert later[:3] == "250"

    def test_who_is_silent_is_hung_up_on(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            await client.ask("MAIL FROM:<>", "RCPT TO:<ana@a>", "DATA")
            return await client.reply()

        assert play(scene, serve={"idle_seconds": 2.0})[:9] == "421 4.4.2"

    def test_half_a_message_is_no_message(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            await client.ask("MAIL FROM:<>", "RCPT TO:<ana@a>", "DATA")
            client.writer.write(b"Subject: half\r\n\r\n")
            client.writer.close()
            await client.writer.wait_closed()
            while connection_limit(1).n_open:
                await asyncio.sleep(0)
            return world.mailboxes

        assert play(scene).stored == []


class TestStopping:
    def test_an_idle_client_is_sent_away_and_a_message_under_way_is_finished(self):
        async def scene(world):
            idle, busy = await world.client(), await world.client()
            await idle.hello()
            await busy.hello()
            await busy.ask("MAIL FROM:<>", "RCPT TO:<ana@a>", "DATA")
            closing = asyncio.create_task(world.face.close(10.0))
            sent_away = await idle.reply()
            busy.writer.write(MAIL + b".\r\n")
            delivered, then = await busy.reply(), await busy.reply()
            await closing
            return sent_away, delivered, then, world.mailboxes

        sent_away, delivered, then, boxes = play(scene)
        assert (sent_away[:3], delivered[:3], then[:3]) == ("421", "250", "421")
        assert len(boxes.stored) == 1

    def test_what_takes_longer_than_the_grace_is_dropped(self):
        async def scene(world):
            client = await world.client()
            await client.hello()
            await client.ask("MAIL FROM:<>", "RCPT TO:<ana@a>", "DATA")
            client.writer.write(MAIL + b".\r\n")
            while "DATA" not in world.mailboxes.commands:
                await asyncio.sleep(0)
            await world.face.close(0.1)
            return await client.reply(), world.mailboxes

        answer, boxes = play(scene, Mailboxes(silent_at="DATA"))
        assert answer[:3] == "421"
        assert boxes.stored == []


class TestOthers:
    """Programs that are not ours on either side."""

    def test_a_client_of_the_standard_library_and_a_next_hop_of_aiosmtpd(self):
        stored = []

        class Handler:
            async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
                stored.append((tuple(envelope.rcpt_tos), envelope.content))
                return "250 Ok"

        def client(address):
            with smtplib.LMTP(*address, local_hostname="client") as lmtp:
                assert lmtp.sendmail("s@x.example", ["ana@a.example"], MAIL) == {}

        async def main(protocol, dialect):
            loop = asyncio.get_running_loop()
            behind, before = listening(), listening()
            server = await loop.create_server(
                lambda: protocol(Handler(), hostname="boxes", enable_SMTPUTF8=True), sock=behind
            )
            place = f"{dialect}:127.0.0.1:{behind.getsockname()[1]}"
            face = await start(
                ByName(), before, Settings.from_mapping({"lmtp": {"next_hop": place}})
            )
            await asyncio.to_thread(client, before.getsockname())
            await face.close(5.0)
            server.close()

        asyncio.run(main(LMTP, "lmtp"))
        asyncio.run(main(SMTP, "smtp"))
        assert [names for names, _ in stored] == [("ana@a.example",)] * 2
        assert stored[0][1].startswith(b"X-Spam-Status: a.example\r\n")
        assert stored[0][1].endswith(MAIL)


def test_the_real_service_explains_to_each_their_own_verdict(tmp_path):
    async def scene(world):
        for at in range(12):
            raw = b"From: news@shop.example\r\nSubject: sale %d\r\n\r\nSale, sale\r\n" % at
            for user, label in (("ana@a.example", Label.SPAM), ("bob@a.example", Label.HAM)):
                await world.service.learn(raw, label, user=user, source="test")
        client = await world.client()
        await client.hello()
        raw = b"From: news@shop.example\r\nSubject: sale 99\r\n\r\nSale, sale\r\n"
        return await client.give("ana@a.example", "bob@a.example", raw=raw), world.mailboxes

    with open_local_service(tmp_path / "state") as service:
        (_, replies), boxes = play(scene, service=service)
    assert [one[:3] for one in replies] == ["250", "250"]
    (anas,), (bobs,) = boxes.of("ana@a.example"), boxes.of("bob@a.example")
    assert b"X-Spam-Flag: YES\r\n" in anas
    assert b"X-Spam-Flag" not in bobs
    for raw in (anas, bobs):
        assert b"\r\nX-Mtspam-Why: everyone" in raw
        assert b", you " in raw

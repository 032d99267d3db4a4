-- Spam is refused with a text of ours, ham is not.

function expect(condition, what)
	if not condition then
		error(what)
	end
end

function done(problem)
	expect(problem == nil, problem)
end

function send(conn, body)
	done(mt.mailfrom(conn, "<sender@example.org>"))
	done(mt.rcptto(conn, "<ana@example.com>"))
	done(mt.header(conn, "From", " a@example.org"))
	done(mt.header(conn, "Subject", " lunch"))
	done(mt.eoh(conn))
	done(mt.bodystring(conn, body))
	done(mt.eom(conn))
end

conn = mt.connect("inet:" .. port .. "@127.0.0.1")
expect(conn ~= nil, "no connection")
done(mt.conninfo(conn, "mx.example.net", "127.0.0.1"))
send(conn, "Buy cheap pills now\r\n")
expect(mt.getreply(conn) == SMFIR_REPLYCODE, "spam is not refused")
-- This tool keeps no text of a final reply (MT_SMTPREPLY is for earlier ones): that is seen in
-- test_postfix_milter.py.
expect(not mt.eom_check(conn, MT_HDRINSERT), "what is refused is changed")
send(conn, "Shall we have lunch on Friday?\r\n")
expect(mt.getreply(conn) == SMFIR_ACCEPT, "ham is refused")
mt.disconnect(conn)

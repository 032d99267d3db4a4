-- Spam is held, with its marks.

function expect(condition, what)
	if not condition then
		error(what)
	end
end

conn = mt.connect("inet:" .. port .. "@127.0.0.1")
expect(conn ~= nil, "no connection")
mt.conninfo(conn, "mx.example.net", "127.0.0.1")
mt.mailfrom(conn, "<sender@example.org>")
mt.rcptto(conn, "<ana@example.com>")
mt.header(conn, "From", " a@example.org")
mt.header(conn, "Subject", " lunch")
mt.eoh(conn)
mt.bodystring(conn, "Buy cheap pills now\r\n")
mt.eom(conn)
expect(mt.getreply(conn) == SMFIR_ACCEPT, "it is not accepted")
expect(mt.eom_check(conn, MT_QUARANTINE), "it is not held")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Spam-Flag", " YES"), "it is not marked")
mt.disconnect(conn)

-- A mail server that offers nothing but the oldest steps has every event answered.

function expect(condition, what)
	if not condition then
		error(what)
	end
end

function continued(problem)
	expect(problem == nil, problem)
	expect(mt.getreply(conn) == SMFIR_CONTINUE, "not told to go on")
end

conn = mt.connect("inet:" .. port .. "@127.0.0.1")
expect(conn ~= nil, "no connection")
expect(mt.negotiate(conn, 2, 0x11, 0x7f) == nil, "no agreement")
expect(not mt.test_option(conn, SMFIP_NR_HDR), "more was asked for than was offered")
continued(mt.conninfo(conn, "mx.example.net", "127.0.0.1"))
continued(mt.helo(conn, "mx.example.net"))
continued(mt.mailfrom(conn, "<sender@example.org>"))
continued(mt.rcptto(conn, "<ana@example.com>"))
continued(mt.header(conn, "From", "a@example.org"))
continued(mt.header(conn, "Subject", "lunch"))
continued(mt.eoh(conn))
continued(mt.bodystring(conn, "Buy cheap pills now\r\n"))
expect(mt.eom(conn) == nil, "no end")
expect(mt.getreply(conn) == SMFIR_ACCEPT, "it is not accepted")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Mtspam-Verdict", "spam"), "no verdict")
mt.disconnect(conn)

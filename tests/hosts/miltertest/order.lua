-- Given up at every point, and then a whole message: nothing of the former is left.

function expect(condition, what)
	if not condition then
		error(what)
	end
end

function done(problem)
	expect(problem == nil, problem)
end

steps = {
	function() done(mt.mailfrom(conn, "<sender@example.org>")) end,
	function() done(mt.rcptto(conn, "<ana@example.com>")) end,
	function() done(mt.data(conn)) end,
	function() done(mt.header(conn, "Subject", " lunch")) end,
	function() done(mt.eoh(conn)) end,
	function() done(mt.bodystring(conn, "Buy cheap pills now\r\n")) end,
}

function message(body)
	for at = 1, #steps - 1 do
		steps[at]()
	end
	done(mt.bodystring(conn, body))
	done(mt.eom(conn))
	expect(mt.getreply(conn) == SMFIR_ACCEPT, "it is not accepted")
end

conn = mt.connect("inet:" .. port .. "@127.0.0.1")
expect(conn ~= nil, "no connection")
done(mt.conninfo(conn, "mx.example.net", "127.0.0.1"))
done(mt.helo(conn, "mx.example.net"))
for last = 1, #steps do
	for at = 1, last do
		steps[at]()
	end
	done(mt.abort(conn))
	message("Shall we have lunch on Friday?\r\n")
	expect(mt.eom_check(conn, MT_HDRINSERT, "X-Mtspam-Verdict", " ham"), "after " .. last)
end
message("Buy cheap pills now\r\n")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Mtspam-Verdict", " spam"), "spam")

-- A body of many pieces, up to the largest.
done(mt.mailfrom(conn, "<sender@example.org>"))
done(mt.rcptto(conn, "<ana@example.com>"))
done(mt.header(conn, "Subject", " lunch"))
done(mt.eoh(conn))
done(mt.bodyrandom(conn, 3000000))
done(mt.bodystring(conn, string.rep("x", 65535)))
done(mt.eom(conn))
expect(mt.getreply(conn) == SMFIR_ACCEPT, "a long message is not accepted")
done(mt.disconnect(conn, false))

-- Spam is marked, ham is not, and what was forged under our names goes first.

function expect(condition, what)
	if not condition then
		error(what)
	end
end

function done(problem)
	expect(problem == nil, problem)
end

function send(conn, body, forged)
	done(mt.macro(conn, SMFIC_MAIL, "i", "4QUEUE1"))
	done(mt.mailfrom(conn, "<sender@example.org>", "SIZE=400"))
	done(mt.rcptto(conn, "<ana@example.com>"))
	done(mt.data(conn))
	for _, field in ipairs(forged) do
		done(mt.header(conn, field[1], field[2]))
	end
	done(mt.header(conn, "From", " a@example.org"))
	done(mt.header(conn, "Subject", " lunch"))
	done(mt.eoh(conn))
	done(mt.bodystring(conn, body))
	done(mt.eom(conn))
end

conn = mt.connect("inet:" .. port .. "@127.0.0.1")
expect(conn ~= nil, "no connection")
done(mt.negotiate(conn, nil, nil, nil))
expect(mt.test_action(conn, SMFIF_ADDHDRS), "fields cannot be added")
expect(mt.test_action(conn, SMFIF_CHGHDRS), "fields cannot be changed")
expect(not mt.test_action(conn, SMFIF_CHGBODY), "the body could be changed")
expect(mt.test_option(conn, SMFIP_NR_BODY), "the body is answered")
done(mt.conninfo(conn, "mx.example.net", "127.0.0.1"))
done(mt.helo(conn, "mx.example.net"))

send(conn, "Buy cheap pills now\r\n", {{"X-Spam-Flag", " NO"}, {"X-Mtspam-Verdict", " ham"}})
expect(mt.getreply(conn) == SMFIR_ACCEPT, "spam is not accepted")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Mtspam-Verdict", " spam"), "spam is not marked")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Spam-Flag", " YES"), "spam has no flag")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Mtspam-Id"), "spam has no id")
expect(mt.eom_check(conn, MT_HDRDELETE, "x-spam-flag"), "a forged flag stays")
expect(mt.eom_check(conn, MT_HDRDELETE, "x-mtspam-verdict"), "a forged verdict stays")
expect(not mt.eom_check(conn, MT_BODYCHANGE), "the body is changed")
expect(not mt.eom_check(conn, MT_QUARANTINE), "spam is held")

send(conn, "Shall we have lunch on Friday?\r\n", {})
expect(mt.getreply(conn) == SMFIR_ACCEPT, "ham is not accepted")
expect(mt.eom_check(conn, MT_HDRINSERT, "X-Mtspam-Verdict", " ham"), "ham is not marked")
expect(not mt.eom_check(conn, MT_HDRDELETE), "something was deleted from ham")

done(mt.disconnect(conn))

"""What is done with each header field: the table that mail people extend."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels.headers import (
    SPAN_ADDRESS,
    SPAN_CONTENT,
    SPAN_DATE,
    SPAN_FROM,
    SPAN_ID,
    SPAN_LIST,
    SPAN_NAME,
    SPAN_RECEIVED,
    SPAN_RECIPIENTS,
    SPAN_SUBJECT,
    SPAN_WORDS,
)
from mtspam.kernels.mime import fnv64

__all__ = ["IGNORED_FIELDS", "IGNORED_PREFIXES", "KINDS", "FieldRules", "field_rules"]

FieldRules = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], int]

IGNORED_PREFIXES = """
    x-mtspam- x-spam- x-barracuda- x-bitdefender- x-mozilla- x-rspamd- x-dspam- x-crm114- x-virus-
    x-ironport- x-proofpoint- x-sonicwall- x-symantec- x-mimecast- x-spambayes- x-pmx- x-kaspersky-
    x-kas- x-cloudmark- x-amavis- x-greylist- x-uid- x-gmail-
"""
"""Names that begin like this, up to the second dash, are left out: our own fields (a copy that
comes in is forged), the verdicts of other filters (learning them means learning their mistakes)
and the marks of mail stores (not there yet when a message is judged)."""

IGNORED_FIELDS = """
    x-spam x-bogosity x-spamprobe x-spamtest x-virus x-ironport x-antispam x-antivirus
    x-bitdefender x-barracuda x-kaspersky x-scanned x-scanned-by x-virus-scanned x-mailscanner
    x-mailscanner-spamcheck x-mailscanner-spamscore x-anti-spam x-rbl-warning x-crm114-status
    status x-status xstatus x-keywords x-uid x-uidl x-imap x-imapbase x-folder x-label x-gnus
    x-evolution x-kmail content-length lines x-length
    x-bitdefender-spam x-bitdefender-scanner x-dspam
"""
"""Names left out for the same reasons."""

KINDS: dict[int, str] = {
    SPAN_SUBJECT: "subject",
    SPAN_FROM: "from",
    SPAN_ADDRESS: "sender reply-to return-path errors-to resent-from x-sender x-envelope-from "
    "envelope-from list-post x-original-from",
    SPAN_RECEIVED: "received x-received",
    SPAN_LIST: "list-id",
    SPAN_DATE: "date",
    SPAN_RECIPIENTS: "to cc bcc apparently-to resent-to",
    SPAN_ID: "message-id",
    SPAN_CONTENT: "content-type content-transfer-encoding content-disposition",
    SPAN_NAME: "in-reply-to references thread-index thread-topic delivered-to x-original-to "
    "delivery-date resent-date resent-message-id dkim-signature domainkey-signature arc-seal "
    "arc-message-signature arc-authentication-results x-google-dkim-signature "
    "x-google-smtp-source x-gm-message-state x-ms-exchange-crosstenant-id envelope-to "
    "x-envelope-to x-forwarded-encrypted content-id content-md5 autocrypt face x-face openpgp "
    "x-pgp-key "
    "x-msmail-signature",
}
"""Names by kind of reading. `SPAN_NAME`: only that the field is there. Fields not named anywhere
are read word by word."""


@cache
def field_rules() -> FieldRules:
    """Return the table in the form that :func:`mtspam.kernels.headers.lay_headers` takes."""
    kinds = {fnv64(name.encode()): -1 for name in IGNORED_FIELDS.split()}
    for kind, names in KINDS.items():
        kinds |= {fnv64(name.encode()): kind for name in names.split()}
    known = np.array(sorted(kinds), np.int64)
    values = np.array([kinds[int(name)] for name in known], np.int32)
    prefixes = np.array(sorted(fnv64(name.encode()) for name in IGNORED_PREFIXES.split()))
    return known, values, prefixes.astype(np.int64), SPAN_WORDS

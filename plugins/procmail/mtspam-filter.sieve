# Let mtspam judge mail, and file spam; for Dovecot's Pigeonhole with sieve_extprograms.
require ["envelope", "fileinto", "mailbox", "variables", "vnd.dovecot.filter"];

set "recipient" "";
if envelope :matches "to" "*" {
    set "recipient" "${1}";
}

# Where the program fails the message stays as it was, and goes on to the rules that follow.
if filter "mtspam-filter" ["${recipient}"] {
    if header :is "X-Spam-Flag" "YES" {
        fileinto :create "Junk";
        stop;
    }
}

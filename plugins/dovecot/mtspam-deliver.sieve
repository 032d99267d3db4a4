# Runs before each user's own script when mail is delivered (sieve_before).
require ["duplicate", "envelope", "fileinto", "mailbox", "variables"];

# The mail server tries a message again if it did not hear that it had been stored. It then comes
# with the same delivery number for the same recipient; one copy is enough.
if header :matches "X-Mtspam-Delivery" "*" {
    set "delivery" "${1}";
    if envelope :matches "to" "*" {
        set "recipient" "${1}";
    }
    # As long as Postfix keeps trying (maximal_queue_lifetime), and a day more.
    if duplicate :handle "mtspam" :uniqueid "${delivery} ${recipient}" :seconds 518400 {
        discard;
        stop;
    }
}

if header :is "X-Mtspam-Action" "quarantine" {
    fileinto :create "Quarantine";
    stop;
}

if header :is "X-Spam-Flag" "YES" {
    fileinto :create "Junk";
    stop;
}

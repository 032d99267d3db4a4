# A message was copied or moved into Junk: its reader says that it is spam.
require ["copy", "environment", "imapsieve", "special-use", "variables",
         "vnd.dovecot.environment", "vnd.dovecot.imapsieve", "vnd.dovecot.pipe"];

if environment :matches "imap.user" "*" {
    set "user" "${1}";
}
if environment :matches "vnd.dovecot.mailbox-from" "*" {
    set "from" "${1}";
}

# What one wrote oneself is no mail that was judged.
if anyof (string :is "${from}" ["Junk", "Drafts", "Sent", "Sent Items", "Sent Messages"],
          specialuse_exists "${from}" "\\Junk",
          specialuse_exists "${from}" "\\Drafts",
          specialuse_exists "${from}" "\\Sent") {
    stop;
}

pipe :copy "mtspam-learn" ["spam", "${user}"];

# A message was copied or moved out of Junk: its reader says that it is no spam,
# unless it goes where rubbish goes.
require ["copy", "environment", "imapsieve", "special-use", "variables",
         "vnd.dovecot.environment", "vnd.dovecot.imapsieve", "vnd.dovecot.pipe"];

if environment :matches "imap.user" "*" {
    set "user" "${1}";
}
if environment :matches "imap.mailbox" "*" {
    set "to" "${1}";
}

if anyof (string :is "${to}" ["Junk", "Spam", "Quarantine", "Trash", "Deleted Items",
                              "Deleted Messages", "Drafts", "Sent", "Sent Items",
                              "Sent Messages"],
          specialuse_exists "${to}" "\\Trash",
          specialuse_exists "${to}" "\\Junk",
          specialuse_exists "${to}" "\\Drafts",
          specialuse_exists "${to}" "\\Sent") {
    stop;
}

pipe :copy "mtspam-learn" ["ham", "${user}"];

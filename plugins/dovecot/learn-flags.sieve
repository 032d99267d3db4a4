# A mail program set $Junk or $NotJunk and moved nothing.
require ["copy", "environment", "imap4flags", "imapsieve", "special-use", "variables",
         "vnd.dovecot.environment", "vnd.dovecot.imapsieve", "vnd.dovecot.pipe"];

if environment :matches "imap.user" "*" {
    set "user" "${1}";
}
if environment :matches "imap.mailbox" "*" {
    set "mailbox" "${1}";
}
if environment :matches "imap.changedflags" "*" {
    # Blanks around each of them: $Junk is no part of another flag then.
    set "changed" " ${1} ";
}

if anyof (string :is "${mailbox}" ["Drafts", "Sent", "Sent Items", "Sent Messages"],
          specialuse_exists "${mailbox}" "\\Drafts",
          specialuse_exists "${mailbox}" "\\Sent") {
    stop;
}

# Only what was changed just now counts, and only while one of the two is set.
if allof (string :contains "${changed}" " $Junk ",
          hasflag :is "$Junk", not hasflag :is "$NotJunk") {
    pipe :copy "mtspam-learn" ["spam", "${user}"];
} elsif allof (string :contains "${changed}" " $NotJunk ",
               hasflag :is "$NotJunk", not hasflag :is "$Junk") {
    pipe :copy "mtspam-learn" ["ham", "${user}"];
}

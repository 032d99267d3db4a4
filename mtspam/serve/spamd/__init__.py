"""The protocol of SpamAssassin's spamd: for spamc, Exim, Haraka and whoever else speaks it."""

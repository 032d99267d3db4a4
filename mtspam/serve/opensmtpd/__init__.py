"""OpenSMTPD's filter protocol: codec and sessions without I/O, and the process that speaks it."""

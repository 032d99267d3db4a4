"""HTTP and rspamd's line protocols on one port: scans, teaching, our own, health and metrics."""

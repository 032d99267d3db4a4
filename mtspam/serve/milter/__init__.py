"""The milter protocol of Sendmail and Postfix: codec and session without I/O, and a server."""

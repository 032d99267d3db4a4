"""A message that goes through every kernel that reads mail; to compile and to warm them with."""

from typing import Final

__all__ = ["SPECIMEN"]

SPECIMEN: Final = b"""\
From: ana@example.org
Subject: =?utf-8?b?Zmlyc3Q=?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64

8NLJ18XU
--b
Content-Type: text/html

<p>caf\xe9 <a href="http://www.example.org/">example.org</a>
--b--
"""

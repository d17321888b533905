"""A server in a process of its own, on the loopback interface."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

import sm_dl
from sm_dl.serving import process

AS_JSON = {"content-type": "application/json"}
SERVER = """
import runpy, sys, time
from dataclasses import replace
from pathlib import Path
from sm_dl.errors import UserError
from sm_dl.job.log import start_logging
from sm_dl.job.outcome import run_to_exit_code
from sm_dl.serving import process
from sm_dl.serving.settings import Settings

conftest = sys.argv[1]
load_s, predict_s, limit_s, drain_s = map(float, sys.argv[2:])
start_logging()
process.exit_on_sigterm()
def load(folder):
    print(f"loading on {listening.getsockname()[1]}", flush=True)
    if load_s < 0:
        raise UserError("there is no model")
    time.sleep(load_s)
    return runpy.run_path(conftest)["Doubler"](predict)
def predict():
    print("predicting", flush=True)
    time.sleep(predict_s)
def serve():
    settings = replace(
        Settings.from_environment(),
        drain_s=int(drain_s), max_payload_mb=1, predict_s=limit_s, max_stuck=2, max_waiting=8,
    )
    process.serve(load, Path(), listening, settings)
with process.listen("127.0.0.1", 0) as listening:
    sys.exit(run_to_exit_code(serve, None))
"""


class Server:
    """One server process and the lines it prints."""

    def __init__(self, folder, load_s=0, predict_s=0, limit_s=60, drain_s=20):
        script = folder / "server.py"
        script.write_text(SERVER)
        conftest = Path(__file__).with_name("conftest.py")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                script,
                conftest,
                str(load_s),
                str(predict_s),
                str(limit_s),
                str(drain_s),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(sm_dl.__file__).parents[1])},
        )

    def wait_for(self, pattern):
        for line in self.process.stdout:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"the server ended without saying {pattern}")

    def wait_until_ready(self):
        self.port = int(self.wait_for(r"serving on http://127\.0\.0\.1:(\d+)")[1])

    def post(self, body):
        return httpx.post(
            f"http://127.0.0.1:{self.port}/invocations", content=body, headers=AS_JSON, timeout=10
        )

    def ping(self):
        return httpx.get(f"http://127.0.0.1:{self.port}/ping", timeout=2)

    def post_aside(self, body, answers):
        """Post from another thread, and return it once the model is at work."""
        thread = threading.Thread(target=lambda: answers.append(self.post(body)))
        thread.start()
        self.wait_for("predicting")
        return thread

    def post_aside_and_forget(self, body):
        """Post from another thread, wait until the model is at work, and expect no answer."""

        def post():
            with suppress(httpx.HTTPError):
                self.post(body)

        threading.Thread(target=post, daemon=True).start()
        self.wait_for("predicting")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@contextmanager
def running(folder, **times):
    server = Server(folder, **times)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as one:
        yield one


def test_a_request_over_the_wire_is_answered(server):
    assert server.post(b"[1,2]").content == b"[2,4]"


def test_a_client_that_sends_too_much_sees_why(server):
    assert server.post(bytes(8 * 1024 * 1024)).status_code == 413


def test_a_client_that_leaves_in_mid_body_does_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n[1")
    assert server.post(b"[1]").content == b"[2]"


def test_bytes_that_are_not_http_do_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"\x16\x03\x01\x00\xff no http \r\n\r\n")
        assert client.recv(1024).startswith(b"HTTP/1.1 400")
    assert server.ping().status_code == 200


def test_ping_is_answered_while_the_model_is_busy(tmp_path):
    with running(tmp_path, predict_s=1) as busy:
        answers = []
        thread = busy.post_aside(b"[1]", answers)
        status, was_busy = busy.ping().status_code, not answers
        thread.join()
        assert (status, was_busy) == (200, True)


def test_sigterm_ends_an_idle_server_with_code_0(tmp_path):
    with running(tmp_path) as idle:
        assert idle.terminate() == 0


def test_the_port_is_free_after_the_end(tmp_path):
    with running(tmp_path) as idle:
        idle.terminate()
        with process.listen("127.0.0.1", idle.port):
            pass


def test_sigterm_lets_the_request_in_flight_finish(tmp_path):
    with running(tmp_path, predict_s=1) as busy:
        answers = []
        thread = busy.post_aside(b"[1]", answers)
        code = busy.terminate()
        thread.join()
        assert (code, answers[0].content) == (0, b"[2]")


def test_sigterm_ends_a_server_whose_model_is_stuck(tmp_path):
    with running(tmp_path, predict_s=60, drain_s=1) as stuck:
        answers = []
        thread = stuck.post_aside(b"[1]", answers)
        code = stuck.terminate()
        thread.join()
        assert (code, answers[0].status_code) == (0, 503)


@contextmanager
def loading(folder, load_s):
    server = Server(folder, load_s=load_s)
    try:
        server.port = int(server.wait_for(r"loading on (\d+)")[1])
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()


def test_sigterm_ends_a_server_that_is_still_loading(tmp_path):
    with loading(tmp_path, 60) as server:
        assert server.terminate() == 0


def test_sigterm_ends_a_server_that_is_loading_one_of_many(tmp_path, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_MULTI_MODEL", "true")
    with running(tmp_path, load_s=60, drain_s=1) as server:
        order = {"model_name": "a", "url": str(Path.cwd())}

        def ask():
            with suppress(httpx.HTTPError):
                httpx.post(f"http://127.0.0.1:{server.port}/models", json=order, timeout=20)

        threading.Thread(target=ask, daemon=True).start()
        server.wait_for("loading")
        assert server.terminate() == 0


def test_ping_is_503_while_the_model_loads(tmp_path):
    with loading(tmp_path, 60) as server:
        assert server.ping().status_code == 503


def test_a_model_that_cannot_be_loaded_ends_the_server_with_code_2(tmp_path):
    with loading(tmp_path, -1) as server:
        assert server.process.wait(timeout=10) == 2
        assert "Customer Error: there is no model" in server.process.stdout.read()


def test_a_second_sigterm_ends_the_server_at_once(tmp_path):
    with running(tmp_path, predict_s=60) as busy:
        busy.post_aside_and_forget(b"[1]")
        busy.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert busy.terminate() == 128 + signal.SIGTERM


def test_a_model_stuck_twice_of_two_ends_the_process_with_code_1(tmp_path):
    with running(tmp_path, predict_s=60, limit_s=0.3, drain_s=1) as stuck:
        statuses = [stuck.post(b"[1]").status_code for _ in range(2)]
        assert (statuses, stuck.process.wait(timeout=10)) == ([500, 500], 1)


def test_overload_is_answered_not_queued_without_end(tmp_path):
    with running(tmp_path, predict_s=0.5) as busy:
        with ThreadPoolExecutor(40) as clients:
            answers = list(clients.map(busy.post, [b"[1]"] * 40))
        statuses = Counter(answer.status_code for answer in answers)
        assert (set(statuses), statuses[200] >= 8) == ({200, 503}, True)
        assert busy.post(b"[2]").content == b"[4]"

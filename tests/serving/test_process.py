"""Which port a server takes, and what it says when it cannot have it."""

import socket

import pytest

from sm_dl.errors import UserError
from sm_dl.serving import process


def test_an_address_of_another_machine_is_told_in_one_sentence():
    with pytest.raises(UserError, match=r"^192\.0\.2\.1:0: cannot listen here \(Cannot assign"):
        process.listen("192.0.2.1", 0)


def test_an_answer_is_sent_without_waiting_for_the_client_to_confirm_its_head():
    with process.listen("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("port", "environment", "expected"),
    [
        (None, {}, 8080),
        (None, {"SAGEMAKER_BIND_TO_PORT": "9000"}, 9000),
        (9001, {"SAGEMAKER_BIND_TO_PORT": "9000"}, 9001),
        (None, {"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}, 9000),
        (None, {"SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}, 8080),
    ],
)
def test_the_port_is_the_callers_then_the_platforms_then_8080(port, environment, expected):
    assert process.port_to_bind(port, environment) == expected


@pytest.mark.parametrize(
    ("port", "environment"),
    [
        (70_000, {}),
        (-1, {}),
        (None, {"SAGEMAKER_BIND_TO_PORT": "http"}),
        (None, {"SAGEMAKER_BIND_TO_PORT": "8081", "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}),
        (9000, {"SAGEMAKER_SAFE_PORT_RANGE": "9000"}),
    ],
)
def test_a_port_that_cannot_be_meant_is_refused(port, environment):
    with pytest.raises(UserError, match="expected"):
        process.port_to_bind(port, environment)

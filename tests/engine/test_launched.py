"""Processes that something else has started know who they are, or say which variable is wrong."""

import pytest

from sm_dl.engine import launch
from sm_dl.engine.launched import LAUNCHED_VARIABLE, Launched, believe, is_launched, meeting_port
from sm_dl.errors import UserError
from sm_dl.job.job import Hosts

MEETING = {"MASTER_ADDR": "algo-1", "MASTER_PORT": "29501"}
TWO = {"RANK": "1", "WORLD_SIZE": "2", **MEETING}
FOUR = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", **MEETING}


def without(environment, *names):
    return {name: value for name, value in environment.items() if name not in names}


@pytest.mark.parametrize(
    ("environment", "layout"),
    [
        ({}, None),
        ({"MASTER_ADDR": "algo-1", "MASTER_PORT": "abc"}, None),
        ({"RANK": "", "WORLD_SIZE": ""}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Launched(per_host=1, hosts=1)),
        (TWO, Launched(per_host=1, hosts=2)),
        (without(TWO, "MASTER_PORT"), Launched(per_host=1, hosts=2)),
        (FOUR, Launched(per_host=2, hosts=2)),
        ({**FOUR, LAUNCHED_VARIABLE: "none"}, Launched(per_host=2, hosts=2)),
    ],
)
def test_rank_and_number_are_enough_to_be_believed(environment, layout):
    assert Launched.of(environment) == layout


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        (without(TWO, "WORLD_SIZE"), "WORLD_SIZE"),
        (without(TWO, "RANK"), "RANK"),
        ({"LOCAL_RANK": "0"}, "WORLD_SIZE"),
        ({LAUNCHED_VARIABLE: "none"}, "WORLD_SIZE"),
        ({**TWO, "RANK": "2"}, "RANK"),
        ({**TWO, "RANK": "-1"}, "RANK"),
        ({**TWO, "RANK": "\u0661"}, "RANK"),
        ({**TWO, "WORLD_SIZE": "two"}, "WORLD_SIZE"),
        ({**TWO, "WORLD_SIZE": "0"}, "WORLD_SIZE"),
        ({**TWO, "WORLD_SIZE": "9" * 5000}, "WORLD_SIZE"),
        (without(TWO, "MASTER_ADDR"), "MASTER_ADDR"),
        ({**TWO, "MASTER_PORT": "abc"}, "MASTER_PORT"),
        ({**TWO, "MASTER_PORT": "65536"}, "MASTER_PORT"),
        (without(FOUR, "LOCAL_WORLD_SIZE"), "LOCAL_WORLD_SIZE"),
        (without(FOUR, "LOCAL_RANK"), "LOCAL_RANK"),
        ({**FOUR, "LOCAL_RANK": "2"}, "LOCAL_RANK"),
        ({**FOUR, "LOCAL_WORLD_SIZE": "5"}, "LOCAL_WORLD_SIZE"),
        ({**FOUR, "LOCAL_RANK": "0"}, "LOCAL_RANK"),  # numbered across hosts
        ({**FOUR, "WORLD_SIZE": "5"}, "LOCAL_RANK"),  # more on one host than on another
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(environment, variable):
    with pytest.raises(UserError, match=rf"environment variable {variable}: expected .*; got "):
        Launched.of(environment)


def test_what_torchrun_would_have_set_is_added():
    environment = without(TWO, "MASTER_PORT")
    believe(environment)
    added = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": "1", "MASTER_PORT": "29500"}
    assert environment == {**TWO, **added, LAUNCHED_VARIABLE: "sm_dl"}
    assert is_launched(environment)


@pytest.mark.parametrize("given", [{}, {**FOUR, "GROUP_RANK": "7", LAUNCHED_VARIABLE: "none"}])
def test_what_is_there_stays(given):
    environment = dict(given)
    believe(environment)
    assert environment == given


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "29500.0"])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="MASTER_PORT: expected an integer from 1 to 65535; got"):
        meeting_port({"MASTER_PORT": text})


def test_hosts_that_cannot_meet_are_told_before_they_begin(monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "abc")
    several = Hosts("algo-1", ("algo-1", "algo-2"))
    with pytest.raises(UserError, match="MASTER_PORT"), launch.missed_by_others(several):
        pytest.fail("the work has begun")


def test_a_port_that_nobody_needs_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "abc")
    with launch.missed_by_others(Hosts("algo-1", ("algo-1",))):
        pass

import pytest

from sm_dl import faults


def visits(monkeypatch, plan, points):
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: plan}))
    return [faults.reach(point) for point in points]


def test_nothing_is_planned_by_default():
    assert faults.planned({}) == []


def test_a_fault_happens_at_its_visit_of_its_point(monkeypatch):
    seen = visits(monkeypatch, "step:2:poison", ["step", "save", "step", "step"])
    assert seen == [False, False, True, False]


def test_a_star_is_every_visit(monkeypatch):
    assert visits(monkeypatch, "step:*:poison", ["step", "step"]) == [True, True]


def test_several_faults_can_be_planned(monkeypatch):
    assert visits(monkeypatch, "a:1:poison, b:2:poison", "bab") == [False, True, True]


def test_an_unknown_action_is_told(monkeypatch):
    with pytest.raises(ValueError, match="unknown action 'explode'"):
        visits(monkeypatch, "a:1:explode", "a")


def test_a_full_disk_is_told_as_the_system_tells_it(monkeypatch):
    with pytest.raises(OSError, match="No space left on device"):
        visits(monkeypatch, "a:1:full", "a")

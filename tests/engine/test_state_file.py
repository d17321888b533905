import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.engine.state_file import DamagedError, state_from_bytes, write_state

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5)
trees = st.recursive(
    scalars | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)


@pytest.fixture
def round_trip(tmp_path):
    def trip(tree):
        write_state(tmp_path / "state", tree)
        return state_from_bytes((tmp_path / "state").read_bytes())

    return trip


@given(tree=trees)
def test_what_was_written_is_read(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state"
    write_state(path, {"tree": tree})
    assert state_from_bytes(path.read_bytes()) == {"tree": tree}


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_a_tensor_comes_back_bit_for_bit(round_trip, dtype, shape):
    tensor = torch.randint(0, 2, shape).to(dtype)
    back = round_trip({"a": [tensor]})["a"][0]
    assert (back.dtype, torch.equal(back, tensor)) == (dtype, True)


def test_two_names_of_one_tensor_come_back_as_two(round_trip):
    tied = torch.arange(3.0)
    back = round_trip({"one": tied, "other": tied, "part": tied[1:]})
    assert [back[key].tolist() for key in back] == [[0, 1, 2], [0, 1, 2], [1, 2]]


def test_a_mapping_with_numbers_for_keys_comes_back_so(round_trip):
    assert round_trip({"state": {0: {"step": 1.5}, 1: {}}})["state"] == {0: {"step": 1.5}, 1: {}}


def test_the_state_of_an_optimizer_comes_back_as_it_was(round_trip):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    weight.square().sum().backward()
    optimizer.step()
    other = torch.optim.Adam([torch.nn.Parameter(weight.detach().clone())], lr=0.3, fused=True)
    other.load_state_dict(round_trip(optimizer.state_dict()))
    kept, back = optimizer.state_dict(), other.state_dict()
    assert (kept["param_groups"][0]["lr"], list(kept["param_groups"][0]["betas"])) == (
        back["param_groups"][0]["lr"],
        list(back["param_groups"][0]["betas"]),
    )
    assert all(
        torch.equal(kept["state"][0][name], back["state"][0][name]) for name in kept["state"][0]
    )


def test_infinity_comes_back(round_trip):
    assert round_trip({"loss": math.inf}) == {"loss": math.inf}


def test_every_cut_is_noticed(tmp_path):
    write_state(tmp_path / "state", {"a": torch.ones(4), "b": 1})
    whole = (tmp_path / "state").read_bytes()
    for length in range(len(whole)):
        with pytest.raises(DamagedError):
            state_from_bytes(whole[:length])


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    tree = {"a": torch.ones(4), "b": 1}
    write_state(tmp_path / "state", tree)
    whole = bytearray((tmp_path / "state").read_bytes())
    noticed = 0
    for position in range(len(whole)):
        whole[position] ^= 0x10
        try:
            back = state_from_bytes(bytes(whole))
        except DamagedError:
            noticed += 1
        else:  # a blank of the header's padding
            assert (back["b"], back["a"].tolist()) == (1, [1.0] * 4)
        whole[position] ^= 0x10
    assert noticed > 0.9 * len(whole)

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.engine.place import address, address_of_batch

numbers = st.integers(0, 2**32 - 1)


@given(numbers, numbers, numbers)
def test_an_address_is_always_the_same(seed, epoch, batch):
    assert address(seed, epoch, batch) == address(seed, epoch, batch)


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_two_places_have_two_addresses(one, other):
    assert one == other or address(*one) != address(*other)


@given(numbers, numbers)
def test_an_address_is_a_seed_torch_accepts(seed, epoch):
    assert torch.Generator().manual_seed(address(seed, epoch)) is not None


@given(st.lists(st.integers(0, 2**70), min_size=1, max_size=6))
def test_an_address_is_what_numpy_makes_of_it(where):
    low, high = np.random.SeedSequence(where).generate_state(2)
    assert address(*where) == int(high) << 32 | int(low)


@given(numbers, numbers, st.integers(0, 300), numbers)
def test_a_batch_has_its_address_whatever_was_asked_before(seed, epoch, batch, rank):
    assert address_of_batch(seed, epoch, batch, rank) == address(seed, epoch, batch, rank)

"""Generated pairs are spread as they should be, and follow from where they are asked for alone."""

import numpy as np
import pytest

from sm_dl.algorithms.ip_insights.negatives import key_of, random_addresses, shuffled_partners

KEY = key_of(7, 0)


def test_the_address_of_a_position_does_not_depend_on_its_neighbours():
    whole = random_addresses(np.arange(100), 3, KEY)
    assert (random_addresses(np.arange(40, 60, 2), 3, KEY) == whole[40:60:2]).all()


def test_another_seed_or_epoch_draws_other_addresses():
    drawn = [
        random_addresses(np.arange(50), 2, key_of(*where)) for where in ((7, 0), (7, 1), (8, 0))
    ]
    assert len(np.unique(drawn)) == 3 * 100


def test_random_addresses_are_uniform_over_the_whole_space():
    first_octet = random_addresses(np.arange(1 << 16), 4, KEY) >> 24
    counts = np.bincount(first_octet.ravel(), minlength=256)
    # 256 bins of 1024: chi-squared with 255 degrees of freedom is below 350 but for 1 in 10,000
    assert ((counts - 1024) ** 2 / 1024).sum() < 350


def test_every_bit_of_an_address_is_set_half_the_time():
    addresses = random_addresses(np.arange(10_000), 1, KEY)
    share = np.array([(addresses >> bit & 1).mean() for bit in range(32)])
    assert (abs(share - 0.5) < 0.03).all()


@pytest.mark.parametrize("num_pairs", [2, 3, 10, 143])
def test_a_shuffle_hands_every_address_to_exactly_one_other_pair(num_pairs):
    (partners,) = shuffled_partners(num_pairs, 1, KEY, np.uint64(5)).T
    assert sorted(partners) == list(range(num_pairs))
    assert (partners != np.arange(num_pairs)).all()


def test_several_shuffles_give_a_pair_several_partners():
    partners = shuffled_partners(20, 19, KEY, np.uint64(0))
    assert all(len(set(row)) == 19 for row in partners.tolist())


def test_more_shuffles_than_others_repeat_them():
    assert set(shuffled_partners(3, 5, KEY, np.uint64(0))[0].tolist()) == {1, 2}


@pytest.mark.parametrize(("num_pairs", "expected"), [(1, [[0, 0]]), (0, [])])
def test_a_pair_that_is_alone_gets_itself(num_pairs, expected):
    assert shuffled_partners(num_pairs, 2, KEY, np.uint64(0)).tolist() == expected


def test_every_part_of_an_epoch_is_shuffled_in_its_own_way():
    shifts = {int(shuffled_partners(1000, 1, KEY, np.uint64(number))[0, 0]) for number in range(20)}
    assert len(shifts) > 15

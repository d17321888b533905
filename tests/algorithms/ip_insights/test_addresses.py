"""Addresses in dotted decimal are read as a plain parser reads them, a column at a time."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.ip_insights.addresses import complaint, parse_addresses, text_of

steady = settings(derandomize=True, deadline=None)
NEAR_MISSES = ["", "0", "00", "01", "1", "9", "10", "099", "255", "256", "999", "1000", " 1", "-1", "a"]  # fmt: skip


def parsed(*texts: str) -> list[int | None]:
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    addresses, is_good = parse_addresses(np.frombuffer(b"".join(encoded), np.uint8), offsets)
    return [
        int(address) if good else None for address, good in zip(addresses, is_good, strict=True)
    ]


def by_the_library(text: str) -> int | None:
    try:
        return int(ipaddress.IPv4Address(text))  # refuses leading zeros too
    except ValueError:
        return None


@steady
@given(st.lists(st.ip_addresses(v=4).map(str), max_size=30))
def test_every_address_is_read(texts: list[str]) -> None:
    assert parsed(*texts) == [int(ipaddress.IPv4Address(text)) for text in texts]


@steady
@given(
    st.lists(
        st.one_of(
            st.ip_addresses(v=4).map(str),
            st.lists(st.sampled_from(NEAR_MISSES), min_size=3, max_size=5).map(".".join),
            st.text("0123456789.: ax", max_size=16),
        ),
        max_size=12,
    )
)
def test_a_column_of_good_and_bad_texts_is_read_as_one_by_one(texts: list[str]) -> None:
    assert parsed(*texts) == [by_the_library(text) for text in texts]


@steady
@given(st.integers(0, 2**32 - 1))
def test_text_and_number_lead_to_each_other(address: int) -> None:
    assert parsed(text_of(address)) == [address]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2001:db8::1", "an IPv6 address"),
        ("::1", "an IPv6 address"),
        ("fe80::1%eth0", "an IPv6 address"),
        ("::ffff:192.0.2.1", "an IPv6 address"),
        ("mail.example.com", "a host name"),
        ("999.1.1.1", "a number above 255"),
        ("1.1.1.99999999999999999999", "a number above 255"),
        ("010.0.0.1", "a leading zero"),
        ("1.2.3.00", "a leading zero"),
        ("1.2.3", "3 numbers"),
        ("1.2.3.4.5", "5 numbers"),
        ("ip_address", "header line"),
        ("1..2.3", "no address"),
        ("", "no address"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text: str, words: str) -> None:
    assert words in complaint(text)


def test_a_text_of_other_digits_is_no_address() -> None:
    assert parsed("١.٢.٣.٤", "１.2.3.4") == [None, None]  # noqa: RUF001 - that is the point

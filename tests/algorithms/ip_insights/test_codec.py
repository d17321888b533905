"""Bodies in every documented form become the same pairs, and answers are what the guide prints."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.algorithms.ip_insights import codec
from sm_dl.algorithms.ip_insights.codec import Answer, PairRequest, Vectors, decode, encode
from sm_dl.algorithms.ip_insights.instances import features_of
from sm_dl.content_types import CSV, JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError

steady = settings(derandomize=True, deadline=None)
PAIRS = [["entity_id_1", "192.168.1.2"], ["Zoë, 用户", "10.10.1.2"]]
PLAIN = [{"features": pair} for pair in PAIRS]
WRAPPED = [{"data": {"features": {"values": pair}}} for pair in PAIRS]
GUIDE = [WRAPPED[0], PLAIN[1]]
"""The developer guide shows one of each in one request."""


def from_json(instances: object) -> PairRequest:
    return decode(json.dumps({"instances": instances}).encode(), MediaType(JSON))


def from_lines(text: str) -> PairRequest:
    return decode(text.encode(), MediaType(JSON_LINES))


def from_csv(text: str) -> PairRequest:
    return decode(text.encode(), MediaType(CSV))


EXPECTED = from_csv('entity_id_1,192.168.1.2\n"Zoë, 用户",10.10.1.2\n')


def same(one: PairRequest, two: PairRequest) -> bool:
    return np.array_equal(one.hash_N, two.hash_N) and np.array_equal(one.address_N, two.address_N)


def refusal(body: bytes, media_type: str) -> str:
    with pytest.raises(UserError) as caught:
        decode(body, MediaType(media_type))
    return str(caught.value)


@pytest.mark.parametrize("instances", [PLAIN, WRAPPED, GUIDE], ids=["plain", "wrapped", "guide"])
def test_every_documented_form_of_json_is_read(instances):
    assert same(from_json(instances), EXPECTED)
    assert same(from_lines("".join(json.dumps(one) + "\n" for one in instances)), EXPECTED)


@pytest.mark.parametrize("indent", [None, 2])
def test_line_breaks_within_a_document_do_not_matter(indent):
    body = json.dumps({"instances": GUIDE}, indent=indent).encode()
    assert same(decode(body, MediaType(JSON)), EXPECTED)


def test_fields_that_nobody_asked_for_are_ignored():
    assert same(from_json([{**one, "note": [1, {"a": None}]} for one in PLAIN]), EXPECTED)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_last_line_may_end_as_it_likes(end):
    assert len(from_csv("a,1.2.3.4" + end)) == 1
    assert len(from_lines(json.dumps(PLAIN[0]) + end)) == 1


def test_blanks_around_texts_do_not_count():
    assert same(
        from_json([{"features": [f" {one} ", f"\t{two} "]} for one, two in PAIRS]), EXPECTED
    )


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1)


@steady
@given(st.lists(st.tuples(names, st.ip_addresses(v=4).map(str)), min_size=1, max_size=8))
def test_columns_and_single_instances_hold_the_same_texts(pairs):
    pairs = [(f"x{name}", address) for name, address in pairs]  # never blank
    instances = [{"features": list(pair)} for pair in pairs]
    body = json.dumps({"instances": instances}).encode()
    columns = features_of(body, is_lines=False)
    assert columns is not None
    assert [*zip(*(column.to_pylist() for column in columns), strict=True)] == pairs
    slow = codec._from_instances([("", instance) for instance in instances])
    assert same(decode(body, MediaType(JSON)), slow)


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ({"features": ["a"]}, "two texts"),
        ({"features": ["a", "1.2.3.4", "b"]}, "two texts"),
        ({"features": ["a", 7]}, "two texts"),
        ({"features": [None, "1.2.3.4"]}, "two texts"),
        ({"features": {"values": ["a", "1.2.3.4"]}}, "two texts"),
        ({"data": {"features": ["a", "1.2.3.4"]}}, "two texts"),
        ({}, "two texts"),
        ("a,1.2.3.4", "two texts"),
        ({"features": ["a", "::1"]}, "an IPv6 address"),
        ({"features": ["", "1.2.3.4"]}, "the name of an entity"),
        ({"features": [" ", "1.2.3.4"]}, "the name of an entity"),
    ],
)
def test_a_bad_instance_is_refused_with_its_place(instance, words):
    sentence = refusal(json.dumps({"instances": [PLAIN[0], instance]}).encode(), JSON)
    assert sentence.startswith("instances[1]: expected")
    assert words in sentence


def test_a_bad_line_is_refused_with_its_number():
    body = f"{json.dumps(PLAIN[0])}\n\n{json.dumps({'features': ['a', '1.2.3']})}\n"
    assert refusal(body.encode(), JSON_LINES).startswith("line 3: expected an IPv4 address")


def test_a_bad_row_of_csv_is_refused_with_its_number():
    assert refusal(b"a,1.2.3.4\nb,x\n", CSV).startswith("request line 2: expected an IPv4 address")


@pytest.mark.parametrize("media_type", [CSV, JSON, JSON_LINES])
@pytest.mark.parametrize("body", [b" ", b"\n\n", b"\xff\xfe", b"{", b"[]", b"null", b"1", b"\0"])
def test_what_holds_no_pair_leads_to_a_sentence(body, media_type):
    assert "expected" in refusal(body, media_type)


@pytest.mark.parametrize("instances", [[], None, {}, "a"])
def test_a_document_without_instances_is_refused(instances):
    body = json.dumps({"instances": instances}).encode()
    assert refusal(body, JSON).startswith("instances: expected a list")


def test_packed_bodies_are_not_unpacked():
    assert "got gzip" in refusal(b"\x1f\x8b\x08\0", CSV)


@pytest.fixture
def answer() -> Answer:
    """Return two scores with vectors of three numbers."""
    entities, addresses = np.eye(2, 3, dtype=np.float32), np.full((2, 3), 0.5, np.float32)
    known = np.array([True, False])
    return Answer(np.array([0.0, -2.5], np.float32), lambda: Vectors(entities, addresses, known))


def test_json_is_answered_as_documented(answer):
    assert encode(answer, JSON) == b'{"predictions":[{"dot_product":0.0},{"dot_product":-2.5}]}'


def test_json_lines_are_answered_as_documented(answer):
    assert encode(answer, JSON_LINES) == b'{"dot_product":0.0}\n{"dot_product":-2.5}\n'


def test_a_verbose_answer_adds_vectors_and_what_a_score_means(answer):
    document = json.loads(encode(answer, codec.VERBOSE_JSON))
    assert document["predictions"][1] == {
        "dot_product": -2.5,
        "entity_embedding": [0.0, 1.0, 0.0],
        "ip_embedding": [0.5, 0.5, 0.5],
        "anomaly_score": 2.5,
        "probability": pytest.approx(1 / (1 + np.exp(2.5))),
        "entity_known": False,
    }


def test_verbose_lines_hold_what_a_verbose_document_holds(answer):
    lines = encode(answer, codec.VERBOSE_JSON_LINES).splitlines()
    document = json.loads(encode(answer, codec.VERBOSE_JSON))
    assert [json.loads(line) for line in lines] == document["predictions"]


@pytest.mark.parametrize("score", [-1e30, -100.0, 1e30])
def test_no_score_is_too_far_out_for_a_probability(score):
    one = np.array([score], np.float32)
    vectors = Vectors(np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32), np.array([True]))
    document = json.loads(encode(Answer(one, lambda: vectors), codec.VERBOSE_JSON))
    assert document["predictions"][0]["probability"] == pytest.approx(float(score > 0), abs=1e-30)

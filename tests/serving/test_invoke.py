"""Invariants of the one path from body to answer."""

import pytest

from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.errors import UserError
from sm_dl.serving.invoke import Call, agree, decode, encode, invoke


def test_a_body_is_answered_in_its_own_type(doubler):
    response = invoke(doubler, Call(body=b"1\n2", content_type=JSON_LINES))
    assert (response.status, response.body, response.content_type) == (200, b"2\n4", JSON_LINES)


def test_accept_chooses_the_type_of_the_answer(doubler):
    response = invoke(doubler, Call(body=b"[1,2]", content_type=JSON, accept=JSON_LINES))
    assert (response.body, response.content_type) == (b"2\n4", JSON_LINES)


def test_accept_is_checked_before_everything_else(doubler):
    response = invoke(doubler, Call(body=b"{", content_type="image/png", accept="text/csv"))
    assert response.status == 406


@pytest.mark.parametrize(
    "content_type", [None, "", "text/csv", "application/x-npy", f"{JSON}, {JSON_LINES}"]
)
def test_a_type_the_model_does_not_read_is_415(doubler, content_type):
    assert invoke(doubler, Call(body=b"[1]", content_type=content_type)).status == 415


def test_a_refusal_names_what_would_be_accepted(doubler):
    response = invoke(doubler, Call(body=b"[1]", content_type="text/csv"))
    assert response.body.decode() == (
        "Content-Type: expected one of application/json, application/jsonlines; got 'text/csv'. "
        "Name the type the body really has."
    )


def test_parameters_and_case_of_a_content_type_do_not_matter(doubler):
    assert (
        invoke(doubler, Call(body=b"[1]", content_type="Application/JSON; charset=UTF-8")).status
        == 200
    )


@pytest.mark.parametrize("content_type", [None, JSON])
def test_an_empty_body_is_204(doubler, content_type):
    assert invoke(doubler, Call(body=b"", content_type=content_type)).status == 204


def test_an_empty_body_of_an_unknown_type_is_415(doubler):
    assert invoke(doubler, Call(body=b"", content_type="text/csv")).status == 415


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'["a"]', b"null", b"\x00"])
def test_a_body_that_is_not_what_it_claims_is_400(doubler, body):
    assert invoke(doubler, Call(body=body, content_type=JSON)).status == 400


def test_a_400_says_the_sentence_of_the_codec(doubler):
    response = invoke(doubler, Call(body=b"{", content_type=JSON))
    assert response.body == b"body: expected JSON; send numbers."


def test_a_failure_of_the_model_is_500_without_its_cause(doubler):
    response = invoke(doubler, Call(body=b"[13]", content_type=JSON, request_id="an-id"))
    assert (response.status, response.body) == (
        500,
        b"The model failed on this request; the log has the cause under request id an-id.",
    )


def test_the_log_has_the_cause_under_the_request_id(doubler, log):
    invoke(doubler, Call(body=b"[13]", content_type=JSON, request_id="an-id"))
    (record,) = log.records
    assert (record.message, str(record.exc_info[1])) == (
        "request an-id: the model failed",
        "/secret/path",
    )


def test_a_user_error_after_decoding_is_our_fault(make_doubler):
    def refuse():
        raise UserError("too late")

    assert invoke(make_doubler(refuse), Call(body=b"[1]", content_type=JSON)).status == 500


def test_requests_merged_into_one_predict_are_answered_as_alone(doubler):
    calls = [Call(body=body, content_type=JSON) for body in (b"[1]", b"[2,3]", b"[]")]
    terms = [agree(doubler, call) for call in calls]
    requests = [decode(doubler, call, term) for call, term in zip(calls, terms, strict=True)]
    answers = doubler.predict(requests)
    together = [encode(doubler, answer, term) for answer, term in zip(answers, terms, strict=True)]
    assert together == [invoke(doubler, call) for call in calls]


@pytest.mark.parametrize(("media", "body"), [(JSON, b"[1,2]"), (JSON_LINES, b"1\n2\n")])
def test_a_body_may_begin_with_a_byte_order_mark(doubler, media, body):
    marked = invoke(doubler, Call(body=b"\xef\xbb\xbf" + body, content_type=media))
    assert (marked.status, marked) == (200, invoke(doubler, Call(body=body, content_type=media)))

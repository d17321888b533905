"""Vocabulary files and pretrained vectors, and what is wrong with bad ones."""

import gzip
import json

import pytest
import torch

from sm_dl.algorithms.object2vec.pretrained import fill_table
from sm_dl.algorithms.object2vec.words import Words, auxiliary_file, read_words, shown_tokens
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource
from tests.algorithms.object2vec.conftest import VOCABULARY, side_of

SIDE = side_of(token_dim=3, dim=3, vocab_file="words.json")
WORDS = Words({"the": 4, "New York": 5, "rare": 6})
VECTORS = "the 0.1 0.2 0.3\nelse 9 9 9\nNew York -1 2e-1 .5\n"


@pytest.fixture
def auxiliary(tmp_path):
    """Return a maker of files in channel auxiliary."""

    def make(name: str, content: str | bytes):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return auxiliary_file(ChannelSource("auxiliary", tmp_path), name, "enc0_vocab_file")

    return make


def filled(file, side=SIDE):
    table = torch.zeros(VOCABULARY, side.token_dim)
    return table, fill_table(table, file, WORDS, side)


def test_vectors_come_to_the_rows_of_their_words(auxiliary, log):
    table, count = filled(auxiliary("v.txt", VECTORS))
    torch.testing.assert_close(table[[4, 5]], torch.tensor([[0.1, 0.2, 0.3], [-1.0, 0.2, 0.5]]))
    assert (count, int(table.any(1).sum())) == (2, 2)
    assert "auxiliary/v.txt: 1 of 3 words of the vocabulary have no vector" in log.text


@pytest.mark.parametrize(
    "content", [gzip.compress(VECTORS.encode(), mtime=0), b"3 3\n" + VECTORS.encode()]
)
def test_a_gzipped_file_and_a_header_of_word2vec_change_nothing(auxiliary, content):
    assert filled(auxiliary("v.txt", content))[1] == 2


@pytest.mark.parametrize("line", ["the 1 2", "the 1 2 3 4"])
def test_vectors_of_another_width_are_refused(auxiliary, line):
    with pytest.raises(UserError) as refusal:
        filled(auxiliary("v.txt", line + "\n"))
    assert str(refusal.value) == (
        f"auxiliary/v.txt line 1: expected a word and 3 numbers, as enc0_token_embedding_dim says; "
        f"got {len(line.split()) - 1}. Set enc0_token_embedding_dim to the width of these vectors, or bring others."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a 1 2 3\nthe 1 2\n", "line 2: expected a word and 3 numbers"),
        ("a 1 2 3\nthe 1 x 3\n", "line 2: expected numbers behind the word"),
        ("a 1 2 3\nthe 1 inf 3\n", "line 2: expected finite numbers"),
        ("a 1 2 3\n", "expected vectors of words of 'words.json'; got none of its 3 words"),
        ("a 1 2 3\n" + "x" * 70_000, "line 2: expected at most 65536 bytes"),
    ],
)
def test_a_bad_vector_file_is_refused_with_its_line(auxiliary, content, reason):
    with pytest.raises(UserError) as refusal:
        filled(auxiliary("v.txt", content))
    assert reason in str(refusal.value)


def test_a_vocabulary_is_one_json_object(auxiliary):
    assert read_words(auxiliary("words.json", '{"the": 4, "cat": 0}'), SIDE).ids == {
        "the": 4,
        "cat": 0,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "expected one JSON object of words and ids; "),
        ("[]", "expected a JSON object of words and ids; got []"),
        ("{}", "expected a JSON object of words and ids; got {}"),
        ('{"a": 50}', "word 'a': expected an id from 0 to 49, below enc0_vocab_size; got 50"),
        ('{"a": "1"}', "word 'a': expected an id from 0 to 49"),
        ('{"a": -1}', "word 'a': expected an id from 0 to 49"),
        ('{"a": true}', "word 'a': expected an id from 0 to 49"),
    ],
)
def test_a_bad_vocabulary_is_refused(auxiliary, content, reason):
    with pytest.raises(UserError) as refusal:
        read_words(auxiliary("words.json", content), SIDE)
    assert str(refusal.value).startswith(f"auxiliary/words.json: {reason}")


def test_a_file_or_a_channel_that_is_missing_is_named(auxiliary, tmp_path):
    auxiliary("other.json", "{}")
    with pytest.raises(
        UserError, match=r"enc0_vocab_file: expected 'a\.json' in channel auxiliary; got other"
    ):
        auxiliary_file(ChannelSource("auxiliary", tmp_path), "a.json", "enc0_vocab_file")
    with pytest.raises(UserError, match="got no such channel"):
        auxiliary_file(None, "a.json", "enc0_vocab_file")


def test_sequences_are_shown_as_words_where_they_are_known():
    assert shown_tokens([4, 5, 9], WORDS) == "the New York 9"
    assert shown_tokens(range(3), None, most=2) == "0 1 …"
    assert json.dumps(shown_tokens([4], WORDS)) == '"the"'

"""Words behind the ids, and their vectors."""

import gzip
import logging

import numpy as np
import pytest

from sm_dl.algorithms.ntm.vocabulary import read_vocabulary
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource

WORDS = "apple\nbähn\nchat\n"


@pytest.fixture
def auxiliary(tmp_path):
    def make(**files):
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name.replace("_", ".")).write_bytes(data)
        return ChannelSource("auxiliary", tmp_path, "text/plain")

    return make


@pytest.mark.parametrize(
    "content",
    [WORDS, WORDS.rstrip(), WORDS.replace("\n", "\r\n"), "\ufeff" + WORDS, WORDS + "\n\n"],
    ids=["plain", "no-end", "windows", "mark", "blank-end"],
)
def test_line_i_is_the_word_of_id_i(auxiliary, content):
    assert list(read_vocabulary(auxiliary(vocab_txt=content), 3).words) == ["apple", "bähn", "chat"]


def test_the_file_may_be_packed(auxiliary):
    source = auxiliary(vocab_txt=gzip.compress(WORDS.encode()))
    assert read_vocabulary(source, 3).words[1] == "bähn"


def test_no_channel_and_no_file_are_told_in_the_service_s_words(auxiliary, caplog):
    with caplog.at_level(logging.INFO):
        assert read_vocabulary(None, 3) is None
        assert read_vocabulary(auxiliary(other_txt="a"), 3) is None
    assert caplog.messages == [
        "Vocab file is not provided",
        "Vocab file is not provided",
        "Vocab file vocab.txt is expected at /opt/ml/input/data/auxiliary",
    ]


def test_the_first_words_are_shown_since_a_wrong_order_cannot_be_seen(auxiliary, caplog):
    with caplog.at_level(logging.INFO):
        read_vocabulary(auxiliary(vocab_txt=WORDS), 3)
    assert "ids 0, 1 and 2 are 'apple', 'bähn', 'chat'; check" in caplog.text


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"vocab_txt": "a\nb\n"}, r"auxiliary/vocab\.txt: expected 3 lines, .*feature_dim says; got 2"),
        ({"vocab_txt": "a\nb\nc\nd\n"}, r"expected 3 lines, .* got 4"),
        ({"vocab_txt": ""}, r"expected 3 lines, .* got 0"),
        ({"vocab_txt": b"a\n\xff\nc\n"}, r"auxiliary/vocab\.txt line 2: expected UTF-8 text"),
        ({"vocab_txt": WORDS.encode("utf-16")}, r"auxiliary/vocab\.txt line 1: expected UTF-8 text"),
        ({"vocab_txt": WORDS, "vectors_txt": "apple 1 2\nchat 1\n"}, r"vectors\.txt line 2: expected 2 numbers.*got 1"),
        ({"vocab_txt": WORDS, "vectors_txt": "apple 1 x\n"}, r"vectors\.txt line 1: expected a word and 1 to 4096"),
        ({"vocab_txt": WORDS, "vectors_txt": "apple\n"}, r"vectors\.txt line 1: expected a word and"),
        ({"vocab_txt": WORDS, "vectors_txt": "apple 1 nan\n"}, r"vectors\.txt line 1: expected a word and"),
        ({"vocab_txt": WORDS, "vectors_txt": "dog 1 2\n"}, r"expected a vector for at least one word"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_refused(auxiliary, files, words):
    with pytest.raises(UserError, match=words):
        read_vocabulary(auxiliary(**files), 3)


def test_a_word_without_vector_gets_the_mean_of_the_others_and_is_counted(auxiliary, caplog):
    source = auxiliary(vocab_txt=WORDS, vectors_txt="apple 1 2\nother x\nchat 3 6\n")
    with caplog.at_level(logging.WARNING):
        vectors = read_vocabulary(source, 3).vectors
    assert np.array_equal(vectors, [[1, 2], [2, 4], [3, 6]])
    assert "1 out of 3 in vocabulary do not have embeddings! Default vector used" in caplog.text

"""How the two encoders come out of the service's names, and its trap."""

import pytest

from sm_dl.algorithms.object2vec.sides import sides_of
from sm_dl.errors import UserError
from tests.algorithms.object2vec.conftest import LENGTH, VOCABULARY, hyperparameters_of

TIED = {"tied_token_embedding_weight": "true"}

OWN = {"enc1_network": "pooled_embedding", "enc1_vocab_size": 20, "enc1_max_seq_len": 4}


def sides(**given):
    return sides_of(hyperparameters_of(**given))


def test_encoder_1_is_like_encoder_0_by_default():
    side0, side1 = sides(enc0_network="bilstm", enc0_layers=2)
    assert (side1.network, side1.layers, side1.vocab_size, side1.max_seq_len) == (
        "bilstm",
        2,
        VOCABULARY,
        LENGTH,
    )
    assert (side0.field, side1.field) == ("in0", "in1")


def test_other_sizes_of_encoder_1_are_left_aside_with_a_warning(log):
    _, side1 = sides(enc1_max_seq_len=3, enc1_layers=2, enc1_vocab_size=VOCABULARY)
    assert side1.max_seq_len == LENGTH
    assert (
        "enc1_layers=2, enc1_max_seq_len=3 is left aside. Set enc1_network=pooled_embedding"
        in log.text
    )


def test_a_larger_vocabulary_of_encoder_1_counts_all_the_same(log):
    side0, side1 = sides(enc1_vocab_size=99)
    assert (side0.vocab_size, side1.vocab_size) == (VOCABULARY, 99)
    assert "is left aside, but for the vocabulary of 99" in log.text


def test_a_tied_table_has_the_larger_vocabulary():
    assert [side.vocab_size for side in sides(enc1_vocab_size=99, **TIED)] == [99, 99]


def test_nothing_is_said_where_the_sizes_are_the_same(log):
    sides(enc1_vocab_size=VOCABULARY, enc1_max_seq_len=LENGTH)
    assert log.text == ""


def test_encoder_1_has_its_own_sizes_where_it_has_its_own_network():
    _, side1 = sides(**OWN, enc1_token_embedding_dim=8)
    assert (side1.vocab_size, side1.max_seq_len, side1.token_dim) == (20, 4, 8)


@pytest.mark.parametrize(
    ("network", "layers", "expected"),
    [("hcnn", "auto", 4), ("bilstm", "auto", 1), ("pooled_embedding", 3, 0), ("hcnn", "2", 2)],
)
def test_depth(network, layers, expected):
    assert sides(enc0_network=network, enc0_layers=layers)[0].layers == expected


@pytest.mark.parametrize("missing", ["enc1_vocab_size", "enc1_max_seq_len"])
def test_a_size_that_encoder_1_needs_is_asked_for(missing):
    given = {name: value for name, value in OWN.items() if name != missing}
    with pytest.raises(
        UserError, match=f"^hyperparameter {missing}: is needed with enc1_network=pooled"
    ):
        sides(**given)


REFUSED = [
    (
        {**OWN, "enc1_token_embedding_dim": 9},
        r"equal width; got 8 \(enc0_token_embedding_dim of pooled",
    ),
    (
        {**OWN, "enc1_network": "hcnn", "enc_dim": 10},
        r"and 10 \(enc_dim of hcnn\)\. Make these equal",
    ),
    ({"enc0_network": "bilstm", "enc_dim": 9}, "enc_dim: expected an even number for bilstm"),
    (
        {**OWN, "enc1_token_embedding_dim": 8, "tied_token_embedding_weight": True},
        "got 50 x 8 and 20 x 8",
    ),
    ({"enc0_pretrained_embedding_file": "a.txt"}, "enc0_vocab_file: is needed with"),
    (
        {
            **TIED,
            "enc1_network": "pooled_embedding",
            "enc1_vocab_size": 50,
            "enc1_max_seq_len": 12,
            "enc1_token_embedding_dim": 8,
            "enc0_pretrained_embedding_file": "a.txt",
            "enc0_vocab_file": "w.json",
            "enc1_pretrained_embedding_file": "b.txt",
            "enc1_vocab_file": "w.json",
        },
        "one table; got enc0_pretrained_embedding_file='a.txt' and .*'b.txt'",
    ),
]


@pytest.mark.parametrize(("given", "reason"), REFUSED)
def test_sizes_that_do_not_fit_together_are_refused_at_the_start(given, reason):
    with pytest.raises(UserError, match=reason):
        sides(**given)

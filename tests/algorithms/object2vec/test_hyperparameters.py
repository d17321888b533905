"""What is special to Object2Vec's names: comparators, depths, file names."""

import pytest

from sm_dl.errors import UserError
from tests.algorithms.object2vec.conftest import hyperparameters_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hadamard", ("hadamard",)),
        ("abs_diff,concat", ("abs_diff", "concat")),
        (" concat ,  hadamard", ("concat", "hadamard")),
        ("hadamard, concat, abs_diff", ("hadamard", "concat", "abs_diff")),
        (["abs_diff", "hadamard"], ("abs_diff", "hadamard")),
        ('["concat", "hadamard"]', ("concat", "hadamard")),
    ],
)
def test_comparators_come_in_any_combination(text, expected):
    assert hyperparameters_of(comparator_list=text).comparators == expected


@pytest.mark.parametrize(
    "text",
    [
        *("cosine", "hadamard,", "hadamard, hadamard", "hadamard concat", "[]", ",", "[hadamard]"),
        *([], ["cosine"], ["hadamard", "hadamard"], ["hadamard", 1], [True], [["hadamard"]]),
    ],
)
def test_other_comparators_are_refused(text):
    with pytest.raises(
        UserError, match=r"^hyperparameter comparator_list: expected a comma-separated list"
    ):
        hyperparameters_of(comparator_list=text)


@pytest.mark.parametrize("value", ["auto", "1", 4, '"auto"'])
def test_a_depth_is_auto_or_a_number(value):
    assert hyperparameters_of(enc0_layers=value).enc0_layers in ("auto", 1, 4)


@pytest.mark.parametrize("value", ["0", 5, "Auto ", "1.5", "true"])
def test_other_depths_are_refused(value):
    with pytest.raises(
        UserError, match=r"^hyperparameter enc0_layers: expected auto, or an integer >= 1"
    ):
        hyperparameters_of(enc0_layers=value)


@pytest.mark.parametrize("name", ["../a", "a/b", "..", ".a", "a b", "a\\b", "a.", "é"])
def test_a_file_name_leads_nowhere_else(name):
    with pytest.raises(UserError, match=r"^hyperparameter enc1_vocab_file: expected a file name"):
        hyperparameters_of(enc1_vocab_file=name)


def test_a_regression_has_one_output_whatever_num_classes_says():
    assert hyperparameters_of(output_layer="mean_squared_error", num_classes=7).num_outputs == 1
    assert hyperparameters_of(num_classes=7).num_outputs == 7


@pytest.mark.parametrize(
    ("name", "edge"),
    [("dropout", 0.0), ("dropout", 1.0), ("weight_decay", 0.0), ("learning_rate", 1.0)],
)
def test_edges_belong_to_their_ranges(name, edge):
    assert getattr(hyperparameters_of(**{name: edge}), name) == edge

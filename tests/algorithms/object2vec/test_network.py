"""The whole network: comparators, tables, and the shape the service prints."""

import pytest
import torch

from sm_dl.algorithms.object2vec.encoders import Sequences
from sm_dl.algorithms.object2vec.network import compared
from tests.algorithms.object2vec.conftest import network_of, random_rows, side_of

ONE, TWO = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 5.0]])


def sequences(count=6, seed=0):
    rows = random_rows(count, seed)
    return Sequences(torch.from_numpy(rows.tokens_N).long(), torch.from_numpy(rows.lengths))


@pytest.mark.parametrize(
    ("comparators", "expected"),
    [
        (("hadamard",), [3.0, -10.0]),
        (("concat",), [1.0, -2.0, 3.0, 5.0]),
        (("abs_diff",), [2.0, 7.0]),
        (("abs_diff", "hadamard"), [2.0, 7.0, 3.0, -10.0]),
    ],
)
def test_comparators_stand_in_the_order_given(comparators, expected):
    assert compared(ONE, TWO, comparators).tolist() == [expected]


def test_the_weights_are_as_many_as_the_service_prints():
    # object2vec_document_embedding.ipynb: 417,794 without the table (spec section 1.1)
    sides = [side_of(field=field, token_dim=300, dim=300) for field in ("in0", "in1")]
    network = network_of(
        sides=tuple(sides),
        is_tied=True,
        comparators=("hadamard",),
        mlp_layers=2,
        mlp_dim=512,
        num_outputs=2,
    )
    counts = {name: weight.numel() for name, weight in network.named_parameters()}
    assert sum(count for name, count in counts.items() if not name.startswith("tables")) == 417_794
    assert sum(name.startswith("tables") for name in counts) == 1


@pytest.mark.parametrize("is_tied", [False, True])
def test_outputs_are_those_of_encoding_each_side_and_comparing(is_tied):
    network = network_of(is_tied=is_tied).eval()
    in0, in1 = sequences(), sequences(seed=3)
    encodings = [network.encode(number, part) for number, part in enumerate((in0, in1))]
    torch.testing.assert_close(network(in0, in1), network.compare(*encodings))


@pytest.mark.parametrize("is_tied", [False, True])
def test_encoders_alike_start_alike_and_share_no_weight_but_a_tied_table(is_tied):
    network, same = network_of("hcnn", is_tied=is_tied), sequences()
    assert network.encode(0, same).equal(network.encode(1, same))
    assert len(network.tables) == (1 if is_tied else 2)
    for weight in network.encoders[0].parameters():
        weight.data.add_(1)
    assert not network.encode(0, same).equal(network.encode(1, same))


def test_encoders_of_other_sizes_start_on_their_own():
    sides = (side_of("hcnn"), side_of("hcnn", "in1", vocab_size=60))
    network, same = network_of(sides=sides), sequences()
    assert not network.encode(0, same).equal(network.encode(1, same))


def test_without_hidden_layers_the_comparator_leads_to_the_output():
    network = network_of(mlp_layers=0, comparators=("concat",))
    assert (len(network.mlp), network.output.in_features) == (0, 16)


@pytest.mark.parametrize("is_tied", [False, True])
def test_sparse_gradients_hold_what_dense_ones_do_and_each_row_once(is_tied):
    gradients = {}
    for has_sparse_rows in (False, True):
        network = network_of(is_tied=is_tied, has_sparse_rows=has_sparse_rows)
        network(sequences(), sequences(seed=3)).sum().backward()
        gradients[has_sparse_rows] = [table.weight.grad for table in network.tables]
    for dense, sparse in zip(gradients[False], gradients[True], strict=True):
        rows = sparse._indices()[0]
        assert len(rows.unique()) == len(rows)
        torch.testing.assert_close(sparse.to_dense(), dense)


def test_dropout_of_everything_leaves_the_biases_in_training_and_nothing_in_use():
    network = network_of(dropout=1.0)
    dropped = network(sequences(), sequences(seed=3))
    assert (dropped == dropped[0]).all()
    assert not (network.eval()(sequences(), sequences(seed=3)) == dropped[0]).all()


@pytest.mark.parametrize("encoder", ["pooled_embedding", "hcnn", "bilstm"])
def test_in_mixed_precision_outputs_and_gradients_are_nearly_the_same(encoder):
    exact, mixed = network_of(encoder), network_of(encoder)
    expected = exact(sequences(), sequences(seed=3))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = mixed(sequences(), sequences(seed=3))
    assert outputs.dtype == torch.float32
    torch.testing.assert_close(outputs, expected, rtol=0.02, atol=0.02)
    (outputs**2).sum().backward()
    (expected**2).sum().backward()
    gradients, others = (
        torch.cat([weight.grad.flatten() for weight in network.parameters()])
        for network in (mixed, exact)
    )
    # where encoders take maxima, rounding makes other tokens the largest
    near = 0.02 if encoder == "pooled_embedding" else 0.1
    assert (gradients - others).norm() < near * others.norm()

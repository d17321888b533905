"""The 37 hyperparameters of Object2Vec, under the service's names and with its ranges."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sm_dl.contract.hyperparameters import Hyperparameters, hyperparameter, json_list

COMPARATORS = ("hadamard", "concat", "abs_diff")
FILE_NAME = re.compile(r"[A-Za-z0-9_.]*")
FILE_NAME_IN_WORDS = "a file name of letters, digits, _ and ., in channel auxiliary"


def _with_commas(value: object) -> object:
    """Return the service's text for a list of names, native or as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = json_list(value)
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return ",".join(value)
    return value


def _comparators(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if unknown := [name for name in names if name not in COMPARATORS]:
        raise ValueError(f"{unknown[0]!r} is none of them")
    if len(set(names)) < len(names):
        raise ValueError("one stands there twice")
    return ", ".join(names)


def _file_name(value: str) -> str:
    if not FILE_NAME.fullmatch(value) or value.strip(".") != value:
        raise ValueError("no such name")
    return value


Comparators = Annotated[str, BeforeValidator(_with_commas), AfterValidator(_comparators)]
FileName = Annotated[str, AfterValidator(_file_name)]
Depth = Literal["auto"] | Annotated[int, Field(ge=1, le=4)]


class Object2VecHyperparameters(Hyperparameters):
    """What one Object2Vec job can be told (AWS developer guide; spec section 4)."""

    enc0_max_seq_len: int = hyperparameter(ge=1, le=5000)
    """Longest input of encoder 0, in tokens; longer ones are cut."""
    enc0_vocab_size: int = hyperparameter(ge=2, le=3_000_000)
    """Vocabulary size of encoder 0; every id must be below it."""
    bucket_width: int = hyperparameter(default=0, ge=0, le=100)
    """Pairs whose lengths differ by less than this share batches, so that little is padded; 0 mixes
    all lengths."""
    comparator_list: Comparators = hyperparameter(
        default="hadamard, concat, abs_diff",
        expected="a comma-separated list of hadamard, concat, abs_diff, each once",
    )
    """How the two encodings are put together, in the order given: their product, both beside each
    other, their absolute difference."""
    dropout: float = hyperparameter(default=0.0, ge=0, le=1, tune=(0.0, 1.0))
    """Dropout of the encodings and of each hidden layer behind the comparator."""
    early_stopping_patience: int = hyperparameter(default=3, ge=1, le=5, tune=(1, 5))
    """Bad epochs that are borne, and how many epochs before a bad one is compared with."""
    early_stopping_tolerance: float = hyperparameter(
        default=0.01, ge=1e-6, le=0.1, tune=(0.001, 0.1)
    )
    """An epoch is bad when its loss is not lower by so much, absolutely, than the best of the window
    before."""
    enc_dim: int = hyperparameter(default=4096, ge=4, le=10_000, tune=(4, 4096))
    """Width of what `hcnn` and `bilstm` encode to; `pooled_embedding` has that of its tokens."""
    enc0_network: Literal["hcnn", "bilstm", "pooled_embedding"] = hyperparameter(default="hcnn")
    """Encoder 0: hierarchical convolutions, a bidirectional LSTM, or the mean of token vectors."""
    enc0_cnn_filter_width: int = hyperparameter(default=3, ge=1, le=9, tune=(1, 5))
    """Tokens that a filter of encoder 0 sees when it is `hcnn`."""
    enc0_freeze_pretrained_embedding: bool = hyperparameter(default=True)
    """Keep pretrained token vectors of encoder 0 as they are."""
    enc0_layers: Depth = hyperparameter(
        default="auto", tune=(1, 4), expected="auto, or an integer >= 1 and <= 4"
    )
    """Depth of encoder 0. `auto`: 4 for `hcnn`, 1 for `bilstm`; `pooled_embedding` has none."""
    enc0_pretrained_embedding_file: FileName = hyperparameter(
        default="", expected=FILE_NAME_IN_WORDS
    )
    """Pretrained token vectors of encoder 0, a word and its numbers a line; needs `enc0_vocab_file`."""
    enc0_token_embedding_dim: int = hyperparameter(default=300, ge=2, le=1000, tune=(5, 300))
    """Width of the token vectors of encoder 0."""
    enc0_vocab_file: FileName = hyperparameter(default="", expected=FILE_NAME_IN_WORDS)
    """Word to id of encoder 0, one JSON object. With it a request may send words instead of ids."""
    enc1_network: Literal["enc0", "hcnn", "bilstm", "pooled_embedding"] = hyperparameter(
        default="enc0"
    )
    """Encoder 1. `enc0` makes it like encoder 0 in everything but its weights, and leaves the other
    `enc1_` names aside."""
    enc1_cnn_filter_width: int = hyperparameter(default=3, ge=1, le=9, tune=(1, 5))
    """Tokens that a filter of encoder 1 sees when it is `hcnn`."""
    enc1_freeze_pretrained_embedding: bool = hyperparameter(default=True)
    """Keep pretrained token vectors of encoder 1 as they are."""
    enc1_layers: Depth = hyperparameter(
        default="auto", tune=(1, 4), expected="auto, or an integer >= 1 and <= 4"
    )
    """Depth of encoder 1; see `enc0_layers`."""
    enc1_max_seq_len: int | None = hyperparameter(default=None, ge=1, le=5000)
    """Longest input of encoder 1, in tokens. Needed unless `enc1_network` is `enc0`."""
    enc1_pretrained_embedding_file: FileName = hyperparameter(
        default="", expected=FILE_NAME_IN_WORDS
    )
    """Pretrained token vectors of encoder 1; see `enc0_pretrained_embedding_file`."""
    enc1_token_embedding_dim: int = hyperparameter(default=300, ge=2, le=1000, tune=(5, 300))
    """Width of the token vectors of encoder 1."""
    enc1_vocab_file: FileName = hyperparameter(default="", expected=FILE_NAME_IN_WORDS)
    """Word to id of encoder 1; see `enc0_vocab_file`."""
    enc1_vocab_size: int | None = hyperparameter(default=None, ge=2, le=3_000_000)
    """Vocabulary size of encoder 1. Needed unless `enc1_network` is `enc0`."""
    epochs: int = hyperparameter(default=30, ge=1, le=100, tune=(4, 20))
    """Upper bound on epochs."""
    learning_rate: float = hyperparameter(default=0.0004, ge=1e-6, le=1, tune=(1e-6, 1.0))
    """Step size. adadelta has none and ignores it, as in the service."""
    mini_batch_size: int = hyperparameter(default=32, ge=1, le=10_000, tune=(1, 8192))
    """Pairs per update over all processes together, drawn negatives included."""
    mlp_activation: Literal["tanh", "relu", "linear"] = hyperparameter(
        default="linear", tune=("tanh", "relu", "linear")
    )
    """Activation of the hidden layers behind the comparator."""
    mlp_dim: int = hyperparameter(default=512, ge=2, le=10_000, tune=(16, 1024))
    """Width of these layers."""
    mlp_layers: int = hyperparameter(default=2, ge=0, le=10, tune=(1, 4))
    """Their number; with 0 the comparator leads to the output at once."""
    negative_sampling_rate: int = hyperparameter(default=0, ge=0)
    """Negatives drawn for each training pair, anew in each epoch: its `in0` beside the `in1` of another
    pair, with label 0."""
    num_classes: int = hyperparameter(default=2, ge=2, le=30)
    """Classes of `softmax`; no matter in regression."""
    optimizer: Literal["adadelta", "adagrad", "adam", "sgd", "rmsprop"] = hyperparameter(
        default="adam", tune=("adagrad", "adam", "rmsprop", "sgd", "adadelta")
    )
    """Update rule, as MXNet 1.3 has it."""
    output_layer: Literal["softmax", "mean_squared_error"] = hyperparameter(default="softmax")
    """`softmax` learns classes by cross-entropy, `mean_squared_error` a score by squared error."""
    tied_token_embedding_weight: bool = hyperparameter(default=False)
    """One token table for both encoders. Pretrained vectors that either names fill it; two different
    files are refused."""
    token_embedding_storage_type: Literal["dense", "row_sparse"] = hyperparameter(default="dense")
    """`row_sparse` updates only the rows of the token tables that a batch touches."""
    weight_decay: float = hyperparameter(default=0.0, ge=0, le=10_000, tune=(0.0, 1.0))
    """L2 coefficient of weights; biases are free. With adadelta it is scaled by no rate."""
    force_negative_sampling: bool = hyperparameter(default=False, extra=True)
    """Draw negatives even where training labels other than 1 occur, or scores are learnt."""

    @property
    def comparators(self) -> tuple[str, ...]:
        """Return the comparators in order."""
        return tuple(self.comparator_list.split(", "))

    @property
    def num_outputs(self) -> int:
        """Return how many numbers the network gives for a pair."""
        return self.num_classes if self.output_layer == "softmax" else 1

    @property
    def has_sparse_rows(self) -> bool:
        """Return whether a step reaches the rows of the token tables that its batch touches alone."""
        return self.token_embedding_storage_type == "row_sparse"  # noqa: S105 - no password

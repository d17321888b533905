"""The two sides of a pair: which encoder, which sizes, and how encoder 1 takes after encoder 0."""

import logging
from dataclasses import dataclass, replace
from typing import Literal

from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

Network = Literal["hcnn", "bilstm", "pooled_embedding"]
DEFAULT_LAYERS = {"hcnn": 4, "bilstm": 1, "pooled_embedding": 0}


@dataclass(frozen=True)
class Side:
    """One encoder and what it reads."""

    field: Literal["in0", "in1"]
    network: Network
    vocab_size: int
    max_seq_len: int
    token_dim: int
    """Width of a token vector."""
    layers: int
    filter_width: int
    dim: int
    """Width of the encoding."""
    vectors_file: str = ""
    vocab_file: str = ""
    is_frozen: bool = False
    """Whether pretrained vectors stay as they are."""


def sides_of(hyperparameters: Object2VecHyperparameters) -> tuple[Side, Side]:
    """Return both encoders, as the service's names and its rule for `enc1_network=enc0` give them.

    Raises:
        UserError: A size is missing, or the two do not fit together.
    """
    given = hyperparameters
    side0 = _side(given, 0, given.enc0_network, given.enc0_vocab_size, given.enc0_max_seq_len)
    if given.enc1_network == "enc0":
        side1 = _like_encoder_0(side0, given)
        if given.tied_token_embedding_weight:
            side0 = replace(side0, vocab_size=side1.vocab_size)
    else:
        for name in ("enc1_vocab_size", "enc1_max_seq_len"):
            if getattr(given, name) is None:
                raise UserError(
                    f"hyperparameter {name}: is needed with enc1_network={given.enc1_network}; set it."
                )
        side1 = _side(
            given, 1, given.enc1_network, given.enc1_vocab_size or 0, given.enc1_max_seq_len or 0
        )
    _check(side0, side1, is_tied=given.tied_token_embedding_weight)
    return side0, side1


def _side(
    given: Object2VecHyperparameters, number: int, network: Network, vocab_size: int, length: int
) -> Side:
    def value(name: str) -> object:
        return getattr(given, f"enc{number}_{name}")

    layers, token_dim = value("layers"), int(str(value("token_embedding_dim")))
    return Side(
        field="in1" if number else "in0",
        network=network,
        vocab_size=vocab_size,
        max_seq_len=length,
        token_dim=token_dim,
        layers=layers
        if isinstance(layers, int) and DEFAULT_LAYERS[network]
        else DEFAULT_LAYERS[network],
        filter_width=int(str(value("cnn_filter_width"))),
        dim=token_dim if network == "pooled_embedding" else given.enc_dim,
        vectors_file=str(value("pretrained_embedding_file")),
        vocab_file=str(value("vocab_file")),
        is_frozen=bool(value("freeze_pretrained_embedding")),
    )


def _like_encoder_0(side0: Side, given: Object2VecHyperparameters) -> Side:
    """Return encoder 1 as a copy of encoder 0, which is a trap where other sizes were given too.

    Differs from the service: it checks ids of `in1` against `enc0_vocab_size` even when a larger
    `enc1_vocab_size` is given (sagemaker-python-sdk issue 834); here the larger one counts.
    """
    ignored = [
        name
        for name in sorted(given.model_fields_set)
        if name.startswith("enc1_") and name != "enc1_network" and not _is_same(given, name)
    ]
    larger = max(side0.vocab_size, given.enc1_vocab_size or 0)
    if ignored:
        logger.warning(
            "hyperparameter enc1_network is enc0: encoder 1 is made like encoder 0, and %s is left aside%s. "
            "Set enc1_network=%s if encoder 1 is to have its own sizes.",
            ", ".join(f"{name}={getattr(given, name)}" for name in ignored),
            f", but for the vocabulary of {larger}" if larger > side0.vocab_size else "",
            side0.network,
        )
    return replace(side0, field="in1", vocab_size=larger)


def _is_same(given: Object2VecHyperparameters, name: str) -> bool:
    mine = getattr(given, name)
    return mine in (getattr(given, name.replace("enc1_", "enc0_")), None)


def _check(side0: Side, side1: Side, *, is_tied: bool) -> None:
    if side0.dim != side1.dim:
        raise UserError(
            f"hyperparameters: the two encodings must have equal width; got {side0.dim} "
            f"({_width_name(0, side0)} of {side0.network}) and {side1.dim} "
            f"({_width_name(1, side1)} of {side1.network}). Make these equal."
        )
    for side in (side0, side1):
        if side.network == "bilstm" and side.dim % 2:
            raise UserError(
                f"hyperparameter enc_dim: expected an even number for bilstm, half of it for each direction; "
                f"got {side.dim}."
            )
        if side.network == "hcnn" and side.dim < side.layers:
            raise UserError(
                f"hyperparameter enc_dim: expected at least one filter for each of the {side.layers} layers of "
                f"hcnn; got {side.dim}."
            )
    shape0, shape1 = ((side.vocab_size, side.token_dim) for side in (side0, side1))
    if is_tied and shape0 != shape1:
        raise UserError(
            "hyperparameter tied_token_embedding_weight: expected equal vocabulary sizes and token widths for "
            f"one table; got {shape0[0]} x {shape0[1]} and {shape1[0]} x {shape1[1]}. Set it to false, or make "
            "enc1_vocab_size and enc1_token_embedding_dim like those of encoder 0."
        )
    files = [side.vectors_file for side in (side0, side1)]
    if is_tied and all(files) and files[0] != files[1]:
        raise UserError(
            "hyperparameter tied_token_embedding_weight: expected one file of pretrained vectors for one table; "
            f"got enc0_pretrained_embedding_file={files[0]!r} and enc1_pretrained_embedding_file={files[1]!r}. "
            "Leave one of them empty, or set tied_token_embedding_weight=false."
        )
    for number, side in enumerate((side0, side1)):
        if side.vectors_file and not side.vocab_file:
            raise UserError(
                f"hyperparameter enc{number}_vocab_file: is needed with enc{number}_pretrained_embedding_file="
                f"{side.vectors_file!r}, to know which id each word has; set it."
            )


def _width_name(number: int, side: Side) -> str:
    return f"enc{number}_token_embedding_dim" if side.network == "pooled_embedding" else "enc_dim"

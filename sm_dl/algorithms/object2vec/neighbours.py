"""What the encoders made of the training objects: written as files, and looked at for the report.

Shape letters in this file: U = different objects, Q = objects that are shown, K = neighbours, D = width.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from sm_dl.algorithms.object2vec.data import Pairs
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor, Vectors
from sm_dl.algorithms.object2vec.ragged import Indices, Ragged
from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.algorithms.object2vec.words import shown_tokens
from sm_dl.files import beside_the_model, renamed_when_done

logger = logging.getLogger(__name__)

MAX_OBJECTS = 200_000
"""Embedded and written at most, those that occur most often."""
NUM_SHOWN, NUM_NEIGHBOURS, NUM_MAPPED = 6, 5, 1000


@dataclass(frozen=True)
class Neighbourhood:
    """The objects of one side in the space of their embeddings."""

    side: Side
    names: Sequence[str]
    """Of the mapped objects, those that occur most often first."""
    neighbours_QK: Indices
    """Of the first objects, the nearest others among all mapped ones, by cosine."""
    cosines_QK: Vectors
    map_U2: Vectors
    """The mapped objects in the plane of their two principal components."""
    share: float
    """Of the variance that this plane holds."""


def write_embeddings(
    predictor: Object2VecPredictor, train: Pairs, folder: Path
) -> list[Neighbourhood]:
    """Embed the different objects of the training channel, write them, and return who is near whom.

    `in0.objects.jsonl` holds an object a line, as a request may bring it, and `in0.vectors.npy` its
    vector in the same row; those that occur most often come first. The same for `in1`.
    """
    found = []
    for number, rows in enumerate((train.in0, train.in1)):
        side = predictor.network.shape.sides[number]
        first_rows, _ = rows.distinct()
        objects = rows.take(first_rows[:MAX_OBJECTS])
        vectors_UD = predictor.embeddings(number, objects)
        with beside_the_model(folder):
            _write(folder, side.field, objects, vectors_UD)
            logger.info(
                "%s: embeddings of %d of %d different objects are in %s",
                side.field, len(objects), len(first_rows), folder,
            )  # fmt: skip
        words = predictor.words[number]
        names = [shown_tokens(objects[row], words) for row in range(min(len(objects), NUM_MAPPED))]
        found.append(_neighbourhood(side, names, vectors_UD[:NUM_MAPPED]))
    return found


def _write(folder: Path, field: str, objects: Ragged, vectors_UD: Vectors) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with renamed_when_done(folder / f"{field}.objects.jsonl") as path, path.open("wb") as file:
        for row in range(len(objects)):
            file.write(
                orjson.dumps(
                    {field: objects[row]},
                    option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
                )
            )
    with renamed_when_done(folder / f"{field}.vectors.npy") as path, path.open("wb") as file:
        np.save(file, vectors_UD, allow_pickle=False)


def _neighbourhood(side: Side, names: Sequence[str], vectors_UD: Vectors) -> Neighbourhood:
    neighbours_QK, cosines_QK = nearest(vectors_UD, NUM_SHOWN, NUM_NEIGHBOURS)
    map_U2, share = principal_plane(vectors_UD)
    return Neighbourhood(side, names, neighbours_QK, cosines_QK, map_U2, share)


def nearest(vectors_UD: Vectors, num_queries: int, num_neighbours: int) -> tuple[Indices, Vectors]:
    """Return the nearest others of the first vectors and their cosines, nearest first, (Q, K) each."""
    lengths_U = np.linalg.norm(vectors_UD, axis=1, keepdims=True)
    unit_UD = vectors_UD / np.maximum(lengths_U, 1e-12)
    cosine_QU = unit_UD[:num_queries] @ unit_UD.T
    np.fill_diagonal(cosine_QU, -np.inf)  # nobody is a neighbour of itself
    count = min(num_neighbours, len(vectors_UD) - 1)
    order_QK = np.argsort(-cosine_QU, axis=1, kind="stable")[:, :count]
    return order_QK, np.take_along_axis(cosine_QU, order_QK, axis=1)


def principal_plane(vectors_UD: Vectors) -> tuple[Vectors, float]:
    """Return where the two principal components put vectors, shape (U, 2), and their share of the variance.

    Signs are such that the largest value of each component is positive: the same data, the same map.
    """
    centred_UD = (vectors_UD - vectors_UD.mean(axis=0)).astype(np.float64)
    # the matrix of products is smaller than that of the components where these are thousands
    values, vectors = np.linalg.eigh(centred_UD @ centred_UD.T)
    largest = np.maximum(values[::-1][:2], 0)
    map_U2 = vectors[:, ::-1][:, :2] * np.sqrt(largest)
    if map_U2.shape[1] < 2:
        map_U2 = np.pad(map_U2, ((0, 0), (0, 2 - map_U2.shape[1])))
    signs = np.sign(np.take_along_axis(map_U2, np.abs(map_U2).argmax(axis=0)[None], axis=0))
    total = float(np.maximum(values, 0).sum())
    share = float(largest.sum()) / total if total else 1.0
    return (map_U2 * np.where(signs == 0, 1, signs)).astype(np.float32), share

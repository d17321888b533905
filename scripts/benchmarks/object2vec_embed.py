"""Objects a CPU second that a trained model embeds: decoded from JSON Lines, encoded, written as JSON Lines.

That is what batch transform does with each payload. The network is untrained: its numbers do not matter.
"""

import argparse
import json
import time

import numpy as np
import orjson

from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.network import NetworkShape, Object2VecNetwork
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.algorithms.object2vec.sides import sides_of
from sm_dl.content_types import JSON_LINES, parse


def main() -> None:
    """Print the speed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", default="pooled_embedding")
    parser.add_argument("--tokens", type=int, default=10)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--objects", type=int, default=50_000)
    parser.add_argument("--at-once", type=int, default=2_000, help="objects of a payload")
    options = parser.parse_args()
    given = Object2VecHyperparameters.parse(
        {
            "enc0_max_seq_len": options.tokens,
            "enc0_vocab_size": 50_000,
            "enc0_network": options.network,
            "enc0_token_embedding_dim": options.dim,
            "enc_dim": options.dim,
        }
    )
    shape = NetworkShape(sides_of(given), False, given.comparators, 1, 64, "relu", 2)  # noqa: FBT003
    predictor = Object2VecPredictor(Object2VecNetwork(shape))
    random = np.random.default_rng(0)
    bodies = [
        b"\n".join(
            orjson.dumps({"in0": random.integers(0, 50_000, options.tokens).tolist()})
            for _ in range(options.at_once)
        )
        for _ in range(options.objects // options.at_once)
    ]
    media = parse(JSON_LINES)
    started, written = time.process_time(), 0
    for body in bodies:
        (answer,) = predictor.predict([predictor.decode(body, media)])
        written += len(predictor.encode(answer, JSON_LINES))
    seconds = time.process_time() - started
    count = len(bodies) * options.at_once
    print(json.dumps({"objects_per_cpu_s": count / seconds, "bytes_written": written}))


if __name__ == "__main__":
    main()

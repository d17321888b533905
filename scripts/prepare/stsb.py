#!/usr/bin/env python3
"""Turn the STS benchmark into Object2Vec channels: two sentences and how similar they are.

Origin: Cer et al., SemEval-2017 task 1, https://ixa2.si.ehu.eus/stswiki (Stsbenchmark.tar.gz); the
files sts-train.csv, sts-dev.csv and sts-test.csv.
Licence: the scores CC BY-SA 4.0; the sentences keep the licences of their sources.

Writes `train`, `validation`, `test` and `auxiliary/words.json`. The label is the score from 0 to 5:
train with output_layer mean_squared_error.

Published, test set, Spearman of the cosine of unsupervised embeddings (sbert.net): average GloVe
0.580, InferSent 0.680. Word overlap has Pearson 0.570.
"""

import argparse
from pathlib import Path

from object_pairs import TextPair, read_fields, words_of, write_text_channels

FILES = {"train": "sts-train.csv", "validation": "sts-dev.csv", "test": "sts-test.csv"}
SCORE, SENTENCE_1, SENTENCE_2 = 4, 5, 6
"""Fields of a line; a few lines have more behind them."""


def read_file(name: str, source: Path) -> list[TextPair]:
    """Return the pairs of one file."""
    try:
        return [
            TextPair(float(row[SCORE]), words_of(row[SENTENCE_1]), words_of(row[SENTENCE_2]))
            for row in read_fields(name, source=source)
        ]
    except (ValueError, IndexError) as error:
        raise SystemExit(
            f"{name}: expected the seven fields of the STS benchmark; {error}."
        ) from None


def main() -> None:
    """Write the channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--source", type=Path, required=True, help="folder of the files, plain or .gz"
    )
    parser.add_argument("--output", type=Path, default=Path("data/stsb"))
    options = parser.parse_args()
    write_text_channels(
        options.output,
        {channel: read_file(name, options.source) for channel, name in FILES.items()},
    )


if __name__ == "__main__":
    main()

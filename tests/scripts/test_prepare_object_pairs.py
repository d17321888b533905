"""The scripts that prepare pairs for Object2Vec, run as a user runs them, on small sources."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PREPARE = Path(__file__).parents[2] / "scripts" / "prepare"
RATINGS = [(user, film, 1 + (user + film) % 5) for user in range(1, 9) for film in range(1, 6)]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Return the finished run of one script."""
    return subprocess.run(
        [sys.executable, PREPARE / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def records_of(channel: Path) -> list[dict[str, Any]]:
    """Return the records of a channel."""
    lines = gzip.decompress((channel / "pairs.jsonl.gz").read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def movielens(tmp_path: Path) -> Path:
    """Return a folder like ml-100k: one file gzipped, two films of one title."""
    folder = tmp_path / "ml"
    folder.mkdir()
    text = "".join(f"{user}\t{film}\t{rating}\t88\n" for user, film, rating in RATINGS)
    (folder / "u.data.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "u1.base").write_text("1\t2\t3\t4\n2\t1\t4\t4\n")
    (folder / "u1.test").write_text("3\t3\t5\t4\n")
    films = ["Amélie", "Ransom", "Ransom", "D", "E"]
    lines = "".join(f"{number}|{film}|x\n" for number, film in enumerate(films, 1))
    (folder / "u.item").write_bytes(lines.encode("latin-1"))
    return folder


def test_every_rating_is_in_one_channel(movielens: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("movielens_100k.py", "--source", movielens, "--output", out, "--validation", 0.25)
    assert done.returncode == 0, done.stderr
    channels = {name: records_of(out / name) for name in ("train", "validation", "test")}
    assert {name: len(records) for name, records in channels.items()} == {
        "train": 27,
        "validation": 9,
        "test": 4,
    }
    found = [
        (one["in0"][0], one["in1"][0], one["label"])
        for records in channels.values()
        for one in records
    ]
    assert sorted(found) == sorted(RATINGS)


def test_liked_is_above_three(movielens: Path, tmp_path: Path) -> None:
    run(
        "movielens_100k.py", "--source", movielens, "--output", tmp_path, "--split", "u1", "--liked"
    )
    labels = {one["in0"][0]: one["label"] for one in records_of(tmp_path / "train")}
    assert labels == {1: 0, 2: 1}
    assert records_of(tmp_path / "test") == [{"label": 1, "in0": [3], "in1": [3]}]


def test_films_of_one_title_have_names_of_their_own(movielens: Path, tmp_path: Path) -> None:
    run("movielens_100k.py", "--source", movielens, "--output", tmp_path)
    films = json.loads((tmp_path / "auxiliary" / "films.json").read_text())
    assert films == {"Amélie": 1, "Ransom [2]": 2, "Ransom [3]": 3, "D": 4, "E": 5}


SICK = """pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment
1\tA dog runs.\tThe dog isn't here\t3.4\tCONTRADICTION
2\tA cat\tA cat\t5\tENTAILMENT
"""


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """Return a folder of SICK's three files."""
    folder = tmp_path / "sick"
    folder.mkdir()
    for name in ("SICK_train", "SICK_trial", "SICK_test_annotated"):
        (folder / f"{name}.txt").write_text(SICK)
    return folder


def test_sentences_become_ids_of_words_that_occur_twice(sick: Path, tmp_path: Path) -> None:
    done = run("sick.py", "--source", sick, "--output", tmp_path)
    assert json.loads((tmp_path / "auxiliary" / "words.json").read_text()) == {
        "<unk>": 0,
        "a": 1,
        "cat": 2,
        "dog": 3,
    }
    assert records_of(tmp_path / "train") == [
        {"label": 2, "in0": [1, 3, 0], "in1": [0, 3, 0, 0]},
        {"label": 1, "in0": [1, 2], "in1": [1, 2]},
    ]
    assert done.stdout.splitlines()[-1] == "max_seq_len: 4"


def test_relatedness_is_the_label_on_request(sick: Path, tmp_path: Path) -> None:
    run("sick.py", "--source", sick, "--output", tmp_path, "--score")
    assert [one["label"] for one in records_of(tmp_path / "test")] == [3.4, 5]


def test_the_sts_benchmark_is_read_without_quoting(tmp_path: Path) -> None:
    line = 'main\tMSRvid\t2012\t1\t4.25\tA "dog\tthe dog\tmore\n'
    for name in ("sts-train.csv", "sts-dev.csv", "sts-test.csv"):
        (tmp_path / name).write_text(line)
    run("stsb.py", "--source", tmp_path, "--output", tmp_path / "out")
    assert records_of(tmp_path / "out" / "validation") == [
        {"label": 4.25, "in0": [0, 1], "in1": [0, 1]}
    ]


@pytest.mark.parametrize("script", ["movielens_100k.py", "sick.py", "stsb.py"])
def test_a_source_without_the_file_is_named(script: str, tmp_path: Path) -> None:
    done = run(script, "--source", tmp_path, "--output", tmp_path / "out")
    assert "pass --source the folder with" in done.stderr
    assert done.returncode == 1

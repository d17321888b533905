"""Two languages to records: the rules of the service's example, and back without loss."""

import gzip
import json
from pathlib import Path

import pytest

from sm_dl import pack
from sm_dl.data.protobuf.read import read_batches
from sm_dl.packing.text import SPECIALS, read_vocabulary, vocabulary_from
from tests.golden import DATA

MULTI30K = DATA / "multi30k_en_de"


def _ids(path: Path, name: str) -> list[list[int]]:
    with path.open("rb") as stream:
        return [
            row.tolist()
            for batch in read_batches(stream, path.name)
            for row in batch.features[name].rows()
        ]


@pytest.mark.system
@pytest.mark.skipif(not MULTI30K.is_dir(), reason=f"multi30k is not at {MULTI30K}")
def test_multi30k_comes_back_word_for_word(tmp_path: Path) -> None:
    parts = {
        f"--{part}": str(MULTI30K / f"{name}.gz")
        for part, name in (
            ("source", "train.en"),
            ("target", "train.de"),
            ("val-source", "val.en"),
            ("val-target", "val.de"),
        )
    }
    arguments = [word for pair in parts.items() for word in pair]
    assert pack.main(["text", *arguments, "--output", str(tmp_path)]) == 0
    for name, language, vocabulary in (
        ("source", "en", "vocab.src.json"),
        ("target", "de", "vocab.trg.json"),
    ):
        words = {number: word for word, number in read_vocabulary(tmp_path / vocabulary).items()}
        with gzip.open(MULTI30K / f"train.{language}.gz", "rt", encoding="utf-8") as stream:
            wanted = [line.split() for line in stream]
        found = _ids(tmp_path / "train.rec", name)
        assert [[words[number] for number in line] for line in found] == wanted
        assert len(_ids(tmp_path / "val.rec", name)) == 1014


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    (tmp_path / "a.en").write_text("a b b c\n\nc c <s> d\nü\n", encoding="utf-8")
    (tmp_path / "a.de").write_text("x y\nz\nx\nx\n", encoding="utf-8")
    return ["text", "--source", str(tmp_path / "a.en"), "--target", str(tmp_path / "a.de")]


def test_words_are_ranked_by_count_and_then_backwards() -> None:
    counts = {"a": 1, "b": 2, "c": 3, "d": 1, "e": 2}
    ranked = vocabulary_from(counts, max_words=4, min_count=1)
    assert list(ranked.items())[4:] == [("c", 4), ("e", 5), ("b", 6), ("d", 7)]
    assert "a" not in vocabulary_from(counts, max_words=9, min_count=2)


def test_specials_are_no_words_and_blank_pairs_are_dropped(
    pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert pack.main([*pair, "--output", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: vocabularies of 9 and 7 words",
        f"{out / 'train.rec'}: 3 pairs, 1 with a blank side dropped",
    ]
    vocabulary = json.loads((out / "vocab.src.json").read_text(encoding="utf-8"))
    assert vocabulary == SPECIALS | {"c": 4, "b": 5, "ü": 6, "d": 7, "a": 8}
    assert (out / "vocab.src.json").read_text(encoding="utf-8").startswith('{\n    "<pad>": 0,\n')
    assert _ids(out / "train.rec", "source") == [[8, 5, 5, 4], [4, 4, 2, 7], [6]]
    assert _ids(out / "train.rec", "target") == [[4, 6], [4], [4]]


def test_one_vocabulary_serves_both_sides(pair: list[str], tmp_path: Path) -> None:
    assert pack.main([*pair, "--single-vocab", "--output", str(tmp_path / "out")]) == 0
    one, other = ((tmp_path / "out" / f"vocab.{side}.json").read_bytes() for side in ("src", "trg"))
    assert one == other
    assert set(json.loads(one)) == {*SPECIALS, *"abcdxyzü"}


def test_given_vocabularies_are_kept_and_other_words_unknown(
    pair: list[str], tmp_path: Path
) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps(SPECIALS | {"c": 4}))
    vocabularies = ["--vocab-source", str(given), "--vocab-target", str(given)]
    assert pack.main([*pair, *vocabularies, "--output", str(tmp_path / "out")]) == 0
    assert _ids(tmp_path / "out" / "train.rec", "source")[1] == [4, 4, 2, 1]


@pytest.mark.parametrize(
    ("vocabulary", "problem"),
    [
        ("[]", "expected an object of word to id"),
        ('{"a": "x"}', "expected an object of word to id"),
        ("{", "expected a vocabulary as JSON"),
        (json.dumps(SPECIALS | {"a": 5}), "expected each id from 0 to 4 once"),
        (json.dumps(SPECIALS | {"a": 3}), "expected each id from 0 to 4 once"),
        (json.dumps({"<s>": 0, "<unk>": 1, "<pad>": 2, "</s>": 3}), "in the vocabulary; got"),
    ],
)
def test_a_vocabulary_that_is_none_is_named(
    pair: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    vocabulary: str,
    problem: str,
) -> None:
    given = tmp_path / "given.json"
    given.write_text(vocabulary)
    vocabularies = ["--vocab-source", str(given), "--vocab-target", str(given)]
    assert pack.main([*pair, *vocabularies, "--output", str(tmp_path / "out")]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(("cut", "ends"), [("a.en", "a.en"), ("a.de", "a.de")])
def test_files_of_different_length_are_named(
    pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: str, ends: str
) -> None:
    (tmp_path / cut).write_text("x\n")
    assert pack.main([*pair, "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / ends}: expected as many lines as in")
    assert not (tmp_path / "out" / "train.rec").exists()


def test_half_a_pair_of_options_is_refused(
    pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pack.main([*pair, "--val-source", "x", "--output", str(tmp_path / "out")]) == 2
    assert "--val-source and --val-target, or neither" in capsys.readouterr().err


def test_damaged_gzip_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a b\n" * 99)[:-9])
    name = str(tmp_path / "a.gz")
    arguments = ["--source", name, "--target", name, "--output", str(tmp_path / "out")]
    assert pack.main(["text", *arguments]) == 2
    assert "damaged gzip data" in capsys.readouterr().err

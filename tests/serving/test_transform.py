"""The transform door, as far as it goes without a model."""

import os

import pytest

from sm_dl import transform


@pytest.fixture
def folders(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.json").write_bytes(b"1\n2\n")
    return source, tmp_path / "out"


def door(folders, *more):
    source, output = folders
    model = source.parent / "model"
    return transform.main(
        ["--model", str(model), "--input", str(source), "--output", str(output), *more]
    )


def test_a_model_folder_without_a_model_is_exit_code_2(folders, capsys):
    code = door(folders)
    assert (code, "model.json: cannot be read" in capsys.readouterr().out) == (2, True)


def test_a_hostile_archive_is_exit_code_2(folders, capsys):
    (folders[0].parent / "model").write_bytes(b"no archive")
    code = door(folders)
    assert (code, "expected a model.tar.gz" in capsys.readouterr().out) == (2, True)


def test_an_output_that_is_a_file_is_exit_code_2(folders, capsys):
    folders[1].write_bytes(b"")
    code = door(folders)
    assert (code, "is no folder and cannot be made" in capsys.readouterr().out) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--max-payload-mb", "0"], "maximum payload: 0 asks for a body without a limit"),
        (["--max-payload-mb", "100", "--max-concurrent-transforms", "2"], "2 x 100 MB = 200 MB"),
        (["--input-filter", "$..a"], "input filter: expected only the operators"),
        (["--join-source", "Input", "--split-type", "Line"], "expected the same split type and"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_model_is_loaded(
    folders, capsys, arguments, expected
):
    code = door(folders, *arguments)
    assert (code, expected in capsys.readouterr().out) == (2, True)


@pytest.mark.parametrize("option", ["--split-type", "--batch-strategy", "--join-source"])
def test_a_word_the_service_has_not_is_exit_code_2(folders, capsys, option):
    with pytest.raises(SystemExit) as ended:
        door(folders, option, "Both")
    assert (ended.value.code, "invalid choice: 'Both'" in capsys.readouterr().err) == (2, True)


def test_the_container_is_told_what_the_user_has_set(folders, monkeypatch):
    monkeypatch.delenv("SAGEMAKER_BATCH_STRATEGY", raising=False)
    monkeypatch.delenv("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", raising=False)
    door(folders, "--max-payload-mb", "3", "--batch-strategy", "SingleRecord")
    told = {name: value for name, value in os.environ.items() if name.startswith("SAGEMAKER_")}
    assert told == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "3",
    }

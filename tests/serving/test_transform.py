"""A folder of objects in, a folder of `.out` objects out."""

import gzip

import pytest

from sm_dl import transform
from sm_dl.errors import AlgorithmError, UserError
from sm_dl.serving.batch import Rules

RULES = Rules(split_type="Line", assemble_with="Line", batch_strategy="SingleRecord")


@pytest.fixture
def folders(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "b.jsonl").write_bytes(b"3\n4\n")
    (source / "a.json").write_bytes(b"1\n2\n")
    (source / "deep" / "er" / "c.json.gz").write_bytes(gzip.compress(b"5\n"))
    return source, output


def run(predictor, folders):
    source, output = folders
    transform.write_outputs(predictor, transform.input_objects(source, output), output, RULES)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_each_object_has_an_output_of_its_name_with_out(doubler, folders):
    run(doubler, folders)
    assert files(folders[1]) == {
        "a.json.out": b"2\n4\n",
        "b.jsonl.out": b"6\n8\n",
        "deep/er/c.json.gz.out": b"10\n",
    }


def test_a_single_file_is_an_object_of_its_own_name(doubler, folders):
    source, output = folders
    run(doubler, (source / "a.json", output))
    assert files(output) == {"a.json.out": b"2\n4\n"}


@pytest.mark.parametrize("name", ["_SUCCESS", ".hidden", ".git/config"])
def test_files_that_are_no_data_are_left_alone(folders, name):
    source, output = folders
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_bytes(b"1\n")
    assert name not in transform.input_objects(source, output)


def test_objects_come_in_the_order_of_their_keys(folders):
    assert list(transform.input_objects(*folders)) == ["a.json", "b.jsonl", "deep/er/c.json.gz"]


@pytest.mark.parametrize("content", [b"1\n{\n", b'1\n"two"\n'])
def test_a_bad_record_costs_the_output_of_its_object_only(doubler, folders, content):
    (folders[0] / "a.json").write_bytes(content)
    with pytest.raises(UserError):
        run(doubler, folders)
    assert list(files(folders[1])) == ["b.jsonl.out", "deep/er/c.json.gz.out"]


def test_the_end_names_the_objects_that_failed(doubler, folders):
    (folders[0] / "a.json").write_bytes(b"{\n")
    (folders[0] / "deep" / "er" / "c.json.gz").write_bytes(b"no gzip")
    with pytest.raises(
        UserError, match=r"^2 of 3 objects have no output: a\.json, deep/er/c\.json\.gz\."
    ):
        run(doubler, folders)


def test_the_log_gives_each_reason(doubler, folders, log):
    (folders[0] / "a.json").write_bytes(b"1\n{\n")
    with pytest.raises(UserError):
        run(doubler, folders)
    assert "Customer Error: a.json: line 2: body: expected JSON; send numbers." in log.messages


def test_a_failure_of_the_model_is_an_algorithm_error(doubler, folders):
    (folders[0] / "a.json").write_bytes(b"13\n")
    with pytest.raises(AlgorithmError, match=r"1 of 3 objects have no output: a\.json"):
        run(doubler, folders)


def test_the_output_of_an_earlier_run_does_not_outlive_a_failure(doubler, folders):
    run(doubler, folders)
    (folders[0] / "a.json").write_bytes(b"{\n")
    with pytest.raises(UserError):
        run(doubler, folders)
    assert "a.json.out" not in files(folders[1])


def test_outputs_inside_the_input_are_refused(folders):
    source, _ = folders
    with pytest.raises(UserError, match="lies inside --input"):
        transform.input_objects(source, source / "out")


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_an_input_that_holds_nothing_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected a file or a folder that holds one"):
        transform.input_objects(tmp_path / name, tmp_path / "out")


def door(folders, *more):
    source, output = folders
    model = source.parent / "model"
    return transform.main(
        ["--model", str(model), "--input", str(source), "--output", str(output), *more]
    )


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BATCH", "")  # so that what the door sets is undone


def test_a_split_that_is_not_supported_is_exit_code_2(folders, capsys):
    code = door(folders, "--split-type", "RecordIO")
    assert (code, "'RecordIO', which is not supported yet" in capsys.readouterr().out) == (2, True)


def test_a_model_folder_without_a_model_is_exit_code_2(folders, capsys):
    code = door(folders)
    assert (code, "model.json: cannot be read" in capsys.readouterr().out) == (2, True)


def test_an_output_that_is_a_file_is_exit_code_2(folders, capsys):
    folders[1].write_bytes(b"")
    code = door(folders)
    assert (code, "is no folder and cannot be made" in capsys.readouterr().out) == (2, True)

"""A folder of objects in, a folder of `.out` objects out."""

import gzip
import resource
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from sm_dl.errors import AlgorithmError, PlatformError, UserError
from sm_dl.serving.batch import objects
from sm_dl.serving.batch.one_object import StuckError
from sm_dl.serving.batch.rules import Rules
from tests.serving.batch.calls import submit_to

RULES = Rules(split_type="Line", assemble_with="Line", batch_strategy="SingleRecord")


@pytest.fixture
def folders(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "b.jsonl").write_bytes(b"3\n4\n")
    (source / "a.json").write_bytes(b"1\n2\n")
    (source / "deep" / "er" / "c.json.gz").write_bytes(gzip.compress(b"5\n"))
    return source, output


def run(predictor, folders, rules=RULES):
    source, output = folders
    found = objects.input_objects(source, output)
    objects.write_outputs(submit_to(predictor), found, output, rules)


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
    assert name not in objects.input_objects(source, output)


def test_objects_come_in_the_order_of_their_keys(folders):
    found = list(objects.input_objects(*folders))
    assert found == ["a.json", "b.jsonl", "deep/er/c.json.gz"]


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
        objects.input_objects(source, source / "out")


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_an_input_that_holds_nothing_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected a file or a folder that holds one"):
        objects.input_objects(tmp_path / name, tmp_path / "out")


def test_an_object_that_goes_while_the_job_runs_costs_its_own_output_only(make_doubler, folders):
    predictor = make_doubler(lambda: (folders[0] / "b.jsonl").unlink(missing_ok=True))
    with pytest.raises(UserError, match=r"1 of 3 objects have no output: b\.jsonl"):
        run(predictor, folders)
    assert list(files(folders[1])) == ["a.json.out", "deep/er/c.json.gz.out"]


def test_an_object_that_comes_while_the_job_runs_waits_for_the_next_one(make_doubler, folders):
    late = folders[0] / "c.jsonl"
    run(make_doubler(lambda: late.write_bytes(b"1\n")), folders)
    assert "c.jsonl.out" not in files(folders[1])


def test_an_object_that_grows_while_it_is_read_has_no_output(make_doubler, folders):
    def grow():
        with (folders[0] / "b.jsonl").open("ab") as file:
            file.write(b"9\n")

    with pytest.raises(UserError, match=r"1 of 3 objects have no output: b\.jsonl"):
        run(make_doubler(grow), folders, Rules(split_type="Line"))


def test_a_half_output_is_never_seen_under_its_name(make_doubler, folders):
    seen = []
    run(make_doubler(lambda: seen.append(sorted(files(folders[1])))), folders)
    half = [[name for name in names if not name.endswith(".sagemaker-ignore")] for names in seen]
    assert half == [[], [], ["a.json.out"], ["a.json.out"], ["a.json.out", "b.jsonl.out"]]


@pytest.mark.parametrize("name", ["a.json.out/x.jsonl", "x.jsonl"])
def test_an_output_that_cannot_have_its_name_costs_its_object_only(doubler, folders, name):
    source, output = folders
    (output / "x.jsonl.out").mkdir(parents=True)
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_bytes(b"1\n")
    with pytest.raises(UserError, match=rf"1 of 4 objects have no output: {name}\."):
        run(doubler, folders)


def test_filters_that_no_object_can_pass_are_refused_at_once(doubler, folders):
    with pytest.raises(UserError, match=r"^content type: filters and join: expected one of"):
        run(doubler, folders, Rules(content_type="image/png", input_filter="$.a"))


def test_a_stuck_model_ends_the_job(folders):
    source, output = folders
    rules = Rules(split_type="Line", invocations_timeout_s=1)
    found = objects.input_objects(source, output)
    with pytest.raises(StuckError):
        objects.write_outputs(lambda _call: Future(), found, output, rules)
    assert files(output) == {}


@contextmanager
def small_disk(size_bytes):
    """Let no file of this process grow larger: the kernel's nearest to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_the_job_as_the_machines_fault(doubler, folders):
    source, output = folders
    (source / "b.jsonl").write_bytes(b"1234567\n" * 40_000)
    full = pytest.raises(
        PlatformError, match=r"out/b\.jsonl\.out: cannot be written \(File too large"
    )
    with small_disk(100_000), full:
        run(doubler, folders, Rules(split_type="Line", assemble_with="Line", max_payload_mb=1))
    assert list(files(output)) == ["a.json.out"]

"""The scripts of scripts/prepare, run as a user runs them, on small sources without a network."""

import gzip
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

PREPARE = Path(__file__).parents[2] / "scripts" / "prepare"
FUTURE = [str(100 + step) for step in range(48)]


def run(script: str, *arguments: object, **extra_env: str) -> subprocess.CompletedProcess[str]:
    """Return the finished run of one script."""
    proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    env = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    return subprocess.run(
        [sys.executable, PREPARE / script, *map(str, arguments)],
        env=env | {"PYTHONDONTWRITEBYTECODE": "1"} | extra_env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def lines_of(channel: Path) -> list[str]:
    """Return the lines of the one file of a channel."""
    (path,) = channel.iterdir()
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def records_of(channel: Path) -> list[dict[str, Any]]:
    """Return the records of a channel."""
    return [json.loads(line) for line in lines_of(channel)]


def write_csv(path: Path, rows: Sequence[Sequence[str]], *, packed: bool = False) -> None:
    """Write comma-separated rows, compressed under the name with .gz when `packed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(",".join(row) + "\n" for row in rows).encode()
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


@pytest.fixture
def m4_source(tmp_path: Path) -> Path:
    """Return a folder in the plain form: ragged, no header, compressed; H1 longer than H2."""
    folder = tmp_path / "plain"
    train = [["H1", "1", "2.50", "3e2"], ["H2", "7", "8"]]
    write_csv(folder / "Hourly-train.csv", train, packed=True)
    write_csv(folder / "Hourly-test.csv", [["H1", *FUTURE], ["H2", *FUTURE]], packed=True)
    return folder


@pytest.fixture
def m4_public(tmp_path: Path) -> Path:
    """Return the same series in the public form: header, quotes, empty cells up to the longest."""
    folder = tmp_path / "public"
    train = [["V1", "V2", "V3", "V4"], ["H1", "1", "2.50", "3e2"], ["H2", "7", "8", ""]]
    test = [[f"V{column}" for column in range(1, 50)], ["H1", *FUTURE], ["H2", *FUTURE]]
    for name, rows in [("Hourly-train.csv", train), ("Hourly-test.csv", test)]:
        write_csv(folder / name, [[f'"{cell}"' for cell in row] for row in rows])
    return folder


@pytest.fixture
def exchange_source(tmp_path: Path) -> Path:
    """Return a folder of 6230 rows; the cell of row r, column c is r.c0, both counted from 0."""
    rows = [[f"{row}.{column}0" for column in range(8)] for row in range(6230)]
    write_csv(tmp_path / "rates" / "exchange_rate.txt", rows, packed=True)
    return tmp_path / "rates"


def pjm_rows() -> list[list[str]]:
    """Return a header and 15 days of two zones; hour 3 has no reading, the cell is the hour."""
    first = datetime(2011, 1, 1, 1)  # noqa: DTZ001  local time, as in the source
    hours = [[str(first + timedelta(hours=hour)), str(hour), f"-{hour}"] for hour in range(15 * 24)]
    hours[3][1:] = ["", ""]
    return [["Datetime", "AEP", "COMED"], *hours]


@pytest.fixture
def pjm_source(tmp_path: Path) -> Path:
    """Return a folder with the table of `pjm_rows`."""
    write_csv(tmp_path / "load" / "pjm_hourly.csv", pjm_rows(), packed=True)
    return tmp_path / "load"


def test_m4_train_holds_the_training_points(m4_source: Path, tmp_path: Path) -> None:
    run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert records_of(tmp_path / "out" / "train") == [
        {"start": "1750-01-01 00:00:00", "target": [1, 2.5, 300], "id": "H1"},
        {"start": "1750-01-01 00:00:00", "target": [7, 8], "id": "H2"},
    ]


def test_m4_test_is_train_and_the_next_48_points(m4_source: Path, tmp_path: Path) -> None:
    run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    targets = [record["target"] for record in records_of(tmp_path / "out" / "test")]
    assert targets == [[1, 2.5, 300, *range(100, 148)], [7, 8, *range(100, 148)]]


def test_m4_series_are_numbered_in_both_channels_on_request(
    m4_source: Path, tmp_path: Path
) -> None:
    run("m4_hourly.py", "--category", "--source", m4_source, "--output", tmp_path)
    records = records_of(tmp_path / "train") + records_of(tmp_path / "test")
    assert [record["cat"] for record in records] == [[0], [1], [0], [1]]


def test_both_forms_of_m4_give_the_same_bytes(
    m4_source: Path, m4_public: Path, tmp_path: Path
) -> None:
    run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "a")
    run("m4_hourly.py", "--source", m4_public, "--output", tmp_path / "b")
    assert [
        (tmp_path / "a" / channel / "series.json.gz").read_bytes() for channel in ("train", "test")
    ] == [
        (tmp_path / "b" / channel / "series.json.gz").read_bytes() for channel in ("train", "test")
    ]


def test_the_digits_of_the_source_are_kept(m4_source: Path, tmp_path: Path) -> None:
    run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert '"target": [1, 2.50, 3e2]' in lines_of(tmp_path / "out" / "train")[0]


def test_each_channel_is_reported_on_one_line(m4_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("m4_hourly.py", "--source", m4_source, "--output", out).stdout.splitlines() == [
        f"{out / 'train' / 'series.json.gz'}: 2 series, 5 points",
        f"{out / 'test' / 'series.json.gz'}: 2 series, 101 points",
    ]


def test_an_m4_series_in_one_file_only_is_refused(m4_source: Path, tmp_path: Path) -> None:
    write_csv(m4_source / "Hourly-test.csv", [["H1", *FUTURE]])
    done = run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert done.stderr.startswith("series H2: expected in both files")


def test_an_m4_future_of_another_length_is_refused(m4_source: Path, tmp_path: Path) -> None:
    write_csv(m4_source / "Hourly-test.csv", [["H1", *FUTURE], ["H2", *FUTURE[1:]]])
    done = run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert "series H2: expected 48 points, got 47" in done.stderr


def test_a_cell_that_is_no_number_is_refused_with_its_place(
    m4_source: Path, tmp_path: Path
) -> None:
    write_csv(m4_source / "Hourly-train.csv", [["H1", "1", "two"], ["H2", "7"]])
    done = run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert "Hourly-train.csv: series H1: expected a number or nothing, got 'two'" in done.stderr


def test_a_refused_source_leaves_no_output(m4_source: Path, tmp_path: Path) -> None:
    write_csv(m4_source / "Hourly-train.csv", [["H1", "1", "two"], ["H2", "7"]])
    run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", ["m4_hourly.py", "exchange_rate.py"])
def test_without_a_network_one_line_says_to_pass_source(script: str, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
    done = run(script, "--output", tmp_path / "out", https_proxy=proxy)
    (line,) = done.stderr.splitlines()
    assert "pass --source the folder that holds" in line


def test_a_source_folder_without_the_file_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run("m4_hourly.py", "--source", tmp_path, "--output", tmp_path / "out")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path}: could not read Hourly-train.csv")


def test_a_truncated_source_is_refused_in_one_line(m4_source: Path, tmp_path: Path) -> None:
    path = m4_source / "Hourly-train.csv.gz"
    path.write_bytes(path.read_bytes()[:-4])
    done = run("m4_hourly.py", "--source", m4_source, "--output", tmp_path / "out")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_download_is_read_like_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, packed: bool
) -> None:
    monkeypatch.syspath_prepend(str(PREPARE))
    channel = importlib.import_module("channel")
    write_csv(tmp_path / "rows.csv", [["a", "1"]], packed=packed)
    (path,) = tmp_path.iterdir()
    assert channel.read_rows("rows.csv", source=None, url=path.as_uri()) == [["a", "1"]]


def test_exchange_rate_train_is_the_first_6071_rows(exchange_source: Path, tmp_path: Path) -> None:
    run("exchange_rate.py", "--source", exchange_source, "--output", tmp_path / "out")
    ends = [
        (len(record["target"]), record["target"][-1], record["cat"])
        for record in records_of(tmp_path / "out" / "train")
    ]
    assert ends == [(6071, float(f"6070.{column}"), [column]) for column in range(8)]


def test_exchange_rate_test_is_five_rolling_windows(exchange_source: Path, tmp_path: Path) -> None:
    run("exchange_rate.py", "--source", exchange_source, "--output", tmp_path / "out")
    ends = [
        (len(record["target"]), record["target"][-1], record["cat"])
        for record in records_of(tmp_path / "out" / "test")
    ]
    assert ends == [
        (length, float(f"{length - 1}.{column}"), [column])
        for length in (6101, 6131, 6161, 6191, 6221)
        for column in range(8)
    ]


def test_an_exchange_rate_file_cut_short_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "exchange_rate.txt", [["0.5"] * 8] * 6220)
    done = run("exchange_rate.py", "--source", tmp_path, "--output", tmp_path / "out")
    assert "expected at least 6221 rows, got 6220" in done.stderr


def test_pjm_train_is_all_but_the_last_14_days(pjm_source: Path, tmp_path: Path) -> None:
    run("pjm_hourly.py", "--source", pjm_source, "--output", tmp_path / "out")
    assert records_of(tmp_path / "out" / "train")[1] == {
        "start": "2011-01-01 01:00:00",
        "target": [0, -1, -2, None, *range(-4, -24, -1)],
        "cat": [1],
        "id": "COMED",
    }


def test_pjm_test_is_14_windows_of_one_day_a_zone(pjm_source: Path, tmp_path: Path) -> None:
    run("pjm_hourly.py", "--source", pjm_source, "--output", tmp_path / "out")
    shapes = [
        (len(record["target"]), record["cat"]) for record in records_of(tmp_path / "out" / "test")
    ]
    assert shapes == [(24 * day, [zone]) for day in range(2, 16) for zone in range(2)]


def test_pjm_hours_without_a_reading_are_null(pjm_source: Path, tmp_path: Path) -> None:
    run("pjm_hourly.py", "--source", pjm_source, "--output", tmp_path / "out")
    assert '"target": [0, 1, 2, null, 4, ' in lines_of(tmp_path / "out" / "train")[0]


def test_a_pjm_table_with_a_missing_row_is_refused(tmp_path: Path) -> None:
    rows = pjm_rows()
    del rows[10]
    write_csv(tmp_path / "pjm_hourly.csv", rows)
    done = run("pjm_hourly.py", "--source", tmp_path, "--output", tmp_path / "out")
    assert "row 11: expected 2011-01-01 10:00:00, got 2011-01-01 11:00:00" in done.stderr


def test_synthetic_train_is_the_first_352_of_400_points(tmp_path: Path) -> None:
    run("deepar_synthetic.py", "--series", 3, "--output", tmp_path)
    train, test = records_of(tmp_path / "train"), records_of(tmp_path / "test")
    assert [record["target"] for record in train] == [record["target"][:352] for record in test]


def test_synthetic_draws_200_series_of_400_points_unasked(tmp_path: Path) -> None:
    run("deepar_synthetic.py", "--output", tmp_path)
    assert [len(record["target"]) for record in records_of(tmp_path / "test")] == [400] * 200


def test_synthetic_waves_peak_a_quarter_of_a_day_after_midnight(tmp_path: Path) -> None:
    run("deepar_synthetic.py", "--output", tmp_path)
    by_hour = [0.0] * 24
    for record in records_of(tmp_path / "test"):
        for step, value in enumerate(record["target"]):
            by_hour[step % 24] += value
    assert by_hour.index(max(by_hour)) in {5, 6, 7}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        run("deepar_synthetic.py", "--series", 3, "--seed", 5, "--output", tmp_path / folder)
    first, second = (tmp_path / folder / "train" / "series.json.gz" for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_other_waves(tmp_path: Path) -> None:
    for seed in (1, 2):
        run("deepar_synthetic.py", "--series", 3, "--seed", seed, "--output", tmp_path / str(seed))
    assert lines_of(tmp_path / "1" / "train") != lines_of(tmp_path / "2" / "train")

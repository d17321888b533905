"""The machine's clock, time zone and language change no number (abuse case 26)."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sm_dl.algorithms.deepar.calendar import Frequency

ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia", "nonsense"]
LANGUAGES = ["C", "de_DE.UTF-8", "tr_TR.UTF-8"]
STARTS = [
    "2024-02-29 23:00:00",  # a leap day
    "2023-03-12 02:30:00",  # an hour that New York leaves out
    "2023-11-05 01:30:00",  # an hour that New York has twice
    "2011-12-30 12:00:00",  # a day that Apia leaves out
    "1677-09-20 00:00:00",  # before nanoseconds begin
    "2262-04-12 00:00:00",  # and after they end
    "1900-02-28 00:00:00",  # no leap year
]
PROGRAM = """
import json, locale, os, sys, time
from pathlib import Path
from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.data import read_channel
from sm_dl.data.csv_table import read_csv
from sm_dl.data.source import DataFile
from sm_dl.job.job import ChannelSource
folder, zones, languages = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
found = {}
for language in languages:
    try:
        locale.setlocale(locale.LC_ALL, language)
    except locale.Error:
        continue
    for zone in zones:
        os.environ["TZ"] = zone
        time.tzset()
        series = [
            (one.start, one.target_T.tolist(), Frequency.parse(step).text_of(one.start))
            for step in ("min", "H", "D", "W", "M")
            for one in read_channel(ChannelSource("train", folder / "series"), Frequency.parse(step))
        ]
        (columns,) = read_csv(DataFile(folder / "a.csv", "a.csv", "text/csv"), "number")
        found[zone + " " + language] = [series, columns.batch.to_pydict(), f"{0.5:n}"]
print(json.dumps(found))
"""
"""Reads one channel wherever the machine might stand, and prints what it read and how "0.5" looks."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of series in both formats, and of numbers as text."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "series").mkdir()
    lines = [json.dumps({"start": start, "target": [1.5, 1e-3, 2.25]}) for start in STARTS]
    (folder / "series" / "a.json").write_text("\n".join(lines))
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415 - after the check

    starts = pa.array(np.array(STARTS, "datetime64[us]"))
    table = pa.table({"start": starts, "target": [[1.5, 0.25]] * len(STARTS)})
    parquet.write_table(table, folder / "series" / "b.parquet")
    (folder / "a.csv").write_text("1.5,0.001\n-2.25,1e3\n")
    return folder


@pytest.fixture(scope="module")
def numbers(folder):
    """Return what was read, by time zone and language of the machine."""
    if shutil.which("localedef"):
        for language in LANGUAGES[1:]:
            name, _, charset = language.partition(".")
            made = ["localedef", "-i", name, "-f", charset, str(folder / language)]
            subprocess.run(made, check=False, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), json.dumps(ZONES), json.dumps(LANGUAGES)],
        env={**os.environ, "LOCPATH": str(folder)},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("zone", ZONES)
def test_numbers_are_the_same_everywhere(numbers, zone, language):
    if f"{zone} {language}" not in numbers:
        pytest.skip(f"the locale {language} cannot be made on this machine")
    assert numbers[f"{zone} {language}"][:2] == numbers["UTC C"][:2]


def test_a_language_with_a_comma_was_among_them(numbers):
    if "UTC de_DE.UTF-8" not in numbers:
        pytest.skip("the locale de_DE.UTF-8 cannot be made on this machine")
    assert numbers["UTC de_DE.UTF-8"][2] == "0,5"


@pytest.mark.parametrize(
    ("text", "start", "later", "steps"),
    [
        ("D", "2024-02-28", "2024-03-01", 2),
        ("D", "2023-02-28", "2023-03-01", 1),
        ("D", "1900-02-28", "1900-03-01", 1),
        ("D", "2000-02-28", "2000-03-01", 2),
        ("H", "2023-03-12T01", "2023-03-12T03", 2),
        ("H", "2023-11-05T00", "2023-11-05T03", 3),
        ("D", "2011-12-29", "2011-12-31", 2),
        ("M", "2024-01-31", "2024-02-29", 1),
    ],
)
def test_steps_are_those_of_a_calendar_without_zones(text, start, later, steps):
    frequency = Frequency.parse(text)
    first, last = (frequency.time_of(np.datetime64(moment)) for moment in (start, later))
    minutes = {"D": 1440, "H": 60, "M": 1}[text]
    assert (last - first) / minutes == steps

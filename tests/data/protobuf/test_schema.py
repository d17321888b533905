"""The schema file and what was generated from it say the same."""

import re
from pathlib import Path

from sm_dl.data.protobuf import record_pb2, wire

SCHEMA = Path(record_pb2.__file__).with_name("record.proto").read_text()


def test_the_generated_code_has_the_fields_of_the_schema() -> None:
    declared = {
        (name, int(number))
        for name, number in re.findall(r"(\w+) = (\d+)(?: \[packed = true\])?;", SCHEMA)
    }
    messages = record_pb2.DESCRIPTOR.message_types_by_name.values()
    generated = {(field.name, field.number) for one in messages for field in one.fields}
    assert generated == declared


def test_the_reader_has_the_numbers_of_the_schema() -> None:
    value, record = record_pb2.Value.DESCRIPTOR, record_pb2.Record.DESCRIPTOR
    assert {field.number: field.name for field in value.fields} == wire.KINDS
    names = {field.number: field.name for field in record.fields}
    assert names == {wire.FEATURES: "features", wire.LABEL: "label"} | wire.TEXTS

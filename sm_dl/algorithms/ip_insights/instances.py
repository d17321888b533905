"""Instances of a JSON request as two Arrow columns, parsed without a Python object for each.

Only what is right comes out this way. Of anything else nothing is said here: `codec.py` then looks
at one instance after the other and says what is wrong with which.
"""

from typing import Any

from sm_dl.data.columns import arrow

WHAT = "reading requests"
MAX_BYTES = 1 << 30
"""Arrow counts the bytes of a block in 31 bits."""


def features_by_arrow(body: bytes, *, is_lines: bool) -> tuple[Any, Any] | None:
    """Return the entities and the addresses of a request's instances; None where one is amiss.

    Args:
        body: `{"instances": [...]}`, or one instance a line.
        is_lines: Which of the two.
    """
    root, json = arrow("", WHAT), arrow("json", WHAT)
    features = root.list_(root.string())
    values = root.struct([("features", root.struct([("values", features)]))])
    instance = [("features", features), ("data", values)]
    schema = root.schema(
        instance if is_lines else [("instances", root.list_(root.struct(instance)))]
    )
    if not body or len(body) > MAX_BYTES:
        return None
    try:
        table = json.read_json(
            root.BufferReader(body),
            json.ReadOptions(use_threads=False, block_size=len(body) + 1),
            json.ParseOptions(
                explicit_schema=schema,
                newlines_in_values=not is_lines,
                unexpected_field_behavior="ignore",
            ),
        ).combine_chunks()
        table.validate(full=True)  # text is UTF-8
        columns = _columns(table, is_lines=is_lines)
    except root.ArrowException:
        return None
    return columns


def _columns(table: Any, *, is_lines: bool) -> tuple[Any, Any] | None:  # noqa: ANN401 - pyarrow ships no types
    root, compute = arrow("", WHAT), arrow("compute", WHAT)
    if is_lines:
        instances = table.to_struct_array().combine_chunks()
    elif table.num_rows == 1 and table.column(0).null_count == 0:
        instances = table.column(0).combine_chunks().flatten()
    else:
        return None
    plain = compute.struct_field(instances, "features")
    wrapped = compute.struct_field(instances, ["data", "features", "values"])
    pairs = compute.if_else(compute.is_valid(plain), plain, wrapped)
    if isinstance(pairs, root.ChunkedArray):
        pairs = pairs.combine_chunks()
    lengths = compute.list_value_length(pairs)
    if not len(pairs) or pairs.null_count or not compute.all(compute.equal(lengths, 2)).as_py():
        return None
    texts = pairs.flatten()
    if texts.null_count:
        return None
    every = root.array(range(0, len(texts), 2), root.int64())
    return texts.take(every), texts.take(compute.add(every, 1))

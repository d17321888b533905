"""A model behind the seam of batch transform, for tests."""

import io
from concurrent.futures import Future

from sm_dl.serving.batch import one_object
from sm_dl.serving.batch.record_frames import MAGIC_BYTES
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.invoke import invoke


def submit_to(predictor):
    """Return a `Submit` that answers before it returns."""

    def submit(call):
        future = Future()
        future.set_result(invoke(predictor, call))
        return future

    return submit


def transformed(predictor, content, name="part.jsonl", **rules):
    """Return the output object of an input object."""
    sink = io.BytesIO()
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    one_object.transform(submit_to(predictor), source, sink, name=name, rules=Rules(**rules))
    return sink.getvalue()


def recording(make_doubler, bodies):
    """Return a model that appends each body it is sent to `bodies`."""

    class Recorder(make_doubler):
        def decode(self, body, media):
            bodies.append(body)
            return super().decode(body, media)

    return Recorder()


def framed(payload):
    """Return a RecordIO record as MXNet writes it: cut where the magic lies on a whole word."""
    contents, start, found = [], 0, 0
    while (found := payload.find(MAGIC_BYTES, found)) >= 0:
        if found % 4:
            found += 1
            continue
        contents.append(payload[start:found])
        start = found = found + len(MAGIC_BYTES)
    contents.append(payload[start:])
    flags = [1, *[2] * (len(contents) - 2), 3] if len(contents) > 1 else [0]
    return b"".join(
        MAGIC_BYTES
        + (flag << 29 | len(content)).to_bytes(4, "little")
        + content
        + bytes(-len(content) % 4)
        for flag, content in zip(flags, contents, strict=True)
    )

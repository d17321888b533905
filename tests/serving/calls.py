"""A model behind the seam of batch transform, for tests."""

import io
from concurrent.futures import Future

from sm_dl.serving import batch
from sm_dl.serving.invoke import invoke
from sm_dl.serving.rules import Rules


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
    batch.transform(submit_to(predictor), source, sink, name=name, rules=Rules(**rules))
    return sink.getvalue()


def recording(make_doubler, bodies):
    """Return a model that appends each body it is sent to `bodies`."""

    class Recorder(make_doubler):
        def decode(self, body, media):
            bodies.append(body)
            return super().decode(body, media)

    return Recorder()

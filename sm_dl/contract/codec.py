"""What a trained model must offer to be served: decode, predict, encode."""

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

from sm_dl.content_types import MediaType

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Weighed_contra = TypeVar("Weighed_contra", contravariant=True)


class Predictor(Protocol[Request, Answer]):
    """A model loaded from its artifact. HTTP, batch transform and Python callers use the same.

    `decode` and `encode` hold no state and may run beside `predict`; `predict` runs in one
    thread at a time and may be given the requests of several clients at once.
    """

    request_types: tuple[str, ...]
    """Media types `decode` reads, the usual one first."""
    answer_types: tuple[str, ...]
    """Media types `encode` writes, the usual one first; a second time with a parameter where that
    changes the answer, such as `application/json;verbose=true`."""

    def answer_type_for(self, request_type: str) -> str:
        """Return the media type to answer with when the client does not say."""
        ...

    def decode(self, body: bytes, media: MediaType) -> Request:
        """Return what one body asks for.

        Raises:
            UserError: The body is not what its media type promises.
        """
        ...

    def predict(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """Return one answer for each request, in order."""
        ...

    def encode(self, answer: Answer, media_type: str) -> bytes:
        """Return the response body."""
        ...


@runtime_checkable
class Weighing(Protocol[Weighed_contra]):
    """A predictor that says how much one `predict` can take; without it only requests count."""

    max_weight: int
    """Of all requests of one `predict` together; a heavier request is predicted alone."""

    def weight(self, request: Weighed_contra) -> int:
        """Return how much of it one request takes, e.g. its paths."""
        ...

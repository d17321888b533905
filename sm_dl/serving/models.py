"""The models of one server: one from the start, or many that come and go (contract, section 5.1)."""

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sm_dl.content_types import negotiate
from sm_dl.contract.codec import Predictor
from sm_dl.errors import UserError, shown
from sm_dl.serving import memory
from sm_dl.serving.batching import Batcher, Observer
from sm_dl.serving.invoke import RefusedError
from sm_dl.serving.settings import BYTES_PER_MB, DEFAULT_ACCEPT_VARIABLE, Settings

logger = logging.getLogger(__name__)

Load = Callable[[Path], Predictor[Any, Any]]
THE_MODEL = "model"
"""The name of the model of a server that has only one."""
MEMORY_SHARE = 0.8
"""Of the container's memory that models may fill; the rest is for requests and their batches."""
NO_MEMORY_TEXT = "allocate memory"
"""In the RuntimeError by which torch tells that the system gives it no more."""
MAX_NAME_CHARACTERS = 1024
UNLOAD_S = 30


class Models:
    """Loaded models by name. Loading blocks, for an event loop in another thread; `get` does not."""

    def __init__(
        self, load: Load, settings: Settings, observer: Observer, root: Path | None = None
    ) -> None:
        """Begin without any.

        Args:
            load: Returns the predictor of a model directory.
            settings: Of the server.
            observer: Told of batches and stuck threads, for all models.
            root: Models named by clients must lie below it.
        """
        self._load = load
        self._settings = settings
        self._observer = observer
        self._root = root
        self._loading = threading.Lock()
        self._batchers: dict[str, Batcher] = {}
        self._urls: dict[str, str] = {}

    @property
    def depth(self) -> int:
        """Return how many requests wait or are at work, for all models."""
        return sum(batcher.depth for batcher in list(self._batchers.values()))

    @property
    def is_healthy(self) -> bool:
        """Return whether every model answers, and the only one has been loaded."""
        batchers = list(self._batchers.values())
        is_there = self._settings.is_multi_model or bool(batchers)
        return is_there and all(batcher.is_healthy for batcher in batchers)

    def get(self, name: str) -> Batcher | None:
        """Return the model of a name, if it is loaded."""
        return self._batchers.get(name)

    def urls(self) -> list[tuple[str, str]]:
        """Return name and directory of every model, sorted by name."""
        return sorted(self._urls.items())

    def url(self, name: str) -> str | None:
        """Return the directory a model came from, as its client wrote it."""
        return self._urls.get(name)

    def add(self, name: str, folder: Path) -> None:
        """Load a model whose place we trust.

        Raises:
            UserError: There is no model that this version can read.
        """
        predictor = self._load(folder)
        check_default_accept(predictor, self._settings)
        self._batchers[name] = Batcher(
            predictor,
            self._settings,
            reload=lambda: self._load(folder),
            observer=self._observer,
        )
        self._urls[name] = str(folder)

    def add_for_client(self, name: str, url: str) -> None:
        """Load the model a client names.

        Raises:
            RefusedError: 409 it is loaded, 507 there is no memory for it, 400 there is no model of
                ours, 500 the fault is ours.
        """
        folder = self._folder(name, url)
        with self._loading:  # one after the other: each has to see what the last one took
            if name in self._batchers:
                raise RefusedError(
                    HTTPStatus.CONFLICT,
                    f"model_name: {shown(name)} is loaded already. Delete it first to replace it.",
                )
            size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            self._check_memory(size_bytes)
            try:
                self.add(name, folder)
            except UserError as error:
                raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
            except Exception as error:
                if isinstance(error, MemoryError) or NO_MEMORY_TEXT in str(error):
                    raise _no_memory() from error
                logger.exception("model %s cannot be loaded", shown(name))
                raise RefusedError(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    "The model cannot be loaded; the log has the cause.",
                ) from error
            self._urls[name] = url
            try:
                self._check_memory(0)
            except RefusedError:
                self.remove(name)
                raise

    def remove(self, name: str) -> bool:
        """Return whether there was such a model; it answers what it holds, and its memory is free."""
        batcher = self._batchers.pop(name, None)
        self._urls.pop(name, None)
        if batcher is None:
            return False
        if not batcher.close(UNLOAD_S):
            logger.warning("model %s was stuck when it was unloaded", shown(name))
        del batcher
        memory.give_back()
        return True

    def close(self, timeout_s: float) -> bool:
        """Return whether all model threads have ended in time, and none is being loaded."""
        deadline = time.monotonic() + timeout_s
        have_ended = [
            batcher.close(max(0.0, deadline - time.monotonic()))
            for batcher in self._batchers.values()
        ]
        return all(have_ended) and not self._loading.locked()

    def _folder(self, name: str, url: str) -> Path:
        """Return the directory of a model that a client may load."""
        if not 0 < len(name) <= MAX_NAME_CHARACTERS or "/" in name or not name.isprintable():
            raise RefusedError(
                HTTPStatus.BAD_REQUEST,
                f"model_name: expected 1 to {MAX_NAME_CHARACTERS} printable characters without '/'; "
                f"got {shown(name)}. Choose such a name.",
            )
        root = (self._root or Path("/")).resolve()
        try:
            folder = Path(url).resolve()
            is_usable = Path(url).is_absolute() and folder.is_dir() and folder.is_relative_to(root)
        except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
            is_usable = False
        if not is_usable:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST,
                f"url: expected the absolute path of a directory below the server's folder of "
                f"models; got {shown(url)}. Put the unpacked model there.",
            )
        return folder

    def _check_memory(self, more_bytes: int) -> None:
        """Refuse a model for which there is no room.

        Raises:
            RefusedError: 507: resident memory, and this much more, is above the bound.
        """
        given_mb = self._settings.models_memory_mb
        bound = given_mb * BYTES_PER_MB if given_mb else MEMORY_SHARE * memory.limit_bytes()
        if memory.held_bytes() + more_bytes > bound:
            raise _no_memory()


def check_default_accept(predictor: Predictor[Any, Any], settings: Settings) -> None:
    """Refuse a default that would make every request without Accept fail.

    Raises:
        UserError: The default Accept names nothing the model can write.
    """
    types = predictor.answer_types
    if negotiate(settings.default_accept, types, types[0]) is None:
        raise UserError(
            f"environment variable {DEFAULT_ACCEPT_VARIABLE}: expected one of {', '.join(types)}; "
            f"got {shown(settings.default_accept)}. Name a type the model writes, or unset it."
        )


def _no_memory() -> RefusedError:
    return RefusedError(
        HTTPStatus.INSUFFICIENT_STORAGE,
        "There is no memory for another model. Delete one that is not needed, and try again.",
    )

"""Contract, section 5.1: models come and go by `/models`."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conformance.container import OPT_ML, Container
from tests.conformance.tree import Finished
from tests.small_job import SmallJob

pytestmark = pytest.mark.system

BEYOND_MEMORY_BYTES = 1 << 43


@dataclass(frozen=True)
class Endpoint:
    """A multi-model server, and where its models lie as the server sees it."""

    client: httpx.Client
    root: Path
    seen_as: Path

    def add(self, model: Path, name: str) -> str:
        """Lay a model where the platform puts it, and return the address to load."""
        folder = self.root / "models" / name / "model"
        if not folder.exists():
            shutil.copytree(model, folder)
        return str(self.seen_as / "models" / name / "model")

    def load(self, name: str, url: str) -> int:
        return self.client.post("/models", json={"model_name": name, "url": url}).status_code


@pytest.fixture(scope="module")
def endpoint(container: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    root = tmp_path_factory.mktemp("multi")
    (root / "models").mkdir()
    with container.serving(root, SAGEMAKER_MULTI_MODEL="true") as client:
        yield Endpoint(client, root, Path(OPT_ML) if container.image else root)


@pytest.fixture
def loaded(endpoint: Endpoint, finished: Finished) -> Iterator[str]:
    """Return the name of a loaded model."""
    url = endpoint.add(finished.root / "model", "one")
    assert endpoint.load("one", url) == 200
    yield "one"
    endpoint.client.delete("/models/one")


def test_a_server_without_a_model_is_healthy(endpoint: Endpoint) -> None:
    assert endpoint.client.get("/ping").status_code == 200


def test_a_loaded_model_is_listed_in_camel_case(endpoint: Endpoint, loaded: str) -> None:
    url = str(endpoint.seen_as / "models" / loaded / "model")
    listing = endpoint.client.get("/models").json()
    assert listing["models"] == [{"modelName": loaded, "modelUrl": url}]


def test_a_loaded_model_is_described(endpoint: Endpoint, loaded: str) -> None:
    url = str(endpoint.seen_as / "models" / loaded / "model")
    answer = endpoint.client.get(f"/models/{loaded}")
    assert (answer.status_code, answer.json()) == (200, {"modelName": loaded, "modelUrl": url})


def test_a_loaded_model_answers_as_an_endpoint_of_its_own_does(
    endpoint: Endpoint, loaded: str, job: SmallJob
) -> None:
    kind, body = job.requests[0]
    headers = {"content-type": kind, "X-Amzn-SageMaker-Target-Model": "one.tar.gz"}
    path = f"/models/{loaded}/invoke"
    statuses = [
        endpoint.client.post(path, content=content, headers=headers | more).status_code
        for content, more in [
            (body, {}),
            (b"", {}),
            (b"\xff bad", {}),
            (body, {"accept": "image/x-unheard"}),
            (body, {"content-type": "image/x-unheard"}),
        ]
    ]
    assert statuses == [200, 204, 400, 406, 415]


def test_a_model_loaded_twice_is_a_conflict(endpoint: Endpoint, loaded: str) -> None:
    assert endpoint.load(loaded, str(endpoint.seen_as / "models" / loaded / "model")) == 409


def test_a_deleted_model_is_gone_and_can_come_back(endpoint: Endpoint, loaded: str) -> None:
    path = f"/models/{loaded}"
    deleted = endpoint.client.delete(path).status_code
    gone = endpoint.client.get(path).status_code
    back = endpoint.load(loaded, str(endpoint.seen_as / "models" / loaded / "model"))
    assert (deleted, gone, back) == (200, 404, 200)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/models/absent"), ("DELETE", "/models/absent"), ("POST", "/models/absent/invoke")],
)
def test_a_model_that_is_not_loaded_is_answered_404(
    endpoint: Endpoint, method: str, path: str
) -> None:
    assert endpoint.client.request(method, path, content=b"{}").status_code == 404


def test_a_model_beyond_the_memory_is_answered_507(endpoint: Endpoint, finished: Finished) -> None:
    url = endpoint.add(finished.root / "model", "huge")
    with (endpoint.root / "models" / "huge" / "model" / "weights.more").open("wb") as file:
        file.truncate(BEYOND_MEMORY_BYTES)  # sparse: it takes no disk
    assert endpoint.load("huge", url) == 507
    assert endpoint.client.get("/models/huge").status_code == 404

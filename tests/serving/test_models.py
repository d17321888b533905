"""Models that come and go."""

import asyncio
import gc
import threading
import weakref

import pytest

from sm_dl.content_types import JSON
from sm_dl.errors import UserError
from sm_dl.serving import memory
from sm_dl.serving.app import build_app
from sm_dl.serving.metrics import Metrics
from sm_dl.serving.models import Models
from sm_dl.serving.settings import BYTES_PER_MB, Settings

AS_JSON = {"content-type": JSON}


class Endpoint:
    """A multi-model server over folders of doublers; a folder named broken has no model."""

    def __init__(self, root, make_doubler, send, **settings):
        self.root = root
        self._send = send
        self._make_doubler = make_doubler
        self.loaded = []
        values = Settings(is_multi_model=True, **settings)
        metrics = Metrics()
        self.models = Models(self._load, values, metrics, root=root)
        self.app = build_app(self.models, values, metrics)

    def _load(self, folder):
        if folder.name == "broken":
            raise UserError("model.json: cannot be read; expected a model.")
        if folder.name == "huge":
            raise MemoryError
        if folder.name == "larger":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        if folder.name == "odd":
            raise RuntimeError("/secret/path")
        self.loaded.append(weakref.ref(predictor := self._make_doubler()))
        return predictor

    def ask(self, method, path, **content):
        return self._send(self.app, method, path, **content)

    def load(self, name, folder=None, url=None):
        folder = self.root / (folder or name)
        folder.mkdir(exist_ok=True)
        return self.ask("POST", "/models", json={"model_name": name, "url": url or str(folder)})

    def invoke(self, name, body=b"[1]"):
        return self.ask("POST", f"/models/{name}/invoke", content=body, headers=AS_JSON)


@pytest.fixture
def make_endpoint(tmp_path, make_doubler, send):
    made = []

    def make(**settings):
        root = tmp_path / "models"
        root.mkdir(exist_ok=True)
        made.append(Endpoint(root, make_doubler, send, **settings))
        return made[-1]

    yield make
    assert all(endpoint.models.close(5) for endpoint in made)


@pytest.fixture
def endpoint(make_endpoint):
    return make_endpoint()


def test_a_server_without_models_is_healthy(endpoint):
    assert endpoint.ask("GET", "/ping").status_code == 200


def test_a_loaded_model_is_described_and_answers(endpoint):
    assert endpoint.load("a").status_code == 200
    told = endpoint.ask("GET", "/models/a").json()
    assert told == {"modelName": "a", "modelUrl": str(endpoint.root / "a")}
    assert (endpoint.invoke("a").status_code, endpoint.invoke("a").content) == (200, b"[2]")


def test_models_are_listed_by_name(endpoint):
    for name in ("b", "a"):
        endpoint.load(name)
    models = [{"modelName": name, "modelUrl": str(endpoint.root / name)} for name in ("a", "b")]
    assert endpoint.ask("GET", "/models").json() == {"models": models}


def test_a_long_list_comes_in_pages(endpoint):
    names = [f"{number:03}" for number in range(205)]
    for name in names:
        endpoint.load(name, folder="one")
    seen, token, pages = [], "", 0
    while token is not None:
        page = endpoint.ask("GET", "/models", params={"next_page_token": token}).json()
        seen += [model["modelName"] for model in page["models"]]
        token, pages = page.get("nextPageToken"), pages + 1
    assert (seen, pages) == (names, 3)


def test_a_name_that_is_taken_is_409(endpoint):
    endpoint.load("a")
    assert endpoint.load("a").status_code == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/models/a"), ("DELETE", "/models/a"), ("POST", "/models/a/invoke")],
)
def test_a_model_that_is_not_loaded_is_404(endpoint, method, path):
    response = endpoint.ask(method, path)
    assert (response.status_code, response.text) == (
        404,
        "Model 'a' is not loaded. POST /models loads it.",
    )


def test_an_unloaded_model_is_gone_and_its_name_is_free(endpoint):
    endpoint.load("a")
    statuses = [
        endpoint.ask("DELETE", "/models/a").status_code,
        endpoint.invoke("a").status_code,
        endpoint.load("a").status_code,
    ]
    assert statuses == [200, 404, 200]


def test_an_unloaded_model_is_freed(endpoint):
    endpoint.load("a")
    endpoint.invoke("a")
    endpoint.ask("DELETE", "/models/a")
    gc.collect()
    assert [ref() for ref in endpoint.loaded] == [None]


def test_each_model_has_a_queue_and_a_thread_of_its_own(endpoint):
    endpoint.load("a")
    endpoint.load("b")
    assert endpoint.models.get("a") is not endpoint.models.get("b")


@pytest.mark.parametrize("bound_mb", [1, None])
def test_no_memory_for_a_model_is_507(make_endpoint, monkeypatch, bound_mb):
    monkeypatch.setattr(memory, "limit_bytes", lambda: BYTES_PER_MB)
    endpoint = make_endpoint(models_memory_mb=bound_mb)
    assert (endpoint.load("a").status_code, endpoint.invoke("a").status_code) == (507, 404)


def test_a_model_larger_than_what_is_left_is_not_even_tried(make_endpoint):
    endpoint = make_endpoint(models_memory_mb=memory.held_bytes() // BYTES_PER_MB + 200)
    (endpoint.root / "a").mkdir()
    with (endpoint.root / "a" / "weights.safetensors").open("wb") as file:
        file.truncate(300 * BYTES_PER_MB)
    assert (endpoint.load("a").status_code, endpoint.loaded) == (507, [])


@pytest.mark.parametrize("name", ["huge", "larger"])
def test_a_model_that_finds_no_memory_while_it_loads_is_507(endpoint, name):
    assert endpoint.load(name).status_code == 507


def test_a_fault_of_ours_while_loading_is_500_without_its_cause(endpoint):
    response = endpoint.load("odd")
    assert (response.status_code, response.text) == (
        500,
        "The model cannot be loaded; the log has the cause.",
    )


def test_a_directory_without_a_model_is_400_with_the_sentence(endpoint):
    response = endpoint.load("broken")
    assert (response.status_code, response.text) == (
        400,
        "model.json: cannot be read; expected a model.",
    )


@pytest.mark.parametrize(
    "url",
    ["", "a", "./a", "../models/a", "/", "/etc", "/nowhere", "/{root}/../..", "a\x00b", "a" * 5000],
)
def test_a_url_that_is_no_directory_of_models_is_400(endpoint, url):
    response = endpoint.load("a", url=url or " ")
    assert (response.status_code, response.text[:23]) == (400, "url: expected the absol")


def test_a_link_out_of_the_folder_of_models_is_400(endpoint, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (endpoint.root / "link").symlink_to(tmp_path / "elsewhere")
    assert endpoint.load("a", url=str(endpoint.root / "link")).status_code == 400


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "a\x00", "x" * 1025])
def test_a_name_that_no_path_could_carry_is_400(endpoint, name):
    assert endpoint.load(name, folder="a").status_code == 400


@pytest.mark.parametrize("name", ["ä ö", "a%b", "a?b", "..", "-", "a&b=c#d"])
def test_a_name_is_found_again_under_its_escaped_form(endpoint, name):
    escaped = "".join(f"%{byte:02X}" for byte in name.encode())
    assert (endpoint.load(name, folder="a").status_code, endpoint.invoke(escaped).content) == (
        200,
        b"[2]",
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"model_name": "a"}', b'{"model_name": 1, "url": "/"}', b"x" * 99999],
)
def test_an_order_that_names_no_model_is_400(endpoint, body):
    response = endpoint.ask("POST", "/models", content=body)
    assert (response.status_code, response.text[:14]) == (400, "Body: expected")


def test_there_is_no_invocations_without_a_model_name(endpoint):
    assert endpoint.ask("POST", "/invocations", content=b"[1]", headers=AS_JSON).status_code == 404


def test_others_are_served_while_a_model_loads(make_endpoint, monkeypatch, client):
    endpoint = make_endpoint()
    endpoint.load("a")
    load, may_load = endpoint._load, threading.Event()

    def slow(folder):
        assert may_load.wait(5)
        return load(folder)

    monkeypatch.setattr(endpoint.models, "_load", slow)

    async def exchange():
        async with client(endpoint.app) as http:
            order = {"model_name": "b", "url": str(endpoint.root / "a")}
            loading = asyncio.create_task(http.post("/models", json=order))
            await asyncio.sleep(0.05)
            answer = await http.post("/models/a/invoke", content=b"[1]", headers=AS_JSON)
            was_loading = not loading.done()
            may_load.set()
            return was_loading, answer.status_code, (await loading).status_code

    assert asyncio.run(exchange()) == (True, 200, 200)

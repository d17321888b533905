"""DeepAR behind the door of a container: many models, many clients at once, one answer each."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pytest

from sm_dl.algorithms.deepar.artifact import load, write_artifact
from sm_dl.content_types import JSON
from sm_dl.serving.invoke import Call, invoke

ROOT = Path(__file__).parents[3]
AS_JSON = {"content-type": JSON}


def _body(seed):
    instance = {"start": "2024-01-01", "target": [seed % 7, 2.0, seed % 3, 5.0]}
    configuration = {"seed": seed, "num_samples": 20, "output_types": ["samples"]}
    return orjson.dumps({"instances": [instance], "configuration": configuration})


@pytest.fixture(scope="module")
def models(tmp_path_factory, make_predictor):
    """Return the base folder of a container with two models and one that is none."""
    base = tmp_path_factory.mktemp("container")
    for name, likelihood in (("a", "student-T"), ("b", "gaussian")):
        write_artifact(base / "models" / name / "model", make_predictor(likelihood=likelihood), {})
    (base / "models" / "none").mkdir()
    return base


@pytest.fixture(scope="module")
def client(models):
    process = subprocess.Popen(
        [sys.executable, "-m", "sm_dl", "serve", "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ
        | {
            "SAGEMAKER_BASE_DIR": str(models),
            "SAGEMAKER_MULTI_MODEL": "true",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
    )
    try:
        found = (re.search(r"serving on (http://\S+)", line) for line in process.stdout)
        with httpx.Client(base_url=next(match[1] for match in found if match), timeout=30) as one:
            for name in ("a", "b"):
                url = str(models / "models" / name / "model")
                assert one.post("/models", json={"model_name": name, "url": url}).is_success
            yield one
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.mark.parametrize("name", ["a", "b"])
def test_clients_at_once_get_what_each_would_get_alone(client, models, name):
    predictor = load(models / "models" / name / "model")
    bodies = [_body(seed) for seed in range(24)]

    def ask(body):
        return client.post(f"/models/{name}/invoke", content=body, headers=AS_JSON).content

    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(ask, bodies))
    assert answers == [
        invoke(predictor, Call(body=body, content_type=JSON)).body for body in bodies
    ]


def test_clients_at_once_did_share_a_predict(client):
    with ThreadPoolExecutor(12) as clients:
        posts = [
            clients.submit(client.post, "/models/a/invoke", content=_body(seed), headers=AS_JSON)
            for seed in range(48)
        ]
        assert {post.result().status_code for post in posts} == {200}
    metrics = client.get("/metrics").text
    predicts, requests = (
        float(re.search(rf"^sm_dl_batch_requests_{what} (\S+)$", metrics, re.MULTILINE)[1])
        for what in ("count", "sum")
    )
    assert predicts < requests


def test_a_directory_without_a_model_is_400_and_names_the_file(client, models):
    order = {"model_name": "none", "url": str(models / "models" / "none")}
    response = client.post("/models", json=order)
    assert (response.status_code, "model.json: cannot be read" in response.text) == (400, True)

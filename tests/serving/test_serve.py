"""The serve door, as far as it goes without a model."""

import signal

import pytest

from sm_dl import serve
from sm_dl.serving import process


@pytest.fixture(autouse=True)
def _handler():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def _base_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))


def test_a_model_folder_without_a_model_is_exit_code_2(tmp_path, capsys):
    code = serve.main(["--host", "127.0.0.1", "--port", "0", "--model", str(tmp_path / "nowhere")])
    assert (code, f"{tmp_path}/nowhere/model.json: cannot be read" in capsys.readouterr().out) == (
        2,
        True,
    )


def test_without_a_model_argument_the_containers_folder_is_read(tmp_path, capsys):
    serve.main(["--host", "127.0.0.1", "--port", "0"])
    assert f"{tmp_path}/model/model.json: cannot be read" in capsys.readouterr().out


def test_a_taken_port_is_exit_code_2_with_one_sentence(capsys):
    with process.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        code = serve.main(["--host", "127.0.0.1", "--port", str(port)])
    said = f"Customer Error: 127.0.0.1:{port}: cannot listen here (Address already in use)."
    assert (code, said in capsys.readouterr().out) == (2, True)


def test_a_bad_payload_limit_is_told_before_anything_is_loaded(monkeypatch, capsys):
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "six")
    code = serve.main([])
    assert (code, "SAGEMAKER_MAX_PAYLOAD_IN_MB" in capsys.readouterr().out) == (2, True)

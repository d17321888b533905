"""`model.json` says what an artifact is, and is refused when it cannot be trusted."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sm_dl
from sm_dl.artifact.metadata import FORMAT, Metadata, read_metadata, write_metadata
from sm_dl.errors import UserError

steady = settings(derandomize=True, deadline=None)
WHOLE = {"format": FORMAT, "algorithm": "deepar", "version": "0.1.0", "facts": {"lags": [1, 2]}}


def _message(folder: Path, content: object) -> str:
    raw = content if isinstance(content, bytes) else orjson.dumps(content)
    (folder / "model.json").write_bytes(raw)
    with pytest.raises(UserError) as refusal:
        read_metadata(folder)
    return str(refusal.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for many artifacts."""
    return tmp_path_factory.mktemp("metadata")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@steady
@given(st.text(max_size=8), st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_what_was_written_is_read(folder: Path, algorithm: str, facts: dict[str, object]) -> None:
    metadata = Metadata(algorithm, facts)
    write_metadata(folder, metadata)
    assert read_metadata(folder) == metadata


def test_the_folder_need_not_exist(tmp_path: Path) -> None:
    write_metadata(tmp_path / "run" / "model", Metadata("deepar", {}))
    assert read_metadata(tmp_path / "run" / "model") == Metadata("deepar", {})


def test_the_artifact_tells_which_version_wrote_it(tmp_path: Path) -> None:
    write_metadata(tmp_path, Metadata("deepar", {}))
    assert read_metadata(tmp_path).version == sm_dl.__version__


def test_a_person_can_read_it(tmp_path: Path) -> None:
    write_metadata(tmp_path, Metadata("deepar", {"lags": [1]}))
    assert '\n  "algorithm": "deepar",\n' in (tmp_path / "model.json").read_text()


def test_a_fact_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_metadata(tmp_path, Metadata("deepar", {"lags": [1]}))
    with pytest.raises(TypeError):
        write_metadata(tmp_path, Metadata("deepar", {"lags": object()}))
    assert read_metadata(tmp_path).facts == {"lags": [1]}


def test_a_key_of_a_later_version_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(orjson.dumps(WHOLE | {"new": 1}))
    assert read_metadata(tmp_path).facts == WHOLE["facts"]


def test_a_newer_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    message = _message(tmp_path, WHOLE | {"format": FORMAT + 1})
    assert message == (
        f"{tmp_path / 'model.json'}: artifact format {FORMAT + 1} is newer than {FORMAT}, the "
        f"newest this version ({sm_dl.__version__}) reads; update sm_dl."
    )


@pytest.mark.parametrize("version", [0, -1, "1", 1.5, None])
def test_a_format_that_never_was_is_refused(tmp_path: Path, version: object) -> None:
    assert "model.json: " in _message(tmp_path, WHOLE | {"format": version})


@pytest.mark.parametrize("key", ["format", "algorithm", "facts"])
def test_a_missing_key_is_refused(tmp_path: Path, key: str) -> None:
    document = {name: value for name, value in WHOLE.items() if name != key}
    assert "expected format, algorithm and facts; got {" in _message(tmp_path, document)


@pytest.mark.parametrize(
    "changes", [{"algorithm": 5}, {"algorithm": None}, {"facts": []}, {"facts": "x"}], ids=str
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    assert "expected format, algorithm and facts" in _message(tmp_path, WHOLE | changes)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"x" * 1000, b'{"format": NaN}', b"[" * 10_000, orjson.dumps(WHOLE)[:-9]],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    assert _message(tmp_path, content).startswith(f"{tmp_path / 'model.json'}: expected JSON; ")


@pytest.mark.parametrize("content", [[], "x", 1, None, b"[" * 1000 + b"]" * 1000])
def test_another_document_is_refused(tmp_path: Path, content: object) -> None:
    assert "expected format, algorithm and facts; got " in _message(tmp_path, content)


@pytest.mark.parametrize("content", [b"[" * 1000 + b"]" * 1000, {"a": ["x" * 100] * 1000}])
def test_a_refusal_is_short(tmp_path: Path, content: object) -> None:
    assert len(_message(tmp_path, content)) < 400


def test_an_absent_file_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No such file .*; expected the model folder of a finish"):
        read_metadata(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read"):
        read_metadata(tmp_path / "model")

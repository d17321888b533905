"""What is secret by its name is seen nowhere; what is not stays readable."""

import logging

import pytest

from sm_dl import registry
from sm_dl.errors import UserError
from sm_dl.job.log import start_logging
from sm_dl.job.secrets import MASK, is_secret_name, masked, masked_values

SECRET = "hunter2-hunter2"  # noqa: S105 - the value that must not be seen
SECRET_NAMES = [
    *("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "HF_TOKEN", "TOKEN_OF_X"),
    *(
        "DB_PASSWORD",
        "PGPASSWD",
        "MYSQL_PWD",
        "API_KEY",
        "apikey",
        "client-secret",
        "WANDB_API_KEY",
    ),
    *("GOOGLE_CREDENTIALS", "SSH_PRIVATE_PEM", "SENTRY_DSN", "KEY_PASSPHRASE", "PROXY_AUTH"),
]
OPEN_NAMES = [
    *("PATH", "HOME", "SM_DL_ALGORITHM", "KEYBOARD", "MONKEY", "TRAINING_JOB_NAME", "AWS_REGION"),
    *("PWD", "OLDPWD", "epochs", "num_cells", "COMPASS", "AUTHOR", "SM_CHANNEL_TRAIN"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_tells_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OPEN_NAMES)
def test_an_ordinary_name_does_not(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("text", ["{}", "got '{}'.", "a{}b{}", "x=\n{}\n"])
def test_the_value_of_a_secret_variable_is_hidden(name: str, text: str) -> None:
    assert SECRET not in masked(text.replace("{}", SECRET), {name: SECRET})


def test_the_value_is_hidden_where_python_escapes_it() -> None:
    value = "line one\nline\\two"
    assert masked(f"got {value!r}", {"API_KEY": value}) == f"got '{MASK}'"


@pytest.mark.parametrize("name", OPEN_NAMES)
def test_the_value_of_an_open_variable_stays(name: str) -> None:
    assert masked(f"/opt/{SECRET}", {name: SECRET}) == f"/opt/{SECRET}"


@pytest.mark.parametrize("value", ["", "1", "true", "12345"])
def test_a_value_found_by_chance_does_not_garble_a_line(value: str) -> None:
    line = "#quality_metric: host=algo-1, epoch=0, train loss <loss>=0.12345 true"
    assert masked(line, {"API_KEY": value}) == line


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:pass@host/x", f"https://me:{MASK}@host/x"),
        ("redis://:pass@host:6379", f"redis://:{MASK}@host:6379"),
        ("a s3+http://u:p@h b", f"a s3+http://u:{MASK}@h b"),
    ],
)
def test_a_password_in_an_address_is_hidden(address: str, shown: str) -> None:
    assert masked(address, {}) == shown


@pytest.mark.parametrize("text", ["http://host:8080/a@b", "s3://bucket/a", "host:1@x", "a://b"])
def test_an_address_without_password_stays(text: str) -> None:
    assert masked(text, {}) == text


def test_configuration_values_are_hidden_by_their_names() -> None:
    assert masked_values({"epochs": "3", "s3_secret": SECRET}) == {"epochs": "3", "s3_secret": MASK}


def test_a_declared_hyperparameter_is_no_secret() -> None:
    values = {"enc0_token_embedding_dim": "3"}
    assert masked_values(values, public=values) == values


@pytest.mark.parametrize("name", registry.names())
def test_no_hyperparameter_s_value_is_long_and_secret_by_chance(name: str) -> None:
    declared = registry.get(name).hyperparameters.declarations()
    values = {one.name: one.default for one in declared}
    assert masked_values(values, public=values) == values


# In the log.


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the value of a secret variable."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    start_logging()
    return SECRET


def test_a_log_line_hides_it(capsys: pytest.CaptureFixture[str], secret: str) -> None:
    logging.getLogger("sm_dl").info("the key is %s", secret)
    assert capsys.readouterr().out.endswith(f"the key is {MASK}\n")


def test_a_trace_in_the_log_hides_it(capsys: pytest.CaptureFixture[str], secret: str) -> None:
    logging.getLogger("sm_dl").error("failed", exc_info=UserError(f"cannot open {secret}"))
    shown = capsys.readouterr().out
    assert ("UserError: cannot open" in shown, secret in shown) == (True, False)

"""The settings: read from the environment, checked all together."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alerts_service import config
from alerts_service.errors import SettingsRefused
from alerts_service.rules.slots import Frequency, parse

PRODUCTION = {
    "ALERTS_SECRET_KEY": "a-secret-key-of-thirty-two-characters",
    "ALERTS_BASE_URL": "https://alerts.example.org",
    "ALERTS_FROM": "Alerts <alerts@example.org>",
    "ALERTS_POSTAL_ADDRESS": "1 Main Street, Baltimore",
}
Load = Callable[..., config.Settings]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Load settings from exactly these variables, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("ALERTS_") or name == "PORT":
            monkeypatch.delenv(name)

    def load(**variables: str) -> config.Settings:
        with monkeypatch.context() as given:
            for name, value in variables.items():
                given.setenv(name, value)
            return config.load()

    return load


@pytest.fixture
def production(bare: Load) -> Load:
    """Load a production's settings with these changes."""
    return lambda **changes: bare(**(PRODUCTION | changes))


def refusal(load: Load, **changes: str) -> str:
    """Return what is said of settings that are refused."""
    with pytest.raises(SettingsRefused) as refused:
        load(**changes)
    return str(refused.value)


def test_a_production_needs_four_settings_and_nothing_else(production: Load) -> None:
    settings = production()
    assert settings.mode == "production"
    assert settings.service_from == settings.from_address == "Alerts <alerts@example.org>"
    assert settings.mail_domain == "example.org"
    assert settings.database_url == "sqlite:///instance/alerts.db"
    assert settings.state_dir == Path("instance/state")
    assert (settings.lease_seconds, settings.retry_seconds, settings.trusted_proxies) == (900, 300, 0)
    assert (settings.languages, settings.timezone.key) == (("en", "es"), "America/New_York")
    assert settings.schedules == {
        Frequency.IMMEDIATE: parse(Frequency.IMMEDIATE, "10 min"),
        Frequency.DAILY: parse(Frequency.DAILY, "09:00"),
        Frequency.WEEKLY: parse(Frequency.WEEKLY, "tue 09:00"),
        Frequency.MONTHLY: parse(Frequency.MONTHLY, "1 09:00"),
    }
    assert settings.permanent_key is None


def test_a_production_start_without_them_names_all_four(bare: Load) -> None:
    said = refusal(bare)
    for name in PRODUCTION:
        assert f"{name} is missing." in said
    assert len(said.splitlines()) == 5


@pytest.mark.parametrize("name", PRODUCTION)
def test_a_blank_required_setting_is_a_missing_one(production: Load, name: str) -> None:
    assert f"{name} is missing." in refusal(production, **{name: "  "})


def test_every_error_is_said_at_once_in_words(production: Load) -> None:
    wrong = {
        "ALERTS_MODE": "live",
        "ALERTS_SECRET_KEY": "short",
        "ALERTS_PERMANENT_KEY": "short",
        "ALERTS_DATABASE_URL": "mysql://localhost/alerts",
        "ALERTS_BASE_URL": "alerts.example.org",
        "ALERTS_TRUSTED_PROXIES": "many",
        "ALERTS_SMTP_URL": "http://relay",
        "ALERTS_FROM": "nobody",
        "ALERTS_SERVICE_FROM": "nobody",
        "ALERTS_REPLY_TO": "nobody",
        "ALERTS_LEASE_SECONDS": "0",
        "ALERTS_RETRY_SECONDS": "-1",
        "ALERTS_NAME": "two\nlines",
        "ALERTS_POSTAL_ADDRESS": "two\nlines",
        "ALERTS_CONTACT_URL": "javascript:alert(1)",
        "ALERTS_PRIVACY_URL": "nowhere",
        "ALERTS_FOOTER_LINKS": "FOIA=https://example.org/foia; Accessibility",
        "ALERTS_GOV_BANNER": "yes",
        "ALERTS_LANGUAGES": "en,fr",
        "ALERTS_TIMEZONE": "Mars/Olympus",
        "ALERTS_IMMEDIATE_EVERY": "7 min",
        "ALERTS_DAILY_AT": "noon",
        "ALERTS_WEEKLY_AT": "09:00",
        "ALERTS_MONTHLY_AT": "32 09:00",
    }
    said = refusal(production, **wrong)
    lines = said.splitlines()
    assert lines[0] == "The settings cannot be used:"
    assert {line.split(":")[0].strip() for line in lines[1:]} == set(wrong)
    for line in lines[1:]:
        assert line.endswith("."), line
        assert "Error" not in line


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ALERTS_BASE_URL", "https://["),
        ("ALERTS_BASE_URL", "https://alerts.example.org:port"),
        ("ALERTS_BASE_URL", "https://alerts.example.org:99999"),
        ("ALERTS_BASE_URL", "https://alerts example.org"),
        ("ALERTS_BASE_URL", "https://alerts.example.org/?a=1"),
        ("ALERTS_BASE_URL", "https://somebody:secret@alerts.example.org"),
        ("ALERTS_SMTP_URL", "smtp://["),
        ("ALERTS_SMTP_URL", "smtp://relay:port"),
        ("ALERTS_SMTP_URL", "smtp://relay:99999"),
        ("ALERTS_SMTP_URL", "relay:25"),
        ("ALERTS_CONTACT_URL", "https://["),
        ("ALERTS_DATABASE_URL", "nonsense"),
        ("ALERTS_FROM", "Alerts <alerts@example.org>, Other <other@example.org>"),
        ("ALERTS_FROM", "alerts@example.org, other@example.org"),
        ("ALERTS_FROM", "Alerts <alerts@example.org> more"),
        ("ALERTS_FROM", "two words@example.org"),
        ("ALERTS_FROM", "alerts@example"),
        ("ALERTS_FROM", "alerts@.example.org"),
        ("ALERTS_FROM", "alerts@example.org\nBcc: other@example.org"),
        ("ALERTS_FROM", "Älerts@example.org"),
    ],
)
def test_what_would_fail_later_is_refused_at_the_start(production: Load, name: str, text: str) -> None:
    said = refusal(production, **{name: text})
    assert f"  {name}: " in said
    assert "_FILE" not in said


@pytest.mark.parametrize(
    "text", ["alerts@example.org", "Resources <alerts@example.org>", '"Resources, Inc." <alerts@mail.example.org>']
)
def test_a_sender_may_have_a_name(production: Load, text: str) -> None:
    assert production(ALERTS_FROM=text).from_address == text


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000", "http://127.9.9.9"]
)
def test_a_base_url_may_be_http_on_loopback(production: Load, url: str) -> None:
    assert production(ALERTS_BASE_URL=url + "/").base_url == url


@pytest.mark.parametrize("url", ["http://alerts.example.org", "http://10.0.0.1", "http://localhost.example.org"])
def test_a_base_url_elsewhere_must_be_https(production: Load, url: str) -> None:
    assert "must be https" in refusal(production, ALERTS_BASE_URL=url)


def test_a_secret_may_stand_in_a_file(production: Load, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a-secret-key-in-a-file-0123456789abcdef\n", encoding="utf-8")
    settings = production(ALERTS_SECRET_KEY="", ALERTS_SECRET_KEY_FILE=str(file))
    assert settings.secret_keys == ("a-secret-key-in-a-file-0123456789abcdef",)


@pytest.mark.parametrize("name", ["ALERTS_SECRET_KEY", "ALERTS_PERMANENT_KEY", "ALERTS_NAME"])
def test_a_file_that_cannot_be_read_is_named(production: Load, tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        said = refusal(production, **{name: "", f"{name}_FILE": str(path)})
        assert name in said
        assert len(said.splitlines()) == 2


def test_several_secret_keys_rotate_and_each_is_long_enough(production: Load) -> None:
    keys = ("n" * 32, "o" * 40)
    assert production(ALERTS_SECRET_KEY=", ".join(keys)).secret_keys == keys
    assert "ALERTS_SECRET_KEY" in refusal(production, ALERTS_SECRET_KEY=f"{'n' * 32},short")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_one_driver(production: Load, scheme: str) -> None:
    settings = production(ALERTS_DATABASE_URL=f"{scheme}://alerts:pw@db/alerts?sslmode=require")
    assert settings.database_url == "postgresql+psycopg://alerts:pw@db/alerts?sslmode=require"


def test_a_demo_needs_no_setting_and_keeps_its_key(bare: Load) -> None:
    settings = bare(ALERTS_MODE="demo", PORT="8123")
    assert settings.base_url == "http://127.0.0.1:8123"
    assert settings.smtp_url == "smtp://127.0.0.1:8125"
    assert settings.may_mail("anybody@example.org"), "the demo's own inbox takes everything"
    assert settings.postal_address
    assert len(settings.secret_keys[0]) >= 32
    assert bare(ALERTS_MODE="demo").secret_keys == settings.secret_keys


def test_a_demo_with_another_relay_mails_only_who_is_allowed(bare: Load) -> None:
    settings = bare(ALERTS_MODE="demo", ALERTS_SMTP_URL="smtp://relay.example.org")
    assert not settings.may_mail("anybody@example.org")


def test_production_may_mail_everybody_and_staging_only_who_is_allowed(production: Load) -> None:
    assert production().may_mail("anybody@example.org")
    assert not production(ALERTS_MODE="staging").may_mail("anybody@example.org")
    staging = production(ALERTS_MODE="staging", ALERTS_MAIL_ALLOW="*@ours.example, Tester@Example.org")
    for address in ("ann@ours.example", "ANN@OURS.EXAMPLE", "tester@example.org"):
        assert staging.may_mail(address)
    for address in (
        "tester@example.org.evil.example",
        "x@sub.ours.example",
        "ann@ours.example.org",
        "tester2@example.org",
    ):
        assert not staging.may_mail(address)


def test_a_staging_installation_needs_what_a_production_needs(bare: Load) -> None:
    assert len(refusal(bare, ALERTS_MODE="staging").splitlines()) == 5


def test_the_permanent_key_is_read_from_the_state_folder(production: Load, tmp_path: Path) -> None:
    made = config.make_key(config.permanent_key_path(tmp_path / "kept"))
    assert production(ALERTS_STATE_DIR=str(tmp_path / "kept")).permanent_key == made
    given = production(ALERTS_STATE_DIR=str(tmp_path / "kept"), ALERTS_PERMANENT_KEY="p" * 32)
    assert given.permanent_key == "p" * 32


def test_a_made_key_is_long_private_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "state" / "permanent.key"
    made = config.make_key(path)
    assert len(made) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert config.make_key(path) == made
    assert [found.name for found in path.parent.iterdir()] == ["permanent.key"]

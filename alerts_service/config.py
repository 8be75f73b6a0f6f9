"""The settings: read from the environment once, checked all together, passed on as one frozen value.

Every setting may also be given as NAME_FILE, the path of a file that holds it. All errors are reported
at once, in words. docs/operations.md lists the settings; a test holds that list to this module.
What a setting's text means is read by alerts_service.settings_text.
"""

import fnmatch
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from environs import EnvValidationError, FileAwareEnv

from alerts_service import settings_text as read
from alerts_service.errors import SettingsRefused
from alerts_service.rules.slots import Frequency, Schedule

DEMO_PORT = 8000
DEMO_NAME = "Resources for Integrated Care"


@dataclass(frozen=True)
class Settings:
    """Everything that differs between installations. Spans are in seconds; schedules are local to `timezone`."""

    mode: str
    database_url: str
    state_dir: Path
    secret_keys: tuple[str, ...]
    permanent_key: str | None
    base_url: str
    trusted_proxies: int
    limits: bool
    redis_url: str
    smtp_url: str
    smtp_connections: int
    smtp_rate: int
    from_address: str
    service_from: str
    reply_to: str | None
    bounce_domain: str
    mail_allow: tuple[str, ...]
    seed_addresses: tuple[str, ...]
    seed_hold_seconds: int
    lease_seconds: int
    retry_seconds: int
    name: str
    goodbye: bool
    postal_address: str
    contact_url: str
    privacy_url: str
    widget_origins: tuple[str, ...]
    languages: tuple[str, ...]
    timezone: ZoneInfo
    schedules: dict[Frequency, Schedule]
    schedule_texts: dict[Frequency, str]
    # The local time at which the day before an event reminds of it; without one, nothing does.
    remind_at: time | None = None
    gov_banner: bool = False
    # Words and address of each.
    footer_links: tuple[tuple[str, str], ...] = ()
    # Whether the unsubscribe page asks why.
    ask_reason: bool = False

    @property
    def mail_domain(self) -> str:
        """The domain of From: the right-hand side of Message-ID and List-Id."""
        return parseaddr(self.from_address)[1].rpartition("@")[2].lower()

    def may_mail(self, address: str) -> bool:
        """Say whether this installation may send to `address`: outside production, only to the allow-list."""
        if self.mode == "production":
            return True
        return any(fnmatch.fnmatchcase(address.casefold(), pattern) for pattern in self.mail_allow)


def load() -> Settings:
    """Read the settings from the process's environment. Raises SettingsRefused, which names every error."""
    env = _Environment()
    settings = _settings(env)
    problems = env.finish()
    if problems:
        raise SettingsRefused(reasons=problems)
    return settings


class _Environment:
    """A reader that never raises: it collects one sentence for each setting that cannot be used."""

    def __init__(self) -> None:
        self._env = FileAwareEnv(eager=False, strip_whitespace=True)
        self._env.add_parser("parsed", lambda text, parser: parser(text.strip()))
        self._problems: list[str] = []
        self.demo = False
        self.mode = self.get("ALERTS_MODE", read.mode, "production")
        self.demo = self.mode == "demo"

    def get(self, name: str, parser: Callable[[str], Any], default: str | None = None, demo: str | None = None) -> Any:
        """Read one setting; `demo` is its default in demo mode. Without a default it is required."""
        fallback = demo if demo is not None and self.demo else default
        if not (os.environ.get(name, "").strip() or os.environ.get(f"{name}_FILE")):
            if fallback is None:
                self._problems.append(f"{name} is missing.")
                return None
            return parser(fallback)
        try:
            return self._env.parsed(name, parser=parser)
        except ValueError:
            self._problems.append(f"{name}_FILE names a file that cannot be read.")
            return None

    def finish(self) -> list[str]:
        """Return every problem met, as sentences."""
        try:
            self._env.seal()
        except EnvValidationError as error:
            messages = error.error_messages
            assert isinstance(messages, dict)
            self._problems += [f"{name}: {' '.join(found)}" for name, found in messages.items()]
        return self._problems


def _settings(env: _Environment) -> Settings:
    port = env.get("PORT", read.number(1, 65_000), str(DEMO_PORT)) or DEMO_PORT
    return Settings(mode=env.mode, **_core(env, port), **_mail(env, port), **_words(env), **_time(env))


def _core(env: _Environment, port: int) -> dict[str, Any]:
    state_dir = env.get("ALERTS_STATE_DIR", Path, "instance/state")
    base_url = env.get("ALERTS_BASE_URL", read.base_url, demo=f"http://127.0.0.1:{port}")
    return {
        "database_url": env.get("ALERTS_DATABASE_URL", read.database_url, "sqlite:///instance/alerts.db"),
        "state_dir": state_dir,
        "secret_keys": env.get("ALERTS_SECRET_KEY", read.keys, demo=_demo_key(state_dir) if env.demo else None),
        "permanent_key": env.get("ALERTS_PERMANENT_KEY", read.optional_key, "") or _stored_key(state_dir),
        "base_url": base_url,
        "trusted_proxies": env.get("ALERTS_TRUSTED_PROXIES", read.number(0, 10), "0"),
        "limits": env.get("ALERTS_LIMITS", read.limits(base_url), "on"),
        "redis_url": env.get("ALERTS_REDIS_URL", read.optional(read.redis_url), ""),
        "widget_origins": env.get("ALERTS_WIDGET_ORIGINS", read.origins, ""),
    }


def _mail(env: _Environment, port: int) -> dict[str, Any]:
    from_address = env.get("ALERTS_FROM", read.mailbox, demo=f"{DEMO_NAME} <alerts@care.example>")
    # The demo's own inbox takes everything; any other relay only what the allow-list names.
    own_inbox = env.demo and not os.environ.get("ALERTS_SMTP_URL")
    inbox = f"smtp://127.0.0.1:{port + 2}"
    return {
        "smtp_url": env.get("ALERTS_SMTP_URL", read.smtp_url, "smtp://127.0.0.1:25", demo=inbox),
        "smtp_connections": env.get("ALERTS_SMTP_CONNECTIONS", read.number(1, 100), "4"),
        "smtp_rate": env.get("ALERTS_SMTP_RATE", read.number(0, 1_000_000), "0"),
        "from_address": from_address,
        "service_from": env.get("ALERTS_SERVICE_FROM", read.optional(read.mailbox), "") or from_address,
        "reply_to": env.get("ALERTS_REPLY_TO", read.optional(read.mailbox), "") or None,
        "bounce_domain": env.get("ALERTS_BOUNCE_DOMAIN", read.optional(read.domain), ""),
        "mail_allow": env.get("ALERTS_MAIL_ALLOW", read.patterns, "*" if own_inbox else ""),
        "seed_addresses": env.get("ALERTS_SEED_ADDRESSES", read.addresses, ""),
        "seed_hold_seconds": env.get("ALERTS_SEED_HOLD_FOR", read.number(0, 86_400), "0"),
        "lease_seconds": env.get("ALERTS_LEASE_SECONDS", read.number(1, 86_400), "900"),
        "retry_seconds": env.get("ALERTS_RETRY_SECONDS", read.number(1, 86_400), "300"),
        "ask_reason": env.get("ALERTS_ASK_REASON", read.switch, "off"),
        "goodbye": env.get("ALERTS_GOODBYE", read.switch, "on"),
    }


def _words(env: _Environment) -> dict[str, Any]:
    return {
        "name": env.get("ALERTS_NAME", read.line, "E-alerts", demo=DEMO_NAME),
        "postal_address": env.get("ALERTS_POSTAL_ADDRESS", read.line, demo="1 Example Street, Springfield, MD 21244"),
        "contact_url": env.get("ALERTS_CONTACT_URL", read.optional(read.link), ""),
        "privacy_url": env.get("ALERTS_PRIVACY_URL", read.optional(read.link), ""),
        "languages": env.get("ALERTS_LANGUAGES", read.languages, "en,es"),
        "gov_banner": env.get("ALERTS_GOV_BANNER", read.switch, "off"),
        "footer_links": env.get("ALERTS_FOOTER_LINKS", read.labelled_links, ""),
    }


def _time(env: _Environment) -> dict[str, Any]:
    return {
        "timezone": env.get("ALERTS_TIMEZONE", read.timezone, "America/New_York"),
        "schedules": {f: env.get(name, read.schedule(f), default) for f, (name, default) in SCHEDULES.items()},
        "schedule_texts": {f: env.get(name, str, default) for f, (name, default) in SCHEDULES.items()},
        "remind_at": env.get("ALERTS_REMIND_AT", read.time_or_off, "off"),
    }


SCHEDULES = {
    Frequency.IMMEDIATE: ("ALERTS_IMMEDIATE_EVERY", "10 min"),
    Frequency.DAILY: ("ALERTS_DAILY_AT", "09:00"),
    Frequency.WEEKLY: ("ALERTS_WEEKLY_AT", "tue 09:00"),
    Frequency.MONTHLY: ("ALERTS_MONTHLY_AT", "1 09:00"),
}


def permanent_key_path(state_dir: Path) -> Path:
    """Return where `alerts init` keeps the permanent key when it is not given as a setting."""
    return state_dir / "permanent.key"


def make_key(path: Path) -> str:
    """Read the key in `path`; make it first (256 bits, readable by the owner only) where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text(encoding="ascii").strip()


def _stored_key(state_dir: Path) -> str | None:
    path = permanent_key_path(state_dir)
    return path.read_text(encoding="ascii").strip() if path.is_file() else None


def _demo_key(state_dir: Path) -> str:
    return make_key(state_dir / "demo-secret.key")

"""The templates of mail: a Jinja environment of their own, one a locale, with gettext and without Flask."""

from functools import cache
from pathlib import Path

import css_inline
from babel import Locale
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from alerts_service.config import Settings
from alerts_service.mail import links
from alerts_service.mail.lines import SUBJECT_LENGTH, WIDTH, cut, one_line
from alerts_service.mail.moments import day, event_times, moment
from alerts_service.rules.markup import to_html, to_text

_PACKAGE = Path(__file__).resolve().parents[1]
# Beside the package in the source tree and where it is installed.
_TEMPLATES = _PACKAGE.parent / "templates"
_TRANSLATIONS = _PACKAGE / "translations"
# Under a mail's sections (h2) and its updates' titles (h3).
_HEADING_IN_SUMMARY = 4
_TEST_MARK = "[TEST] "
# In a template of a part, around what is kept of it: a part may open an element, or close one.
_FROM, _TO = "<!--from-->", "<!--to-->"

_inliner = css_inline.CSSInliner(load_remote_stylesheets=False, minify_css=True)


def render(template: str, locale: str, settings: Settings, **values: object) -> str:
    """Fill the template `mail/<template>` with words of `locale`; what every mail says comes from the settings."""
    values |= {
        "name": settings.name,
        "home": links.home(locale, settings),
        "zone": settings.timezone,
        "contact": links.contact(settings),
        "privacy": settings.privacy_url,
        "postal_address": settings.postal_address,
    }
    return _environment(locale).get_template(f"mail/{template}").render(values)


def load(settings: Settings) -> None:
    """Read and compile the templates of digests now: once, before workers are forked, and not with each one's first."""
    for locale in settings.languages:
        environment = _environment(locale)
        for template in environment.list_templates(filter_func=lambda name: name.startswith("mail/digest/")):
            environment.get_template(template)


def headings(kind: str, locale: str, settings: Settings, **values: object) -> tuple[str, str]:
    """Return the headline of a mail, and its subject: cut, and marked as a test in staging."""
    headline = one_line(render(f"{kind}/subject.txt", locale, settings, **values))
    mark = _TEST_MARK if settings.mode == "staging" else ""
    return headline, mark + cut(headline, SUBJECT_LENGTH - len(mark))


def inlined(page: str) -> str:
    """Return a page with its styles on its elements; media queries stay in its head."""
    return _inliner.inline(page)


def part_inlined(html: str) -> str:
    """Return a part of a page, in whole lines, as it would be inlined within its page.

    That is the same, as no rule of mail/style.css looks beyond a part but to the page's own frame.
    """
    whole = _inliner.inline_fragment(html, _style())
    kept = whole.partition(_TO)[0].rpartition(_FROM)[2]
    return kept.strip("\n") + "\n"


@cache
def _style() -> str:
    return (_TEMPLATES / "mail" / "style.css").read_text(encoding="utf-8")


@cache
def _environment(locale: str) -> Environment:
    found = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    translations = Translations.load(_TRANSLATIONS, [locale])
    found.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    found.globals.update(locale=locale, direction=Locale.parse(locale).text_direction)
    found.filters.update(
        heading=_heading,
        bare=lambda address: address.removeprefix("mailto:"),
        host=links.host,
        summary_html=lambda markdown: to_html(markdown, top_heading=_HEADING_IN_SUMMARY),
        summary_text=to_text,
        event_times=lambda item, zone: event_times(item.starts_at, item.ends_at, zone, locale),
        moment=lambda at, zone: moment(at, zone, locale),
        day=lambda at, zone: day(at, zone, locale),
    )
    return found


def _heading(text: str) -> str:
    """Return a section's title as text shows it: underlined."""
    return f"{text}\n{'-' * min(len(text), WIDTH)}"

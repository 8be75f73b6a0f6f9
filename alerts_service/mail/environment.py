"""The templates of mail: a Jinja environment of their own, one a locale, with gettext and without Flask."""

from functools import cache
from pathlib import Path

import css_inline
from babel import Locale
from babel.support import Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from alerts_service.mail.items import Arranged
from alerts_service.mail.lines import WIDTH, cut, one_line
from alerts_service.mail.links import host
from alerts_service.mail.moments import day, event_times, moment
from alerts_service.rules.markup import to_html, to_text

_PACKAGE = Path(__file__).resolve().parents[1]
# Beside the package in the source tree and where it is installed.
_TEMPLATES = _PACKAGE.parent / "templates"
_TRANSLATIONS = _PACKAGE / "translations"
# Under a mail's sections (h2) and its updates' titles (h3).
_HEADING_IN_SUMMARY = 4
_PREHEADER_LENGTH = 120

_inliner = css_inline.CSSInliner(load_remote_stylesheets=False)


def render(template: str, locale: str, **values: object) -> str:
    """Fill the template `mail/<template>` with words of `locale`."""
    return _environment(locale).get_template(f"mail/{template}").render(values)


def inlined(html: str) -> str:
    """Return the page with its styles on its elements; media queries stay in its head."""
    return _inliner.inline(html)


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
        preheader=_preheader,
        bare=lambda address: address.removeprefix("mailto:"),
        host=host,
        summary_html=lambda markdown: to_html(markdown, top_heading=_HEADING_IN_SUMMARY),
        summary_text=to_text,
        event_times=lambda item, zone: event_times(item.starts_at, item.ends_at, zone, locale),
        moment=lambda at, zone: moment(at, zone, locale),
        day=lambda at, zone: day(at, zone, locale),
    )
    return found


def _heading(text: str) -> str:
    """Return a section's title as text shows it: underlined."""
    return f"{text}\n{'=' * min(len(text), WIDTH)}"


def _preheader(arranged: Arranged) -> str:
    """Return what an inbox shows behind the subject: the first summary, or the other titles."""
    first, *others = arranged.in_full
    text = " · ".join(item.title for item in others) or to_text(first.summary)
    return cut(one_line(text), _PREHEADER_LENGTH)

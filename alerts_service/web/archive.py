"""The public archive: the topics, what was published under each, as pages and as feeds."""

import re

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from alerts_service.mail.lines import cut, one_line
from alerts_service.rules.markup import to_text
from alerts_service.rules.slots import Frequency
from alerts_service.services import archive, catalogue
from alerts_service.web import feeds, pages
from alerts_service.web.languages import spoken
from alerts_service.web.signing_up import Form

_EXCERPT_LENGTH = 240
_CURSOR = re.compile("[0-9]{1,19}")

blueprint = Blueprint("archive", __name__)


@blueprint.app_template_filter("excerpt")
def _excerpt(summary: str) -> str:
    return cut(one_line(to_text(summary)), _EXCERPT_LENGTH)


@blueprint.get("/topics")
def topics() -> ResponseReturnValue:
    """What can be followed, by category."""
    return render_template("pages/topics.html", categories=catalogue.choices(spoken()))


@blueprint.get("/topics/<slug>")
def topic(slug: str) -> ResponseReturnValue:
    """A topic: the form to follow it, and what was published under it."""
    seen = archive.topic(slug, spoken(), pages.settings(), before=_cursor())
    return render_template(
        "pages/topic.html",
        topic=seen,
        form=Form(topics=frozenset([slug])),
        frequencies=list(Frequency),
        wording=pages.consent_wording(),
    )


@blueprint.get("/topics/<slug>.atom")
def feed(slug: str) -> ResponseReturnValue:
    """A topic's newest updates for feed readers, which ask again and again: unchanged, it is not sent again."""
    body, changed_at = feeds.atom(archive.feed(slug, spoken(), pages.settings()), spoken(), pages.settings())
    answer = Response(body, content_type="application/atom+xml; charset=utf-8")
    answer.last_modified = changed_at
    answer.add_etag()
    return answer.make_conditional(request)


def _cursor() -> int | None:
    text = request.args.get("before")
    if text is None:
        return None
    if not _CURSOR.fullmatch(text) or int(text) > archive.HIGHEST_CURSOR:
        abort(400)
    return int(text)

"""What the tests of the web ask for."""

import html
import re

from werkzeug.test import TestResponse

ANN = "ann@example.org"
FORM = {"email": ANN, "topics": ["idd", "policy"], "frequency": "daily"}


def answered(answer: TestResponse) -> tuple[int, str, str]:
    """All of an answer, but for the form that it carries in its address: sealed anew each time."""
    return answer.status_code, answer.text, re.sub(r"again=[\w=-]+", "again=", str(answer.headers))


def heading(page: str) -> str:
    """The words of a page's first h1."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert found, page
    return html.unescape(found[1]).strip()


def problems(page: str) -> list[str]:
    """The sentences of the error summary."""
    summary = re.search(r'<div class="usa-alert usa-alert--error summary".*?</div>', page, re.DOTALL)
    found = re.findall(r"<li>(?:<a [^>]*>)?(.*?)(?:</a>)?</li>", summary[0] if summary else "", re.DOTALL)
    return [html.unescape(sentence) for sentence in found]


def checked(page: str, name: str) -> list[str]:
    """The values of the boxes or buttons of a name that are on."""
    return re.findall(rf'<input type="(?:checkbox|radio)" name="{name}" value="([^"]*)"[^>]* checked', page)


def value(page: str, name: str) -> str:
    """What a field holds."""
    found = re.search(rf'<input [^>]*name="{name}"[^>]*? value="([^"]*)"', page)
    assert found, page
    return html.unescape(found[1])


def links(page: str) -> list[str]:
    """Where the links of a page lead, in order."""
    return [html.unescape(found) for found in re.findall(r'<a [^>]*?href="([^"]*)"', page)]

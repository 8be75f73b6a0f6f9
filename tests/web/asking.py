"""What the tests of the web ask for."""

import html
import re

ANN = "ann@example.org"
FORM = {"email": ANN, "topics": ["idd", "policy"], "frequency": "daily"}


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

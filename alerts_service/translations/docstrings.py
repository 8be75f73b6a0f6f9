"""A Babel extractor for sentences that are docstrings: those of the errors (see alerts_service.errors)."""

import ast
from collections.abc import Iterator
from typing import Any, BinaryIO


def extract(
    fileobj: BinaryIO,
    keywords: Any,  # noqa: ARG001 - the names are Babel's
    comment_tags: Any,  # noqa: ARG001
    options: Any,  # noqa: ARG001
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield every class's docstring on one line, as `AlertsError.template` gives it."""
    for node in ast.walk(ast.parse(fileobj.read())):
        if isinstance(node, ast.ClassDef) and (sentence := ast.get_docstring(node)):
            yield node.lineno, "gettext", " ".join(sentence.split()), []

"""Refusals that programs read: `application/problem+json` (RFC 9457), with a sentence for people in `detail`."""

from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request

PATH = "/api/"


def wanted() -> bool:
    """Say whether the request is a program's."""
    return request.path.startswith(PATH)


def problem(detail: str, status: int, **more: Any) -> Response:
    """Return a refusal; `more`: what else a program may need to go on (RFC 9457, 3.2)."""
    answer = jsonify(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
    answer.status_code = status
    answer.mimetype = "application/problem+json"
    return answer

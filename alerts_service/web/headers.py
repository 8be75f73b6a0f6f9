"""The headers of every answer: nothing from elsewhere, nothing inline, no frame, no referrer."""

from flask import Flask, Response, request

from alerts_service.config import Settings

A_YEAR = 365 * 24 * 3600
_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# Pages behind a token, and answers to forms: not to be kept, found or told of.
_PRIVATE = (
    "/confirm/",
    "/not-me/",
    "/preferences",
    "/unsubscribe/",
    "/undo/",
    "/subscribe",
    "/check-your-inbox",
    "/digests/",
    "/your-data/",
    "/new-address/",
    "/former-address/",
)


def policy(**changes: str) -> str:
    """Return the Content-Security-Policy of a page that needs more than the others, such as `script_src`."""
    wider = {name.replace("_", "-"): sources for name, sources in changes.items()}
    return "; ".join(f"{name} {sources}" for name, sources in (_POLICY | wider).items())


def always(settings: Settings) -> list[tuple[str, str]]:
    """Return the headers that files have, too."""
    found = [
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    if settings.base_url.startswith("https://"):
        found.append(("Strict-Transport-Security", f"max-age={A_YEAR}"))
    return found


def of_files(settings: Settings) -> list[tuple[str, str]]:
    """Return the headers of files."""
    found = [*always(settings), ("Content-Security-Policy", policy())]
    return found if settings.mode == "production" else [*found, ("X-Robots-Tag", "noindex")]


def register(app: Flask, settings: Settings) -> None:
    """Put the headers on every answer."""
    plain = policy()
    on_all = [*always(settings), ("Vary", "Accept-Language")]

    @app.after_request
    def add(response: Response) -> Response:
        headers = response.headers
        headers.extend(on_all)
        headers.setdefault("Content-Security-Policy", plain)
        private = request.path.startswith(_PRIVATE)
        if private or settings.mode != "production":
            headers["X-Robots-Tag"] = "noindex"
        if private or response.status_code >= 400:  # noqa: PLR2004 - where errors begin
            headers["Cache-Control"] = "no-store"
        elif "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-cache"
        return response

"""The headers of every answer: nothing from elsewhere, nothing inline, no frame, no referrer."""

from flask import Flask, Response, request

from alerts_service.config import Settings

A_YEAR = 365 * 24 * 3600
_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Pages behind a token, and answers to forms: not to be kept, found or told of.
_PRIVATE = ("/confirm/", "/not-me/", "/preferences", "/unsubscribe/", "/subscribe", "/check-your-inbox", "/digests/")


def register(app: Flask, settings: Settings) -> None:
    """Put the headers on every answer."""

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _CSP)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        private = request.path.startswith(_PRIVATE)
        if private or settings.mode != "production":
            response.headers["X-Robots-Tag"] = "noindex"
        if private or response.status_code >= 400:  # noqa: PLR2004 - where errors begin
            response.headers["Cache-Control"] = "no-store"
        elif "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-cache"
        response.vary.add("Accept-Language")
        if settings.base_url.startswith("https://"):
            response.headers["Strict-Transport-Security"] = f"max-age={A_YEAR}"
        return response

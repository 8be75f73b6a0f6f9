"""The API, `/api/v1`: what the widget on other sites asks for. Answers are JSON, refusals problem+json (RFC 9457)."""

"""For `gunicorn wsgi:app` and `flask --app wsgi`."""

from alerts_service import create_app

app = create_app()

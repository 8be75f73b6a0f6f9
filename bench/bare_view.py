"""The reference of bench.sign_up: a Flask view that only inserts one row, with the raw driver."""

import os
import sqlite3
import threading
from typing import Any

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

app = Flask(__name__)
_own = threading.local()
_URL = os.environ["ALERTS_DATABASE_URL"]


@app.post("/subscribe")
def subscribe() -> Response:
    """Insert the address and answer as the product does."""
    connection = _connection()
    connection.execute(_INSERT, (request.form["email"],))
    connection.commit()
    return redirect("/check-your-inbox", 303)


if _URL.startswith("sqlite"):
    _INSERT = "INSERT INTO bare (address) VALUES (?)"

    def _connect() -> Any:
        made = sqlite3.connect(_URL.removeprefix("sqlite:///"), timeout=30)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=FULL")
        made.execute("CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, address TEXT)")
        return made
else:
    import psycopg

    _INSERT = "INSERT INTO bare (address) VALUES (%s)"

    def _connect() -> Any:
        made = psycopg.connect(_URL.replace("+psycopg", ""))
        made.execute("SELECT pg_advisory_xact_lock(1)")
        made.execute("CREATE TABLE IF NOT EXISTS bare (id BIGSERIAL PRIMARY KEY, address TEXT)")
        made.commit()
        return made


def _connection() -> Any:
    if not hasattr(_own, "connection"):
        _own.connection = _connect()
    return _own.connection

"""What people read, in their language: gettext catalogues, and how their sentences are collected."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent

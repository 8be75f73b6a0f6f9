"""Commands about the catalogue."""

from pathlib import Path

import click

from alerts_service.cli.context import Refusal, answer, json_option, with_app
from alerts_service.config import Settings


@click.command("list")
@json_option
@with_app
def list_topics(_settings: Settings, as_json: bool) -> None:
    """List the topics that can be followed, in catalogue order."""
    from alerts_service.services import catalogue

    answer(
        catalogue.listing(),
        as_json,
        lambda rows: [f"{row['slug']:<24} {row['title']}  ({row['category']})" for row in rows],
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@with_app
def load(_settings: Settings, file: Path, as_json: bool) -> None:
    """Add the topics of a YAML or CSV FILE, and change those already there. Topics it does not name stay.

    CSV: columns category, slug, title, and optionally category_es, title_es, description, description_es.
    """
    from alerts_service.services import catalogue

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refusal(f"{file} is not a text file in UTF-8.") from None
    kind = "csv" if file.suffix.lower() == ".csv" else "yaml"
    answer(
        vars(catalogue.load(text, kind=kind)),
        as_json,
        lambda d: [f"{d['added']} topics added, {d['changed']} changed, {d['unchanged']} unchanged."],
    )

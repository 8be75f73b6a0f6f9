"""The catalogue as forms read it, and files loaded into it again."""

import pytest
from sqlalchemy import update

from alerts_service.db import transaction
from alerts_service.errors import CatalogueRefused, Invalid, UnknownTopic
from alerts_service.models import Topic
from alerts_service.services import catalogue, subscribers
from alerts_service.services.catalogue import Loaded, TopicChoice
from tests.conftest import START
from tests.scene import Scene, rows

ANN = "ann@example.org"
HEAD = "category,category_es,slug,title,title_es,description\n"
FILE = HEAD + "Care,Atención,falls,Falls,Caídas,At home\nCare,Atención,teeth,Teeth,,\n"


def offered(locale: str) -> dict[str, list[TopicChoice]]:
    return {category.title: category.topics for category in catalogue.choices(locale)}


def retire(*slugs: str) -> None:
    with transaction() as session:
        session.execute(update(Topic).where(Topic.slug.in_(slugs)).values(retired_at=START))


def test_a_form_shows_each_language_its_own_words_or_english_ones(scene: Scene) -> None:
    catalogue.load(FILE, kind="csv")
    assert offered("en")["Care"] == [TopicChoice("falls", "Falls", "At home"), TopicChoice("teeth", "Teeth", "")]
    assert [topic.title for topic in offered("es")["Atención"]] == ["Caídas", "Teeth"]


def test_loading_counts_what_it_added_changed_and_left(scene: Scene) -> None:
    assert catalogue.load(FILE, kind="csv") == Loaded(added=2, changed=0, unchanged=0)
    assert catalogue.load(FILE, kind="csv") == Loaded(added=0, changed=0, unchanged=2)
    assert catalogue.load(FILE.replace("Teeth", "Dental care"), kind="csv") == Loaded(0, 1, 1)
    assert [topic.title for topic in offered("en")["Care"]] == ["Falls", "Dental care"]


def test_followers_keep_a_topic_that_is_renamed_or_moved(scene: Scene) -> None:
    catalogue.load(FILE, kind="csv")
    scene.follow(ANN, "falls")
    catalogue.load(HEAD + "Other,Otra,falls,Tripping,,\n", kind="csv")
    assert [row["topic"] for row in subscribers.show(ANN, **scene.at)["subscriptions"]] == ["falls"]
    assert [topic.slug for topic in offered("en")["Care"]] == ["teeth"]
    assert [topic.title for topic in offered("en")["Other"]] == ["Tripping"]


def test_a_refused_file_changes_nothing(scene: Scene) -> None:
    before = rows()
    with pytest.raises(CatalogueRefused):
        catalogue.load(FILE + "Care,,falls,Again,,\n", kind="csv")
    assert rows() == before


def test_a_retired_topic_is_offered_to_nobody_and_takes_no_update(scene: Scene) -> None:
    catalogue.load(FILE, kind="csv")
    scene.follow(ANN, "falls")
    retire("falls")
    assert [topic.slug for topic in offered("en")["Care"]] == ["teeth"]
    assert "falls" not in {topic["slug"] for topic in catalogue.listing()}
    with pytest.raises(UnknownTopic):
        scene.release("News", "falls")
    with pytest.raises(Invalid):
        scene.ask("bob@example.org", "falls")
    assert [row["topic"] for row in subscribers.show(ANN, **scene.at)["subscriptions"]] == ["falls"]
    retire("teeth")
    assert "Care" not in offered("en")

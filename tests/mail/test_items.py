"""The order of a digest's updates."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts_service.mail.items import IN_FULL, Item, arrange
from tests.conftest import START

Make = Callable[..., Item]
TOPICS = ("Care", "Telehealth", "Dementia", "Policy")


def test_coming_events_stand_first_soonest_first(make_item: Make):
    late = make_item(1, starts_at=START + timedelta(days=9), topic_positions=(0,))
    soon = make_item(2, starts_at=START + timedelta(days=2), topic_positions=(5,))
    other = make_item(3, topic_positions=(0,), topics=("Care",))
    arranged = arrange([other, late, soon])
    assert arranged.coming == (soon, late)
    assert arranged.in_full == (soon, late, other)


def test_the_rest_stands_under_each_first_topic_in_catalogue_order_newest_first(make_item: Make):
    old = make_item(5, topics=("Care", "Policy"), topic_positions=(0, 3))
    new = make_item(1, topics=("Care",), topic_positions=(0,))
    policy = make_item(0, topics=("Policy",), topic_positions=(3,))
    arranged = arrange([policy, old, new])
    assert [(section.title, section.items) for section in arranged.sections] == [
        ("Care", (new, old)),
        ("Policy", (policy,)),
    ]


def test_at_most_twelve_are_shown_in_full_and_the_others_counted(make_item: Make):
    items = [make_item(number) for number in range(19)]
    assert len(arrange(items).in_full) == IN_FULL == 12
    assert arrange(items).more == 7
    assert arrange(items[:12]).more == 0
    assert len(arrange(items, in_full=None).in_full) == 19


@given(st.data())
def test_the_order_does_not_depend_on_how_the_updates_come(make_item: Make, data: st.DataObject):
    items = [
        make_item(
            number,
            topics=(TOPICS[position],),
            topic_positions=(position,),
            starts_at=START + timedelta(days=days) if days else None,
        )
        for number, (position, days) in enumerate(
            data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
        )
    ]
    shuffled = data.draw(st.permutations(items))
    arranged = arrange(shuffled, in_full=None)
    assert arranged == arrange(items, in_full=None)
    assert sorted(item.id for item in arranged.in_full) == sorted(item.id for item in items)
    titles = [section.title for section in arranged.sections]
    assert titles == sorted(set(titles), key=TOPICS.index)

"""When sign-ups leave the usual."""

from alerts_service.rules import surges


def test_a_quiet_site_is_not_alarmed_by_a_class_that_signs_up_together() -> None:
    for quiet in ([], [0], [3, 0, 1]):
        assert surges.most(quiet) == surges.LEAST == 60
        assert not surges.is_surge(60, surges.most(quiet), already=False)
        assert surges.is_surge(61, surges.most(quiet), already=False)


def test_a_busy_site_has_room_for_four_times_its_busiest_hour_but_for_one_odd_day() -> None:
    assert surges.most([100, 40, 90, 100]) == 400
    assert surges.most([100, 40, 90, 5000]) == 400, "yesterday's attack does not hide today's"


def test_a_surge_ends_at_half_of_what_began_it() -> None:
    assert surges.is_surge(31, 60, already=True)
    assert not surges.is_surge(30, 60, already=True)

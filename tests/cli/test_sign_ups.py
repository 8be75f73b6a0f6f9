"""Sign-ups stopped and resumed by command, while the site runs."""

from sqlalchemy import update
from structlog.testing import capture_logs

from alerts_service.clock import utcnow
from alerts_service.db import db, transaction
from alerts_service.models import SignUp
from scheduler import jobs
from tests.cli.conftest import ANN, Commands
from tests.databases import ON_SQLITE
from tests.journeys.conftest import Installation
from tests.web.asking import answered


def test_one_command_stops_confirmations_on_the_running_site_and_one_resumes_them(
    alerts: Commands, installation: Installation
) -> None:
    installation.sign_up("before@example.org", "idd")
    usual = installation.site.post("/subscribe", data={"email": ANN, "topics": "idd", "frequency": "daily"})
    assert alerts.answer("sign-ups", "stop", "--reason", "an attack") == {"stopped": True, "cancelled": 1}
    answer = installation.site.post("/subscribe", data={"email": ANN, "topics": "idd", "frequency": "daily"})
    assert usual.status_code == 303
    assert answered(answer) == answered(usual)
    installation.deliver()
    assert not installation.relay.to(ANN)
    assert alerts.said("sign-ups", "status").splitlines()[0].endswith("an attack")
    stopped = installation.site.get("/healthz/sign-ups")
    assert (stopped.status_code, stopped.json and stopped.json["sign_ups"]) == (503, "stopped")
    installation.confirm("before@example.org")

    assert alerts.answer("sign-ups", "resume") == {"stopped": False, "was_stopped": True}
    installation.sign_up(ANN, "idd")
    assert len(installation.relay.to(ANN)) == 1
    found = alerts.answer("sign-ups", "status")
    assert found == {"stopped_at": None, "reason": None, "last_hour": 3, "most": 60, "surge_since": None}


@ON_SQLITE
def test_a_surge_is_in_the_log_the_status_and_a_health_check(alerts: Commands, installation: Installation) -> None:
    site = installation.site
    assert (site.get("/healthz/sign-ups").status_code, site.get("/healthz/sign-ups").json) == (
        200,
        {"sign_ups": "usual"},
    )
    installation.sign_up(ANN, "idd")
    with site.application.app_context():
        one = db.session.query(SignUp).one()
        columns = {c.name: getattr(one, c.name) for c in SignUp.__table__.columns if c.name != "id"}
        with transaction() as session:
            session.add_all(SignUp(**columns) for _ in range(60))
            session.execute(update(SignUp).values(requested_at=utcnow()))
        [watching] = [job for job in jobs.table() if job.id == "watching"]
        with capture_logs() as log:
            for _ in range(2):
                jobs.in_context(site.application, watching, lambda: False)()
    [line] = log
    assert (line["log_level"], line["last_hour"]) == ("error", 61)
    assert line["event"] == "sign-ups surge; to stop them: alerts sign-ups stop"
    surge = site.get("/healthz/sign-ups")
    assert (surge.status_code, surge.json and surge.json["sign_ups"]) == (503, "surge")
    assert "alerts sign-ups stop" in alerts.said("sign-ups", "status").splitlines()[-1]

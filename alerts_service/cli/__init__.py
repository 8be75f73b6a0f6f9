"""`alerts`: the command line. Commands are imported only when they are called.

`TABLE` names every command with its one line of help, so that `alerts --help` imports none of them. The
scheduler's commands are named as text, as nothing here may import it.
"""

import click

from alerts_service.cli.lazy import Entry, LazyGroup

_HERE = "alerts_service.cli"

TABLE: dict[str, Entry | dict[str, Entry]] = {
    "init": Entry(f"{_HERE}.installation:init", "Create or upgrade the database; safe to repeat."),
    "serve": Entry(f"{_HERE}.installation:serve", "Run the site."),
    "scheduler": Entry("scheduler.commands:scheduler", "Run the process that opens editions and sends mail."),
    "deliver": Entry("scheduler.commands:deliver", "Send what is due."),
    "demo": Entry("alerts_service.demo.command:demo", "Run a whole installation here, with an inbox to look into."),
    "demo-digest": Entry(
        "alerts_service.demo.command:demo_digest", "Demo: release an example update and send the next digest now."
    ),
    "demo-data": Entry(
        f"{_HERE}.installation:demo_data", "Fill an empty installation with made-up people and updates."
    ),
    "topics": {
        "list": Entry(f"{_HERE}.topics:list_topics", "List the topics that can be followed."),
        "load": Entry(f"{_HERE}.topics:load", "Load a catalogue from a YAML or CSV file."),
    },
    "updates": {
        "add": Entry(f"{_HERE}.updates:add", "Queue an update under one or more topics."),
        "list": Entry(f"{_HERE}.updates:list_updates", "List the updates, newest first."),
        "show": Entry(f"{_HERE}.updates:show", "Show one update, or the mail it would make."),
        "approve": Entry(f"{_HERE}.updates:approve", "Approve a draft: it is released at once, or at its time."),
        "withdraw": Entry(f"{_HERE}.updates:withdraw", "Take an update back from whoever has not been sent it."),
    },
    "subscribers": {
        "state": Entry(f"{_HERE}.subscribers:state", "Say in one word how things stand with an address."),
        "show": Entry(f"{_HERE}.subscribers:show", "Show everything kept about an address."),
        "export": Entry(f"{_HERE}.subscribers:export", "Print everything kept about an address as JSON."),
        "unsubscribe": Entry(f"{_HERE}.subscribers:unsubscribe", "End every subscription of an address."),
        "erase": Entry(f"{_HERE}.subscribers:erase", "Erase a person; counts stay, and a hash where mail is stopped."),
        "reasons": Entry(f"{_HERE}.subscribers:reasons", "Count the reasons that people gave for leaving."),
    },
    "sign-ups": {
        "stop": Entry(f"{_HERE}.sign_ups:stop", "Stop confirmations at once, as when the form is abused."),
        "resume": Entry(f"{_HERE}.sign_ups:resume", "Take sign-ups again."),
        "status": Entry(f"{_HERE}.sign_ups:status", "Say whether sign-ups are stopped, or a surge of them goes on."),
    },
    "suppressions": {
        "list": Entry(f"{_HERE}.suppressions:list_suppressions", "List the addresses that no mail goes to."),
        "add": Entry(f"{_HERE}.suppressions:add", "Stop all mail to an address."),
        "lift": Entry(f"{_HERE}.suppressions:lift", "Let mail go to an address again."),
    },
    "editions": {
        "open": Entry(f"{_HERE}.editions:open_due", "Release, open and compile what is due, as the scheduler does."),
        "list": Entry(f"{_HERE}.editions:list_editions", "List the editions, newest first."),
        "show": Entry(f"{_HERE}.editions:show", "Show one edition and what became of its deliveries."),
        "pause": Entry(f"{_HERE}.editions:pause", "Hold an edition's deliveries."),
        "resume": Entry(f"{_HERE}.editions:resume", "Let a paused edition go on."),
        "cancel": Entry(f"{_HERE}.editions:cancel", "End an edition; whoever was not sent to is owed it again."),
        "retry-failed": Entry(f"{_HERE}.editions:retry_failed", "Try an edition's failed deliveries again."),
    },
    "rates": {
        "list": Entry(f"{_HERE}.rates:list_rates", "List the limits in force, and what was sent today."),
        "set": Entry(f"{_HERE}.rates:set_rate", "Set how fast a domain, or the relay, is sent to."),
    },
    "outbox": {"count": Entry(f"{_HERE}.records:outbox_count", "Count the deliveries that have not ended.")},
    "ledger": Entry(f"{_HERE}.records:ledger", "Print every delivery with its fate, one JSON line each."),
    "explain": Entry(f"{_HERE}.records:explain", "Say why a person did, or did not, get an update."),
    "proof": Entry(f"{_HERE}.records:proof", "Prove what became of an update for everybody it was matched to."),
    "backup": Entry(f"{_HERE}.safekeeping:backup", "Copy the database to a file, while everything runs."),
    "database": {
        "copy": Entry(f"{_HERE}.safekeeping:copy_database", "Copy this installation into an empty PostgreSQL."),
    },
    "restore": {
        "reconcile": Entry(
            f"{_HERE}.safekeeping:reconcile", "After a restore: send nothing twice, forget nobody who left."
        ),
    },
    "address": Entry(f"{_HERE}.filters:address", "Filter: read one address, say whether it can be used."),
    "markup": Entry(f"{_HERE}.filters:markup", "Filter: turn an update's Markdown into HTML, or text."),
}

group = LazyGroup(
    TABLE,
    name="alerts",
    help="E-alerts by topic: sign-up with double opt-in, digests, and one exact record for every person.\n\n"
    "Settings come from the environment; docs/operations.md lists them. Every command has --help.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """Run the console script."""
    # Ending quietly where the reader of a pipe has gone is click's own way.
    click.Group.main(group, prog_name="alerts")

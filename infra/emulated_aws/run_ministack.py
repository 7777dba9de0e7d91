"""Starts ministack with what the tests need changed. Runs in a process of its own, started by emulated_aws.py.

Writes what each function's role asked for, and whether its policies allow it, as JSON lines to CARILLON_IAM_RECORD."""

import json
import os
import socketserver

# Lambda's Runtime API is served by this class; with Nagle's algorithm each answer waits 40 ms for an acknowledgement.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True
socketserver.StreamRequestHandler.wbufsize = -1

from ministack.core import iam_evaluator  # noqa: E402
from ministack.core.responses import get_account_id  # noqa: E402
from ministack.services import eventbridge, scheduler  # noqa: E402

# Schedules fire within a second instead of ten.
scheduler._SCHEDULE_TICK_INTERVAL = 1


def record_decisions():
    # Taken out of the environment, which the functions inherit.
    record = open(os.environ.pop("CARILLON_IAM_RECORD"), "a", buffering=1)
    enforce = iam_evaluator.enforce

    def recorded(access_key_id, action, service, region, resource_arn="*", service_context=None):
        if action == "ses:SendEmail" and resource_arn == "*":
            # SES asks for the sender's identity; ministack asks for everything.
            resource_arn = f"arn:aws:ses:{region}:{get_account_id()}:identity/sender"
        if action == "sqs:SendMessageBatch":
            # SQS has one permission for both calls (Amazon SQS developer guide, API permissions).
            action = "sqs:SendMessage"
        denied = enforce(access_key_id, action, service, region, resource_arn, service_context)
        caller = (iam_evaluator.resolve_caller_identity(access_key_id or "") or {}).get("userArn", "")
        if ":assumed-role/" in caller:
            line = {"role": caller.split("/")[1], "action": action, "resource": resource_arn, "allowed": denied is None}
            record.write(json.dumps(line) + "\n")
        return denied

    iam_evaluator.enforce = recorded


def accept_events_of_ses():
    # Nobody but SES may say aws.ses, and this SES says nothing: the tests say it in its place.
    put_events = eventbridge._put_events
    eventbridge._put_events = lambda data: put_events(data, allow_aws_source=True)


record_decisions()
accept_events_of_ses()

from ministack.app import main  # noqa: E402

main()

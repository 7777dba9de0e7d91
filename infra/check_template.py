#!/usr/bin/env python3
"""Checks template.yaml: cfn-lint on what SAM makes of it, and the rules of our own that no linter knows.

Reads template.yaml and the names in functions/. Exits 1 with one line per fault. (Linting the SAM source would miss
faults inside a function's events, so the translation is what is linted.)"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import environment

environment.enter()

import template  # noqa: E402

FOURTEEN_DAYS_S = 14 * 24 * 3600
# Receive counts count crashes only, so that it may be generous.
RECEIVES = 20

# Statements whose resource is not one ARN, each with its reason.
WILDCARDS = {
    ("ReadSecrets", "ReadSecrets"): "the secrets below the stack's own prefix; tenants make new ones",
    ("ReadSecrets", "Decrypt"): "the account's aws/ssm key, whose id is unknown here: bound by alias and service",
    ("OperateRole", "WriteSecrets"): "as ReadSecrets",
    ("OperateRole", "Encrypt"): "as Decrypt",
    ("OperateRole", "Schedule"): "the schedules of the stack's own group; tenants make new ones",
    ("StatisticsRole", "ListStreams"): "the streams of the one table; listing them takes no single one",
    ("DeliverEmailRole", "SendEmail"): "tenants bring their own SES identities and configuration sets",
}


class Template:
    """The translated template, with the look-ups that the rules need."""

    def __init__(self):
        self.resources = template.translate(template.load())["Resources"]

    def of(self, kind):
        return {name: r["Properties"] for name, r in self.resources.items() if r["Type"] == kind}

    def statements(self):
        """(resource, statement) of everything that grants something to a function."""
        for name, role in self.of("AWS::IAM::Role").items():
            for policy in role.get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield name, statement
        for name, policy in self.of("AWS::IAM::ManagedPolicy").items():
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement

    def alarms_on(self, metric, dimension):
        """The logical ids whose metric an alarm watches."""
        return {
            target(d["Value"])
            for alarm in self.of("AWS::CloudWatch::Alarm").values()
            if alarm["MetricName"] == metric
            for d in alarm["Dimensions"]
            if d["Name"] == dimension
        }


def target(value):
    """The logical id that a Ref or GetAtt names."""
    if isinstance(value, dict) and "Ref" in value:
        return value["Ref"]
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return value["Fn::GetAtt"][0]
    return None


def queue_faults(t):
    queues = t.of("AWS::SQS::Queue")
    dead_letter = {name for name in queues if name.endswith("DeadLetterQueue")}
    worked = {target(mapping["EventSourceArn"]) for mapping in t.of("AWS::Lambda::EventSourceMapping").values()}
    for name, queue in queues.items():
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name} is not encrypted at rest"
        if name in dead_letter:
            if queue.get("MessageRetentionPeriod") != FOURTEEN_DAYS_S:
                yield f"{name} does not keep its messages for 14 days"
            # One that is worked is empty; in one that nobody works each message is news.
            metric = "ApproximateAgeOfOldestMessage" if name in worked else "ApproximateNumberOfMessagesVisible"
            if name not in t.alarms_on(metric, "QueueName"):
                yield f"{name} has no alarm on its {metric}"
            continue
        redrive = queue.get("RedrivePolicy", {})
        expected = name.removesuffix("Queue") + "DeadLetterQueue"
        if target(redrive.get("deadLetterTargetArn")) != expected or expected not in dead_letter:
            yield f"{name} has no dead-letter queue {expected}"
        if redrive.get("maxReceiveCount") != RECEIVES:
            yield f"{name} has another maxReceiveCount than {RECEIVES}"
        if name not in t.alarms_on("ApproximateAgeOfOldestMessage", "QueueName"):
            yield f"{name} has no alarm on the age of its oldest message"


def mapping_faults(t):
    queues, functions = t.of("AWS::SQS::Queue"), t.of("AWS::Lambda::Function")
    mappings = t.of("AWS::Lambda::EventSourceMapping")
    worked = {target(mapping["EventSourceArn"]) for mapping in mappings.values()}
    for name in queues:
        if not name.endswith("DeadLetterQueue") and name not in worked:
            yield f"nobody works {name}"
    for name, mapping in mappings.items():
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one failed message would repeat its whole batch (ReportBatchItemFailures is missing)"
        if target(mapping["EventSourceArn"]) not in queues:
            yield from stream_faults(name, mapping)
            continue
        if "MaximumConcurrency" not in mapping.get("ScalingConfig", {}):
            yield f"{name} has no MaximumConcurrency"
        timeout_s = functions[target(mapping["FunctionName"])]["Timeout"]
        visibility_s = queues[target(mapping["EventSourceArn"])].get("VisibilityTimeout", 30)
        if visibility_s < 6 * timeout_s:
            yield f"{name}: a visibility timeout of {visibility_s} s is below six times the function's {timeout_s} s"


def stream_faults(name, mapping):
    # What counts each change once: one batch of a shard at a time, which says whose it is.
    if not mapping.get("TumblingWindowInSeconds"):
        yield f"{name} does not tell the function its shard (TumblingWindowInSeconds is missing)"
    if mapping.get("ParallelizationFactor", 1) != 1:
        yield f"{name} works several batches of a shard at once"
    if mapping.get("BisectBatchOnFunctionError") is not True:
        yield f"{name}: one bad record would fail its whole batch (BisectBatchOnFunctionError is missing)"
    if "MaximumRecordAgeInSeconds" not in mapping or "OnFailure" not in mapping.get("DestinationConfig", {}):
        yield f"{name} would hold up its shard until the records are gone"


def schedule_faults(t):
    # Neither linter knows the plural: AWS refuses `rate(5 minute)` and `rate(1 minutes)` when the stack is deployed.
    expression = re.compile(r"rate\((1 (minute|hour|day)|(?!1 )[1-9]\d* (minutes|hours|days))\)|cron\(.+\)")
    for name, schedule in t.of("AWS::Scheduler::Schedule").items():
        if not expression.fullmatch(schedule["ScheduleExpression"]):
            yield f"{name} has an expression that AWS refuses: {schedule['ScheduleExpression']}"
        if "RetryPolicy" not in schedule["Target"]:
            yield f"{name} would try a run again for a day (RetryPolicy is missing)"
        if target(schedule["Target"].get("DeadLetterConfig", {}).get("Arn")) not in t.of("AWS::SQS::Queue"):
            yield f"{name} has no dead-letter queue"


def function_faults(t):
    functions = t.of("AWS::Lambda::Function")
    folders = {path.name for path in (environment.ROOT / "functions").iterdir() if (path / "Cargo.toml").exists()}
    named = {template.folder_of(name): name for name in functions}
    yield from (f"functions/{folder} is not in the template" for folder in sorted(folders - named.keys()))
    yield from (f"{named[folder]} has no folder functions/{folder}" for folder in sorted(named.keys() - folders))
    code = {r["Properties"]["CodeUri"] for r in template.source()["Resources"].values() if r["Type"] == template.FUNCTION}
    logged = {g["LogGroupName"]["Fn::Sub"]: g for g in t.of("AWS::Logs::LogGroup").values()}
    urls = {target(url["TargetFunctionArn"]) for url in t.of("AWS::Lambda::Url").values()}
    for folder, name in named.items():
        function = functions[name]
        if function["FunctionName"] != {"Fn::Sub": f"${{AWS::StackName}}-{folder}"}:
            yield f"{name} is not called <stack>-{folder}"
        if f"target/lambda/{folder}/" not in code:
            yield f"{name} is not built from target/lambda/{folder}/"
        if target(function["Role"]) != f"{name}Role":
            yield f"{name} does not have a role of its own"
        if "RetentionInDays" not in logged.get(f"/aws/lambda/${{AWS::StackName}}-{folder}", {}):
            yield f"{name} has no log group with a retention"
        if name not in t.alarms_on("Errors", "FunctionName"):
            yield f"{name} has no alarm on its errors"
        if name in urls and "ReservedConcurrentExecutions" not in function:
            yield f"{name} has a function URL and no reserved concurrency"


def grant_faults(t):
    seen = set()
    for name, statement in t.statements():
        place = (name, statement["Sid"])
        if statement["Effect"] != "Allow" or any("*" in action for action in listed(statement["Action"])):
            yield f"{name}/{statement['Sid']} does not name its actions"
        if any("*" in json.dumps(resource) for resource in listed(statement["Resource"])):
            seen.add(place)
            if place not in WILDCARDS:
                yield f"{name}/{statement['Sid']} has a wildcard resource and no reason in WILDCARDS"
    yield from (f"WILDCARDS has a reason for {'/'.join(place)}, which needs none" for place in WILDCARDS.keys() - seen)
    for name, role in t.of("AWS::IAM::Role").items():
        if any(not target(policy) for policy in role.get("ManagedPolicyArns", [])):
            yield f"{name} has a managed policy that is not ours"
    for name, permission in t.of("AWS::Lambda::Permission").items():
        by_url = permission.get("FunctionUrlAuthType") == "NONE" or permission.get("InvokedViaFunctionUrl") is True
        if "SourceArn" not in permission and not by_url:
            yield f"{name} lets anybody of {permission['Principal']} in"


def table_faults(t):
    for name, table in t.of("AWS::DynamoDB::Table").items():
        if table.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": True}:
            yield f"{name} has no point-in-time recovery"
        if table.get("DeletionProtectionEnabled") != {"Fn::If": ["IsProd", True, False]}:
            yield f"{name} can be deleted in prod"
        if not t.resources[name].get("DeletionPolicy", "").startswith("Retain"):
            yield f"{name} goes with its stack"
        if table.get("SSESpecification") != {"SSEEnabled": True}:
            yield f"{name} is not encrypted with a key of the account"
        if table.get("StreamSpecification") != {"StreamViewType": "NEW_AND_OLD_IMAGES"}:
            yield f"{name} has no stream of what changed to what"


def listed(value):
    return value if isinstance(value, list) else [value]


def lint_faults(t):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as translated:
        json.dump(template.translate(template.load()), translated)
        translated.flush()
        command = [str(Path(sys.executable).parent / "cfn-lint"), "--format", "json", "--template", translated.name]
        lint = subprocess.run(command, capture_output=True, text=True)
    try:
        matches = json.loads(lint.stdout)
    except json.JSONDecodeError:
        yield f"cfn-lint did not run: {lint.stdout}{lint.stderr}"
        return
    for match in matches:
        path = "/".join(str(step) for step in match["Location"]["Path"] or [])
        yield f"{match['Rule']['Id']} at {path}: {match['Message']}"


def main():
    t = Template()
    rules = [queue_faults, mapping_faults, schedule_faults, function_faults, grant_faults, table_faults, lint_faults]
    faults = [fault for rule in rules for fault in rule(t)]
    for fault in faults:
        print(f"template.yaml: {fault}", file=sys.stderr)
    print(f"template.yaml: {len(t.resources)} resources, faults: {len(faults)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

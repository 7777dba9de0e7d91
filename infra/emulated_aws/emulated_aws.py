"""An AWS account in one process: ministack on 127.0.0.1 with the real template.yaml and the real binaries in it.

Reads template.yaml, and the binaries in target/debug or the folder that CARILLON_BINARIES names. Writes below `.local`,
and leaves nothing there but the log of a failed test. The roles of the template are enforced: a call that a
function's policy does not allow is refused, and recorded."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

import template
from environment import LOCAL, ROOT
from fake_graph import FakeGraph
from packages import package

STACK = "carillon"
REGION = "us-east-1"
CODE_BUCKET = "code"
TEMPLATE_KEY = "template.json"
BINARIES = Path(os.environ.get("CARILLON_BINARIES", ROOT / "target" / "debug"))
STARTS_WITHIN_S = 30
DEPLOYS_WITHIN_S = 60
LAUNCHER = Path(__file__).resolve().parent / "run_ministack.py"


class EmulatedAws:
    """`with EmulatedAws() as cloud:` starts it, deploys, and takes everything down again, also after a fault."""

    def __init__(self):
        self.binaries = BINARIES
        self.failed = False

    def __enter__(self):
        names = ["carillon", *template.functions(template.load())]
        missing = [name for name in names if not (self.binaries / name).exists()]
        if missing:
            raise SystemExit(f"not built in {self.binaries}: {', '.join(missing)}; run: cargo build --workspace")
        LOCAL.mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="emulated-aws-run-", dir=LOCAL))
        self.graph = FakeGraph()
        self._ministack = None
        try:
            self._start()
            self._deploy()
        except BaseException:
            self.failed = True
            self._stop()
            raise
        return self

    def __exit__(self, kind, *_):
        self.failed = self.failed or kind is not None
        self._stop()

    def client(self, service):
        """A boto3 client of the account's owner."""
        config = Config(retries={"max_attempts": 1, "mode": "standard"})
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test", config=config)

    def environment(self):
        """Variables for a command that is to run against this account as its owner."""
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def emails(self):
        """What SES accepted so far."""
        with urllib.request.urlopen(f"{self.url}/_ministack/ses/messages", timeout=10) as answer:
            return [email for account in json.load(answer)["messages"].values() for email in account]

    def decisions(self):
        """Each {role, action, resource, allowed} that a function asked for."""
        return [json.loads(line) for line in self._iam_record.read_text().splitlines()]

    def function_logs(self):
        """The functions' log lines, for the report of a failed test."""
        logs = self.client("logs")
        lines = []
        for group in logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{STACK}-")["logGroups"]:
            name = group["logGroupName"]
            for event in logs.filter_log_events(logGroupName=name)["events"]:
                lines.append(f"{name.removeprefix('/aws/lambda/')}: {event['message'].rstrip()}")
        return "\n".join(lines)

    def _start(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._iam_record = self.folder / "iam.jsonl"
        self._iam_record.touch()
        # Functions inherit this whole environment, so it holds nothing that could stand in for a variable which the
        # template forgot. AWS_ENDPOINT_URL has to be here: provided.* runtimes are not given it otherwise.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AUTH": "true",
            "CARILLON_IAM_RECORD": str(self._iam_record),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "LOG_LEVEL": "WARNING",
        }
        with open(self.folder / "ministack.log", "wb") as log:
            # A session of its own, so that its functions can be ended together with it.
            self._ministack = subprocess.Popen([sys.executable, str(LAUNCHER)], env=environment, cwd=self.folder,
                                               stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        until(self._answers, STARTS_WITHIN_S, "ministack answers")

    def _answers(self):
        if self._ministack.poll() is not None:
            raise RuntimeError(f"ministack ended with {self._ministack.returncode}: {self._log()}")
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _deploy(self):
        body = template.load(CODE_BUCKET)
        self._upload(template.functions(body))
        self.client("s3").put_object(Bucket=CODE_BUCKET, Key=TEMPLATE_KEY, Body=json.dumps(body).encode())
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            # As sam does: a body in the call itself may have 51,200 bytes.
            TemplateURL=f"{self.url}/{CODE_BUCKET}/{TEMPLATE_KEY}",
            Parameters=[
                {"ParameterKey": "GraphUrl", "ParameterValue": self.graph.url},
                {"ParameterKey": "LogLevel", "ParameterValue": "debug"},
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        stack = until(lambda: settled_stack(cloudformation), DEPLOYS_WITHIN_S, "the stack is deployed")
        if stack["StackStatus"] != "CREATE_COMPLETE":
            raise RuntimeError(f"the stack is {stack['StackStatus']}: {stack_faults(cloudformation)}")
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        # The outputs name hosts of AWS; here the first label of each is reached by a path instead.
        self.api_url = f"{self.url}/_aws/execute-api/{first_label(self.outputs['ApiUrl'])}"
        self.webhook_url = f"{self.url}/_aws/lambda-url/{first_label(self.outputs['WebhookUrl'])}"

    def _upload(self, functions):
        binaries = [self.binaries / folder for folder in functions]
        s3 = self.client("s3")
        s3.create_bucket(Bucket=CODE_BUCKET)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for folder, archive in zip(functions, pool.map(package, binaries)):
                s3.put_object(Bucket=CODE_BUCKET, Key=f"{folder}.zip", Body=archive)

    def _stop(self):
        self.graph.close()
        if self._ministack is not None:
            end_session(self._ministack)
        if self.failed:
            print(f"ministack's log: {self.folder / 'ministack.log'}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _log(self):
        return (self.folder / "ministack.log").read_text(errors="replace")[-4000:]


def until(condition, within_s, what):
    """The first truthy answer of `condition`; an AssertionError naming `what` when there is none in time."""
    ends = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > ends:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_label(url):
    return url.split("//")[1].split(".")[0]


def settled_stack(cloudformation):
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack


def stack_faults(cloudformation):
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    return [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in events
            if e["ResourceStatus"].endswith("FAILED")]


def end_session(process):
    """Ends a process that leads its own session, and what it started."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, step)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()

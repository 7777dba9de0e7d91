"""Reads template.yaml, and turns SAM into plain CloudFormation as the deployment would."""

import logging
import os
import re

from environment import ROOT

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

# It reports that nobody collects its usage metrics.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

TEMPLATE = ROOT / "template.yaml"
FUNCTION = "AWS::Serverless::Function"


class NoManagedPolicies:
    """SAM looks names of AWS's managed policies up; the template uses none."""

    def load(self):
        return {}


def source():
    """The SAM template as it is written."""
    return yaml_parse(TEMPLATE.read_text())


def load(code_bucket="code"):
    """The SAM template with each function's code at s3://<code_bucket>/<folder>.zip."""
    template = source()
    for folder, function in functions(template).items():
        function["Properties"]["CodeUri"] = f"s3://{code_bucket}/{folder}.zip"
    return template


def functions(template):
    """The function resources by the folder that their code is built from."""
    return {
        folder_of(name): resource for name, resource in template["Resources"].items() if resource["Type"] == FUNCTION
    }


def folder_of(logical_id):
    """DeliverWhatsapp -> deliver-whatsapp."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", logical_id).lower()


def translate(template):
    """Plain CloudFormation."""
    return transform(template, {}, NoManagedPolicies())

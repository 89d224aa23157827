"""The nightly job: counts what there is and writes the day's report."""
import json
import os

import boto3

s3 = boto3.client("s3")


def count(prefix):
    return sum(page["KeyCount"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=os.environ["BUCKET"], Prefix=prefix))


def handler(event, context):
    report = {kind: count(f"{kind}/") for kind in ("originals", "thumbnails", "prints")}
    s3.put_object(Bucket=os.environ["BUCKET"], Key=f"reports/{event['at'][:10]}.json", Body=json.dumps(report).encode(), ContentType="application/json")
    return report

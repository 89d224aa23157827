"""Reads an object of orders from S3, adds them up by month and region, writes the report back."""
import json

import boto3
from orders import add_up

s3 = boto3.client("s3")


def handler(event, context):
    body = s3.get_object(Bucket=event["bucket"], Key=event["key"])["Body"].read().decode()
    report = add_up(body.splitlines()[1:])
    s3.put_object(Bucket=event["bucket"], Key=event["report"], Body=json.dumps(report).encode(), ContentType="application/json")
    print(f"{report['orders']} orders, {report['revenue_cents'] / 100:.2f} in all")
    return {"orders": report["orders"], "revenue_cents": report["revenue_cents"], "best": report["top_products"][0]["product"]}

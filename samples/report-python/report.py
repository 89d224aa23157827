"""Adds up a CSV of orders in S3 and writes a report beside it."""
import json

import boto3

s3 = boto3.client("s3")


def add_up(lines):
    by_month, by_product, revenue, count = {}, {}, 0, 0
    next(lines)
    for line in lines:
        if not line:
            continue
        _, day, region, product, quantity, price, _ = line.split(",")
        amount = int(quantity) * int(price)
        key = region + "-" + day[:7]
        by_month[key] = by_month.get(key, 0) + amount
        by_product[product] = by_product.get(product, 0) + amount
        revenue += amount
        count += 1
    top = sorted(by_product.items(), key=lambda item: (-item[1], item[0]))[:5]
    return {"orders": count, "revenue_cents": revenue, "by_region_month": dict(sorted(by_month.items())),
            "top_products": [{"product": name, "revenue_cents": cents} for name, cents in top]}


def handler(event, context):
    body = s3.get_object(Bucket=event["bucket"], Key=event["key"])["Body"].read()
    report = add_up(iter(body.decode().split("\n")))
    s3.put_object(Bucket=event["bucket"], Key=event["report"], Body=json.dumps(report, separators=(",", ":")), ContentType="application/json")
    print(f"{report['orders']} orders in {len(body)} bytes")
    return {"orders": report["orders"], "revenue_cents": report["revenue_cents"], "best": report["top_products"][0]["product"],
            "report": f"s3://{event['bucket']}/{event['report']}"}

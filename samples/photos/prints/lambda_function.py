"""Works off a queue of new pictures in batches: a print of each. It names those that it cannot print, and only these come again, twice, before they lie
with the dead letters.

What is done before the first call takes a while; with SnapStart that is once, when the version is published."""
import json

import boto3

SMALLEST = 100  # pixels: less is no print
TONES = [[round(255 * (level / 65535) ** gamma) for level in range(65536)] for gamma in (1.8, 2.0, 2.2)]  # of the paper
s3 = boto3.client("s3")


class Unprintable(Exception):
    pass


def print_one(picture):
    if min(picture["width"], picture["height"]) < SMALLEST:
        raise Unprintable(f"{picture['width']} x {picture['height']} pixels are too few")
    sheet = {"picture": picture["name"], "tones": [table[32768] for table in TONES], "inches": [picture["width"] / 300, picture["height"] / 300]}
    s3.put_object(Bucket=picture["bucket"], Key=f"prints/{picture['name']}.json", Body=json.dumps(sheet).encode(), ContentType="application/json")


def handler(event, context):
    failed = []
    for record in event["Records"]:
        picture = json.loads(record["body"])["responsePayload"]
        try:
            print_one(picture)
        except Unprintable as e:
            print(f"{picture['name']}: {e}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}

"""Told by S3 of a new picture: makes it small and lays it beside. What it returns goes to the topic of new pictures; what it raises, to the queue of failures."""
import os
import urllib.parse

import boto3
import pictures  # of the layer

LONGEST = 64  # pixels
s3 = boto3.client("s3")


def handler(event, context):
    what = event["Records"][0]["s3"]
    bucket, key = what["bucket"]["name"], urllib.parse.unquote_plus(what["object"]["key"])
    picture = pictures.read(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    name = os.path.basename(key)
    s3.put_object(Bucket=bucket, Key=f"thumbnails/{name}", Body=pictures.write(pictures.shrink(picture, LONGEST)), ContentType="image/png")
    return {"bucket": bucket, "name": name, "width": picture[0], "height": picture[1]}

"""As a function behind an HTTP API."""
import json
import urllib.parse

from work import primes_below


def lambda_handler(event, context):
    query = urllib.parse.parse_qs(event.get("rawQueryString", ""))
    return {"statusCode": 200, "body": json.dumps({"primes": primes_below(int(query.get("n", ["100000"])[0]))})}

"""What a container's environment is made of: files in S3, the definition's own variables, parameters of SSM and secrets of Secrets Manager.

Later ones win. Whoever is asked is asked as the task's execution role.
"""
import json

from ecs_client import Client, Refused

BEGIN = "ResourceInitializationError: unable to pull secrets or registry auth: "
OF_SECRETS = "arn:aws:secretsmanager:"


class Missing(Exception):
    """A variable that cannot be had: the reason, as ECS shows it."""


def _of_file(client, place):
    bucket, _, key = place.removeprefix("arn:aws:s3:::").partition("/")
    for line in client.object(bucket, key).decode(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name and not name.startswith("#"):
            yield name, value


def _parameter(client, name):
    found = client.call("ssm", "AmazonSSM.GetParameters", {"Names": [name], "WithDecryption": True})["Parameters"]
    if not found:
        raise Missing(f"{BEGIN}unable to retrieve secrets from ssm: invalid parameters: {name}")
    return found[0]["Value"]


def _secret(client, place):
    """ARN[:JSON-KEY:STAGE:VERSION], each of which may be empty"""
    parts = place.split(":")
    arn, (key, stage, version) = ":".join(parts[:7]), (parts[7:] + ["", "", ""])[:3]
    wanted = {"SecretId": arn, **({"VersionStage": stage} if stage else {}), **({"VersionId": version} if version else {})}
    asked = f"{BEGIN}unable to retrieve secret from asm: "
    try:
        text = client.call("secretsmanager", "secretsmanager.GetSecretValue", wanted).get("SecretString")
    except Refused as e:
        raise Missing(f"{asked}failed to fetch secret {arn} from secrets manager: {e}") from e
    if text is None:
        raise Missing(f"{asked}secret {arn} has no text")
    if not key:
        return text
    try:
        member = json.loads(text)[key]
    except (ValueError, TypeError, KeyError) as e:
        raise Missing(f"{asked}retrieved secret from Secrets Manager did not contain json key {key}") from e
    return member if isinstance(member, str) else json.dumps(member, separators=(",", ":"))


def variables(client, definition):
    found = {}
    try:
        for item in reversed(definition.get("environmentFiles") or []):
            found.update(_of_file(client, item["value"]))
        found.update({e["name"]: e["value"] for e in definition.get("environment") or []})
        for item in definition.get("secrets") or []:
            place = item["valueFrom"]
            there = Client(place.split(":")[3] if place.startswith("arn:") else client.region, client.credentials)
            found[item["name"]] = (_secret if place.startswith(OF_SECRETS) else _parameter)(there, place)
    except Refused as e:
        raise Missing(f"{BEGIN}{e}") from e
    return found

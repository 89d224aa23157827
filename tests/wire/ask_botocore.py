#!/usr/bin/python3
"""Speaks with botocore, the client of every AWS tool in Python: ask_botocore.py EXCHANGES MODELS

Every operation of every model: what we write as a reply, botocore's parser must read as the value that it was; what botocore's
serializer writes as a request, we must read as the value that it was. Protocols that an older botocore lacks are passed over."""
import base64
import datetime
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

try:
    from botocore import parsers, serialize
    from botocore.awsrequest import AWSRequestPreparer, HeadersDict, create_request_object, prepare_request_dict
    from botocore.model import ServiceModel
except ImportError:
    print("botocore is not installed")
    sys.exit(77)

EXCHANGES, MODELS = sys.argv[1], pathlib.Path(sys.argv[2])
PROTOCOLS = {  # ours: botocore's, its classes
    "query": ("query", "Query"), "ec2": ("ec2", "EC2"), "json10": ("json", "JSON"), "json11": ("json", "JSON"),
    "rest-json": ("rest-json", "RestJSON"), "rest-xml": ("rest-xml", "RestXML"), "cbor": ("smithy-rpc-v2-cbor", "RpcV2CBOR"),
}
# Requests that look exactly like those of their successors.
SUPERSEDED = {"GetBucketLifecycle", "GetBucketNotification", "ListDirectoryBuckets", "PutBucketLifecycle", "PutBucketNotification"}
models = {}


def model_of(api, protocol):
    if (api, protocol) in models:
        return models[api, protocol]
    path, own = MODELS / f"{api.replace('_', '-')}.json", MODELS / "own" / f"{api}.json"
    model = json.loads((own if own.exists() else path).read_text(encoding="utf-8"))
    for other in model["metadata"].pop("imports", {}):
        model["shapes"].update(json.loads((MODELS / f"{other}.json").read_text(encoding="utf-8"))["shapes"])
    several = len(model["metadata"].pop("protocols")) > 1
    model["metadata"]["protocol"] = PROTOCOLS[protocol][0]
    if protocol.startswith("json"):
        model["metadata"]["jsonVersion"] = {"json10": "1.0", "json11": "1.1"}[protocol]
    for name, operation in model["operations"].items():
        operation["errors"] = [{"shape": error} for error in operation.get("errors", [])]
        operation.setdefault("name", name)
        operation.setdefault("http", {"method": "POST", "requestUri": "/"})
        if protocol == "query" and "output" in operation:
            operation["output"].setdefault("resultWrapper", f"{name}Result")
    if several and protocol != "query":  # the names in those models are the old protocol's
        for shape in model["shapes"].values():
            for reference in shape.get("members", {}).values():
                reference.pop("locationName", None)
    models[api, protocol] = ServiceModel(model)
    return models[api, protocol]


def to_python(value):
    if isinstance(value, list):
        return [to_python(item) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["$time"] and isinstance(value["$time"], int):
        return datetime.datetime.fromtimestamp(value["$time"] / 1000, datetime.timezone.utc)
    if list(value) == ["$blob"] and isinstance(value["$blob"], str):
        return base64.b64decode(value["$blob"])
    if list(value) == ["$json"] and isinstance(value["$json"], str):
        return value["$json"]
    return {key: to_python(item) for key, item in value.items()}


def plain(value):
    """Without what holds nothing: botocore fills in empty lists and maps."""
    if isinstance(value, dict):
        inner = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ({}, [])}
    return [plain(item) for item in value] if isinstance(value, list) else value


def text_payload(operation, parsed):
    """botocore leaves a payload blob to be read as a stream; given at once it stays text."""
    shape = operation.output_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    if payload and parsed.get(payload) == "":  # no body
        del parsed[payload]
    if payload and isinstance(parsed.get(payload), str) and shape.members[payload].type_name == "blob":
        parsed[payload] = parsed[payload].encode()
    return parsed


def lines(mode, seed):
    output = subprocess.run([EXCHANGES, mode, seed], capture_output=True, check=True, text=True).stdout
    for line in output.splitlines():
        row = json.loads(line)
        if hasattr(parsers, PROTOCOLS[row["protocol"]][1] + "Parser") and row["operation"] not in SUPERSEDED:
            yield row


def check_replies(seed):
    count = failed = 0
    for row in lines("replies", seed):
        if row["streams"] or row["operation"] == "GetBucketLocation":  # its text in the root is read by a hook
            continue
        operation = model_of(row["api"], row["protocol"]).operation_model(row["operation"])
        parser = getattr(parsers, PROTOCOLS[row["protocol"]][1] + "Parser")()
        reply = {"status_code": row["status"], "headers": HeadersDict(row["headers"]), "body": base64.b64decode(row["body"]),
                 "context": {"operation_name": row["operation"]}}
        try:
            got = text_payload(operation, parser.parse(reply, operation.output_shape))
            got.pop("ResponseMetadata", None)
        except Exception as error:
            got = repr(error)
        count += 1
        if plain(got) != plain(to_python(row["value"])):
            failed += 1
            print(row["api"], row["operation"], row["protocol"], "\n got ", plain(got), "\n want", plain(to_python(row["value"])))
    print(f"{count} replies, {failed} misread")
    return failed == 0 and count > 1000


def names_a_host(operation, value):
    """Are the members that become part of the host's name such names? Not every botocore looks."""
    labels = re.findall(r"{(\w+)}", (operation.endpoint or {}).get("hostPrefix", ""))
    return all(re.fullmatch("[A-Za-z0-9-]{1,63}", str(value.get(label))) for label in labels)


def check_requests(seed):
    requests = []
    for row in lines("inputs", seed):
        operation = model_of(row["api"], row["protocol"]).operation_model(row["operation"])
        if not names_a_host(operation, row["value"]):
            continue
        serializer = getattr(serialize, PROTOCOLS[row["protocol"]][1] + "Serializer")()
        serializer.MAP_TYPE = dict
        request = serializer.serialize_to_request(to_python(row["value"]), operation)
        headers = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request["headers"].items()}
        prepare_request_dict(request, "http://localhost")
        prepared = AWSRequestPreparer().prepare(create_request_object(request))
        url = urllib.parse.urlsplit(prepared.url)
        body = prepared.body or b""
        requests.append(json.dumps({
            "api": row["api"], "operation": row["operation"], "text": row["text"], "method": request["method"], "path": url.path,
            "query": url.query, "headers": headers, "body": base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode(),
        }))
    done = subprocess.run([EXCHANGES, "check"], input="\n".join(requests) + "\n", text=True)
    return done.returncode == 0


results = [check(seed) for seed in ("1", "2") for check in (check_replies, check_requests)]
sys.exit(0 if all(results) else 1)

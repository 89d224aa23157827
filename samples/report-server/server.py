"""The same report as a web server, on an instance or in a task: POST / with the event of the functions. Python's own library alone: neither has an SDK, so
requests to S3 are signed here (AWS signature version 4) with the credentials that the metadata service gives to the instance's or the task's role."""
import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import os
import signal
import subprocess
import sys

from orders import add_up

METADATA, TASK_METADATA, ENDPOINT = "169.254.169.254", "169.254.170.2", "169.254.169.254:4566"
TASK = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")  # on an instance there is none


def metadata(path):
    connection = http.client.HTTPConnection(METADATA, timeout=10)
    connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    token = connection.getresponse().read().decode()
    connection.request("GET", f"/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
    return connection.getresponse().read().decode()


def credentials():
    if TASK:
        connection = http.client.HTTPConnection(TASK_METADATA, timeout=10)
        connection.request("GET", TASK)
        return json.loads(connection.getresponse().read())
    role = metadata("iam/security-credentials/")
    return json.loads(metadata(f"iam/security-credentials/{role}"))


def sign(method, path, body, who, region):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": ENDPOINT, "x-amz-content-sha256": digest, "x-amz-date": now, "x-amz-security-token": who["Token"]}
    names, scope = ";".join(headers), f"{now[:8]}/{region}/s3/aws4_request"
    canonical = "\n".join([method, path, "", *(f"{k}:{v}" for k, v in headers.items()), "", names, digest])
    key = ("AWS4" + who["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={who['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers


def s3(method, path, who, body=b""):
    connection = http.client.HTTPConnection(ENDPOINT, timeout=60)
    connection.request(method, path, body=body, headers=sign(method, path, body, who, REGION))
    reply = connection.getresponse()
    content = reply.read()
    if reply.status != 200:
        raise RuntimeError(f"S3 answered {reply.status}: {content.decode(errors='replace')}")
    return content


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            who = credentials()
            report = add_up(s3("GET", f"/{event['bucket']}/{event['key']}", who).decode().splitlines()[1:])
            s3("PUT", f"/{event['bucket']}/{event['report']}", who, json.dumps(report).encode())
            status, said = 200, {"orders": report["orders"], "revenue_cents": report["revenue_cents"], "on": KIND}
        except (OSError, RuntimeError, KeyError, ValueError) as e:
            status, said = 500, {"error": str(e)}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    REGION = os.environ["AWS_REGION"] if TASK else metadata("placement/region")
    KIND = "task" if TASK else subprocess.run(["systemd-detect-virt"], capture_output=True, text=True, check=False).stdout.strip()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as a task's first process it would not hear it otherwise
    http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()

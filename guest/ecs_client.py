"""What the container agent asks others: the metadata service, and the cloud's services by signed requests."""
import datetime
import hashlib
import hmac
import http.client
import json
import re
import threading
import time
import urllib.parse

METADATA = ("169.254.169.254", 80)
ENDPOINT = ("169.254.169.254", 4566)


def log(text):
    print(text, flush=True)


# ---- the instance's own facts

class Metadata:
    def __init__(self):
        self.token, self.until = None, 0

    def _ask(self, method, path, **headers):
        connection = http.client.HTTPConnection(*METADATA, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            reply = connection.getresponse()
            body = reply.read().decode()
            if reply.status == 401:
                self.until = 0
            return body if reply.status == 200 else None
        finally:
            connection.close()

    def _begin(self):
        self.token = self._ask("PUT", "/latest/api/token", **{"X-aws-ec2-metadata-token-ttl-seconds": "3600"})
        self.until = time.monotonic() + 3000

    def get(self, path):
        if time.monotonic() > self.until:
            self._begin()
        asked = lambda: self._ask("GET", f"/latest/{path}", **({"X-aws-ec2-metadata-token": self.token} if self.token else {}))
        found = asked()
        if found is None and self.until == 0:  # the token has expired by the cloud's clock, which may be moved
            self._begin()
            found = asked()
        return found


METADATA_SERVICE = Metadata()


class RoleCredentials:
    """The instance's role; looked up again before they end."""

    def __init__(self):
        self.value, self.until, self.lock = None, 0, threading.Lock()

    def __call__(self):
        with self.lock:
            if time.time() > self.until:
                place = "meta-data/iam/security-credentials/"
                role = (METADATA_SERVICE.get(place) or "").strip()
                if not role:
                    raise OSError("this instance has no role: it needs an instance profile")
                found = json.loads(METADATA_SERVICE.get(place + role) or "{}")
                if found.get("Code") != "Success":
                    raise OSError(f"no credentials of the role {role}")
                self.value = (found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
                self.until = min(parse_time(found["Expiration"]) - 600, time.time() + 1800)
            return self.value

    def renew(self):
        """The cloud calls them expired, by a clock that may be moved."""
        self.until = 0


def parse_time(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()


# ---- signed requests

class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Client:
    """Calls of the cloud's services as somebody: credentials() is asked before each."""

    def __init__(self, region, credentials):
        self.region, self.credentials = region, credentials

    def request(self, *what, **more):
        status, answer = self._request(*what, **more)
        if status in (400, 403) and b"ExpiredToken" in answer and hasattr(self.credentials, "renew"):
            self.credentials.renew()
            status, answer = self._request(*what, **more)
        return status, answer

    def _request(self, service, method, path, query="", headers=None, body=b"", timeout=60):
        key, secret, token = self.credentials()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(body).hexdigest()
        all_headers = {"host": f"{ENDPOINT[0]}:{ENDPOINT[1]}", "x-amz-date": now, "x-amz-content-sha256": digest, **(headers or {})}
        if token:
            all_headers["x-amz-security-token"] = token
        names = ";".join(sorted(all_headers))
        text = "\n".join([method, path, query, "".join(f"{n}:{all_headers[n]}\n" for n in sorted(all_headers)), names, digest])
        scope = f"{now[:8]}/{self.region}/{service}/aws4_request"
        signing = ("AWS4" + secret).encode()
        for part in scope.split("/"):
            signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(text.encode()).hexdigest()}"
        signature = hmac.new(signing, to_sign.encode(), hashlib.sha256).hexdigest()
        all_headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
        connection = http.client.HTTPConnection(*ENDPOINT, timeout=timeout)
        try:
            connection.request(method, path + ("?" + query if query else ""), body=body, headers=all_headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except http.client.HTTPException as e:
            raise OSError(str(e) or type(e).__name__) from e
        finally:
            connection.close()

    def call(self, service, target, arguments, timeout=60):
        status, body = self.request(service, "POST", "/", headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": target},
                                    body=json.dumps(arguments).encode(), timeout=timeout)
        reply = json.loads(body or b"{}")
        if status != 200:
            raise Refused(str(reply.get("__type", status)).split("#")[-1], reply.get("message") or reply.get("Message") or "")
        return reply

    def ecs(self, operation, **arguments):
        return self.call("ecs", f"AmazonEC2ContainerServiceV20141113.{operation}", arguments)

    def put(self, bucket, key, data):
        status, body = self.request("s3", "PUT", f"/{bucket}/{urllib.parse.quote(key)}", body=data)
        if status != 200:
            found = re.search(rb"<Code>(.*?)</Code>", body)
            raise Refused(found[1].decode() if found else str(status), "the object cannot be written")

    def object(self, bucket, key):
        status, body = self.request("s3", "GET", f"/{bucket}/{urllib.parse.quote(key)}")
        if status != 200:
            found = re.search(rb"<Code>(.*?)</Code>", body)
            raise Refused(found[1].decode() if found else str(status), "the object cannot be read")
        return body

"""Signed requests as bytes, for tests that then cut, change or repeat them. Signature Version 4 written out once more, apart from both
the program's own and botocore's."""
import datetime
import hashlib
import hmac
import re
import socket
import struct
import urllib.parse

EMPTY = hashlib.sha256(b"").hexdigest()
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def quote(text, safe="-_.~"):
    return urllib.parse.quote(text, safe=safe)


class Signer:
    """when: seconds since the epoch, now if None."""

    def __init__(self, port, service="s3", key="test", secret="test", region="us-east-1", when=None, scope_date=None):
        self.host, self.service, self.key, self.region = f"127.0.0.1:{port}", service, key, region
        now = datetime.datetime.fromtimestamp(when, datetime.timezone.utc) if when else datetime.datetime.now(datetime.timezone.utc)
        self.time = now.strftime("%Y%m%dT%H%M%SZ")
        self.date = scope_date or self.time[:8]
        self.scope = f"{self.date}/{region}/{service}/aws4_request"
        k = b"AWS4" + secret.encode()
        for part in self.scope.split("/"):
            k = hmac.new(k, part.encode(), hashlib.sha256).digest()
        self.secret_key = k

    def hmac(self, text):
        return hmac.new(self.secret_key, text.encode(), hashlib.sha256).hexdigest()

    def _signature(self, method, path, query, headers, payload):
        low = sorted((k.lower(), " ".join(v.split())) for k, v in headers.items())
        names = ";".join(k for k, _ in low)
        canonical = "\n".join([method, path, query, "".join(f"{k}:{v}\n" for k, v in low), names, payload])
        return names, self.hmac("\n".join(["AWS4-HMAC-SHA256", self.time, self.scope, hashlib.sha256(canonical.encode()).hexdigest()]))

    def head(self, method, path, headers=None, query="", payload=None, body=b"", length=None, sign=True):
        """A signed head; content-length is not signed, so that tests can lie about it."""
        payload = payload or hashlib.sha256(body).hexdigest()
        signed = {"host": self.host, "x-amz-date": self.time, "x-amz-content-sha256": payload, **(headers or {})}
        names, self.seed = self._signature(method, path, query, signed, payload)
        if sign:
            signed["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{self.scope}, SignedHeaders={names}, "
                                       f"Signature={self.seed}")
        if length is None and method in ("PUT", "POST"):
            length = len(body)
        if length is not None and length is not False:
            signed["content-length"] = str(length)
        target = path + ("?" + query if query else "")
        return (f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in signed.items()) + "\r\n").encode()

    def request(self, method, path, body=b"", **more):
        return self.head(method, path, body=body, **more) + body

    def presign(self, method, path, expires=300, headers=None, extra=""):
        """The target of a presigned URL."""
        signed = {"host": self.host, **(headers or {})}
        names = ";".join(sorted(signed))
        query = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{self.key}/{self.scope}", "X-Amz-Date": self.time,
                 "X-Amz-Expires": str(expires), "X-Amz-SignedHeaders": names}
        text = "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(query.items())) + extra
        text = "&".join(sorted(text.split("&")))
        _, signature = self._signature(method, path, text, signed, "UNSIGNED-PAYLOAD")
        return f"{path}?{text}&X-Amz-Signature={signature}"

    def chunks(self, body, size, corrupt=None):
        """The body in signed chunks, after head() made the seed; corrupt: the number of the chunk whose signature is wrong."""
        out, previous, number = [], self.seed, 0
        pieces = [body[i:i + size] for i in range(0, len(body), size)] + [b""]
        for piece in pieces:
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.time, self.scope, previous, EMPTY, hashlib.sha256(piece).hexdigest()])
            previous = self.hmac(text)
            shown = previous if number != corrupt else previous[::-1]
            out.append(f"{len(piece):x};chunk-signature={shown}\r\n".encode() + piece + b"\r\n")
            number += 1
        return out


class Reply:
    def __init__(self, data):
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.status = int(lines[0].split(b" ")[1]) if lines[0].startswith(b"HTTP/1.1 ") else 0
        self.headers = {k.strip().lower().decode(): v.strip().decode() for k, _, v in (line.partition(b":") for line in lines[1:])}

    @property
    def code(self):
        """The error code, whatever form the body has."""
        text = self.body.decode(errors="replace")
        found = re.search(r"<Code>(.*?)</Code>", text) or re.search(r'"__type"\s*:\s*"([^"]*)"', text)
        return found.group(1).rpartition("#")[2] if found else self.headers.get("x-amzn-errortype", "").partition(":")[0]


def connect(port, timeout=30):
    s = socket.create_connection(("127.0.0.1", port), timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def reset(s):
    """Closes without a goodbye, as a machine does that loses power."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def read_reply(s):
    """One reply, or what came of it before the connection ended; a reply that does not come is socket.timeout."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            piece = s.recv(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            return Reply(data) if data else None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    want = int(length.group(1)) if length else None
    if re.match(rb"HTTP/1.1 (1\d\d|204|304)", head):
        want = 0
    while want is None or len(body) < want:
        try:
            piece = s.recv(1 << 20)
        except ConnectionError:
            piece = b""
        if not piece:
            break
        body += piece
    return Reply(head + b"\r\n\r\n" + (body if want is None else body[:want]))


def ask(port, data, timeout=30):
    """Sends bytes, reads one reply."""
    with connect(port, timeout) as s:
        try:
            s.sendall(data)
        except ConnectionError:
            pass  # refused before all was sent: the answer is there
        return read_reply(s)

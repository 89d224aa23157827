"""A client of Session Manager's data channel, written from the public protocol: a WebSocket, the binary messages in it, numbers,
acknowledgements, the handshake. It acknowledges and puts into order by itself; what a test wants otherwise, it says."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import time
import urllib.parse
import uuid

PATIENCE = 60
HEAD = ">I32sIQqQ16s32sII"
OUTPUT, SIZE, REQUEST, RESPONSE, COMPLETE, FLAG = 1, 3, 5, 6, 7, 10


class Closed(Exception):
    """The WebSocket has ended: args[0] is the code of the close frame, or None."""


class WebSocket:
    def __init__(self, url, ca=None, headers=(), version="13"):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        if parts.scheme == "wss":
            self.socket = ssl.create_default_context(cafile=ca).wrap_socket(self.socket, server_hostname=parts.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}", *headers]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.unread = b""
        while b"\r\n\r\n" not in self.unread:
            self.more()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        self.status = int(self.head.split()[1])
        if self.status == 101:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert "sec-websocket-accept: " + base64.b64encode(digest).decode().lower() in self.head.lower(), self.head

    def more(self):
        try:
            piece = self.socket.recv(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            raise Closed(None)
        self.unread += piece

    def take(self, n):
        while len(self.unread) < n:
            self.more()
        piece, self.unread = self.unread[:n], self.unread[n:]
        return piece

    def send_frame(self, opcode, payload, fin=True, masked=True, rsv=0):
        mask = os.urandom(4)
        n = len(payload)
        head = bytes([(0x80 if fin else 0) | rsv | opcode])
        bit = 0x80 if masked else 0
        head += bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 65536 else bytes([bit | 127]) + struct.pack(">Q", n)
        if masked:
            payload = bytes(b ^ mask[i & 3] for i, b in enumerate(payload))
            head += mask
        self.socket.sendall(head + payload)

    def read_frame(self):
        first, second = self.take(2)
        assert first & 0x80 and not second & 0x80, "servers here send whole frames without a mask"
        n = second
        if n == 126:
            (n,) = struct.unpack(">H", self.take(2))
        elif n == 127:
            (n,) = struct.unpack(">Q", self.take(8))
        return first & 15, self.take(n)

    def read_message(self):
        """The next message of data; pings are answered, a close frame ends it all."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == 8:
                self.close_text = payload[2:].decode()
                raise Closed(struct.unpack(">H", payload[:2])[0] if payload else None)
            if opcode == 9:
                self.send_frame(10, payload)
            elif opcode in (1, 2):
                return opcode, payload

    def close(self):
        self.socket.close()


class Message:
    def __init__(self, kind, payload=b"", sequence=0, payload_type=0, flags=0, message_id=None):
        self.kind, self.payload, self.sequence, self.payload_type, self.flags = kind, payload, sequence, payload_type, flags
        self.id = message_id or uuid.uuid4()

    def bytes(self):
        raw = self.id.bytes
        return struct.pack(HEAD, 116, self.kind.encode().ljust(32), 1, int(time.time() * 1000), self.sequence, self.flags, raw[8:] + raw[:8],
                           hashlib.sha256(self.payload).digest(), self.payload_type, len(self.payload)) + self.payload

    @classmethod
    def read(cls, data):
        head, kind, _, created, sequence, flags, raw, digest, payload_type, n = struct.unpack(HEAD, data[:120])
        payload = data[120:]
        assert head == 116 and len(payload) == n and digest == hashlib.sha256(payload).digest() and created > 0, data
        return cls(kind.decode().rstrip(" \0"), payload, sequence, payload_type, flags, uuid.UUID(bytes=raw[8:] + raw[:8]))


class Channel:
    """A client that behaves, over one connection or several: state() and a new url and token let it go on after a loss."""

    def __init__(self, url, token, ca=None, shake=True, acknowledge=True):
        self.expected, self.next, self.early, self.said, self.acknowledged = 0, 0, {}, b"", set()
        self.acknowledges, self.closed, self.request, self.complete = acknowledge, None, None, None
        self.connect(url, token, ca)
        if shake:
            self.until(lambda: self.request)
            self.answer()
            self.until(lambda: self.complete is not None)

    def connect(self, url, token, ca=None):
        self.web = WebSocket(url, ca)
        assert self.web.status == 101, self.web.head
        self.web.send_frame(1, json.dumps({"MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": token,
                                           "ClientId": str(uuid.uuid4()), "ClientVersion": "1.2.650.0"}).encode())

    def answer(self, status=1, error=""):
        actions = [{"ActionType": a["ActionType"], "ActionStatus": status, "ActionResult": None, "Error": error} for a in self.request["RequestedClientActions"]]
        self.send(json.dumps({"ClientVersion": "1.2.650.0", "ProcessedClientActions": actions, "Errors": None}).encode(), RESPONSE)

    def send(self, payload, payload_type=OUTPUT, sequence=None):
        message = Message("input_stream_data", payload, self.next if sequence is None else sequence, payload_type)
        self.send_message(message)
        if sequence is None:
            self.next += 1
        return message

    def send_message(self, message):
        self.web.send_frame(2, message.bytes())

    def window(self, rows, columns):
        self.send(json.dumps({"cols": columns, "rows": rows}).encode(), SIZE)

    def step(self):
        """Takes one message."""
        opcode, data = self.web.read_message()
        assert opcode == 2
        message = Message.read(data)
        if message.kind == "acknowledge":
            content = json.loads(message.payload)
            assert content["AcknowledgedMessageType"] == "input_stream_data" and content["IsSequentialMessage"] is True
            self.acknowledged.add(content["AcknowledgedMessageSequenceNumber"])
        elif message.kind == "channel_closed":
            self.closed = json.loads(message.payload)
        elif message.kind == "output_stream_data":
            if self.acknowledges and message.sequence >= self.expected:
                self.acknowledge(message)
            self.early.setdefault(message.sequence, message)
            while self.expected in self.early:
                self.take(self.early.pop(self.expected))
                self.expected += 1
        return message

    def acknowledge(self, message):
        content = {"AcknowledgedMessageType": message.kind, "AcknowledgedMessageId": str(message.id), "AcknowledgedMessageSequenceNumber": message.sequence,
                   "IsSequentialMessage": True}
        self.send_message(Message("acknowledge", json.dumps(content).encode(), flags=3))

    def take(self, message):
        if message.payload_type == REQUEST:
            self.request = json.loads(message.payload)
        elif message.payload_type == COMPLETE:
            self.complete = json.loads(message.payload)
        elif message.payload_type == OUTPUT:
            self.said += message.payload

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.said
            try:
                self.step()
            except TimeoutError:
                raise AssertionError(f"nothing more is said after {self.said[-1000:]}") from None

    def until_said(self, text):
        self.until(lambda: text in self.said)

    def until_closed(self):
        """What the channel was closed with."""
        self.until(lambda: self.closed is not None)
        return self.closed["Output"]

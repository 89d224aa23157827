#!/usr/bin/python3
"""A metadata service for one connection, which is its standard input and output: metadata.py DIR answers with the files below DIR, to who has a token."""
import os
import sys


def main():
    lines = iter(lambda: sys.stdin.buffer.readline().strip().decode(), "")
    method, path, _ = next(lines).split()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status, body = "404 Not Found", b""
    if method == "PUT" and path == "/latest/api/token" and "x-aws-ec2-metadata-token-ttl-seconds" in headers:
        status, body = "200 OK", b"secret"
    elif headers.get("x-aws-ec2-metadata-token") != "secret":
        status = "401 Unauthorized"
    else:
        place = os.path.join(sys.argv[1], path.removeprefix("/latest/").strip("/").replace("/", "_"))
        if os.path.exists(place):
            with open(place, "rb") as f:
                status, body = "200 OK", f.read()
    sys.stdout.buffer.write(f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    sys.stdout.buffer.flush()


main()

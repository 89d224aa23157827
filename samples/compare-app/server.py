"""As a server: GET /?n=100000 on $PORT. Python's own library alone, so that it runs wherever Python does."""
import http.server
import json
import os
import signal
import sys
import urllib.parse

from work import primes_below


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        body = json.dumps({"primes": primes_below(int(query.get("n", ["100000"])[0]))}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as a task's first process it would not hear it otherwise
    http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()

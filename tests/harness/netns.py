"""A server, and questions, in the network namespace of a process: they belong to the test, so nothing has to be in what runs there."""
import subprocess

SERVER = r"""
import socket, sys, threading
def serve(s):
    s.sendall(b"here\n")
    while got := s.recv(4096):
        s.sendall(got)
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("up", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""

WHO = r"""
import urllib.request
def ask(method, path, **headers):
    return urllib.request.urlopen(urllib.request.Request("http://169.254.169.254/latest/" + path, method=method, headers=headers), timeout=5).read().decode()
print(ask("GET", "meta-data/instance-id", **{"X-aws-ec2-metadata-token": ask("PUT", "api/token", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})}))
"""


def inside(pid, *command):
    """What a command says there; "": it failed."""
    r = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command], capture_output=True, text=True, timeout=60, check=False)
    return r.stdout.strip() if r.returncode == 0 else ""


def who(pid):
    """The instance's id by its metadata service."""
    return inside(pid, "/usr/bin/python3", "-c", WHO)


class Server:
    """Says hello and what it hears, as harness/seen.py's clients expect it."""

    def __init__(self, pid, port):
        self.process = subprocess.Popen(["nsenter", f"--net=/proc/{pid}/ns/net", "/usr/bin/python3", "-c", SERVER, str(port)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"up\n"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

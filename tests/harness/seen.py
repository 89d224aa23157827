"""A server that says whom it sees (seen.c), and clients of it: they ask by one packet of UDP, or open a connection that goes on."""
import os
import socket
import subprocess
import tempfile


def program(name="seen"):
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["cc", "-O1", "-static", "-D_GNU_SOURCE", "-o", f"{work}/{name}", f"{here}/{name}.c"], check=True)
        with open(f"{work}/{name}", "rb") as f:
            return f.read()


def packet(address, port=9001, sock=None, seconds=1):
    """The words that come back for one packet; none: nothing came."""
    s = sock or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(seconds)
    try:
        s.sendto(b"?", (address, port))
        return s.recv(4096).decode().split()
    except OSError:
        return []
    finally:
        if not sock:
            s.close()


def stream(address, port=9001, seconds=5):
    """An open connection and the words that it began with."""
    s = socket.create_connection((address, port), seconds)
    s.settimeout(seconds)
    words = s.recv(4096).decode().split()
    if not words:
        s.close()
        raise ConnectionResetError
    return s, words


def told(address, port=9001):
    try:
        s, words = stream(address, port)
    except OSError:
        return []
    s.close()
    return words


def echoes(s, text=b"still there\n"):
    try:
        s.sendall(text)
        got = b""
        while len(got) < len(text):
            more = s.recv(4096)
            if not more:
                return False
            got += more
        return got == text
    except OSError:
        return False

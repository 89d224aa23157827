"""The Lambda runtime client for Python: speaks the Runtime API and calls the function's handler.

Started either with the function's whole environment, or ahead of time as a stem: then QUARTET_STEM_FD names a descriptor on which
one JSON line comes once the function is known ({"env": ..., "handler": ..., "task_root": ...}); what is imported here until then is
imported for every function.

HTTP is spoken over one kept connection by hand: the answer to an event and the request for the next go out in one write.
"""
import base64
import collections
import datetime
import decimal
import encodings.idna  # connecting to a host given as text needs it: 3 ms that a stem has spent already
import functools
import gc
import hashlib
import importlib
import importlib.util
import json
import logging
import math
import os
import random
import re
import socket
import sys
import threading
import time
import traceback
import types
import urllib.parse

API = b"/2018-06-01/runtime/"
ZYGOTE_LIBRARY_FD = 4  # those below are the three standard ones and the socket to the sandbox's maker


class Connection:
    """One HTTP/1.1 connection to the Runtime API; it answers with Content-Length always."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.head = b" HTTP/1.1\r\nHost: " + address.encode() + b"\r\n"
        self.sock = None
        self.pending = b""

    def connect(self):
        if self.sock is None:
            # create_connection() would look the address up, and touch twice the memory
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.sock.connect(self.address)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reconnect(self):
        self.sock.close()
        self.sock, self.pending = None, b""
        self.connect()

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))

    def get(self, path):
        return b"GET " + API + path + self.head + b"\r\n"

    def post(self, path, body, headers=b""):
        return b"POST " + API + path + self.head + b"Content-Type: application/json\r\n" + headers + \
            b"Content-Length: %d\r\n\r\n" % len(body) + body

    def receive(self):
        """Status, headers (lower-case names, bytes) and body of the next reply."""
        data = self.pending
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                break
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError("the Runtime API closed the connection")
            data += more
        lines = data[:end].split(b"\r\n")
        status = int(lines[0][9:12])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        length = int(headers.get(b"content-length", b"0"))
        data = data[end + 4:]
        if len(data) < length:
            parts = [data]
            have = len(data)
            while have < length:
                more = self.sock.recv(min(length - have + 65536, 1 << 20))
                if not more:
                    raise ConnectionError("the Runtime API closed the connection")
                parts.append(more)
                have += len(more)
            data = b"".join(parts)
        self.pending = data[length:]
        return status, headers, data[:length]


# --- the function's log

class State:
    request_id = None
    json_logs = False


class RequestIdFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = State.request_id or ""
        return True


class JsonFormatter(logging.Formatter):
    KNOWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "aws_request_id", "taskName"}

    def format(self, record):
        out = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0]:
            out["stackTrace"] = traceback.format_tb(record.exc_info[2])
            out["errorType"] = record.exc_info[0].__name__
            out["errorMessage"] = str(record.exc_info[1])
            out["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        if State.request_id:
            out["requestId"] = State.request_id
        for key, value in vars(record).items():
            if key not in self.KNOWN:
                out[key] = value
        return json.dumps(out, default=str, ensure_ascii=False) + "\n"


def write_frame(text):
    """One event of the log, however many lines it has."""
    sys.stdout.flush()
    data = text.encode("utf-8", "backslashreplace")
    data = b"\xa5\x5a\x00\x03" + len(data).to_bytes(4, "big") + int(time.time() * 1000000).to_bytes(8, "big") + data
    while data:
        data = data[os.write(1, data):]


class OutputHandler(logging.Handler):
    def emit(self, record):
        write_frame(self.format(record))


def set_up_logging():
    """As for text; nothing in it depends on the function."""
    logging.Formatter.converter = time.gmtime
    handler = OutputHandler()
    handler.setFormatter(logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(RequestIdFilter())
    logging.getLogger().addHandler(handler)


def choose_log_format():
    State.json_logs = os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
    if not State.json_logs:
        return
    root = logging.getLogger()
    root.handlers[0].setFormatter(JsonFormatter())
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    if level:
        root.setLevel({"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level))


def log_error(error):
    """What an unhandled error leaves."""
    if State.json_logs:
        out = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "log_level": "ERROR"}
        out.update(error)
        write_frame(json.dumps(out) + "\n")
        return
    text = "[ERROR]"
    if error.get("errorType"):
        text += " " + error["errorType"]
        if error.get("errorMessage"):
            text += ": " + error["errorMessage"]
    lines = [text]
    if error.get("stackTrace") is not None:
        lines.append("Traceback (most recent call last):")
        for frame in error["stackTrace"]:
            for line in frame.rstrip("\n").split("\n"):
                bare = line.lstrip(" ")
                lines.append("\u00a0" * (len(line) - len(bare)) + bare)
    write_frame("\n".join(lines))


# --- errors and results

class Fault(Exception):
    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, trace or []


class Encoder(json.JSONEncoder):
    """Decimals keep all their digits: they pass the encoder as marked strings, whose quotes come off afterwards."""
    MARK = "\ue000decimal\ue001"

    def default(self, o):
        if isinstance(o, decimal.Decimal):
            if o.is_nan():
                return math.nan
            self.decimals = True
            return self.MARK + str(o)
        return super().default(o)

    def encode(self, o):
        self.decimals = False
        text = super().encode(o)
        if self.decimals:
            mark = self.MARK if not self.ensure_ascii else json.dumps(self.MARK)[1:-1]
            text = re.sub('"' + re.escape(mark) + '([-+0-9.EInfity]+)"', r"\1", text)
        return text


def error_json(message, kind, trace, request_id):
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}


def error_of(exc_info, request_id):
    kind, value, tb = exc_info
    if kind is Fault:
        return error_json(value.message, value.kind, value.trace, request_id)
    frames = traceback.extract_tb(tb)
    # The function's own frames: what lies below this file.
    own = [i for i, frame in enumerate(frames) if frame.filename == __file__]
    if own:
        frames = frames[own[-1] + 1:]
    return error_json(str(value), kind.__name__, traceback.format_list(frames), request_id)


def load_handler(text):
    try:
        module_name, function_name = text.rsplit(".", 1)
    except ValueError as e:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{text}': {e}") from None
    module_name = module_name.replace("/", ".")
    try:
        if module_name.split(".")[0] in sys.builtin_module_names:
            raise Fault("Runtime.ImportModuleError", f"Cannot use built-in module {module_name} as a handler module")
        module = importlib.import_module(module_name)
    except ImportError as e:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {e}") from None
    except SyntaxError as e:
        trace = [f"  File \"{e.filename}\" Line {e.lineno}\n    {e.text}"]
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {e}", trace) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'") from None


# --- the context object

class CognitoIdentity:
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]

    def __init__(self, given=None):
        given = given or {}
        self.cognito_identity_id = given.get("cognitoIdentityId")
        self.cognito_identity_pool_id = given.get("cognitoIdentityPoolId")

    def __repr__(self):
        return f"CognitoIdentity([cognito_identity_id={self.cognito_identity_id},cognito_identity_pool_id={self.cognito_identity_pool_id}])"


class Client:
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]

    def __init__(self, given):
        for name in self.__slots__:
            setattr(self, name, given.get(name))


class ClientContext:
    __slots__ = ["custom", "env", "client"]

    def __init__(self, given):
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = Client(given["client"]) if given.get("client") else None


class LambdaContext:
    def __init__(self, request_id, headers):
        self.aws_request_id = request_id
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get(b"lambda-runtime-invoked-function-arn", b"").decode()
        context = headers.get(b"lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(context)) if context else None
        identity = headers.get(b"lambda-runtime-cognito-identity")
        self.identity = CognitoIdentity(json.loads(identity) if identity else None)
        tenant = headers.get(b"lambda-runtime-aws-tenant-id")
        self.tenant_id = tenant.decode() if tenant else None
        self._epoch_deadline_time_in_ms = int(headers[b"lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))
        sys.stdout.flush()

    def __repr__(self):
        return "LambdaContext([" + ",".join(f"{k}={v}" for k, v in vars(self).items()) + "])"


# --- the SDK

class EndpointHook:
    """Debian's botocore is older than AWS_ENDPOINT_URL. When such a one is imported, its clients learn to read it."""

    def find_spec(self, name, path=None, target=None):
        if name != "botocore.session":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                patch_botocore(module)
            spec.loader.exec_module = exec_module
        return spec


def patch_botocore(module):
    import botocore
    version = tuple(int(part) for part in botocore.__version__.split(".")[:2])
    if version >= (1, 31):
        return
    original = module.Session.create_client

    @functools.wraps(original)
    def create_client(self, service_name, *args, **kwargs):
        if len(args) < 5 and not kwargs.get("endpoint_url"):
            own = "AWS_ENDPOINT_URL_" + service_name.upper().replace("-", "_")
            kwargs["endpoint_url"] = os.environ.get(own) or os.environ.get("AWS_ENDPOINT_URL")
        return original(self, service_name, *args, **kwargs)
    module.Session.create_client = create_client


# --- the loop

def answer(handler, encoder, connection, headers, body):
    """Runs the handler for one event; the bytes of the request that answers it."""
    request_id = headers[b"lambda-runtime-aws-request-id"].decode()
    State.request_id = request_id
    trace = headers.get(b"lambda-runtime-trace-id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace.decode()
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    path = b"invocation/" + request_id.encode()
    try:
        try:
            event = json.loads(body)
        except ValueError as e:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {e}") from None
        result = handler(event, LambdaContext(request_id, headers))
        try:
            payload = encoder.encode(result).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError, OverflowError) as e:
            raise Fault("Runtime.MarshalError", f"Unable to marshal response: {e}") from None
        request = connection.post(path + b"/response", payload)
    except Exception:
        error = error_of(sys.exc_info(), request_id)
        log_error(error)
        kind = error["errorType"] or ""
        if not kind.startswith(("Runtime.", "Function.")):
            kind = "Function." + kind
        request = connection.post(path + b"/error", json.dumps(error).encode(),
                                  b"Lambda-Runtime-Function-Error-Type: " + kind.encode("ascii", "replace") + b"\r\n")
    sys.stdout.flush()
    sys.stderr.flush()
    return request


# --- SnapStart

def call_hooks(hooks, kind, connection, path):
    try:
        for function, args, kwargs in hooks:
            function(*args, **kwargs)
    except BaseException:
        error = error_of(sys.exc_info(), "")
        log_error(error)
        connection.send(connection.post(path, json.dumps(error).encode(), b"Lambda-Runtime-Function-Error-Type: " + kind + b"\r\n"))
        connection.receive()
        sys.stdout.flush()
        os._exit(64)


def be_different():
    """All copies of this process have the same random state; each gets its own. What comes from the kernel is different anyway."""
    random.seed()
    if "_ssl" in sys.modules:
        sys.modules["_ssl"].RAND_add(os.urandom(64), 64.0)
    if "tempfile" in sys.modules:
        sys.modules["tempfile"]._name_sequence = None
    numpy = sys.modules.get("numpy")
    if numpy and hasattr(numpy, "random"):
        numpy.random.seed()


def snapshot(connection):
    """Comes back in whoever is restored, with a new connection in the place of the old one."""
    import snapshot_restore_py as hooks
    call_hooks(hooks.get_before_snapshot()[::-1], b"Runtime.BeforeSnapshotError", connection, b"init/error")
    gc.collect()
    connection.send(connection.get(b"restore/next"))
    status, headers, _ = connection.receive()
    if status != 200:
        sys.exit(f"the Runtime API answered {status} to /restore/next")
    be_different()
    stream = headers.get(b"lambda-runtime-log-stream-name")
    if stream:
        os.environ["AWS_LAMBDA_LOG_STREAM_NAME"] = stream.decode()
    call_hooks(hooks.get_after_restore(), b"Runtime.AfterRestoreError", connection, b"restore/error")


def run(handler_text, connection):
    try:
        handler = load_handler(handler_text)
    except BaseException:
        if isinstance(sys.exc_info()[1], (SystemExit, KeyboardInterrupt)):
            raise
        error = error_of(sys.exc_info(), "")
        log_error(error)
        connection.send(connection.post(b"init/error", json.dumps(error).encode(),
                                        b"Lambda-Runtime-Function-Error-Type: " + str(error["errorType"]).encode() + b"\r\n"))
        connection.receive()
        sys.stdout.flush()
        os._exit(1)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        snapshot(connection)
    modern = os.environ.get("AWS_EXECUTION_ENV", "").rpartition(".")[2]
    encoder = Encoder(ensure_ascii=not (modern.isdigit() and int(modern) >= 12))
    following = connection.get(b"invocation/next")
    connection.send(following)
    while True:
        status, headers, body = connection.receive()
        if status != 200:
            sys.exit(f"the Runtime API answered {status} to /next")
        request = answer(handler, encoder, connection, headers, body)
        try:
            connection.send(request, following)
            status, _, _ = connection.receive()
        except OSError:
            status = 413
        if status == 413:
            # An answer that is too large is not read to its end: the connection is of no more use.
            connection.reconnect()
            connection.send(following)


class Rehearsal:
    """In place of the connection: takes the answer and sends nothing."""
    post = Connection.post
    head = b"\r\n"


def rehearse():
    """Walks the way of a first event with a handler of our own, so that the compiler and the import machinery have run once. Nothing
    of it stays."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rehearsal")
    sys.path.insert(0, folder)
    handler = load_handler("warm.handler")
    answer(handler, Encoder(), Rehearsal(), {b"lambda-runtime-aws-request-id": b"0", b"lambda-runtime-deadline-ms": b"0"}, b"{}")
    sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    del sys.modules["warm"]
    State.request_id = None


def stem(fd):
    """Says that it is ready and waits for the function. What comes is one line; the descriptor is not used again."""
    os.write(fd, b"ready\n")
    with os.fdopen(fd, "rb") as f:
        line = f.readline()
    if not line:
        os._exit(0)
    message = json.loads(line)
    os.environ.clear()
    os.environ.update(message["env"])
    time.tzset()
    return message["handler"], message["task_root"]


class Preloaded:
    """The SDK, imported before the function is known. A function that brings modules of such names gets its own, and loads the rest
    anew with them."""

    def __init__(self):
        before = set(sys.modules)
        # An extension of Debian's that AWS's runtimes do not have; it keeps /dev/urandom open, which its copies would miss.
        sys.modules["awscrt"] = None
        try:
            import boto3
            patch_botocore(sys.modules["botocore.session"])
        except ImportError:
            pass
        del sys.modules["awscrt"]
        self.modules = [name for name in sys.modules if name not in before]
        self.names = {name.partition(".")[0] for name in self.modules}

    def give_way(self, folders):
        if self.names.isdisjoint(entry.partition(".")[0] for folder in folders for entry in os.listdir(folder)):
            return
        for name in self.modules:
            sys.modules.pop(name, None)
        self.modules = []


def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False


def copies():
    """Becomes a zygote; returns in each of its copies, which are stems: the descriptor that stem() waits on."""
    import ctypes
    library = ctypes.PyDLL(os.environ.pop("QUARTET_ZYGOTE"))
    os.close(ZYGOTE_LIBRARY_FD)
    # A thread would be missing in the copies, and so would what a module holds open.
    if len(os.listdir("/proc/self/task")) > 1 or any(is_open(fd) for fd in range(ZYGOTE_LIBRARY_FD, 256)):
        sys.exit("a module has started a thread or keeps a descriptor: this runtime cannot be copied")
    # What is there now stays as it is, in pages that all copies share: the collector shall not write to it.
    gc.collect()
    gc.freeze()
    fd = library.zygote_serve()
    # Of what Python does after a fork a process with one thread needs this alone; the rest would write to a megabyte of shared pages.
    random.seed()
    threading.main_thread()._set_native_id()
    return fd


def main():
    fd = os.environ.get("QUARTET_STEM_FD")
    connection = Connection("127.0.0.1:9001")
    preloaded = None
    set_up_logging()
    if "QUARTET_ZYGOTE" in os.environ:
        rehearse()
        preloaded = Preloaded()
        fd = copies()
        # Once more: the pages that a first event writes to become this copy's own now, while nobody waits.
        rehearse()
        connection.connect()
        handler, task_root = stem(fd)
    elif fd:
        connection.connect()
        rehearse()
        handler, task_root = stem(int(fd))
    else:
        connection = Connection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        handler, task_root = os.environ.get("_HANDLER", ""), os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    connection.connect()
    os.chdir(task_root)
    version = "%d.%d" % sys.version_info[:2]
    layers = [f"/opt/python/lib/python{version}/site-packages", "/opt/python"]
    # This file's own folder and /var/runtime are not the function's business to import from, but the SDK there is.
    own = [task_root] + [p for p in layers if os.path.isdir(p)]
    if preloaded:
        preloaded.give_way(own)
    sys.path[:] = own + \
        [p for p in sys.path if p not in (os.path.dirname(__file__), task_root)] + [os.path.join(os.path.dirname(__file__), "lib")]
    sys.modules.pop("bootstrap", None)
    # Function code sees a __main__ without our names.
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)
    choose_log_format()
    if not (preloaded and preloaded.modules):
        sys.meta_path.insert(0, EndpointHook())
    run(handler, connection)


main()

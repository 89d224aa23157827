"""What containers ask at 169.254.170.2: credentials of tasks' roles, metadata of version 3 and 4, protection; and what people look at from the instance itself."""
import http.server
import json
import threading
import time

import ecs_stats
from ecs_client import METADATA_SERVICE, Client, Refused
from ecs_logs import stream_of

VERSION = "1.1.0"
BODY_MOST = 4096


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 10**9):09}Z"


def container(c):
    d, logged = c.definition, stream_of(c.definition, c.task.id)
    driver = (d.get("logConfiguration") or {}).get("logDriver")
    labels = {"cluster": c.task.agent.cluster, "container-name": c.name, "task-arn": c.task.arn, "task-definition-family": c.task.definition["family"],
              "task-definition-version": str(c.task.definition["revision"])}
    found = {"DockerId": c.id, "Name": c.name, "DockerName": c.id, "Image": d.get("image", ""), "ImageID": c.image.digest if c.image else "",
             "Labels": {**{f"com.amazonaws.ecs.{n}": v for n, v in labels.items()}, **(d.get("dockerLabels") or {})},
             "DesiredStatus": c.task.wanted, "KnownStatus": c.status or "PENDING", "Type": "NORMAL",
             "Limits": {"CPU": d.get("cpu", 0), "Memory": d.get("memory") or d.get("memoryReservation") or 0},
             "Ports": [{"ContainerPort": b["containerPort"], "HostPort": b["hostPort"], "Protocol": b["protocol"]} for b in c.bindings],
             "Networks": [{"NetworkMode": c.mode, "IPv4Addresses": [c.address] if c.address else []}]}
    if c.restart_policy():
        found["RestartCount"] = c.restarts
    if c.index < len(c.task.arns):
        found["ContainerARN"] = c.task.arns[c.index]
    if c.started_s:
        found.update(CreatedAt=stamp(c.started_s), StartedAt=stamp(c.started_s))
    if c.ended_s:
        found["FinishedAt"] = stamp(c.ended_s)
    if c.exit_code is not None:
        found["ExitCode"] = c.exit_code
    if d.get("healthCheck"):
        found["Health"] = {"status": c.health, **({"statusSince": stamp(c.health_s)} if c.health_s else {})}
    if driver:
        found["LogDriver"] = driver
    if logged:
        options = d["logConfiguration"]["options"]
        found["LogOptions"] = {"awslogs-group": logged[0], "awslogs-region": options.get("awslogs-region") or c.task.agent.region, "awslogs-stream": logged[1]}
    return found


def task(t):
    family, _, revision = t.definition["taskDefinitionArn"].rsplit("/", 1)[1].partition(":")
    found = {"Cluster": t.agent.cluster, "TaskARN": t.arn, "Family": family, "Revision": revision, "DesiredStatus": t.wanted, "KnownStatus": t.told or "PENDING",
             "LaunchType": "EC2", "AvailabilityZone": t.agent.zone, "VPCID": t.agent.vpc, "Containers": [container(c) for c in t.containers]}
    if t.group.startswith("service:"):
        found["ServiceName"] = t.group.removeprefix("service:")
    limits = {to: value for to, name, unit in (("CPU", "cpu", 1024), ("Memory", "memory", 1)) if (value := float(t.definition.get(name) or 0) / unit)}
    if limits:
        found["Limits"] = limits
    for to, name in (("PullStartedAt", "pullStartedAt"), ("PullStoppedAt", "pullStoppedAt")):
        if name in t.pull:
            found[to] = stamp(t.pull[name])
    return found


def protection(t, body):
    """(status, answer) of what the task asks in the name of its role; body None: only how it is."""
    def failed(status, code, message):
        return status, {"error": {"Arn": t.arn, "Code": code, "Message": message}}

    def credentials():
        found = t.credentials["task"]
        return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]
    ask = {}
    if body is not None:
        try:
            said = json.loads(body)
            for name, to, kind in (("ProtectionEnabled", "protectionEnabled", bool), ("ExpiresInMinutes", "expiresInMinutes", int)):
                value = said.pop(name, None)
                if value is not None and type(value) is not kind:
                    raise ValueError
                if value is not None:
                    ask[to] = value
            if said:
                raise ValueError
        except (ValueError, AttributeError):
            return failed(400, "InvalidParameterException", "UpdateTaskProtection: failed to decode request")
        if "protectionEnabled" not in ask:
            return failed(400, "InvalidParameterException", "Invalid request: does not contain 'ProtectionEnabled' field")
    if "task" not in t.credentials:
        return failed(403, "AccessDeniedException", "Invalid Request: no task IAM role credentials available for task")
    operation = "GetTaskProtection" if body is None else "UpdateTaskProtection"
    try:
        reply = Client(t.agent.region, credentials).ecs(operation, cluster=t.agent.cluster, tasks=[t.arn], **ask)
    except Refused as e:
        return failed(400, e.code, e.message)
    except OSError as e:
        return failed(500, "ServerException", str(e))
    if reply.get("failures"):
        f = reply["failures"][0]
        return 400, {"failure": {"Arn": f.get("arn"), "Detail": f.get("detail"), "Reason": f.get("reason")}}
    p = reply["protectedTasks"][0]
    until = p.get("expirationDate")
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(until)) + f".{round(until % 1 * 1000):03}Z" if until else None
    return 200, {"protection": {"ExpirationDate": text, "ProtectionEnabled": p["protectionEnabled"], "TaskArn": p["taskArn"]}}


class Handler(http.server.BaseHTTPRequestHandler):
    agent = None
    protocol_version = "HTTP/1.0"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        value = self.answer(self.path.rstrip("/").split("/")[1:])
        self.say(*(value if isinstance(value, tuple) else (404, {"code": "NotFound", "message": "there is nothing of this name"}) if value is None else (200, value)))

    def say(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Inside(Handler):
    """A path holds a secret that one task alone was given."""

    def found(self, word):
        """(task, container) of KEY-INDEX."""
        key, _, index = word.partition("-")
        t = next((t for t in self.agent.all() if t.key == key), None)
        return (t, t.containers[int(index)]) if t and index.isdigit() and int(index) < len(t.containers) else (None, None)

    def do_GET(self):
        if self.path.startswith("/connect?have="):
            self.connected(self.path.partition("=")[2])
        else:
            super().do_GET()

    def do_PUT(self):
        parts = self.path.rstrip("/").split("/")[1:]
        t, _ = self.found(parts[1]) if len(parts) == 5 and parts[0] == "api" and parts[2:] == ["task-protection", "v1", "state"] else (None, None)
        length = self.headers.get("Content-Length") or "0"
        if not t:
            return self.say(404, {"code": "NotFound", "message": "there is nothing of this name"})
        return self.say(*protection(t, self.rfile.read(min(int(length) if length.isdigit() else 0, BODY_MOST))))

    def answer(self, parts):
        if len(parts) == 3 and parts[:2] == ["v2", "credentials"]:
            t = next((t for t in self.agent.all() if t.key == parts[2]), None)
            found = t.credentials.get("task") if t else None
            return {"RoleArn": found["RoleArn"], "AccessKeyId": found["AccessKeyId"], "SecretAccessKey": found["SecretAccessKey"], "Token": found["SessionToken"],
                    "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found["Expiration"]))} if found else None
        t, c = self.found(parts[1]) if len(parts) > 1 and parts[0] in ("v3", "v4", "api") else (None, None)
        if not t:
            return None
        if parts[0] == "api":
            return protection(t, None) if parts[2:] == ["task-protection", "v1", "state"] else None
        return {(): lambda: container(c), ("task",): lambda: task(t), ("taskWithTags",): lambda: self.tagged(t), ("stats",): lambda: ecs_stats.docker(c),
                ("task", "stats"): lambda: {k.id: ecs_stats.docker(k) for k in t.containers if k.status}}.get(tuple(parts[2:]), lambda: None)()

    def connected(self, have):
        """The proxy of the task whose way to here this is."""
        t = next((t for t in self.agent.all() if t.proxy and t.inner == self.client_address[0]), None)
        body = t.answer_proxy(have).encode() if t else b"not found\n"
        self.send_response(200 if t else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body)

    def tagged(self, t):
        found = task(t)
        try:
            of = lambda arn: {tag["key"]: tag["value"] for tag in self.agent.client.ecs("ListTagsForResource", resourceArn=arn)["tags"]}
            found.update(TaskTags=of(t.arn), ContainerInstanceTags=of(self.agent.arn))
        except (Refused, OSError) as e:
            found["Errors"] = [{"ErrorField": "TaskTags", "ErrorCode": getattr(e, "code", "ServerException"), "ErrorMessage": getattr(e, "message", str(e))}]
        return found


class Introspection(Handler):
    """http://localhost:51678/v1/metadata and /v1/tasks."""

    def answer(self, parts):
        if parts == ["v1", "metadata"]:
            return {"Cluster": self.agent.cluster, "ContainerInstanceArn": self.agent.arn, "Version": f"Quartet ECS Agent - v{VERSION}"}
        if parts == ["v1", "tasks"]:
            return {"Tasks": [{"Arn": t.arn, "DesiredStatus": t.wanted, "KnownStatus": t.told or "PENDING",
                               "Family": t.definition["family"], "Version": str(t.definition["revision"]),
                               "Containers": [{"DockerId": c.id, "DockerName": c.id, "Name": c.name} for c in t.containers]} for t in self.agent.all()]}
        return None


def serve(handler, agent, address):
    server = http.server.ThreadingHTTPServer(address, type(handler.__name__, (handler,), {"agent": agent}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def vpc_of_instance():
    mac = (METADATA_SERVICE.get("meta-data/mac") or "").strip()
    return (METADATA_SERVICE.get(f"meta-data/network/interfaces/macs/{mac}/vpc-id") or "").strip()

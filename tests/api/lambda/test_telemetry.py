"""Telemetry and logs that extensions subscribe to: what arrives by HTTP and TCP, what is refused, and subscribers that do not take it."""
import json
import time

from extensions import FUNCTION, ExtensionCase, log_text


class Telemetry(ExtensionCase):
    def arrived(self, name, first, *wait, file="/tmp/telemetry"):
        """All that has arrived, once these words are in it: asked of the environment that had the first invocation."""
        seen = self.seen(self.again(name, first["me"], {"file": file, "wait": wait}))
        by_type = {}
        for event in seen:
            self.assertRegex(event["time"], r"^20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z$")
            by_type.setdefault(event["type"], []).append(event["record"])
        return by_type

    def test_http(self):
        name = self.extended({"tele": {"code": "listen(8080, read_http, '/tmp/telemetry', [1, 1])\nprint('the extension speaks', flush=True)\n"
                                                        "subscribe(types=('platform', 'function', 'extension'), destination=HTTP)\n"}})
        first = self.result(name)
        got = self.arrived(name, first, f'"platform.report", "record": {{"requestId": "{first["id"]}"')
        start = got["platform.initStart"][0]
        self.assertEqual((start["initializationType"], start["phase"]), ("on-demand", "init"))
        self.assertTrue(start["runtimeVersion"].startswith("python:3.12"))
        self.assertEqual(got["platform.telemetrySubscription"], [{"name": "tele", "state": "Subscribed", "types": ["platform", "function", "extension"]}])
        self.assertEqual(got["platform.extension"], [{"name": "tele", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}])
        self.assertEqual(got["platform.initRuntimeDone"], [{"initializationType": "on-demand", "phase": "init", "status": "success"}])
        report = got["platform.initReport"][0]
        self.assertEqual((report["status"], report["phase"]), ("success", "init"))
        self.assertGreater(report["metrics"]["durationMs"], 0)
        begun = got["platform.start"][0]
        self.assertEqual((begun["requestId"], begun["version"], begun["tracing"]["type"]), (first["id"], "$LATEST", "X-Amzn-Trace-Id"))
        done = got["platform.runtimeDone"][0]
        self.assertEqual((done["requestId"], done["status"]), (first["id"], "success"))
        self.assertEqual([s["name"] for s in done["spans"]], ["responseLatency", "responseDuration", "runtimeOverhead"])
        self.assertGreater(done["metrics"]["producedBytes"], 20)
        ended = got["platform.report"][0]
        metrics = ended["metrics"]
        self.assertEqual((ended["requestId"], ended["status"], metrics["memorySizeMB"]), (first["id"], "success", 128))
        self.assertGreaterEqual(metrics["durationMs"], done["metrics"]["durationMs"])
        self.assertGreaterEqual(metrics["billedDurationMs"], metrics["durationMs"] + metrics["initDurationMs"])
        self.assertEqual(got["function"][0], "the function speaks")
        self.assertEqual(got["extension"][0], "the extension speaks")
        self.assertNotIn("platform.end", got)
        heads = self.again(name, first["me"], {"file": "/tmp/telemetry.heads", "wait": ["POST"]})["seen"].splitlines()
        self.assertEqual({h.rpartition(" ")[0] for h in heads}, {"POST /in HTTP/1.1"})
        self.assertEqual(len({json.dumps(e) for e in got["platform.initStart"]}), 1)
        self.assertEqual(len(got["platform.initStart"]), 1, "what was refused twice came once")
        text = log_text(self, name, lambda t: "REPORT" in t)
        self.assertIn("TELEMETRY\tName: tele\tState: Subscribed\tTypes: [platform,function,extension]\n", text)

    def test_tcp_and_json_lines(self):
        code = FUNCTION.replace('print("the function speaks")', "print(json.dumps({'level': 'INFO', 'message': 'an object'}))")
        name = self.extended({"tele": {"code": "listen(8081, read_tcp, '/tmp/telemetry')\n"
                                                        "subscribe(types=['function'], destination={'protocol': 'TCP', 'URI': 'http://sandbox.localdomain:8081'})\n"},
                              "tele2": {"code": "listen(8082, read_tcp, '/tmp/telemetry2')\n"
                                                         "subscribe(types=['function'], schema='2022-07-01', destination={'protocol': 'TCP', 'URI': 'http://sandbox.localdomain:8082'})\n"}},
                             code=code)
        # Debian's botocore has no LoggingConfig
        reply = self.send(f"/2015-03-31/functions/{name}/configuration", b'{"LoggingConfig":{"LogFormat":"JSON"}}', "PUT")
        self.assertEqual(reply.status, 200, reply.body)
        self.settle(name)
        first = self.result(name)
        got = self.arrived(name, first, "an object")
        self.assertEqual(set(got), {"function"})
        self.assertEqual(got["function"][0], {"level": "INFO", "message": "an object"})
        got = self.arrived(name, first, "an object", file="/tmp/telemetry2")
        self.assertEqual(json.loads(got["function"][0]), {"level": "INFO", "message": "an object"})

    def test_logs_api(self):
        name = self.extended({"logs": {"code": "listen(8080, read_http, '/tmp/telemetry', [])\n"
                                                        "subscribe('/2020-08-15/logs', schema='2021-03-18', destination=HTTP)\nsubscribe(destination=HTTP)\n"}})
        first = self.result(name)
        subscribed = [s["reply"] for s in self.seen(first) if s["what"] == "subscribed"]
        self.assertEqual(subscribed[0], [200, '"OK"'])
        self.assertEqual((subscribed[1][0], json.loads(subscribed[1][1])["errorType"]), (400, "ValidationError"))
        got = self.arrived(name, first, '"platform.report"', first["id"])
        self.assertEqual(got["platform.start"][0], {"requestId": first["id"]})
        self.assertEqual(got["platform.end"][0], {"requestId": first["id"]})
        self.assertEqual(got["platform.runtimeDone"][0], {"requestId": first["id"], "status": "success"})
        self.assertEqual(set(got["platform.report"][0]), {"requestId", "metrics"})
        self.assertEqual(got["platform.logsSubscription"], [{"name": "logs", "state": "Subscribed", "types": ["platform", "function"]}])
        self.assertNotIn("platform.initStart", got)
        self.assertIn("LOGS\tName: logs\tState: Subscribed\tTypes: [platform,function]\n", log_text(self, name, lambda t: "REPORT" in t))

    def test_errors_in_events(self):
        """Of an invocation that fails, the end of the environment brings what was still to be said."""
        name = self.extended({"tele": {"code": "listen(8080, read_http, '/tmp/telemetry', [])\nsubscribe(types=['platform'], destination=HTTP)\n",
                                       "then": "time.sleep(0.3) if event['eventType'] == 'SHUTDOWN' else 0"}}, Timeout=2)
        reply = self.call(name, {"do": "raise ValueError('x')"})
        self.assertEqual(reply["FunctionError"], "Unhandled")
        log_text(self, name, lambda t: "REPORT" in t)  # all are back
        self.call(name, {"sleep": 20})
        log_text(self, name, lambda t: "heard tele SHUTDOWN timeout" in t)
        until = time.monotonic() + 60
        while '"timeout"' not in (text := self.result(name, {"file": "/tmp/telemetry", "wait": []})["seen"]):
            self.assertLess(time.monotonic(), until, text)  # another environment, while that one is cleared
        events = self.seen({"seen": text})
        states = {e["record"]["status"] for e in events if e["type"] == "platform.runtimeDone"}
        self.assertLessEqual({"error", "timeout"}, states)
        self.assertIn("timeout", {e["record"]["status"] for e in events if e["type"] == "platform.report"})

    def test_refused(self):
        code = """
whole = {"schemaVersion": "2022-12-13", "types": ["platform"], "destination": HTTP}
def tell(label, body, path="/2022-07-01/telemetry", **headers):
    reply = ask("PUT", path, body if isinstance(body, str) else json.dumps(body), **(headers or {"Lambda_Extension_Identifier": ID}))
    see("refusal", label=label, status=reply[0], error=json.loads(reply[2]))
tell("no one", whole, Lambda_Extension_Identifier="")
tell("stranger", whole, Lambda_Extension_Identifier="00000000-0000-4000-8000-000000000000")
tell("no JSON", "x")
tell("empty", {})
tell("two things", {**whole, "types": [], "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain"}})
tell("elsewhere", {**whole, "destination": {"protocol": "HTTP", "URI": "http://169.254.169.254:80"}})
tell("our own port", {**whole, "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:9001"}})
tell("little", {**whole, "buffering": {"maxItems": 999, "maxBytes": 262143, "timeoutMs": 24}})
tell("much", {**whole, "buffering": {"maxItems": 10001, "maxBytes": 1048577, "timeoutMs": 30001}})
tell("schema", {**whole, "schemaVersion": "2020-08-15"})
tell("logs", {**whole, "schemaVersion": "2020-08-15", "types": ["rain"]}, path="/2020-08-15/logs")
"""
        name = self.extended({"odd": {"code": code}})
        seen = {s["label"]: (s["status"], s["error"]["errorType"], s["error"]["errorMessage"]) for s in self.seen(self.result(name)) if s["what"] == "refusal"}
        self.assertEqual({k: v[:2] for k, v in seen.items()}, {
            "no one": (403, "Extension.MissingExtensionIdentifier"), "stranger": (403, "Extension.UnknownExtensionIdentifier"),
            **dict.fromkeys(("no JSON", "empty", "two things", "elsewhere", "our own port", "little", "much", "schema"), (400, "ValidationError")),
            "logs": (400, "Logs.ValidationError")})
        self.assertEqual(seen["two things"][2], "URI port is not provided; types should not be empty")
        self.assertEqual(seen["little"][2].count(";"), 2)

    def test_who_does_not_take_it(self):
        """One answers nothing, one refuses connections, one takes a byte: the function goes on, and what is too much is dropped and said."""
        code = r"""
def stop(c):
    global held, late
    held = globals().get("held", []) + [c]
    if os.path.exists("/tmp/take"):
        read_http(c, "/tmp/telemetry", [])
listen(8080, stop)
subscribe(types=["function"], destination=HTTP)
"""
        nobody = "subscribe(types=['function'], destination={'protocol': 'TCP', 'URI': 'http://sandbox.localdomain:7'})\n"
        name = self.extended({"deaf": {"code": code}, "nobody": {"code": nobody}}, Timeout=60)
        first = self.result(name, {"do": "print(('x' * 1000 + '\\n') * 3000)"})
        again = self.again(name, first["me"], {"do": "print(('y' * 1000 + '\\n') * 3000)\nopen('/tmp/take', 'w').close()"})
        self.assertEqual(again["me"], first["me"])
        # from then on it takes what comes, and hears what it has missed
        until = time.monotonic() + 60
        while True:
            got = self.seen(self.again(name, first["me"], {"file": "/tmp/telemetry", "wait": ["function"], "sleep": 0.2}))
            dropped = [e["record"] for e in got if e["type"] == "platform.logsDropped"]
            if sum(d["droppedRecords"] for d in dropped) > 1000:
                break
            self.assertLess(time.monotonic(), until, len(got))
        self.assertEqual(dropped[0]["reason"], "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.")
        self.assertGreater(sum(d["droppedRecords"] for d in dropped), 1000)
        self.assertGreater(sum(d["droppedBytes"] for d in dropped), 1000 * 1000)

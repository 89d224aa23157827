"""Pull-through caches: another registry, which wants tokens and redirects, stands on this machine."""
import hashlib
import http.client
import http.server
import json
import os
import socket
import subprocess
import tempfile
import threading
import unittest

import raw
from botocore.exceptions import ClientError
from cloud import Cloud, program
from registry import CONFIG, INDEX, LAYER, OCI, Registry, code, digest


class Upstream(http.server.ThreadingHTTPServer):
    """Images by path; `asked` has the paths of what was asked for with a token."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths, self.asked = {}, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def add(self, name, data, kind):
        self.paths[f"/v2/{name}/blobs/{digest(data)}"] = ("application/octet-stream", data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def manifest(self, name, text, architecture="amd64"):
        config = json.dumps({"architecture": architecture, "os": "linux", "n": text, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        return {"schemaVersion": 2, "mediaType": OCI, "config": self.add(name, config, CONFIG), "layers": [self.add(name, text.encode(), LAYER)]}

    def put(self, name, reference, manifest):
        data = json.dumps(manifest).encode()
        for one in (reference, digest(data)):
            self.paths[f"/v2/{name}/manifests/{one}"] = (manifest["mediaType"], data)
        return {"mediaType": manifest["mediaType"], "digest": digest(data), "size": len(data)}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/token":
            self.answer(200, "application/json", json.dumps({"token": "t-" + hashlib.md5(query.encode()).hexdigest()}).encode())
        elif path.startswith("/elsewhere/"):
            self.answer(200, *self.server.paths[path[10:]])
        elif not (self.headers["Authorization"] or "").startswith("Bearer t-"):
            self.answer(401, "application/json", b"{}", ("WWW-Authenticate", f'Bearer realm="{self.server.url}/token",service="it is \\"quoted\\""'))
        elif path == "/v2/":
            self.answer(200, "application/json", b"{}")
        elif path not in self.server.paths:
            self.answer(404, "application/json", b'{"errors":[]}')
        else:
            self.server.asked.append(path)
            if "/blobs/" in path:
                self.answer(307, "text/plain", b"over there", ("Location", "/elsewhere" + path))
            else:
                self.answer(200, *self.server.paths[path])

    def answer(self, status, kind, data, *headers):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class PullThrough(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream()
        cls.addClassCleanup(cls.upstream.server_close)
        cls.addClassCleanup(cls.upstream.shutdown)
        place = tempfile.TemporaryDirectory(prefix="quartet-upstream-")
        cls.addClassCleanup(place.cleanup)
        os.chmod(place.name, 0o755)
        config = os.path.join(place.name, "quartet.conf")
        named = cls.upstream.url.replace("127.0.0.1", "localhost")
        with open(config, "w") as f:
            f.write(f"[containers]\nupstreams = {cls.upstream.url} http://127.0.0.1:1 {named}/\n")
        cls.cloud = Cloud(options=["--config", config]).start()
        cls.addClassCleanup(cls.cloud.stop)
        cls.ecr = cls.cloud.client("ecr")
        cls.host = cls.upstream.url.split("//")[1]
        cls.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="out", upstreamRegistryUrl=cls.host)

    def refused(self, error, operation, **parameters):
        with self.assertRaises(ClientError) as e:
            operation(**parameters)
        self.assertEqual(e.exception.response["Error"]["Code"], error)

    def registry(self, name):
        return Registry(self.ecr, self.cloud.endpoint, name)

    def ask(self, operation, **body):
        """An operation that is younger than Debian's SDK: status and reply."""
        sent = raw.Signer(self.cloud.port, "ecr").request("POST", "/", json.dumps(body).encode(), headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonEC2ContainerRegistry_V20150921." + operation})
        reply = raw.ask(self.cloud.port, sent, 60)
        return reply.status, json.loads(reply.body)

    def validate(self, prefix):
        return self.ask("ValidatePullThroughCacheRule", ecrRepositoryPrefix=prefix)

    def blobs(self):
        return sorted(name for _, _, names in os.walk(self.cloud.data + "/blobs") for name in names)

    def names(self):
        return [r["repositoryName"] for r in self.ecr.describe_repositories()["repositories"]]

    def test_rules(self):
        create = self.ecr.create_pull_through_cache_rule
        self.refused("UnsupportedUpstreamRegistryException", create, ecrRepositoryPrefix="other", upstreamRegistryUrl="127.0.0.1:2")
        self.refused("PullThroughCacheRuleAlreadyExistsException", create, ecrRepositoryPrefix="out", upstreamRegistryUrl=self.host)
        made = create(ecrRepositoryPrefix="closed", upstreamRegistryUrl="http://127.0.0.1:1")
        self.assertEqual((made["ecrRepositoryPrefix"], made["registryId"]), ("closed", "000000000000"))
        rules = {r["ecrRepositoryPrefix"]: r for r in self.ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]}
        self.assertEqual(rules["out"]["upstreamRegistryUrl"], self.host)
        (one,) = self.ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["closed"])["pullThroughCacheRules"]
        self.assertEqual(one["createdAt"], made["createdAt"])
        self.assertIs(self.validate("out")[1]["isValid"], True)
        create(ecrRepositoryPrefix="by-name", upstreamRegistryUrl=self.host.replace("127.0.0.1", "localhost"))
        self.assertIs(self.validate("by-name")[1]["isValid"], True)
        status, checked = self.validate("closed")
        self.assertEqual((status, checked["isValid"]), (200, False))
        self.assertTrue(checked["failure"])
        reply = self.registry("closed/app")("GET", "manifests/1")
        self.assertEqual((reply.status, code(reply)), (502, "UNKNOWN"))
        self.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="closed")
        self.refused("PullThroughCacheRuleNotFoundException", self.ecr.delete_pull_through_cache_rule, ecrRepositoryPrefix="closed")
        status, answer = self.validate("closed")
        self.assertEqual((status, answer["__type"].split("#")[-1]), (400, "PullThroughCacheRuleNotFoundException"))
        self.assertNotIn("closed/app", self.names())

    def test_an_index_comes_whole_and_once(self):
        up, name = self.upstream, "team/app"
        parts = [up.put(name, "x", up.manifest(name, text, architecture)) | {"platform": {"os": "linux", "architecture": architecture}}
                 for text, architecture in (("a layer", "amd64"), ("another", "arm64"))]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}
        whole = up.put(name, "1", index)
        registry = self.registry("out/team/app")
        reply = registry("GET", "manifests/1")
        self.assertEqual((reply.status, reply.getheader("Docker-Content-Digest")), (200, whole["digest"]))
        self.assertEqual(json.loads(reply.body), index)
        images = {i["imageDigest"]: i.get("imageTags") for i in self.ecr.describe_images(repositoryName="out/team/app")["imageDetails"]}
        self.assertEqual(images, {whole["digest"]: ["1"], parts[0]["digest"]: None, parts[1]["digest"]: None})
        asked = len(up.asked)
        for part in parts:
            manifest = json.loads(registry("GET", "manifests/" + part["digest"]).body)
            for blob in (manifest["config"], *manifest["layers"]):
                self.assertEqual(digest(registry("GET", "blobs/" + blob["digest"]).body), blob["digest"])
        self.assertEqual(registry("GET", "manifests/1").status, 200)
        self.assertEqual(len(up.asked), asked)

    def test_a_day_later(self):
        """A tag that means another image there by now comes anew; where a template says that tags stay, it stays."""
        up, lifecycle = self.upstream, json.dumps({"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": {
            "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}}]})
        status, _ = self.ask("CreateRepositoryCreationTemplate", prefix="out/fixed", appliedFor=["PULL_THROUGH_CACHE"], imageTagMutability="IMMUTABLE",
                             lifecyclePolicy=lifecycle, resourceTags=[{"Key": "from", "Value": "elsewhere"}])
        self.assertEqual(status, 200)
        first = {name: up.put(name, "1", up.manifest(name, "the first of " + name))["digest"] for name in ("moves", "fixed/app")}
        pull = lambda name: self.registry("out/" + name)("GET", "manifests/1").headers["Docker-Content-Digest"]
        for name, digest_ in first.items():
            self.assertEqual(pull(name), digest_)
        made, = self.ecr.describe_repositories(repositoryNames=["out/fixed/app"])["repositories"]
        self.assertEqual(made["imageTagMutability"], "IMMUTABLE")
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"], [{"Key": "from", "Value": "elsewhere"}])
        self.assertEqual(self.ecr.get_lifecycle_policy(repositoryName="out/fixed/app")["lifecyclePolicyText"], lifecycle)
        made, = self.ecr.describe_repositories(repositoryNames=["out/moves"])["repositories"]
        self.assertEqual(made["imageTagMutability"], "MUTABLE")
        second = {name: up.put(name, "1", up.manifest(name, "the second of " + name))["digest"] for name in first}
        for name, digest_ in first.items():
            self.assertEqual(pull(name), digest_)  # it was asked for today
        done = subprocess.run([program(), "clock", "forward", "25h"], capture_output=True, text=True, check=False, timeout=60, env=self.cloud.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((pull("moves"), pull("fixed/app")), (second["moves"], first["fixed/app"]))

    def test_by_the_api_and_by_digest(self):
        up, name = self.upstream, "team/api"
        one = up.put(name, "v", up.manifest(name, "by the api"))
        got = self.ecr.batch_get_image(repositoryName="out/team/api", imageIds=[{"imageTag": "v"}])
        self.assertEqual([i["imageId"]["imageDigest"] for i in got["images"]], [one["digest"]])
        two = up.put(name, "w", up.manifest(name, "by digest"))
        self.assertEqual(self.registry("out/team/api")("HEAD", "manifests/" + two["digest"]).status, 200)
        missing = self.ecr.batch_get_image(repositoryName="out/team/api", imageIds=[{"imageTag": "none"}])
        self.assertEqual([f["failureCode"] for f in missing["failures"]], ["ImageNotFound"])

    def test_what_is_not_there(self):
        reply = self.registry("out/nothing")("GET", "manifests/1")
        self.assertEqual((reply.status, code(reply)), (404, "NAME_UNKNOWN"))
        self.assertNotIn("out/nothing", self.names())

    def test_bytes_that_are_not_what_their_digest_says(self):
        up, before = self.upstream, self.blobs()
        for name, change in (("other-bytes", lambda data: data[::-1]), ("more", lambda data: data + b"more"), ("fewer", lambda data: data[1:])):
            with self.subTest(name):
                manifest = up.manifest(name, "the layer of " + name)
                up.put(name, "1", manifest)
                path = f"/v2/{name}/blobs/{manifest['layers'][0]['digest']}"
                up.paths[path] = (LAYER, change(up.paths[path][1]))
                reply = self.registry("out/" + name)("GET", "manifests/1")
                self.assertEqual((reply.status, code(reply)), (502, "UNKNOWN"))
                self.assertNotIn("out/" + name, self.names())
        self.assertEqual(self.blobs(), before)

    def ask_in_vain(self, registry):
        with self.assertRaises((OSError, http.client.HTTPException)):
            registry("GET", "manifests/1")

    def test_a_registry_that_never_answers(self):
        """It holds nobody up: neither others, nor the end of the cloud."""
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        with tempfile.NamedTemporaryFile("w", prefix="quartet-upstream-") as config:
            os.chmod(config.name, 0o644)
            config.write(f"[containers]\nupstreams = http://127.0.0.1:{silent.getsockname()[1]}\n")
            config.flush()
            cloud = Cloud(options=["--config", config.name]).start()
            try:
                ecr = cloud.client("ecr")
                ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="out", upstreamRegistryUrl=f"127.0.0.1:{silent.getsockname()[1]}")
                registry = Registry(ecr, cloud.endpoint, "out/app")
                asking = threading.Thread(target=self.ask_in_vain, args=(registry,))
                asking.start()
                silent.settimeout(60)
                connection, _ = silent.accept()
                self.addCleanup(connection.close)
                self.assertEqual(ecr.describe_repositories()["repositories"], [])
            finally:
                cloud.stop()
            asking.join(60)
            self.assertEqual((cloud.process.returncode, asking.is_alive()), (0, False))

    def test_permission(self):
        up, iam = self.upstream, self.cloud.client("iam")
        up.put("secret", "1", up.manifest("secret", "not for everybody"))
        iam.create_user(UserName="u")
        key = iam.create_access_key(UserName="u")["AccessKey"]
        ecr = self.cloud.client("ecr", key["AccessKeyId"], key["SecretAccessKey"])

        def allow(*actions):
            iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}))
        asked = len(up.asked)
        for more in ((), ("ecr:BatchImportUpstreamImage",)):
            allow("ecr:GetAuthorizationToken", "ecr:BatchGetImage", *more)
            reply = Registry(ecr, self.cloud.endpoint, "out/secret")("GET", "manifests/1")
            self.assertEqual((reply.status, code(reply)), (403, "DENIED"))
        self.assertEqual(len(up.asked), asked)
        allow("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
        self.assertEqual(Registry(ecr, self.cloud.endpoint, "out/secret")("GET", "manifests/1").status, 200)


if __name__ == "__main__":
    unittest.main()

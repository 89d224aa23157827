"""The registry over days, which `quartet clock` makes pass: images that policies expire, uploads and blobs that nobody wants, logins that end, storage that is
billed."""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from cloud import Cloud, program  # noqa: E402
from leftovers import blobs, unfinished_files  # noqa: E402
from registry import INDEX, LAYER, OCI, Registry, code, digest  # noqa: E402


def rule(priority, status, count, number, **more):
    unit = {"countUnit": "days"} if count != "imageCountMoreThan" else {}
    return {"rulePriority": priority, "selection": {"tagStatus": status, "countType": count, "countNumber": number, **unit, **more}, "action": {"type": "expire"}}


PUSHED, MORE = "sinceImagePushed", "imageCountMoreThan"


class Days(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        self.ecr, self.registries = self.cloud.client("ecr"), []  # logged in again whenever the clock is moved

    def forward(self, by):
        done = subprocess.run([program(), "clock", "forward", by], capture_output=True, text=True, check=False, timeout=60, env=self.cloud.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        for r in self.registries:
            r.authorization = Registry(self.ecr, self.cloud.endpoint, r.name).authorization

    def eventually(self, ask, want, what=""):
        until = time.monotonic() + 60
        while (found := ask()) != want:
            self.assertLess(time.monotonic(), until, f"{what}: {found}, not {want}")
            time.sleep(0.05)

    def registry(self, name):
        self.ecr.create_repository(repositoryName=name)
        self.registries.append(Registry(self.ecr, self.cloud.endpoint, name))
        return self.registries[-1]


class Policies(Days):
    """One image a word: "name" is tagged so, "one+two" has two tags, "-name" none. They are pushed on two days, four days and two days before the policy comes."""

    # repository: (on the first day, on the third, rules, {image: priority of the rule that takes it}, what goes when three more days have passed)
    CASES = {
        "untagged": ("-a kept", "-b", [rule(1, "untagged", PUSHED, 3)], {"-a": 1}, "-b"),
        "untagged-count": ("-a -b kept", "-c", [rule(1, "untagged", MORE, 1)], {"-a": 1, "-b": 1}, ""),
        "prefix": ("dev-1 prod-1 dev", "dev-2", [rule(1, "tagged", PUSHED, 3, tagPrefixList=["dev-"])], {"dev-1": 1}, "dev-2"),
        "prefixes": ("a1 b1 a1x+b1x", "-none", [rule(1, "tagged", PUSHED, 1, tagPrefixList=["a", "b"])], {"a1x+b1x": 1}, ""),
        "pattern": ("1.0-rc1 1.0 rc", "2.0-rc", [rule(1, "tagged", PUSHED, 1, tagPatternList=["*-rc*"])], {"1.0-rc1": 1, "2.0-rc": 1}, ""),
        "patterns": ("prod1+web prod2 web2", "", [rule(1, "tagged", MORE, 1, tagPatternList=["prod*"]), rule(2, "tagged", PUSHED, 9, tagPatternList=["*"])],
                     {"prod1+web": 1}, ""),
        "count": ("a b", "c d", [rule(1, "any", MORE, 2)], {"a": 1, "b": 1}, ""),
        # whom a rule of lower number means, those of higher numbers leave alone, whatever it decides
        "priority": ("keep-1 x-1", "x-2", [rule(10, "tagged", MORE, 5, tagPrefixList=["keep"]), rule(20, "any", PUSHED, 3)], {"x-1": 20}, "x-2"),
        # what a rule has taken still counts for those behind
        "counted": ("a-1 b-1", "a-2", [rule(1, "tagged", PUSHED, 3, tagPrefixList=["a"]), rule(2, "any", MORE, 1)], {"a-1": 1, "b-1": 2}, "a-2"),
        "both-tags": ("v1+latest v2", "", [rule(1, "tagged", PUSHED, 1, tagPrefixList=["latest"])], {"v1+latest": 1}, ""),
        "nothing": ("a -b", "c", [rule(1, "any", PUSHED, 30)], {}, ""),
    }

    def push(self, registry, word):
        manifest = registry.manifest(f"{registry.name} {word}")
        for tag in word.split("+") if word[0] != "-" else (None,):
            reply, made, _ = registry.push_manifest(manifest, tag)
            self.assertEqual(reply.status, 201, reply.body)
        return made

    def images(self, name):
        return {i["imageDigest"] for page in self.ecr.get_paginator("list_images").paginate(repositoryName=name) for i in page["imageIds"]}

    def test_expire(self):
        registries = {name: self.registry(name) for name in self.CASES}
        made = {name: {} for name in self.CASES}
        for day in (0, 1):
            # within a day, the newer is the one pushed later: a millisecond apart at least
            for name, case in self.CASES.items():
                for word in case[day].split():
                    made[name][word] = self.push(registries[name], word)
                    time.sleep(0.002)
            self.forward("2d")
        for name, (_, _, rules, wanted, _) in self.CASES.items():
            text = json.dumps({"rules": rules[::-1]}) + " " * 100  # botocore refuses shorter texts itself
            self.ecr.start_lifecycle_policy_preview(repositoryName=name, lifecyclePolicyText=text)
            said = self.ecr.get_lifecycle_policy_preview(repositoryName=name)
            want = {made[name][word]: priority for word, priority in wanted.items()}
            self.assertEqual({r["imageDigest"]: r["appliedRulePriority"] for r in said["previewResults"]}, want, name)
            self.assertEqual((said["status"], said["summary"]["expiringImageTotalCount"]), ("COMPLETE", len(want)))
            self.assertEqual(self.images(name), set(made[name].values()), name)  # a preview takes nothing
            self.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
        for after in (0, 1):
            for name, case in self.CASES.items():
                left = set(made[name]) - set(case[3]) - (set(case[4].split()) if after else set())
                self.eventually(lambda n=name: self.images(n), {made[name][word] for word in left}, name)
                for word in left:
                    manifest = json.loads(registries[name]("GET", "manifests/" + made[name][word]).body)
                    for one in (manifest["config"], *manifest["layers"]):
                        self.assertEqual(digest(registries[name]("GET", "blobs/" + one["digest"]).body), one["digest"])
            if not after:
                self.forward("3d")
        self.assertIn("lastEvaluatedAt", self.ecr.get_lifecycle_policy(repositoryName="nothing"))
        # and in the end their bytes
        kept = {hash_ for name, case in self.CASES.items() for word in set(made[name]) - set(case[3]) - set(case[4].split())
                for hash_ in self.needs(registries[name], made[name][word])}
        self.forward("25h")
        self.eventually(lambda: len(blobs(self.cloud.data)), len(kept), "content files")

    def needs(self, registry, image):
        manifest = json.loads(registry("GET", "manifests/" + image).body)
        return {one["digest"] for one in (manifest["config"], *manifest["layers"])}

    def test_index(self):
        """Images of an index have no tags and stay with it; it goes, and then they do, and what is about it too."""
        r = self.registry("index")
        parts = {a: self.push(r, "-" + a) for a in ("amd64", "arm64")}
        alone = self.push(r, "-alone")
        text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": OCI, "digest": d, "size": 1} for d in parts.values()]})
        _, index, raw = r.push_manifest(json.loads(text), "all", INDEX)
        _, about, _ = r.push_manifest(r.manifest("sbom", artifactType="x/y", subject={"mediaType": INDEX, "digest": index, "size": len(raw)}))
        self.ecr.put_lifecycle_policy(repositoryName="index", lifecyclePolicyText=json.dumps({"rules": [
            rule(1, "untagged", PUSHED, 1), rule(2, "tagged", PUSHED, 5, tagPatternList=["all"])]}))
        self.forward("2d")
        self.eventually(lambda: self.images("index"), {index, about, *parts.values()}, "the index and what belongs to it")
        self.assertNotIn(alone, self.images("index"))
        self.forward("4d")
        self.eventually(lambda: self.images("index"), set(parts.values()), "the parts alone")
        self.forward("1h")
        self.eventually(lambda: self.images("index"), set(), "nothing")


class Time(Days):
    def test_logins_end(self):
        r = self.registry("app")
        self.registries.clear()
        self.forward("11h")
        self.assertEqual(r("GET", "tags/list").status, 200)
        self.forward("61m")
        reply = r("GET", "tags/list")
        self.assertEqual((reply.status, code(reply)), (401, "UNAUTHORIZED"))
        self.assertIn(b"expired", reply.body)
        self.assertEqual(Registry(self.ecr, self.cloud.endpoint, "app")("GET", "tags/list").status, 200)

    def test_uploads_and_blobs_that_nobody_wants(self):
        r = self.registry("app")
        begin = lambda: r("POST", "blobs/uploads/").headers["Location"]
        left, goes_on = begin(), begin()
        part = self.ecr.initiate_layer_upload(repositoryName="app")["uploadId"]
        self.ecr.upload_layer_part(repositoryName="app", uploadId=part, partFirstByte=0, partLastByte=4, layerPartBlob=b"small")
        for at in (left, goes_on):
            self.assertEqual(r("PATCH", at, body=b"some").status, 202)
        idle, needed = r.push_blob(b"idle"), r.manifest("a layer")
        self.assertEqual(r.push_manifest(needed, "v")[0].status, 201)
        self.forward("23h")
        self.assertEqual(r("PATCH", goes_on, body=b"more").status, 202)
        self.forward("2h")
        self.eventually(lambda: r("GET", left).status, 404, "an upload that was left")
        self.assertEqual(r("GET", goes_on).headers["Range"], "0-7")
        with self.assertRaises(self.ecr.exceptions.UploadNotFoundException):
            self.ecr.upload_layer_part(repositoryName="app", uploadId=part, partFirstByte=5, partLastByte=5, layerPartBlob=b"x")
        self.eventually(lambda: r("GET", "blobs/" + idle).status, 404, "a blob that nobody needs")  # HEAD would be somebody who counts on it
        self.assertEqual(r("PUT", goes_on, digest=digest(b"somemore")).status, 201)
        for one in (needed["config"], *needed["layers"]):
            self.assertEqual(r("HEAD", "blobs/" + one["digest"]).status, 200)
        self.eventually(lambda: (len(blobs(self.cloud.data)), len(unfinished_files(self.cloud.data))), (3, 0), "content files")

    def test_too_many_uploads(self):
        """They are counted, and make room when they end."""
        r, last = self.registry("app"), None
        for _ in range(1000):
            reply = r("POST", "blobs/uploads/")
            self.assertEqual(reply.status, 202)
            last = reply.headers["Location"]
            self.assertEqual(r("PATCH", last, body=b"x").status, 202)
        reply = r("POST", "blobs/uploads/")
        self.assertEqual((reply.status, code(reply), reply.headers["Retry-After"]), (429, "TOOMANYREQUESTS", "60"))
        with self.assertRaises(self.ecr.exceptions.LimitExceededException):
            self.ecr.initiate_layer_upload(repositoryName="app")
        self.assertEqual(r("DELETE", last).status, 204)
        self.assertEqual(r("POST", "blobs/uploads/").status, 202)
        self.forward("25h")
        self.eventually(lambda: r("POST", "blobs/uploads/").status, 202, "room")

    def bill(self):
        """Gigabyte-months and dollars of the present month, as `quartet bill` says them."""
        done = subprocess.run([program(), "bill", "--data", self.cloud.data, "--json"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        lines = [line for line in said["lines"] if line["usageType"] == "TimedStorage-ByteHrs" and "Registry" in line["service"]]
        days = (time.mktime(time.strptime(said["end"], "%Y-%m-%d")) - time.mktime(time.strptime(said["start"], "%Y-%m-%d"))) / 86400
        return (lines[0]["quantity"], lines[0]["usd"], round(days)) if lines else (0, 0, round(days))

    def test_storage_is_billed(self):
        """What repositories hold, each for itself; until it is gone, and no longer. In a month that is begun anew, so that the days are known."""
        start = subprocess.run([program(), "clock"], capture_output=True, text=True, check=True, env=self.cloud.environment()).stdout[:10]
        self.forward(f"{32 - int(start[8:])}d")  # somewhere in the first days of the next month
        size = 64 << 20
        layer = os.urandom(size)
        registries = [self.registry(name) for name in ("one", "two")]
        for r in registries:
            r.push_blob(layer)
            manifest = {"schemaVersion": 2, "mediaType": OCI, "config": r.descriptor(b"{}", "application/vnd.oci.image.config.v1+json"),
                        "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": size}]}
            self.assertEqual(r.push_manifest(manifest, "v")[0].status, 201)
        self.assertEqual(len(blobs(self.cloud.data)), 2)  # the bytes are there once
        before = self.bill()[0]
        self.forward("3d")
        quantity, usd, days = self.bill()
        want = 2 * (size + 2) / 2**30 * 3 / days
        self.assertAlmostEqual(quantity - before, want, delta=want / 50)
        self.assertAlmostEqual(usd, quantity * 0.10, delta=usd / 1000)
        self.ecr.delete_repository(repositoryName="two", force=True)
        before = self.bill()[0]
        self.forward("3d")
        self.assertAlmostEqual(self.bill()[0] - before, want / 2, delta=want / 50)
        self.ecr.delete_repository(repositoryName="one", force=True)
        before = self.bill()[0]
        self.forward("3d")
        self.assertAlmostEqual(self.bill()[0], before, delta=want / 1000)


if __name__ == "__main__":
    unittest.main()

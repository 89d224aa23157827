"""Unpacked layers go from the disk when no image needs them any more, and not before nobody stands on them."""
import gzip
import json
import os
import unittest

from aws import client
from busybox import busybox
from registry import CONFIG, LAYER, OCI, digest
from tasks import TaskCase, repository_of


class Unpacked(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = busybox()
        cls.repository, cls.uri = repository_of(cls.region, "unpacked")
        cls.ecr = client("ecr", region=cls.region)

    def put(self, tag, *tops):
        """An image of busybox and layers of this text each; where the last one of them lies when it is unpacked."""
        layers = [self.base] + [busybox([("what", text.encode())]) for text in tops]
        config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
                  "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]}, "tag": tag}
        manifest = {"schemaVersion": 2, "mediaType": OCI, "config": self.repository.descriptor(json.dumps(config).encode(), CONFIG),
                    "layers": [self.repository.descriptor(gzip.compress(one, 1, mtime=0), LAYER) for one in layers]}
        self.assertEqual(self.repository.push_manifest(manifest, tag)[0].status, 201)
        return os.path.join(os.environ["QUARTET_DATA"], "layers", digest(layers[-1])[7:])

    def start(self, tag, command):
        return self.run_task({"image": f"{self.uri}:{tag}", "command": command})

    def delete(self, tag):
        self.assertEqual(self.ecr.batch_delete_image(repositoryName="unpacked", imageIds=[{"imageTag": tag}])["failures"], [])

    def test_deleted_images(self):
        used, shared, marker = (self.put(tag, f"{tag} {self.word}") for tag in ("used", "shared", "marker"))
        self.assertEqual(self.put("shares", f"shared {self.word}"), shared)
        on = self.start("used", "trap 'exit 0' TERM; while true; do sleep 0.1; done")
        for tag in ("shared", "marker"):
            self.until(self.start(tag, "exit 0"), "STOPPED")
        self.until(on, "RUNNING")
        for layer in (used, shared, marker):
            self.assertTrue(os.path.isdir(layer))
        for tag in ("used", "shared", "marker"):
            self.delete(tag)
        self.wait(lambda: not os.path.exists(marker))
        # a task stands on the one, another image has the other
        self.assertTrue(os.path.isdir(used))
        self.assertTrue(os.path.isdir(shared))
        self.assertEqual(self.task(on)["lastStatus"], "RUNNING")
        self.ecs.stop_task(cluster=self.cluster, task=on)
        self.until(on, "STOPPED")
        self.delete("shares")
        self.wait(lambda: not os.path.exists(used) and not os.path.exists(shared))
        # what was removed comes back when it is wanted
        self.assertEqual(self.put("again", f"shared {self.word}"), shared)
        self.assertEqual(self.until(self.start("again", "exit 3"), "STOPPED")["containers"][0]["exitCode"], 3)

    def test_deleted_repository(self):
        self.ecr.create_repository(repositoryName="whole")
        mine = self.put("mine", f"mine {self.word}")
        self.until(self.start("mine", "exit 0"), "STOPPED")
        self.assertTrue(os.path.isdir(mine))
        self.ecr.delete_repository(repositoryName="whole")
        self.assertTrue(os.path.isdir(mine))
        self.ecr.delete_repository(repositoryName="unpacked", force=True)
        self.wait(lambda: not os.path.exists(mine))
        type(self).repository, type(self).uri = repository_of(self.region, "unpacked")


if __name__ == "__main__":
    unittest.main()

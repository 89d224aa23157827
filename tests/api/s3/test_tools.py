"""The tools that people use: the AWS CLI, s3cmd, rclone."""
import os
import shutil
import tempfile
import unittest

from aws import ENDPOINT, REGION, aws_programs, run
from s3case import S3Case, noise


class Tools(S3Case):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="quartet-s3-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def file(self, name, data):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        os.utime(path, (1e9, 1e9))  # what is younger than its copy, whose time has whole seconds, would be copied again
        return path

    def read(self, name):
        with open(os.path.join(self.dir, name), "rb") as f:
            return f.read()

    def test_aws_s3(self):
        if not aws_programs():
            self.skipTest("no AWS CLI")
        for program in aws_programs():
            aws = [program, "--endpoint-url", ENDPOINT, "s3"]
            b = self.bucket()
            data = noise(20 << 20)
            self.file("tree/big", data)
            self.file("tree/a b/ü+", b"small")
            self.file("tree/empty", b"")
            run(*aws, "sync", os.path.join(self.dir, "tree"), f"s3://{b}/t")
            listed = run(*aws, "ls", "--recursive", f"s3://{b}").stdout
            for name in ("t/big", "t/a b/ü+", "t/empty"):
                self.assertIn(name, listed)
            self.assertEqual(run(*aws, "sync", os.path.join(self.dir, "tree"), f"s3://{b}/t").stdout, "")
            run(*aws, "cp", f"s3://{b}/t/big", os.path.join(self.dir, "back"))
            self.assertEqual(self.read("back"), data)
            run(*aws, "mv", f"s3://{b}/t/big", f"s3://{b}/moved")
            run(*aws, "cp", f"s3://{b}/moved", os.path.join(self.dir, "back2"))
            self.assertEqual(self.read("back2"), data)
            run(*aws, "cp", "-", f"s3://{b}/stdin", stdin="from a pipe")
            self.assertEqual(run(*aws, "cp", f"s3://{b}/stdin", "-").stdout, "from a pipe")
            url = run(*aws, "presign", f"s3://{b}/stdin").stdout.strip()
            self.assertEqual(run("curl", "-sf", url).stdout, "from a pipe")
            run(*aws, "rm", "--recursive", f"s3://{b}")
            self.assertEqual(run(*aws, "ls", f"s3://{b}").stdout, "")
            gone = run(*aws, "rb", f"s3://{b}x", check=False)
            self.assertIn("NoSuchBucket", gone.stderr)

    def test_s3cmd(self):
        if not shutil.which("s3cmd"):
            self.skipTest("no s3cmd")
        b = self.bucket()
        host = ENDPOINT.split("//")[1]
        s3cmd = ["s3cmd", "--access_key=test", "--secret_key=test", f"--host={host}", f"--host-bucket={host}", "--no-ssl", f"--region={REGION}", "-c", "/dev/null"]
        data = noise(16 << 20)
        path = self.file("f", data)
        run(*s3cmd, "put", "--multipart-chunk-size-mb=5", path, f"s3://{b}/dir/f")
        self.assertIn(f"s3://{b}/dir/f", run(*s3cmd, "ls", "--recursive", f"s3://{b}").stdout)
        run(*s3cmd, "get", f"s3://{b}/dir/f", os.path.join(self.dir, "g"))
        self.assertEqual(self.read("g"), data)
        self.assertIn("16777216", run(*s3cmd, "info", f"s3://{b}/dir/f").stdout)
        run(*s3cmd, "cp", f"s3://{b}/dir/f", f"s3://{b}/h")
        run(*s3cmd, "del", "--recursive", "--force", f"s3://{b}")
        self.assertEqual(run(*s3cmd, "ls", f"s3://{b}").stdout, "")

    def test_rclone(self):
        if not shutil.which("rclone"):
            self.skipTest("no rclone")
        b = self.bucket()
        env = {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_Q_TYPE": "s3", "RCLONE_CONFIG_Q_PROVIDER": "Other", "RCLONE_CONFIG_Q_ACCESS_KEY_ID": "test",
               "RCLONE_CONFIG_Q_SECRET_ACCESS_KEY": "test", "RCLONE_CONFIG_Q_ENDPOINT": ENDPOINT, "RCLONE_CONFIG_Q_REGION": REGION,
               "RCLONE_S3_LIST_VERSION": "2", "RCLONE_S3_ACL": "bucket-owner-full-control", "RCLONE_S3_UPLOAD_CUTOFF": "5M", "RCLONE_S3_NO_CHECK_BUCKET": "true", "AWS_CA_BUNDLE": ""}
        for i in range(20):
            self.file(f"tree/{i % 3}/f{i}", noise(i * 3000, i))
        self.file("tree/big", noise(12 << 20))
        tree, back = os.path.join(self.dir, "tree"), os.path.join(self.dir, "back")
        run("rclone", "sync", tree, f"q:{b}/p", env=env)
        run("rclone", "check", tree, f"q:{b}/p", env=env)
        run("rclone", "copy", f"q:{b}/p", back, env=env)
        run("diff", "-r", tree, back)
        run("rclone", "moveto", f"q:{b}/p/big", f"q:{b}/p/renamed", env=env)
        run("rclone", "purge", f"q:{b}/p", env=env)
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)


if __name__ == "__main__":
    unittest.main()

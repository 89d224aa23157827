"""Functions from container images: what they are made of, what they see, what is refused."""
import json
import os
import unittest
import uuid

import function_image as images
from aws import ENDPOINT, client
from lambdacase import ACCOUNT, LambdaCase
from registry import INDEX, OCI, Registry

MACHINE = {"x86_64": ("x86_64", "amd64"), "aarch64": ("arm64", "arm64")}[os.uname().machine]


def uri(repository, tag, host=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"):
    return f"{host}/{repository}{'@' if tag.startswith('sha256:') else ':'}{tag}"


@unittest.skipIf(images.why_not(), images.why_not())
class ImageCase(LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ecr = client("ecr")
        cls.repository = "functions/" + uuid.uuid4().hex[:8]
        cls.ecr.create_repository(repositoryName=cls.repository)
        cls.registry = Registry(cls.ecr, ENDPOINT, cls.repository)
        cls.base = images.layer(images.base(**{"etc/gone": b"x", "srv/a": b"a", "srv/b": b"b", "secret": (b"s", 0o600)}))
        top = images.layer({"etc/who": b"upper", "etc/.wh.gone": b"", "etc/resolv.conf": b"nameserver 1.2.3.4\n", "srv": None, "srv/.wh..wh..opq": b"",
                            "srv/c": b"c", "tmp": "/etc", "proc": b"", "job": None, "suid": (b"", 0o6755)})
        cls.digest = images.push(cls.registry, [cls.base, top], "full", MACHINE[1], Entrypoint=["/runtime"], Cmd=["one", "two words"], WorkingDir="/job",
                                 Env=["COLOR=green", "SHAPE=round", "PATH=/bin:/nowhere"])

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.ecr.delete_repository(repositoryName=cls.repository, force=True)

    def image(self, tag="full", wait=True, **settings):
        name = "i-" + uuid.uuid4().hex[:12]
        settings.setdefault("Timeout", 60)
        self.aws.create_function(FunctionName=name, Role=self.role, PackageType="Image", Code={"ImageUri": uri(self.repository, tag)}, **settings)
        self.made.append(name)
        if wait:
            self.assertEqual(images.active(self.aws, name)["State"], "Active")
            self.invocable(name)
        return name

    def ask(self, name, command, **settings):
        reply = self.aws.invoke(FunctionName=name, Payload=images.event(command), **settings)
        payload = reply["Payload"].read()
        self.assertNotIn("FunctionError", reply, payload)
        return images.answer(payload)

    def settle(self, name):
        return images.active(self.aws, name)

    def fails(self, name):
        """The error of a function that cannot start."""
        reply = self.aws.invoke(FunctionName=name)
        self.assertEqual(reply.get("FunctionError"), "Unhandled")
        return json.loads(reply["Payload"].read())


class Made(ImageCase):
    def test_record(self):
        name = self.image(wait=False, ImageConfig={"Command": ["three"], "WorkingDirectory": "/srv"})
        made = self.aws.get_function_configuration(FunctionName=name)
        self.assertEqual((made["PackageType"], made["CodeSize"], made["CodeSha256"]), ("Image", 0, self.digest[7:]))
        self.assertEqual(made["ImageConfigResponse"], {"ImageConfig": {"Command": ["three"], "WorkingDirectory": "/srv"}})
        for absent in ("Runtime", "Handler", "Layers", "RuntimeVersionConfig"):
            self.assertNotIn(absent, made)
        code = self.aws.get_function(FunctionName=name)["Code"]
        self.assertEqual(code, {"RepositoryType": "ECR", "ImageUri": uri(self.repository, "full"), "ResolvedImageUri": uri(self.repository, self.digest)})
        self.settle(name)
        self.invocable(name)
        self.assertEqual(self.ask(name, "pwd; echo $@").split(), ["/srv", "three"])
        self.aws.update_function_configuration(FunctionName=name, ImageConfig={})
        self.settle(name)
        self.assertNotIn("ImageConfigResponse", self.aws.get_function_configuration(FunctionName=name))
        self.assertEqual(self.ask(name, "pwd; for a; do echo \"<$a>\"; done").split("\n")[:3], ["/job", "<one>", "<two words>"])

    def test_tag_moves_and_function_stays(self):
        for who in ("first", "second"):
            images.push(self.registry, [self.base, images.layer({"etc/who": who.encode()})], "moving", MACHINE[1], Entrypoint=["/runtime"])
            if who == "first":
                name = self.image("moving", Publish=True)
                before = self.aws.get_function(FunctionName=name)["Code"]["ResolvedImageUri"]
                self.aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        self.assertEqual(self.ask(name, "cat /etc/who"), "first")
        self.aws.update_function_code(FunctionName=name, ImageUri=uri(self.repository, "moving"), Publish=True)
        self.settle(name)
        after = self.aws.get_function(FunctionName=name)["Code"]
        self.assertEqual(after["ImageUri"], uri(self.repository, "moving"))
        self.assertNotEqual(after["ResolvedImageUri"], before)
        self.assertEqual(self.aws.get_function(FunctionName=name, Qualifier="live")["Code"]["ResolvedImageUri"], before)
        self.assertEqual(self.ask(name, "cat /etc/who"), "second")
        self.assertEqual(self.ask(name, "cat /etc/who", Qualifier="live"), "first")
        again = self.aws.publish_version(FunctionName=name)
        self.assertEqual(again["Version"], "2")

    def test_image_deleted_from_registry(self):
        made = images.push(self.registry, [self.base, images.layer({"etc/who": b"deleted"})], "deleted", MACHINE[1], Entrypoint=["/runtime"])
        name = self.image("deleted")
        self.ecr.batch_delete_image(repositoryName=self.repository, imageIds=[{"imageDigest": made}])
        self.assertEqual(self.ask(name, "cat /etc/who"), "deleted")
        self.assertAwsError("InvalidParameterValueException", self.aws.update_function_code, FunctionName=name, ImageUri=uri(self.repository, "deleted"),
                            message=f"Source image {uri(self.repository, 'deleted')} does not exist. Provide a valid source image.")

    def test_refusals(self):
        good = {"FunctionName": "never", "Role": self.role, "PackageType": "Image", "Code": {"ImageUri": uri(self.repository, "full")}}
        none = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."

        def refused(message, error="InvalidParameterValueException", **change):
            self.assertAwsError(error, self.aws.create_function, **{**good, **change}, message=message)
        refused(none, Runtime="python3.12")
        refused(none, Handler="a.b")
        refused(none, Layers=[f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:x:1"])
        for bad in ("nginx:1", "public.ecr.aws/lambda/python:3", uri(self.repository, "full") + "@" + self.digest,
                    uri(self.repository, "full").rpartition(":")[0], uri(self.repository, "full").replace("us-east-1", "eu-west-1")):
            refused(f"Source image {bad} is not valid. Provide a valid source image.", Code={"ImageUri": bad})
        for missing in (uri(self.repository, "none"), uri("no/such", "full"), uri(self.repository, "sha256:" + "0" * 64)):
            refused(f"Source image {missing} does not exist. Provide a valid source image.", Code={"ImageUri": missing})
        refused("Please don't provide ImageUri when the intended function PackageType is Zip.", PackageType="Zip", Runtime="python3.12", Handler="a.b")
        refused("Please do not provide other FunctionCode parameters when providing an ImageUri.", Code={**good["Code"], "ZipFile": b"x"})
        refused("ImageConfig.WorkingDirectory must be an absolute path.", ImageConfig={"WorkingDirectory": "a"})
        other = {"amd64": "arm64", "arm64": "amd64"}[MACHINE[1]]
        images.push(self.registry, [self.base], "other", other, Entrypoint=["/runtime"])
        refused(f"The architecture of the source image {uri(self.repository, 'other')}, {other}, is not the function's, {MACHINE[0]}.",
                Code={"ImageUri": uri(self.repository, "other")})
        _, one, raw = self.registry.push_manifest(self.registry.manifest(architecture=MACHINE[1]), "artless")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": OCI, "digest": one, "size": len(raw), "platform": {"os": "linux", "architecture": MACHINE[1]}}]}
        self.assertEqual(self.registry.push_manifest(index, "index", INDEX)[0].status, 201)
        for tag in ("index", "artless"):
            refused(f"The image manifest, config or layer media type for the source image {uri(self.repository, tag)} is not supported.",
                    Code={"ImageUri": uri(self.repository, tag)})
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function, FunctionName="never")

    def test_kinds_do_not_mix(self):
        name, packed = self.image(), self.make("def lambda_handler(event, context):\n    return 1\n")
        refused = lambda operation, message, **more: self.assertAwsError("InvalidParameterValueException", operation, **more, message=message)
        refused(self.aws.update_function_code, "Please provide ImageUri when updating a function with packageType Image.", FunctionName=name, ZipFile=b"x")
        refused(self.aws.update_function_code, "Please don't provide ImageUri when updating a function with packageType Zip.", FunctionName=packed,
                ImageUri=uri(self.repository, "full"))
        refused(self.aws.update_function_configuration, "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
                FunctionName=name, Handler="a.b")
        refused(self.aws.update_function_configuration, "Please don't provide ImageConfig when the intended function PackageType is Zip.",
                FunctionName=packed, ImageConfig={"Command": ["a"]})

    def test_permissions(self):
        user = "image-" + uuid.uuid4().hex[:8]
        self.iam.create_user(UserName=user)
        self.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"}]}))
        key = self.iam.create_access_key(UserName=user)["AccessKey"]
        aws = client("lambda", key["AccessKeyId"], key["SecretAccessKey"])
        name = "i-" + uuid.uuid4().hex[:12]
        settings = {"FunctionName": name, "Role": self.role, "PackageType": "Image", "Code": {"ImageUri": uri(self.repository, "full")}}
        try:
            self.assertAwsError("AccessDeniedException", aws.create_function, **settings,
                                message="Lambda does not have permission to access the ECR image. Check the ECR permissions.")
            self.ecr.set_repository_policy(repositoryName=self.repository, policyText=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                 "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]}]}))
            aws.create_function(**settings)
            self.made.append(name)
        finally:
            self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
            self.iam.delete_user_policy(UserName=user, PolicyName="p")
            self.iam.delete_user(UserName=user)

    def test_bad_layers(self):
        bad = {"climbs": images.layer({"../x": b"y"}), "nonsense": b"not a tar"}
        for tag, content in bad.items():
            images.push(self.registry, [self.base, content], tag, MACHINE[1], Entrypoint=["/runtime"])
            name = self.image(tag, wait=False)
            state = self.settle(name)
            self.assertEqual((state["State"], state["StateReasonCode"]), ("Failed", "InvalidImage"), tag)
            self.assertTrue(state["StateReason"])


class Inside(ImageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = None

    def inside(self, command):
        if not type(self).name:
            type(self).name = self.image(Environment={"Variables": {"SHAPE": "square"}})
        return self.ask(self.name, command)

    def test_files(self):
        self.assertEqual(self.inside("cat /etc/who; ls /etc/gone /srv 2>&1"), "upperls: /etc/gone: No such file or directory\n/srv:\nc\n")
        # what is the sandbox's does not depend on what the image has there
        self.assertRegex(self.inside("cat /etc/resolv.conf"), "^(?!nameserver 1.2.3.4)")
        self.assertIn("localhost", self.inside("cat /etc/hosts"))
        self.assertEqual(self.inside("readlink /tmp; readlink /proc/self/exe; ls -d /proc/self; ls -d /usr /var 2>&1"),
                         "/bin/busybox\n/proc/self\nls: /usr: No such file or directory\nls: /var: No such file or directory\n")

    def test_nothing_can_be_written(self):
        for place in ("/x", "/etc/who", "/job/x", "/dev/x", "/sys/x", "/proc/sys/kernel/hostname", "/etc/resolv.conf"):
            self.assertRegex(self.inside(f"echo x >{place} && echo done"), "Read-only file system|Permission denied", place)
        self.assertEqual(self.inside("echo x >/tmp/x && cat /tmp/x; mount -o remount,rw / 2>&1 | sed 's/.*: //'"), "x\npermission denied (are you root?)\n")

    def test_identity(self):
        self.assertEqual(self.inside("id").strip(), "uid=993 gid=990")
        status = dict(line.split(":\t", 1) for line in self.inside("cat /proc/self/status").splitlines() if ":\t" in line)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertIn("Permission denied", self.inside("cat /secret"))
        self.assertIn("nosuid,nodev", [line for line in self.inside("cat /proc/mounts").splitlines() if " / " in line][-1])

    def test_no_way_out(self):
        mounts = self.inside("cat /proc/mounts")
        self.assertEqual(sorted(line.split()[1] for line in mounts.splitlines()), ["/", "/dev", "/proc", "/tmp"])
        self.assertNotIn("/layers", mounts)
        self.assertNotIn("stage", mounts)
        self.assertEqual(self.inside("ls -d /../.. /proc/1/root 2>&1"), "ls: /proc/1/root: No such file or directory\n/../..\n")
        for command in ("mount -t proc none /tmp", "mount -t overlay none /tmp", "mknod /tmp/d b 8 0", "ls /proc/1/fd"):
            self.assertRegex(self.inside(command + " 2>&1 || echo failed"), "failed", command)
        self.assertEqual(self.inside("ps | sed -n 's/.*[q]uartet.*/x/p'"), "")

    def test_environment(self):
        env = dict(line.split("=", 1) for line in self.inside("env").splitlines() if "=" in line)
        self.assertEqual((env["COLOR"], env["SHAPE"], env["PATH"]), ("green", "square", "/bin:/nowhere"))
        for name in ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_LAMBDA_LOG_GROUP_NAME"):
            self.assertTrue(env[name], name)
        for name in ("_HANDLER", "AWS_EXECUTION_ENV", "LD_LIBRARY_PATH", "PYTHONPATH"):
            self.assertNotIn(name, env)

    def test_log(self):
        name = self.image()
        self.ask(name, "true")
        lines = self.logged(name)
        self.assertEqual(lines[0], "the runtime starts\n")
        self.assertRegex(lines[1], "^START RequestId: .* Version: \\$LATEST\n$")
        self.assertRegex(lines[-1], "^REPORT .*Init Duration: ")


class Starts(ImageCase):
    def test_shell_is_enough(self):
        images.push(self.registry, [self.base, images.layer({"loop": images.SHELL_RUNTIME.encode()})], "shell", MACHINE[1], Entrypoint=["/loop"])
        self.assertEqual(self.result(self.image("shell"), {"a": [1, "two"]}), {"a": [1, "two"]})

    def test_program_by_its_name(self):
        name = self.image(ImageConfig={"EntryPoint": ["sh"], "Command": ["-c", "/runtime a b"]}, Environment={"Variables": {"PATH": "/nowhere:/bin"}})
        self.assertEqual(self.ask(name, "echo found"), "found\n")

    def test_program_that_is_not_there(self):
        for entry, error, text in ((["/nope"], "Runtime.InvalidEntrypoint", "fork/exec: no such file or directory"),
                                   (["nope"], "Runtime.InvalidEntrypoint", "fork/exec: no such file or directory"),
                                   (["/etc/who"], "Runtime.InvalidEntrypoint", "fork/exec: exec format error"),
                                   (["/srv"], "Runtime.InvalidEntrypoint", "fork/exec: permission denied"),
                                   (["/bin/sh", "-c", "exit 127"], "Runtime.ExitError", "Runtime exited with error: exit status 127")):
            with self.subTest(entry):
                name = self.image(ImageConfig={"EntryPoint": entry, "Command": ["x"]} if len(entry) == 1 else {"EntryPoint": entry})
                got = self.fails(name)
                self.assertEqual(got["errorType"], error)
                self.assertTrue(got["errorMessage"].endswith("Error: " + text), got)

    def test_directory_that_is_not_there(self):
        got = self.fails(self.image(ImageConfig={"WorkingDirectory": "/nope"}))
        self.assertEqual(got["errorType"], "Runtime.InvalidWorkingDir")

    def test_no_program(self):
        images.push(self.registry, [self.base], "still", MACHINE[1])
        self.assertEqual(self.fails(self.image("still"))["errorType"], "Runtime.InvalidEntrypoint")

    def test_extension_that_does_not_stay(self):
        images.push(self.registry, [self.base, images.layer({"opt/extensions/one": b"#!/bin/sh\n"})], "extended", MACHINE[1], Entrypoint=["/runtime"])
        self.assertEqual(self.fails(self.image("extended"))["errorType"], "Extension.Crash")

    def test_var_task(self):
        images.push(self.registry, [self.base, images.layer({"var": None, "var/task": None})], "task", MACHINE[1], Entrypoint=["/runtime"])
        self.assertEqual(self.ask(self.image("task"), "pwd"), "/var/task\n")

    def test_many_layers(self):
        tars = [images.layer({f"n/{i}": str(i).encode(), "last": str(i).encode()}) for i in range(24)]
        images.push(self.registry, [self.base, *tars], "tower", MACHINE[1], Entrypoint=["/runtime"])
        self.assertEqual(self.ask(self.image("tower"), "cat /last; set -- /n/*; echo \" $#\""), "23 24\n")

    def test_timeout_and_crash(self):
        name = self.image(Timeout=2)
        self.ask(name, "echo kept >/tmp/kept")
        reply = self.aws.invoke(FunctionName=name, Payload=images.event("sleep 30"))
        self.assertEqual(json.loads(reply["Payload"].read())["errorType"], "Sandbox.Timedout")
        self.aws.update_function_configuration(FunctionName=name, Timeout=60)
        self.settle(name)
        self.assertEqual(self.ask(name, "echo again"), "again\n")


if __name__ == "__main__":
    unittest.main()

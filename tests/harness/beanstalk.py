"""Environments of Elastic Beanstalk as a deploying tool uses them: bundles, operations, and the events that say how those ended."""
import base64
import gzip
import io
import json
import tarfile
import time
import urllib.error
import urllib.request
import uuid
import zipfile
import zlib

import botocore.exceptions
from busybox import busybox, push
from images import no_containers
from registry import Registry

AWAY = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError)
FACTS = "/var/cache/quartet/images/debian-12-amd64/image.json"
PROFILE = "aws-elasticbeanstalk-ec2-role"
STACK, NODE, DOCKER = "Python 3.11", "Node.js 18", "Docker"
PATIENCE_S = 180  # on a machine that does much else
# what a tool that deploys stops at
WELL = ("Successfully launched environment: ", "Environment update completed successfully.", "Successfully deployed new configuration to environment.",
        "terminateEnvironment completed successfully.", "restartAppServer completed successfully.", "Completed swapping CNAMEs for environments",
        "The environment was reverted to the previous configuration setting.")
BADLY = ("Failed to launch environment.", "Failed to deploy application.", "Failed to deploy configuration.",
         "Create environment operation is complete, but with errors", "Update environment operation is complete, but with errors")
APP = """import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join([%r, os.environ.get("COLOUR", "-"), environ["PATH_INFO"]]).encode()]
"""
SERVE = "trap 'exit 0' TERM; echo $WORD ${COLOUR:-none} $(id -un) > /tmp/index.html; echo serving $WORD; httpd -f -p $PORT -h /tmp & wait"


def why_no_platform(name="python3.11"):
    """Why no environment can run here; empty: one can."""
    try:
        with open(FACTS, encoding="utf-8") as f:
            return no_containers() if name in json.load(f).get("platforms", []) else f"the machine's image has no {name}: tools/make-image --help"
    except OSError:
        return "there is no image: tools/make-image"


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for path, text in files.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = 0o644 << 16
            z.writestr(info, text)
    return out.getvalue()


def wheel(name, text):
    """A package as pip takes it from a folder."""
    info = f"{name}-1.0.dist-info"
    return archive({f"{name}.py": text, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
                    f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", f"{info}/RECORD": ""})


def package(name, text):
    """One of npm's, as an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        for path, content in (("package.json", json.dumps({"name": name, "version": "1.0.0", "main": "main.js"})), ("main.js", text)):
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(content)
            t.addfile(info, io.BytesIO(content.encode()))
    return out.getvalue()


def gem(name, text):
    """One of RubyGems': archives in an archive."""
    def tar(files):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as t:
            for path, content in files:
                info = tarfile.TarInfo(path)
                info.size = len(content)
                t.addfile(info, io.BytesIO(content))
        return out.getvalue()
    about = f"--- !ruby/object:Gem::Specification\nname: {name}\nversion: !ruby/object:Gem::Version\n  version: 1.0.0\nplatform: ruby\nauthors:\n- x\nfiles:\n- lib/{name}.rb\nrequire_paths:\n- lib\nspecification_version: 4\nsummary: x\n"
    return tar([("metadata.gz", gzip.compress(about.encode())), ("data.tar.gz", gzip.compress(tar([(f"lib/{name}.rb", text.encode())])))])


# javac --release 11 -g:none of:
# public class Main { public static void main(String[] arguments) throws Exception {
#   var server = com.sun.net.httpserver.HttpServer.create(new java.net.InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
#   server.createContext("/", call -> {
#     byte[] text = String.join(" ", "java", System.getenv("COLOUR"), call.getRequestURI().toString()).getBytes();
#     call.sendResponseHeaders(200, text.length); call.getResponseBody().write(text); call.close(); });
#   server.start(); } }
MAIN_CLASS = ("eNqdVe93GkUUvVMgS7YTQ0gb26q1adN2SbQ0rZoqtVowNlQiFZJUpP6YsFMggV26M9CgfvUP8gvNqcd+9nj8mzy+XaiQUxJzhMPuzLw398697+3y59/PXwBYwc8mTiBkIMwRwQRDbEd0RLIhnGoyv7"
              "0jK5ph4nbdqes7DCErsWUgynAuSHKkTmbpUnQru1LftW1PKhWFyTC5fGPl2nX6LkfBGcIP8oUNE69h2kCMYwbxAzzFrtKySTxVqaXTYbhi5Uai2qs71VTi1SUTp3DawBzH6zjDMDNMyDpaVqXHEG0J"
              "T0maMpweB5o1YeCcL/0NhrkxGdnElom3cN7A2xwXMM8wX3GbSdV2Avk1rVtKeh3pJddoWAyGpKTiSaElQ3oAOdYqAs/9J1gqiksMLBmnal3muIKrBF8Tjt2QvlFHIqwFaV7KV5DgWMQSw1T/aBmXLN"
              "ojWx6NEX0czCOJB+gB8bsc1/zGiigtPB3FdVJzwcAN8ntInKkJryiftKVTkVG8Ry3jx6L4gMRm8rn8ZsHELXxo4COOFG4zXDqCfXWvQgZVyZ8p6qiCD6v0ZiFLTWclhvWgFTrgHXxi4FOOu0gz8NEg"
              "dY92+44wnLLGNuBnWDXwOcc9rB1s6cG28I5bdxhWR00e1ZoqHxY4hO4+xxfI0dFIWbqrpSIOK1FO+/Z8yZHHA4ZZJR27IFXLdZRck8KWHqVFrOx9v5lvocBRxAbDdOBOPy3t2l2GMy9V1t1kvq1bbU"
              "3UUjSJegsPDXzNUcI35Ma4JKJ46tX9ro9Y5XSf6hHHt0HxKw1XSQPf03HXhW9JOOPalBpuBrM5qzzm6dxiMKmYsqXrdEYDlD87zPo3QnVuiOa2LRZ8sAVqMMvKHaM/Uv7brP4Sk9Rk8yOYsbTraqU9"
              "0VqXuubaanoCDRNNOAZcjhaeMFwcnqbudNxdmcwFB6Ed4rGoaNcjU082R2d/jbbCYFOfoP9kqYWc6+62W6kxj+UhGze6Lfn/gn3Ko/cmXo1mRKNRpEqnYqiSK9rEd2hzPAZ1PM86jvQyDaGUpJLtMV"
              "w+ll4DPzKcPzqVXgb9ZMwT4wn4nxCY/8dF1x9oNkN3RvfI4jOwX4OESQhsU7IfvolwsO3qbzBK8cn4yX1M7WP2Gc6G9vFmbil+8TkWgB6sh0s9vNMHqNAvTKh2zPQlDqDuEasPlYonJ37HcikUv1ks"
              "hePvE2KxFFnsYaWHj4v7yPSQzS3O4I+lF7/0sE6Brwh6k+7lg/A1gtuhMafxLsnyoOjXoRWTVp6ii59w9h//lCIB")


def jar():
    """A program that answers at $PORT with "java", $COLOUR and the path."""
    return archive({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nMain-Class: Main\r\n\r\n", "Main.class": zlib.decompress(base64.b64decode(MAIN_CLASS))})


def make_profile(iam):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    try:
        iam.create_role(RoleName=PROFILE, AssumeRolePolicyDocument=json.dumps(trust))
        iam.attach_role_policy(RoleName=PROFILE, PolicyArn="arn:aws:iam::aws:policy/AWSElasticBeanstalkWebTier")
        iam.create_instance_profile(InstanceProfileName=PROFILE)
        iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName=PROFILE)
    except iam.exceptions.EntityAlreadyExistsException:
        pass


def make_base(make, endpoint, name="shop/base"):
    """An image in ECR that instances with the profile may pull, with busybox in it; its name. It serves a file with WORD, COLOUR and who runs it."""
    ecr = make("ecr")
    try:
        ecr.create_repository(repositoryName=name)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        pass
    make("iam").attach_role_policy(RoleName=PROFILE, PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly")
    account, region = make("sts").get_caller_identity()["Account"], ecr.meta.region_name
    push(Registry(ecr, endpoint, name, host=f"{account}.dkr.ecr.{region}.localhost"), busybox(), "1", Env=["PATH=/bin", "WORD=image", "PORT=8080"],
         Cmd=["/bin/sh", "-c", SERVE], ExposedPorts={"8080/tcp": {}})
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{name}:1"


def option(namespace, name, value):
    return {"Namespace": f"aws:{namespace}", "OptionName": name, "Value": value}


def coloured(value):
    return option("elasticbeanstalk:application:environment", "COLOUR", value)


class Tool:
    """One application in one cloud; `make` makes clients by a service's name."""

    def __init__(self, make, endpoint, application=None):
        self.make, self.endpoint = make, endpoint
        self.application = application or f"app-{uuid.uuid4().hex[:10]}"
        self.renew()
        make_profile(self.make("iam"))
        self.bucket = self.eb.create_storage_location()["S3Bucket"]

    def renew(self):
        self.eb, self.s3, self.ec2, self.scaling = (self.make(name) for name in ("elasticbeanstalk", "s3", "ec2", "autoscaling"))

    def version(self, label, files):
        key = f"{self.application}/{label}.zip"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=files if isinstance(files, bytes) else archive(files))
        self.eb.create_application_version(ApplicationName=self.application, VersionLabel=label, AutoCreateApplication=True,
                                           SourceBundle={"S3Bucket": self.bucket, "S3Key": key})

    def create(self, name, label, *options, stack=STACK, balanced=False, **more):
        stack, = [s for s in self.eb.list_available_solution_stacks()["SolutionStacks"] if s.endswith(f" running {stack}")]
        more.setdefault("Tags", []).append({"Key": "quartet:driver", "Value": "container"})
        if not balanced:
            options = (option("elasticbeanstalk:environment", "EnvironmentType", "SingleInstance"), *options)
        return self.eb.create_environment(
            ApplicationName=self.application, EnvironmentName=name, VersionLabel=label, SolutionStackName=stack,
            OptionSettings=[option("autoscaling:launchconfiguration", "IamInstanceProfile", PROFILE), *options], **more)

    def drop(self, name):
        """It is gone, however far it has come."""
        until = time.monotonic() + PATIENCE_S
        while self.environment(name) and time.monotonic() < until:
            try:
                self.wait(self.eb.terminate_environment(EnvironmentName=name))
            except AWAY:
                time.sleep(0.2)

    def environment(self, name):
        found = self.eb.describe_environments(EnvironmentNames=[name])["Environments"]
        return found[0] if found else None

    def events(self, request):
        """Oldest first."""
        return self.eb.describe_events(RequestId=request)["Events"][::-1]

    def wait(self, reply):
        """Until the events of that operation say that it is over; what they say."""
        request, until, said = reply["ResponseMetadata"]["RequestId"], time.monotonic() + PATIENCE_S, []
        while time.monotonic() < until:
            try:
                said = [e["Message"] for e in self.events(request)]
            except AWAY:
                pass
            if any(m.startswith(WELL + BADLY) for m in said):
                return said
            time.sleep(0.1)
        raise AssertionError(f"it does not end: {said}")

    def get(self, cname, path="/"):
        """What is served under a CNAME, by its name under localhost; None: nobody answers."""
        host = cname.replace(".elasticbeanstalk.com", ".elasticbeanstalk.localhost")
        try:
            with urllib.request.urlopen(urllib.request.Request(self.endpoint + path, headers={"Host": host}), timeout=10) as reply:
                return reply.read().decode()
        except (urllib.error.URLError, OSError):
            return None

    def left(self):
        """What there is of EC2's and Auto Scaling's that carries this application's environments' names."""
        mine = [{"Name": "tag-key", "Values": ["elasticbeanstalk:environment-name"]}]
        states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        return {
            "groups": [g["GroupName"] for g in self.ec2.describe_security_groups(Filters=mine)["SecurityGroups"]],
            "addresses": [a["PublicIp"] for a in self.ec2.describe_addresses(Filters=mine)["Addresses"]],
            "templates": [t["LaunchTemplateName"] for t in self.ec2.describe_launch_templates(Filters=mine)["LaunchTemplates"]],
            "scaling": [g["AutoScalingGroupName"] for g in self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] if g["AutoScalingGroupName"].startswith("awseb-")],
            "instances": [i["InstanceId"] for r in self.ec2.describe_instances(Filters=mine + states)["Reservations"] for i in r["Instances"]]}

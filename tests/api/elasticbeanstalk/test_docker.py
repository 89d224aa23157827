"""The platform Docker of Elastic Beanstalk: images of ECR, Dockerfiles built in the instance, docker-compose.yml. Nothing is fetched from outside."""
import io
import json
import time
import unittest
import urllib.request
import zipfile

from aws import ENDPOINT, client
from beanstalk import DOCKER, SERVE, Tool, make_base, option, why_no_platform
from busybox import why_not
from images import image
from test_platforms import PROPERTIES, PlatformCase

REGION = "eu-south-1"
ACCOUNT = "000000000000"
BASE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/base:1"
WELL, BADLY = "Environment update completed successfully.", "Failed to deploy application."
FETCH = "trap 'exit 0' TERM; until wget -qO /tmp/index.html http://shelf:9000/; do sleep 0.1; done; httpd -f -p 8080 -h /tmp & wait"
RUN = {"AWSEBDockerrunVersion": "1", "Image": {"Name": BASE}, "Ports": [{"ContainerPort": 8080}]}
DOCKERFILE = f"""ARG FROM={BASE}
FROM {BASE} AS made
WORKDIR /made
COPY words.txt .
RUN tr a-z A-Z < words.txt > loud.txt && touch -t 200001010000 loud.txt
FROM $FROM
ARG SIZE=large
ENV PORT=7000 SIZE=$SIZE
COPY --from=made /made/loud.txt /loud.txt
COPY serve.sh /bin/serve
USER web
EXPOSE 7000/tcp
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["export WORD=$(cat /loud.txt)-$SIZE; exec sh /bin/serve"]
"""
SHELL = ["/bin/sh", "-c"]
SERVICES = {
    "marks": {"image": BASE, "command": [*SHELL, "echo mark >> /kept/mark"], "volumes": ["kept:/kept"], "networks": ["inner"]},
    "web": {"build": ".", "networks": ["inner"], "entrypoint": SHELL, "command": [FETCH.replace("$", "$$")], "ports": ["80:8080"], "restart": "always",
            "depends_on": {"store": {"condition": "service_healthy"}, "marks": {"condition": "service_completed_successfully"}}},
    "store": {"image": BASE, "env_file": ".env", "environment": {"WORD": "stored", "PORT": 9000}, "restart": "always", "volumes": ["kept:/kept", "./:/given:ro"], "depends_on": ["marks"],
              "healthcheck": {"test": 'test "$$WORD" = stored && wget -qO- http://127.0.0.1:9000/', "interval": "1s"}, "networks": {"inner": {"aliases": ["shelf"]}},
              "command": [*SHELL, "cat /kept/mark /given/words.txt; " + SERVE.replace("$", "$$")]},
}


def services(**more):
    return json.dumps({"services": {name: {**one, **more.get(name, {})} for name, one in SERVICES.items()}, "volumes": {"kept": None}, "networks": {"inner": None}})


def bomb():
    """A thousand million of x, in ten lines."""
    return "".join(f"{a}: &{a} [{', '.join([b] * 10)}]\n" for a, b in zip("abcdefghi", ["x", *(f"*{c}" for c in "abcdefgh")]))


@unittest.skipIf(why_no_platform("docker") or why_not(), why_no_platform("docker") or why_not())
class Docker(PlatformCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb = cls.tool.eb
        if not image(cls.tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        make_base(cls.tool.make, ENDPOINT)

    def deploy(self, label, end, **files):
        self.tool.version(label, {{"Dockerrun": "Dockerrun.aws.json", "compose": "docker-compose.yml", "serve": "serve.sh", "words": "words.txt"}.get(name, name): text
                                  for name, text in files.items()})
        return self.update("docker-env", end, VersionLabel=label)

    def reached(self, text):
        until = time.monotonic() + 60
        while (said := self.tool.get(self.cname)) != text and time.monotonic() < until:
            time.sleep(0.1)
        self.assertEqual(said, text)

    def logs(self, kind="tail"):
        self.eb.request_environment_info(EnvironmentName="docker-env", InfoType=kind)
        until, found = time.monotonic() + 60, []
        while not found and time.monotonic() < until:
            found = self.eb.retrieve_environment_info(EnvironmentName="docker-env", InfoType=kind)["EnvironmentInfo"]
            time.sleep(0.1)
        with urllib.request.urlopen(found[0]["Message"], timeout=30) as reply:
            data = reply.read()
        if kind == "tail":
            return data.decode(errors="replace")
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            return {name: z.read(name).decode(errors="replace") for name in z.namelist()}

    def test_life(self):
        tool = self.tool
        tool.version("image", {"Dockerrun.aws.json": json.dumps({**RUN, "Ports": [{"ContainerPort": 8080}, {"ContainerPort": 8080, "HostPort": 8088}], "Logging": "/tmp"}),
                               ".ebextensions/a.config": "container_commands:\n  01_said:\n    command: echo $COLOUR > /tmp/said\n"})
        self.cname, _ = self.make("docker-env", "image", option(PROPERTIES, "COLOUR", "red"), stack=DOCKER)
        self.reached("image red root\n")
        made = tool.environment("docker-env")
        self.assertRegex(made["SolutionStackName"], r"^64bit Amazon Linux 2023 v[0-9.]+ running Docker$")
        self.assertEqual(made["PlatformArn"].split("/")[1], "Docker running on 64bit Amazon Linux 2023")
        self.update("docker-env", "Successfully deployed new configuration to environment.", OptionSettings=[option(PROPERTIES, "COLOUR", "blue")])
        self.reached("image blue root\n")
        with self.subTest("a Dockerfile of two stages, as another user"):
            self.deploy("file", WELL, Dockerfile=DOCKERFILE, serve=SERVE, words="built")
            self.reached("BUILT-large blue web\n")
        with self.subTest("a build that fails leaves what runs"):
            told = self.deploy("broken", BADLY, Dockerfile=f"FROM {BASE}\nRUN echo this was $((40 + 2)); exit 3\nEXPOSE 1\n")
            self.assertTrue([m for m in told if "Instance deployment failed to build the Docker image." in m], told)
            self.deploy("absent", BADLY, Dockerrun=json.dumps({**RUN, "Image": {"Name": BASE.replace("base", "absent")}}))
            told = self.deploy("quits", BADLY, Dockerrun=json.dumps({**RUN, "Command": "/bin/sh -c 'echo so long; exit 4'"}))
            self.assertTrue([m for m in told if "Docker container quit unexpectedly after launch: so long" in m], told)
            self.deploy("closed", BADLY, Dockerfile="FROM scratch\nCMD [\"true\"]\n")
            self.reached("BUILT-large blue web\n")
            said = self.logs()
            for text in ("this was 42", "/var/log/eb-docker/containers/eb-current-app/stdouterr.log", "serving BUILT-large"):
                self.assertIn(text, said)
        with self.subTest("services that find each other"):
            self.deploy("compose", WELL, compose=services(), Dockerfile=f"FROM {BASE}\n", words="given\n")
            self.reached("stored blue root\n")
            self.update("docker-env", "Successfully deployed new configuration to environment.", OptionSettings=[option(PROPERTIES, "COLOUR", "green")])
            self.reached("stored green root\n")
            self.assertTrue(self.logs("bundle")["var/log/eb-docker/containers/eb-current-app/store-stdouterr.log"].endswith("mark\nmark\ngiven\nserving stored\n"))
        with self.subTest("what would harm is refused"):
            for label, files, why in (
                    ("privileged", {"compose": services(web={"privileged": True})}, "privileged is not supported"),
                    ("options", {"Dockerrun": json.dumps({**RUN, "Image": {"Name": "--all"}})}, "invalid reference format"), ("bomb", {"compose": bomb()}, "too large"),
                    ("deep", {"Dockerfile": f"FROM {BASE}\n" + "RUN true\n" * 1000}, "max depth exceeded")):
                told = self.deploy(label, BADLY, **files)
                self.assertTrue([m for m in told if why in m], told)
            self.reached("stored green root\n")
        with self.subTest("nginx comes back"):
            self.deploy("again", WELL, Dockerrun=json.dumps(RUN))
            self.reached("image green root\n")


if __name__ == "__main__":
    unittest.main()

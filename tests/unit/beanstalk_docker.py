"""What the platform Docker makes of a bundle (guest/beanstalk_docker.py, _compose.py, _images.py, _network.py, _box.py)."""
import json
import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../guest"))
import beanstalk_box as box  # noqa: E402
import beanstalk_compose as compose  # noqa: E402
import beanstalk_images as images  # noqa: E402
import beanstalk_network as network  # noqa: E402
import beanstalk_system as system  # noqa: E402
from beanstalk_deployment import BundleCase  # noqa: E402
from beanstalk_docker import CURRENT, Docker, exposed, last_words  # noqa: E402
from ecs_client import Refused  # noqa: E402
from ecs_image import Image  # noqa: E402

APP = "/var/app/current"
LARGE = "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9))


class DockerCase(BundleCase):
    def docker(self, client=None, **properties):
        one = Docker({}, 3)
        one.bind(client, 5, self.root, APP, properties)
        return one

    def known(self, **properties):
        return self.docker(**properties).known()[0]


class Single(DockerCase):
    def run_file(self, said, dockerfile=None):
        self.put("Dockerrun.aws.json", said if isinstance(said, str) else json.dumps({"AWSEBDockerrunVersion": "1", **said}))
        if dockerfile:
            self.put("Dockerfile", dockerfile)

    def test_image(self):
        self.run_file({"Image": {"Name": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1", "Update": "false"},
                       "Ports": [{"ContainerPort": "8080"}, {"ContainerPort": 9000, "HostPort": 9001}], "Volumes": [{"HostDirectory": "/srv/x", "ContainerDirectory": "/x"}],
                       "Logging": "/var/log/shop", "Command": "serve --all 'a b'", "Entrypoint": '["/bin/tool", "x y"]'})
        one, = self.known(COLOUR="red")
        self.assertEqual((one["image"], one["update"], one["inner"], one["ports"]), ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1", False, [8080, 9000], [("tcp", 9001, 9000)]))
        self.assertEqual(one["binds"], [("/srv/x", "/x", False), (CURRENT, "/var/log/shop", False)])
        self.assertEqual((one["command"], one["entryPoint"], one["environment"]), (["serve", "--all", "a b"], ["/bin/tool", "x y"], {"COLOUR": "red"}))

    def test_file(self):
        self.put("Dockerfile", "FROM scratch\n")
        one, = self.known()
        self.assertEqual((one["image"], one["build"]["context"], one["inner"]), (None, self.root, []))
        self.run_file({"Ports": [{"ContainerPort": 5000}]})
        self.assertEqual(self.known()[0]["inner"], [5000])

    def test_refused(self):
        self.fails("Both 'Dockerfile' and 'Dockerrun.aws.json' are missing", self.known)
        image = {"Image": {"Name": "x"}}
        for said, why in (("{", "isn't valid JSON"), ("[" * 100000, "isn't valid JSON"), ("[]", "unsupported version"), ('{"AWSEBDockerrunVersion": 2}', "unsupported version"),
                          ({}, "names no Image"), (image, "has to list Ports"), ({**image, "Privileged": True}, "not supported: Privileged"),
                          ({"Image": {"Name": "--privileged x"}, "Ports": [{"ContainerPort": 1}]}, "invalid reference format"),
                          ({"Image": {"Name": "x@sha256:1"}, "Ports": [{"ContainerPort": 1}]}, "invalid reference format"), ({"Image": "x"}, "must be an object"),
                          ({**image, "Ports": [{"ContainerPort": 0}]}, "is no port"), ({**image, "Ports": [{"ContainerPort": True}]}, "is no port"),
                          ({**image, "Ports": [{"ContainerPort": 1, "HostPort": 80}]}, "the proxy's"), ({**image, "Ports": [{"HostPort": 1}]}, "has a ContainerPort"),
                          ({**image, "Ports": [{"ContainerPort": 1}], "Volumes": [{"HostDirectory": "x", "ContainerDirectory": "/y"}]}, "absolute HostDirectory"),
                          ({**image, "Ports": [{"ContainerPort": 1}], "Logging": "/"}, "name folders"), ('{"AWSEBDockerrunVersion": "3"}', "goes with a 'docker-compose.yml'")):
            self.run_file(said)
            self.fails(why, self.known)
        self.run_file({**image, "Ports": [{"ContainerPort": 1}]}, "FROM scratch\n")
        self.fails("not both", self.known)
        self.put("Procfile", "web: docker run x\n")
        self.fails("Procfile", self.known)

    def test_first_port(self):
        """As the last stage of the Dockerfile names it; else the lowest that the image has."""
        config = {"ExposedPorts": {"9000/tcp": {}, "8080/tcp": {}, "53/udp": {}}}
        self.put("Dockerfile", "FROM a AS b\nEXPOSE 8080\nFROM b\n  expose 9000/tcp 8080\nEXPOSE 8080\n")
        self.assertEqual(exposed(f"{self.root}/Dockerfile", config), 9000)
        self.put("Dockerfile", "FROM a\nEXPOSE $PORT\n")
        self.assertEqual(exposed(f"{self.root}/Dockerfile", config), 8080)
        self.assertEqual((exposed(None, config), exposed(None, {}), exposed(f"{self.root}/Dockerfile", {"ExposedPorts": {"53/udp": {}}})), (8080, None, None))

    def test_login(self):
        """What is in a bucket for other registries, new and old."""
        asked, texts = [], {"new": '{"auths": {"https://one.example/v1/": {"auth": "YTpi"}}}', "old": '{"two.example": {"auth": "Yzpk", "email": ""}}', "bad": "x", "list": "[]"}
        one = self.docker(mock.Mock(object=lambda bucket, key: asked.append(bucket) or texts[key]))
        self.assertEqual(one.login({"Authentication": {"Bucket": "b", "Key": "new"}}), {"auths": {"one.example": {"auth": "YTpi"}}})
        self.assertEqual(one.login({"Authentication": {"bucket": "b", "key": "old"}}), {"auths": {"two.example": {"auth": "Yzpk"}}})
        self.assertEqual((asked, one.login({}), one.login(None)), (["b", "b"], None, None))
        for key in ("bad", "list"):
            self.fails("file of Authentication", one.login, {"Authentication": {"Bucket": "b", "Key": key}})
        self.fails("has a Bucket and a Key", one.login, {"Authentication": {"Bucket": "b"}})
        one.client = mock.Mock(object=mock.Mock(side_effect=Refused("NoSuchKey", "gone")))
        self.fails("cannot be fetched: NoSuchKey", one.login, {"Authentication": {"Bucket": "b", "Key": "k"}})


class Compose(DockerCase):
    def file(self, text):
        self.put("docker-compose.yml", text)

    def test_services(self):
        self.put("web/Dockerfile", "FROM scratch\n")
        self.put("more.env", 'A=1\nexport B="two\\nlines"\n# no\nC=\'$x\' \nD=e # note\n')
        self.file("""version: "3.8"
x-common: &common
  restart: always
  init: yes
services:
  web:
    <<: *common
    build:
      context: web
      args: [ONE=1]
      target: last
    ports: ["80:8080", "9000-9001:9100-9101/udp", {target: 5, published: 6}]
    environment: {COLOUR: "${COLOUR:-none}", KEPT: $$x, EMPTY: "", MINE: }
    env_file: [more.env]
    command: serve "a b"
    entrypoint: ["/bin/sh", "-c"]
    depends_on: {db: {condition: service_healthy}}
    networks: [inner, outer]
    volumes: [./static:/srv:ro, data:/data, "${EB_LOG_BASE_DIR}/web:/log", {type: tmpfs, target: /run}, /kept]
    extra_hosts: ["other:10.0.0.1"]
    tmpfs: /tmp
  db:
    image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/db
    environment: [COLOUR, SIZE=large, NOT_THERE]
    restart: on-failure:3
    user: "1000"
    working_dir: /x
    read_only: true
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    container_name: base
    links: ["web2:front"]
    labels: {a: b}
    networks: {inner: {aliases: [shelf]}}
    healthcheck: {test: [CMD, /well], interval: 2s, timeout: 1s, retries: 4, start_period: 1m}
    mem_limit: 1g
    mem_reservation: 64M
    cpu_shares: 512
    shm_size: 32m
    cap_drop: [CAP_CHOWN, ALL]
    security_opt: ["no-new-privileges:true"]
  web2:
    image: x
    networks: inner
    healthcheck: {test: "true"}
networks:
  inner:
  outer: {driver: bridge}
volumes:
  data:
""")
        found = self.known(COLOUR="red", MINE="m")
        self.assertEqual([one["name"] for one in found], ["web2", "db", "web"])
        _, db, web = found
        self.assertEqual(web["build"], {"context": os.path.realpath(f"{self.root}/web"), "dockerfile": os.path.realpath(f"{self.root}/web/Dockerfile"), "target": "last", "arguments": ["ONE=1"]})
        self.assertEqual(web["ports"], [("tcp", 80, 8080), ("udp", 9000, 9100), ("udp", 9001, 9101), ("tcp", 6, 5)])
        self.assertEqual(web["environment"], {"A": "1", "B": "two\nlines", "C": "$x", "D": "e", "COLOUR": "red", "KEPT": "$x", "EMPTY": "", "MINE": "m"})
        self.assertEqual((web["command"], web["entryPoint"], web["restart"], web["conditions"]), (["serve", "a b"], ["/bin/sh", "-c"], ("always", 0), {"db": "service_healthy"}))
        self.assertEqual(web["binds"], [(f"{APP}/static", "/srv", True), (f"{box.VOLUMES}/data", "/data", False), ("/var/log/eb-docker/containers/web", "/log", False),
                                        (f"{box.VOLUMES}/web-_kept", "/kept", False)])
        self.assertEqual(web["linuxParameters"], {"initProcessEnabled": True, "capabilities": {"drop": []},
                                                  "tmpfs": [{"containerPath": "/run", "size": 64}, {"containerPath": "/tmp", "size": 64}]})
        self.assertEqual((db["check"], found[0]["check"]["argv"], web["check"]), ({"argv": ["/well"], "timeout": 1, "within": 72}, ["/bin/sh", "-c", "true"], None))
        self.assertEqual((db["memory"], db["memoryReservation"], db["cpu"], db["dockerSecurityOptions"]), (1024, 64, 512, ["no-new-privileges"]))
        self.assertEqual((db["linuxParameters"]["sharedMemorySize"], db["linuxParameters"]["capabilities"]), (32, {"drop": ["CHOWN", "ALL"]}))
        self.assertEqual((db["environment"], db["restart"], db["user"], db["stopSignal"], db["stopTimeout"]), ({"COLOUR": "red", "SIZE": "large"}, ("on-failure", 3), "1000", "SIGINT", 90))
        self.assertEqual((db["aliases"], db["nicknames"], db["readonlyRootFilesystem"]), (["db", "base", "shelf"], {"front": "web2"}, True))
        self.assertEqual(self.read(f"{self.root}/.env"), "# Made of the environment's properties.\nCOLOUR=red\nMINE=m\n")

    def test_dotenv(self):
        """Made anew for other properties, unless the bundle has its own."""
        self.file("services: {a: {image: x, env_file: .env}}\n")
        self.assertEqual(self.known(A="1")[0]["environment"], {"A": "1"})
        self.assertEqual(self.known(B="2")[0]["environment"], {"B": "2"})
        self.put(".env", "OWN=1\n")
        self.assertEqual(self.known(B="2")[0]["environment"], {"OWN": "1"})
        os.unlink(f"{self.root}/.env")
        os.symlink("/etc/passwd", f"{self.root}/.env")
        self.fails("'.env' is no file", self.known)

    def test_refused(self):
        for text, why in (
                ("services: {a: {image: x, privileged: true}}", "services.a: privileged is not supported"), ("services: {a: {image: x, cap_add: [SYS_ADMIN]}}", "cap_add is not"),
                ("services: {a: {image: x, network_mode: host}}", "network_mode is not supported"), ("services: {a: {image: x, networks: [m]}, b: {image: x}}\nnetworks: {m: }", "shares no network with b"),
                ("services: {a: {image: x, networks: [m]}}", "undefined network m"), ("services: {a: {image: x}}\nnetworks: {m: {driver: overlay}}", "bridge alone"),
                ("services: {a: {image: x, healthcheck: {test: [X, y]}}}", "begins with CMD"), ("services: {a: {image: x, mem_limit: much}}", "must be a size"),
                ("services: {a: {image: x, security_opt: [seccomp=unconfined]}}", "no-new-privileges alone"), ("secrets: {}\nservices: {a: {image: x}}", "secrets is not supported"),
                ("services: {a: {image: --privileged}}", "invalid reference format"), ("services: {a: {image: 'x y'}}", "invalid reference format"), ("services: {}", "no services"),
                ("services: {a: {}}", "neither an image nor a build"), ("services: {a: {build: ../..}}", "not in the source bundle"), ("services: {a: {build: .}}", "there is no Dockerfile"),
                ("services: {a: {image: x, ports: [8080]}}", "has to be said"), ("services: {a: {image: x, ports: ['127.0.0.1:1:1']}}", "single addresses"),
                ("services: {a: {image: x, ports: ['1-3:1-2']}}", "invalid port"), ("services: {a: {image: x, ports: ['70000:1']}}", "invalid port"),
                ("services: {a: {image: x, ports: ['1:1']}, b: {image: x, ports: ['1:2']}}", "already allocated"),
                ("services: {a: {image: x, volumes: ['v:/x']}}", "undefined volume v"), ("services: {a: {image: x, volumes: ['/var/run/docker.sock:/x']}}", "no Docker"),
                ("services: {a: {image: x, volumes: ['./x:/']}}", "no place in a container"), ("services: {a: {image: x, env_file: ../../etc/passwd}}", "not in the source bundle"),
                ("services: {a: {image: x, env_file: none}}", "not found"), ("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}", "a -> b -> a"),
                ("services: {a: {image: x, depends_on: [c]}}", "undefined service c"), ("services: {a: {image: x, depends_on: {a: {condition: service_happy}}}}", "its condition alone"),
                ("services: {a: {image: '${X:?say it}'}}", "X is missing a value: say it"), ("services: {a: {image: '${X'}}", "invalid interpolation"),
                ("services: {'a;b': {image: x}}", "is no service"), ("services: {a: {image: x, restart: sometimes}}", "invalid restart policy"),
                ("services: {a: {image: x, command: 'a \"b'}}", "No closing quotation"), ("services: [", "cannot be read"), ("[]", "is no map"), ("a: &a [*a]", "within what it stands for"),
                ("a: &a [x]\n" + LARGE, "too large once"), ("a: &a {k: v}\n" + LARGE.replace("[", "{<<: [").replace("]", "]}"), "too large once"), ("a: " + "[" * 3000, "too deep"),
                ("services: {" + ", ".join(f"s{n}: {{image: x}}" for n in range(51)) + "}", "more than 50 services"), ("x: " + "y" * (1 << 20), "too large")):
            self.file(text)
            self.fails(why, self.known)


class Containers(DockerCase):
    def test_names(self):
        for name in ("x", "a/b:c", "localhost:5000/a/b", "r.example.com/a@sha256:" + "0" * 64, "A.example/x_y"):
            self.assertEqual(images.check_name(name), name)
        for name in ("", "-x", "--opt", "a b", "a:b:c/d e", "a\n", "docker://x", "oci:/etc", "/x", None, "x" + "/" * 3 + " "):
            self.fails("invalid reference format", images.check_name, name)
        self.assertEqual(images.accounts(["FROM 123456789012.dkr.ecr.eu-west-1.amazonaws.com/x AS y", "x"]), [("123456789012", "eu-west-1")])

    def test_build(self):
        """A layer a step; an image that says nothing of its layers is built upon as a whole. What would be too many is not begun."""
        one, asked, said = object.__new__(images.Images), [], ["internal error: history lists 1 non-empty layers, but we have 2 layers on disk", ""]
        one.run = lambda *words, cwd: asked.append(words) or system.Done(1 if said[0] else 0, said.pop(0))
        self.put("Dockerfile", "FROM a\nRUN b\n")
        one.build("localhost/eb-1-x", self.root, f"{self.root}/Dockerfile", ["A=1"], "last")
        self.assertEqual([words[:2] for words in asked], [("build", "--layers"), ("build", "--layers=false")])
        self.assertEqual(asked[0][-7:], ("localhost/eb-1-x", "--build-arg", "A=1", "--target", "last", "--", self.root))
        said[:] = ["COPY failed"]
        self.fails(r"Instance deployment failed to build the Docker image\. The deployment failed\. COPY failed", one.build, "x", self.root, f"{self.root}/Dockerfile")
        for n, fine in ((127, True), (128, False)):
            self.put("Dockerfile", "FROM a\n" + "RUN b\n" * 100 + "FROM b\n" + "ENV a=b\n" * 300 + "copy c /\n" * n)
            images.check_steps(f"{self.root}/Dockerfile") if fine else self.fails("max depth exceeded", images.check_steps, f"{self.root}/Dockerfile")

    def test_check_of_image(self):
        self.assertEqual(box.check_of({"Test": ["CMD-SHELL", "a b"], "Interval": 5 * 10**9, "Timeout": 10**9, "Retries": 2}), {"argv": ["/bin/sh", "-c", "a b"], "timeout": 1, "within": 12})
        self.assertEqual([box.check_of({"Test": test}) and box.check_of({"Test": test})["argv"] for test in (["CMD", "x", "y"], ["NONE"], [], None)], [["x", "y"], None, None, None])

    def test_rules(self):
        text = network.rules("172.17.0.0/16", [("tcp", 80, "172.17.0.2", 8080), ("udp", 53, "172.17.0.3", 53)])
        self.assertIn("elements = { 80 : 172.17.0.2 . 8080 };", text)
        self.assertIn("elements = { 53 : 172.17.0.3 . 53 };", text)
        self.fails("already allocated to sshd", network.check, [("tcp", 22, "", 1)])

    def test_unit(self):
        self.enterContext(mock.patch.object(box, "PLACE", f"{self.logs}/boxes"))
        definition = {"name": "web", "log": f"{self.logs}/deep/web.log", "conditions": {"db": "service_started"}, "restart": ("on-failure", 3), "stopTimeout": 90}
        one = box.Box(7, definition, "172.17.0.2", [])
        one.image = Image("x", {"StopSignal": "SIGINT"}, [])
        text = one.unit()
        for line in ("After=eb-7-db.service", "KillSignal=2", "TimeoutStopSec=90", "Restart=on-failure", "StartLimitBurst=4", "StartLimitIntervalSec=infinity"):
            self.assertIn(line + "\n", text)
        self.assertIn("(m >> 1) & 1", text)
        self.assertTrue(os.path.isdir(f"{self.logs}/deep"))
        self.assertEqual([box.number_of(s) for s in ("SIGTERM", "QUIT", "9", "SIGNONE")], [15, 3, 9, 15])

    def test_last_words(self):
        path = f"{self.logs}/x"
        with open(path, "w", encoding="utf-8") as f:
            f.write("before\nafter\n" + "x" * 300 + "end\n")
        self.assertEqual(last_words(path, len("before\n"))[-5:], "xxend")
        self.assertEqual(len(last_words(path, 0)), 200)

    def test_specification(self):
        """The environment of the image and of the definition, names of the others, and no more rights than a container of ECS has."""
        self.enterContext(mock.patch.object(box, "PLACE", f"{self.logs}/boxes"))
        self.put("etc/passwd", "web:x:1001:1002:web:/home/web:/bin/sh\n")
        boxes = []
        for n, name in enumerate(("web", "db")):
            boxes.append(box.Box(7, {"name": name, "log": "", "environment": {"A": "mine"}, "aliases": [name, f"{name}-alias"], "nicknames": {"store": "db"},
                                     "binds": [(f"{self.logs}/made", "/data", True)], "user": "web"}, f"172.17.0.{n + 2}", boxes))
        web = boxes[0]
        os.makedirs(web.place)
        web.image, web.root = Image("x", {"Env": ["A=image", "B=2"], "Cmd": ["/serve"], "WorkingDir": "/srv"}, []), self.root
        said = web._specification(self.root, "/run/netns/x")
        self.assertEqual({line.partition("=")[0]: line.partition("=")[2] for line in said["process"]["env"] if not line.startswith("PATH")},
                         {"A": "mine", "B": "2", "HOME": "/home/web", "HOSTNAME": "web"})
        self.assertEqual((said["process"]["args"], said["process"]["cwd"], said["process"]["user"]["uid"]), (["/serve"], "/srv", 1001))
        self.assertIn("172.17.0.3 db db-alias\n172.17.0.3 store\n", self.read(f"{web.place}/hosts"))
        self.assertIn({"destination": "/data", "type": "bind", "source": f"{self.logs}/made", "options": ["rbind", "ro"]}, said["mounts"])
        self.assertNotIn("CAP_SYS_ADMIN", said["process"]["capabilities"]["bounding"])
        self.assertEqual(said["linux"]["namespaces"][-2:], [{"type": "network", "path": "/run/netns/x"}, {"type": "uts"}])


if __name__ == "__main__":
    unittest.main()

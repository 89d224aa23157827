"""ECS: how long tasks and services take, next to the runtime and to podman by hand, and what they hold of memory."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time

from busybox import busybox, push
from leftovers import instance_of
from parts.tools import Skip, children, median, pss_mib
from registry import Registry

LIMIT_S = 60  # of a part
TASK_MIB = 512
SLEEP = "trap 'exit 0' TERM; sleep 1000 & wait"


class Tasks:
    """A cloud with busybox in its registry, and a definition."""

    def __init__(self, cloud):
        self.cloud = cloud
        ecr, iam = cloud.client("ecr"), cloud.client("iam")
        self.uri = ecr.create_repository(repositoryName="bench")["repository"]["repositoryUri"]
        push(Registry(ecr, cloud.endpoint, "bench", host=self.uri.split("/")[0]), busybox())
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        self.role = iam.create_role(RoleName="exec", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="exec", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["ecr:*", "logs:*"], "Resource": "*"}]}))
        self.ask("CreateCluster", clusterName="default")
        subnet = cloud.client("ec2").describe_subnets()["Subnets"][0]
        self.vpc = subnet["VpcId"]
        self.network = {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"]], "assignPublicIp": "DISABLED"}}
        self.define("idle", SLEEP)

    def ask(self, action, **fields):
        target = "AmazonEC2ContainerServiceV20141113." + action
        return json.loads(self.cloud.call("ecs", "POST", "/", json.dumps(fields).encode(),
                                          {"content-type": "application/x-amz-json-1.1", "x-amz-target": target})[1])

    def define(self, family, command, **container):
        self.ask("RegisterTaskDefinition", family=family, requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory=str(TASK_MIB),
                 executionRoleArn=self.role, containerDefinitions=[{"name": "c", "image": self.uri, "command": ["/bin/sh", "-c", command], **container}])

    def run(self, count=1, family="idle"):
        arns = []
        while len(arns) < count:
            made = self.ask("RunTask", taskDefinition=family, launchType="FARGATE", networkConfiguration=self.network, count=min(10, count - len(arns)))
            if made["failures"]:
                raise RuntimeError(made["failures"])
            arns += [t["taskArn"] for t in made["tasks"]]
        return arns

    def until(self, arns, status, seconds=LIMIT_S):
        """Milliseconds until all of them are there."""
        begin, left = time.perf_counter(), list(arns)
        while left:
            tasks = self.ask("DescribeTasks", tasks=left[:100])["tasks"]
            ended = [t for t in tasks if t["lastStatus"] == "STOPPED" != status]
            if ended or time.perf_counter() - begin > seconds:
                raise RuntimeError(f"no {status} after {seconds} s: {ended[:1] or tasks[:1]}")
            done = {t["taskArn"] for t in tasks if t["lastStatus"] == status}
            left = [arn for arn in left if arn not in done]
            time.sleep(0.002)
        return (time.perf_counter() - begin) * 1000

    def end(self, arns):
        for arn in arns:
            self.ask("StopTask", task=arn)
        self.until(arns, "STOPPED")

    def service(self, name, count, family="idle", **more):
        self.ask("CreateService", serviceName=name, taskDefinition=family, desiredCount=count, launchType="FARGATE", networkConfiguration=self.network, **more)

    def shown(self, name):
        return self.ask("DescribeServices", services=[name])["services"][0]

    def steady(self, name, count, seconds=LIMIT_S):
        """Seconds until it has so many tasks, of one revision, and says so."""
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            s = self.shown(name)
            if s["runningCount"] == count and not s["pendingCount"] and len(s["deployments"]) == 1 and s["deployments"][0]["rolloutState"] == "COMPLETED":
                return time.perf_counter() - begin
            time.sleep(0.01)
        raise RuntimeError(f"{name} is not steady after {seconds} s: {s['events'][:3]}")


@contextlib.contextmanager
def tasks_of(bench, configuration=""):
    if os.geteuid() != 0:
        raise Skip("tasks need root")
    missing = [path for path in ("/usr/bin/crun", "/usr/bin/busybox") if not os.path.exists(path)]
    if missing:
        raise Skip(f"there is no {', no '.join(missing)}")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f, contextlib.ExitStack() as stack:
        f.write(configuration)
        f.flush()
        os.chmod(f.name, 0o644)
        tasks = Tasks(stack.enter_context(bench.cloud("--config", f.name)))
        first = tasks.run()
        tasks.until(first, "RUNNING")  # the layer is unpacked, the VPC is in the kernel
        tasks.end(first)
        yield tasks


class Peers:
    """crun and podman by hand, in mounts of their own. Without control groups, which crun does not make beside those of version 1; ours are."""

    def __init__(self, place):
        self.place = place
        layer, root = os.path.join(place, "root.tar"), os.path.join(place, "rootfs")
        with open(layer, "wb") as f:
            f.write(busybox())
        os.mkdir(root)
        subprocess.run(["tar", "--no-same-owner", "-xf", layer, "-C", root], check=True)
        subprocess.run(["crun", "spec"], cwd=place, check=True, stderr=subprocess.DEVNULL)
        path = os.path.join(place, "config.json")
        with open(path) as f:
            config = json.load(f)
        config["root"]["path"], config["process"]["args"], config["process"]["terminal"] = root, ["/bin/sleep", "100"], False
        config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
        config["linux"].pop("resources", None)
        with open(path, "w") as f:
            json.dump(config, f)
        self.podman = self.install_podman()
        if not self.podman:
            self.command(*self.podman_words("import", "-q"), layer, "bench:1")

    @staticmethod
    def install_podman():
        """Why it is not there; empty: it is."""
        if not shutil.which("podman"):
            done = subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "podman"], capture_output=True, text=True, check=False)
            if done.returncode or not shutil.which("podman"):
                return "podman cannot be installed: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return ""

    def podman_words(self, *words):
        return ["podman", "--root", os.path.join(self.place, "store"), "--runroot", os.path.join(self.place, "run"), "--cgroup-manager", "cgroupfs",
                "--events-backend", "none", *words]

    def command(self, *words):
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", *words], cwd=self.place, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[0]}: {done.stderr.strip()[-200:]}")
        return done.stdout

    def timed(self, begin_words, end_words):
        """Milliseconds of the first command; both in one namespace of mounts. The clock is the shell's."""
        script = f"mount -t tmpfs none /sys/fs/cgroup; a=$(date +%s%N); {begin_words} >/dev/null 2>&1 </dev/null || exit 9; b=$(date +%s%N); {end_words} >/dev/null 2>&1; echo $(((b - a) / 1000))"
        return int(self.command("sh", "-c", script)) / 1000

    def crun(self):
        name, crun = f"quartet-bench-{os.getpid()}", f"crun --cgroup-manager disabled --root {os.path.join(self.place, 'crun')}"
        return self.timed(f"{crun} run --detach {name}", f"{crun} delete --force {name}")

    def podman_run(self):
        words, name = " ".join(self.podman_words()), f"quartet-bench-{os.getpid()}"
        return self.timed(f"{words} run -d --name {name} --network none --cgroups disabled --ulimit nofile=1024 --ulimit nproc=1024 --log-driver none localhost/bench:1 /bin/sleep 100",
                          f"{words} rm -f -t 0 {name}")


def start(bench):
    """RunTask to RUNNING with the image unpacked, next to crun run and podman run"""
    place = tempfile.mkdtemp(prefix="quartet-bench-")
    ours, runtime, podman = [], [], []
    try:
        with tasks_of(bench) as tasks:
            peers = Peers(place)
            for n in range(5 * bench.rounds):
                bench.round(n // 5)
                begin = time.perf_counter()
                arns = tasks.run()
                tasks.until(arns, "RUNNING")
                ours.append((time.perf_counter() - begin) * 1000)
                tasks.end(arns)
                runtime.append(peers.crun())
                if not peers.podman and n % 5 == 0:
                    podman.append(peers.podman_run())
    finally:
        shutil.rmtree(place, ignore_errors=True)
    bound = "page faults and mounts of the processes that come after the call: the child that makes the sandbox (control groups, an ext4 of its own, namespaces, overlay, links), and crun; then three commits of the record"
    what = "ECS: RunTask to RUNNING, image unpacked, network interface included"
    bench.add(what, median(ours), "ms", 60, peer="crun run --detach of the same root file system, no network", peer_value=median(runtime), bound=bound)
    if podman:
        bench.add(what, median(ours), "ms", peer="podman run -d --network none", peer_value=median(podman))
    else:
        bench.skipped.append(("tasks, next to podman", peers.podman))


def members(cloud):
    """Processes of tasks: everything that priv's children have made."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/cgroup", encoding="ascii") as f:
            if entry.isdigit() and f"quartet-{instance_of(cloud.data)}/t" in f.read():
                found.append(int(entry))
    return found


def crowd(bench):
    """a hundred tasks at once, and memory of an idle one"""
    count = 100
    with tasks_of(bench, f"[containers]\nmemory = {(count + 1) * TASK_MIB}\n") as tasks:
        roles = [tasks.cloud.process.pid, *children(tasks.cloud.process.pid)]
        before = pss_mib(roles)
        begin = time.perf_counter()
        arns = tasks.run(count)
        tasks.until(arns, "RUNNING", 3 * LIMIT_S)
        took = time.perf_counter() - begin
        own, after = pss_mib(members(tasks.cloud)), pss_mib(roles)
        tasks.end(arns)
    bench.add(f"ECS: {count} tasks at once, RunTask to the last one RUNNING", took, "s",
              note=f"{took * 1000 / count:.0f} ms a task; each may use {TASK_MIB} MiB")
    bench.add("ECS: memory of an idle task", own / count, "MiB", note=f"Pss of its shim and its two processes; the roles have {(after - before) / count:.2f} MiB more a task")


def convergence(bench):
    """a service from 0 to 10 tasks and steady"""
    times = []
    with tasks_of(bench) as tasks:
        tasks.service("s", 0)
        tasks.steady("s", 0)
        for n in range(bench.rounds):
            bench.round(n)
            tasks.ask("UpdateService", service="s", desiredCount=10)
            times.append(tasks.steady("s", 10))
            tasks.ask("UpdateService", service="s", desiredCount=0)
            tasks.steady("s", 0)
    bench.add("ECS: a service from 0 to 10 tasks, steady", median(times), "s")


SERVER = "mkdir -p /www; echo ok > /www/index.html; httpd -f -p 80 -h /www & trap 'sleep 3; kill %1; exit 0' TERM; wait"
CLIENT = ("good=0; bad=0; trap 'echo good $good bad $bad; exit 0' TERM; "
          "while true; do if wget -q -O /dev/null http://web.bench.local/ 2>/dev/null; then good=$((good + 1)); else bad=$((bad + 1)); fi; done")


def deployment(bench):
    """a rolling deployment under requests by the service's name: how long, and how many failed"""
    with tasks_of(bench) as tasks:
        names, logs = tasks.cloud.client("servicediscovery", inject_host_prefix=False), tasks.cloud.client("logs")
        made = names.create_private_dns_namespace(Name="bench.local", Vpc=tasks.vpc, Properties={"DnsProperties": {"SOA": {"TTL": 0}}})
        namespace = names.get_operation(OperationId=made["OperationId"])["Operation"]["Targets"]["NAMESPACE"]
        registry = names.create_service(Name="web", NamespaceId=namespace, DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 0}]},
                                        HealthCheckCustomConfig={"FailureThreshold": 1})["Service"]["Arn"]
        logs.create_log_group(logGroupName="bench")
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "bench", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "c"}}
        group = tasks.cloud.client("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [tasks.vpc]}])["SecurityGroups"][0]["GroupId"]
        tasks.network["awsvpcConfiguration"]["securityGroups"] = [group]
        tasks.define("web", SERVER, stopTimeout=30)
        tasks.define("client", CLIENT, logConfiguration=log)
        tasks.service("web", 3, "web", serviceRegistries=[{"registryArn": registry}])
        tasks.steady("web", 3)
        client = tasks.run(family="client")
        tasks.until(client, "RUNNING")
        time.sleep(2)
        tasks.define("web", SERVER + " ", stopTimeout=30)
        tasks.ask("UpdateService", service="web", taskDefinition="web")
        took = tasks.steady("web", 3, 2 * LIMIT_S)
        time.sleep(1)
        tasks.end(client)
        stream = "c/c/" + client[0].rsplit("/", 1)[1]
        until = time.monotonic() + 20
        while not (said := [e["message"] for e in logs.get_log_events(logGroupName="bench", logStreamName=stream)["events"]]) and time.monotonic() < until:
            time.sleep(0.1)
    words = said[-1].split()
    bench.add("ECS: rolling deployment of 3 tasks under load, failed requests", int(words[3]), "", 0, note=f"{words[1]} answered in {took:.0f} s",
              bound="names are asked anew for each request, but a request may still be on its way to a task that has just been told to stop")

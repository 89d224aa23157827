"""Environments of Elastic Beanstalk, from a bundle to Green and to its next version; and how long a comparison takes."""
import json
import os
import subprocess
import time

from beanstalk import APP, DOCKER, NODE, STACK, Tool, make_base, option, package, wheel, why_no_platform
from parts.tools import ROOT, Skip, median

SINGLE = option("elasticbeanstalk:environment", "EnvironmentType", "SingleInstance")
NODE_APP = 'require("http").createServer((_, reply) => reply.end(String(require("./name")))).listen(process.env.PORT)\n'
START = {"scripts": {"start": "node server.js"}}
# what an application's folder has: alone, and with a package that is installed in the instance
SAMPLES = (
    ("python", "python3.11", STACK, {"application.py": APP % "one"},
     {"requirements.txt": "letters==1.0\n", "vendor/letters-1.0-py3-none-any.whl": wheel("letters", "A = 1\n")}),
    ("node", "nodejs18", NODE, {"server.js": NODE_APP, "name.js": "module.exports = 1;", "package.json": json.dumps(START)},
     {"package.json": json.dumps({**START, "dependencies": {"letters": "file:vendor/letters.tgz"}}), "vendor/letters.tgz": package("letters", "exports.name = 1;")}),
)
RUN = {"AWSEBDockerrunVersion": "1", "Ports": [{"ContainerPort": 8080}]}
REACH_S, COMPARED_S = 8, 10


def green(tool, name):
    until = time.perf_counter() + 120
    while tool.environment(name)["Health"] != "Green":
        if time.perf_counter() > until:
            raise RuntimeError(f"{name} does not turn Green")
        time.sleep(0.02)


def measured(tool, name, files, stack, told):
    """Seconds from create-environment to Green, and from update-environment to the end of the deployment."""
    for label in ("v1", "v2"):
        tool.version(f"{name}-{label}", {**files, "version.txt": label})
    begin = time.perf_counter()
    made = tool.create(name, f"{name}-v1", SINGLE, stack=stack)
    green(tool, name)
    created = time.perf_counter() - begin
    tool.wait(made)
    begin = time.perf_counter()
    said = tool.wait(tool.eb.update_environment(EnvironmentName=name, VersionLabel=f"{name}-v2"))
    deployed = time.perf_counter() - begin
    if said[-1] != "Environment update completed successfully.":
        raise RuntimeError(f"{told}: {said[-1]}")
    tool.drop(name)
    return created, deployed


def docker(cloud):
    """The same of containers: an image of ECR, and one that is built in the instance from that."""
    Tool(cloud.client, cloud.endpoint)  # whose profile it is
    base = make_base(cloud.client, cloud.endpoint)
    return (("docker, an image of ECR", {"Dockerrun.aws.json": json.dumps({**RUN, "Image": {"Name": base}})}),
            ("docker, built in the instance", {"Dockerfile": f"FROM {base}\nCOPY version.txt /\nRUN cat version.txt\nEXPOSE 8080\n"}))


def launch(bench):
    """create-environment to Green and deploy-time: python and node, with and without packages to install, and docker"""
    with bench.cloud() as cloud:
        for language, platform, stack, app, more in (*SAMPLES, ("docker", "docker", DOCKER, None, None)):
            if why_no_platform(platform):
                raise Skip(why_no_platform(platform))
            for told, files in ((language, app), (f"{language} with a package", {**app, **more})) if app else docker(cloud):
                tool = Tool(cloud.client, cloud.endpoint)
                rounds = []
                for n in range(bench.rounds):
                    bench.round(n, told)
                    rounds.append(measured(tool, f"bench-{n}", files, stack, told))
                created, deployed = (median(values) for values in zip(*rounds))
                bench.add(f"Beanstalk: create-environment to Green, {told}", created, "s", REACH_S, note="a container as its instance")
                bench.add(f"Beanstalk: a new version until it serves, {told}", deployed, "s")


def comparison(bench):
    """quartet compare of the sample in all four models, from the command to its table"""
    with bench.cloud() as cloud:
        begin = time.perf_counter()
        done = subprocess.run([os.environ["QUARTET"], "compare", "--json", "--for", f"{COMPARED_S}s", "--path", "/?n=1000", os.path.join(ROOT, "samples", "compare-app")],
                              capture_output=True, text=True, env=cloud.environment())
        took = time.perf_counter() - begin
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        models = [m for m in json.loads(done.stdout)["models"] if not m["whyNot"]]
        bench.add(f"quartet compare of {len(models)} models", took, "s", note=f"each of them loaded for {COMPARED_S} s")
        for m in models:
            bench.add(f"compare: {m['model']}, until it answers for the first time", m["startMs"], "ms", note=f"p50 {m['p50Ms']:.1f} ms, p99 {m['p99Ms']:.1f} ms then")

"""The part of the demonstration that runs the same work in a container: makes an image of this machine's Python and the server, gives it to ECR, runs it
as a task of ECS on Fargate, asks it like the functions were asked, stops it, and reads from Cost Explorer what that would have cost."""
import json
import os
import subprocess
import tempfile
import time

from demo_server import HERE, PORT, SOURCES, WARM, Progress, make_group, make_role, spent, spent_since, wait_for_server, warm_calls

CPU, MEMORY_MB, START_SECONDS, STOP_SECONDS = "1024", "2048", 120, 120
NAME = "demo-task"


def make_image():
    """An image of Debian's python3 as it is installed here and of the server; what tasks call it, or None and why not."""
    program = os.environ.get("QUARTET", os.path.join(os.path.dirname(HERE), "build", "quartet"))
    with tempfile.TemporaryDirectory() as place:
        layout = os.path.join(place, "image")
        files = [word for source in SOURCES for word in ("--add", f"{os.path.join(HERE, source)}:/opt/report/{os.path.basename(source)}")]
        for command in ([os.path.join(os.path.dirname(HERE), "tools", "make-oci-image"), *files, "--cmd", '["/usr/bin/python3", "/opt/report/server.py"]',
                         layout, "python3"], [program, "image", "import", "--repository", f"{NAME}:1", layout]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return None, (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return done.stdout.split()[-1], None


def register(client, image, role):
    """The definition: stdout and stderr go to a log group, one processor, 2 GB."""
    iam, logs = client("iam"), client("logs")
    execution = make_execution_role(iam)
    try:
        logs.create_log_group(logGroupName="/demo/task")
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    log = {"awslogs-group": "/demo/task", "awslogs-region": os.environ["AWS_REGION"], "awslogs-stream-prefix": "report"}
    return client("ecs").register_task_definition(
        family=NAME, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu=CPU, memory=MEMORY_MB, taskRoleArn=role, executionRoleArn=execution,
        containerDefinitions=[{"name": "report", "image": image, "portMappings": [{"containerPort": PORT}],
                               "logConfiguration": {"logDriver": "awslogs", "options": log}}])["taskDefinition"]["taskDefinitionArn"]


def make_execution_role(iam):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    name = NAME + "-execution"
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")
    return iam.get_role(RoleName=name)["Role"]["Arn"]


def show(ecs, task):
    return ecs.describe_tasks(cluster=NAME, tasks=[task])["tasks"][0]


def address_of(ecs, ec2, task):
    """The public address of its interface, once it runs."""
    now = show(ecs, task)
    if now["lastStatus"] in ("DEPROVISIONING", "STOPPED"):
        raise RuntimeError(f"the task ended: {now.get('stoppedReason', 'no reason given')}")
    if now["lastStatus"] != "RUNNING":
        return None
    details = {d["name"]: d["value"] for d in now["attachments"][0]["details"]}
    interface = ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"][0]
    return f"{interface['Association']['PublicIp']}:{PORT}" if "Association" in interface else None


def end(ecs, task):
    ecs.stop_task(cluster=NAME, task=task)
    progress, until = Progress("the task ends"), time.monotonic() + STOP_SECONDS
    while show(ecs, task)["lastStatus"] != "STOPPED" and time.monotonic() < until:
        progress.show()
        time.sleep(0.1)
    progress.end()


def run(client, say, event):
    """The measures of a task, or None and a line that says why there is none."""
    ec2, ecs, ce = client("ec2"), client("ecs"), client("ce")
    progress = Progress("an image of this machine's python3")
    progress.show()
    image, why = make_image()
    progress.end()
    if not image:
        say(f"container: skipped, its image was not made: {why}")
        return None
    definition = register(client, image, make_role(client("iam"), NAME, "ecs-tasks.amazonaws.com", event["bucket"]))
    ecs.create_cluster(clusterName=NAME)
    subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]["SubnetId"]
    before, group = spent(ce), make_group(ec2, NAME)
    say(f"container: {image}, Debian's python3 and the same server, as a Fargate task of 1 vCPU and 2 GB; {WARM} warm calls")
    begin = time.monotonic()
    reply = ecs.run_task(cluster=NAME, taskDefinition=definition, launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": {
        "subnets": [subnet], "securityGroups": [group], "assignPublicIp": "ENABLED"}})
    if not reply["tasks"]:
        say(f"container: {reply['failures'][0]['reason']}")
        return None
    task = reply["tasks"][0]["taskArn"]
    try:
        address, first, _ = wait_for_server("the task starts", lambda: address_of(ecs, ec2, task), event, START_SECONDS)
        start = time.monotonic() - begin
        warm = warm_calls(address, event)
    except (RuntimeError, OSError) as e:
        say(f"container: {e}")
        return None
    finally:
        end(ecs, task)
        ran = time.monotonic() - begin
    return {"what": "Fargate task", "start": start, "first": first, "warm": warm, "bill": spent_since(ce, before), "ran": ran,
            "kind": "The task was a container that crun started"}

"""The part of the demonstration that runs the same work in an environment of Elastic Beanstalk: uploads the server with a Procfile, creates an environment of
one instance, asks it like the functions were asked, ends it, and reads from Cost Explorer what the time in between would have cost."""
import io
import os
import time
import zipfile

from demo_instance import make_profile, why_not
from demo_server import HERE, SOURCES, WARM, Progress, spent, spent_since, wait_for_server, warm_calls

NAME, LABEL, START_SECONDS, STOP_SECONDS = "demo-environment", "v1", 300, 120


def bundle():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("Procfile", "web: python3 server.py\n")
        for source in SOURCES:
            z.write(os.path.join(HERE, source), os.path.basename(source))
    return out.getvalue()


def stack_of(eb):
    """The newest platform of Python; None: the image for instances has none."""
    return next((s for s in eb.list_available_solution_stacks()["SolutionStacks"] if "running Python 3" in s), None)


def upload(client, eb):
    bucket = eb.create_storage_location()["S3Bucket"]
    key = f"{NAME}/{LABEL}.zip"
    client("s3").put_object(Bucket=bucket, Key=key, Body=bundle())
    if not eb.describe_application_versions(ApplicationName=NAME, VersionLabels=[LABEL])["ApplicationVersions"]:
        eb.create_application_version(ApplicationName=NAME, VersionLabel=LABEL, AutoCreateApplication=True, SourceBundle={"S3Bucket": bucket, "S3Key": key})


def create(eb, stack, instance_type):
    options = [("aws:elasticbeanstalk:environment", "EnvironmentType", "SingleInstance"), ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", NAME),
               ("aws:ec2:instances", "InstanceTypes", instance_type), ("aws:elasticbeanstalk:application:environment", "AWS_REGION", os.environ["AWS_REGION"])]
    eb.create_environment(ApplicationName=NAME, EnvironmentName=NAME, VersionLabel=LABEL, SolutionStackName=stack,
                          OptionSettings=[{"Namespace": space, "OptionName": name, "Value": value} for space, name, value in options])


def show(eb):
    """The environment; None once it has ended."""
    found = eb.describe_environments(EnvironmentNames=[NAME], IncludeDeleted=False)["Environments"]
    return found[0] if found else None


def address_of(eb):
    now = show(eb)
    if not now or now["Status"] == "Terminating":
        raise RuntimeError("the environment is gone")
    if now["Status"] == "Ready" and now.get("Health") == "Red":
        raise RuntimeError(eb.describe_events(EnvironmentName=NAME, MaxRecords=10)["Events"][0]["Message"])
    return f"{now['EndpointURL']}:80" if now["Status"] == "Ready" and now.get("EndpointURL") else None


def end(eb):
    progress, until = Progress(f"{NAME} ends"), time.monotonic() + STOP_SECONDS
    eb.terminate_environment(EnvironmentName=NAME)
    while show(eb) and time.monotonic() < until:
        progress.show()
        time.sleep(0.25)
    progress.end()


def run(client, say, event):
    """The measures of an environment, or None and a line that says why there is none."""
    ec2, ce, eb = client("ec2"), client("ce"), client("elasticbeanstalk")
    missing, stack = why_not(ec2), stack_of(eb)
    if missing or not stack:
        say(f"environment: skipped, {missing or 'the image has no platform of Python (tools/make-image makes it anew)'}")
        return None
    iam = client("iam")
    make_profile(iam, NAME, event["bucket"])
    iam.attach_role_policy(RoleName=NAME, PolicyArn="arn:aws:iam::aws:policy/AWSElasticBeanstalkWebTier")
    before = spent(ce)
    upload(client, eb)
    say(f"environment: {stack}, one t3.micro, from a bundle of the server and a Procfile; {WARM} warm calls")
    begin = time.monotonic()
    create(eb, stack, "t3.micro")
    try:
        address, first, said = wait_for_server(f"{NAME} starts", lambda: address_of(eb), event, START_SECONDS)
        start = time.monotonic() - begin
        warm = warm_calls(address, event)
    except (RuntimeError, OSError) as e:
        say(f"environment: {e}")
        return None
    finally:
        end(eb)
        ran = time.monotonic() - begin
    return {"what": "environment", "start": start, "first": first, "warm": warm, "bill": spent_since(ce, before), "ran": ran,
            "kind": "The environment was one instance behind nginx"}

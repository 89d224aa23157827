"""Services of ECS with real containers: their life, healing, waiters, what is refused."""
import unittest

from aws import ENDPOINT, aws_programs, run
from services import ServiceCase, name


class Life(ServiceCase):
    def test_life(self):
        one, two = self.server("one"), self.server("two")
        called = name()
        made = self.create(one, 3, called, tags=[{"key": "k", "value": "v"}], propagateTags="SERVICE", enableECSManagedTags=True)
        self.assertEqual((made["status"], made["desiredCount"], made["runningCount"], made["taskDefinition"]), ("ACTIVE", 3, 0, one))
        self.assertEqual(made["serviceArn"], f"arn:aws:ecs:{self.region}:000000000000:service/{self.cluster}/{called}")
        (first,) = made["deployments"]
        self.assertRegex(first["id"], r"^ecs-svc/\d{19}$")
        self.assertEqual((first["status"], first["rolloutState"]), ("PRIMARY", "IN_PROGRESS"))
        self.assertEqual(first["rolloutStateReason"], f"ECS deployment {first['id']} in progress.")
        self.assertEqual(self.create_again(called, one, 3)["serviceArn"], made["serviceArn"])
        self.assertRefused("not idempotent", self.create_again, called, two, 3)
        self.ecs.get_waiter("services_stable").wait(cluster=self.cluster, services=[called], WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        stable = self.stable(called)
        self.assertEqual(stable["deployments"][0]["rolloutStateReason"], f"ECS deployment {first['id']} completed.")
        tasks = self.tasks_of(called)
        self.assertEqual(len(tasks), 3)
        for t in tasks:
            self.assertEqual((t["group"], t["startedBy"], t["taskDefinitionArn"]), ("service:" + called, first["id"], one))
            self.assertEqual({g["key"]: g["value"] for g in t["tags"]},
                             {"k": "v", "aws:ecs:clusterName": self.cluster, "aws:ecs:serviceName": called})
        said = self.messages(called)
        self.assertEqual(said[:2], [f"(service {called}) has reached a steady state.",
                                    f"(service {called}) (deployment {first['id']}) deployment completed."])
        started = next(m for m in said if "has started" in m)
        self.assertRegex(started, rf"^\(service {called}\) has started 3 tasks: (\(task [0-9a-f]{{32}}\) ?){{3}}\.$")
        ids = [e["id"] for e in stable["events"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertIn(made["serviceArn"], [a for p in self.ecs.get_paginator("list_services").paginate(cluster=self.cluster) for a in p["serviceArns"]])
        self.count_up_and_down(called, first)
        self.end_of(called)

    def create_again(self, called, definition, count):
        return self.ecs.create_service(cluster=self.cluster, serviceName=called, taskDefinition=definition, desiredCount=count,
                                       launchType="FARGATE", networkConfiguration=self.network())["service"]

    def count_up_and_down(self, called, first):
        changed = self.update(called, desiredCount=4)
        self.assertEqual([d["id"] for d in changed["deployments"]], [first["id"]])
        self.wait(lambda: self.service(called)["runningCount"] == 4)
        self.update(called, desiredCount=1)
        self.wait(lambda: self.service(called)["runningCount"] == 1)
        stopped = self.wait(lambda: (found := [t for t in self.tasks_of(called, "STOPPED")]) and len(found) == 3 and found)
        self.assertEqual({(t["stopCode"], t["stoppedReason"]) for t in stopped},
                         {("ServiceSchedulerInitiated", f"Scaling activity initiated by (deployment {first['id']})")})
        self.assertTrue(any("has stopped 3 running tasks: (task " in m for m in self.messages(called)), self.messages(called))
        self.ecs.get_waiter("tasks_stopped").wait(cluster=self.cluster, tasks=[t["taskArn"] for t in stopped],
                                                  WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def end_of(self, called):
        self.assertRefused("scaled above 0", self.ecs.delete_service, cluster=self.cluster, service=called)
        self.ecs.delete_service(cluster=self.cluster, service=called, force=True)
        self.ecs.get_waiter("services_inactive").wait(cluster=self.cluster, services=[called], WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        self.assertEqual(self.tasks_of(called), [])
        self.assertRefused("not ACTIVE", self.update, called, desiredCount=1, code="ServiceNotActiveException")
        self.assertRefused("not found", self.ecs.delete_service, cluster=self.cluster, service="no-such", code="ServiceNotFoundException")
        self.assertRefused("not found", self.update, "no-such", desiredCount=1, code="ServiceNotFoundException")
        missing = self.ecs.describe_services(cluster=self.cluster, services=["no-such"])["failures"]
        self.assertEqual([(f["arn"].rsplit("/", 1)[1], f["reason"]) for f in missing], [("no-such", "MISSING")])

    def test_healing(self):
        called = name()
        self.create(self.server("heals", check=False), 2, called, propagateTags="TASK_DEFINITION")
        before = {t["taskArn"] for t in self.stable(called) and self.tasks_of(called)}
        victim = sorted(before)[0]
        self.ecs.stop_task(cluster=self.cluster, task=victim, reason="by hand")
        after = self.wait(lambda: (now := {t["taskArn"] for t in self.tasks_of(called) if t["lastStatus"] == "RUNNING"}) - before and len(now) == 2 and now)
        self.assertNotIn(victim, after)
        self.assertEqual(len(self.service(called)["deployments"]), 1)
        self.assertEqual(self.service(called)["deployments"][0]["failedTasks"], 0)

    def test_where_tasks_run_is_changed(self):
        """From a launch type to a strategy of capacity providers, to another one, and back; each is a deployment of its own."""
        called, spot, demand = name(), [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}], [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}]
        self.ecs.put_cluster_capacity_providers(cluster=self.cluster, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=[])
        self.create(self.server("moves"), 1, called)
        self.stable(called)
        self.assertRefused("you must force a new deployment", self.update, called, capacityProviderStrategy=spot)
        self.assertRefused("not associated with the cluster", self.update, called, capacityProviderStrategy=[{"capacityProvider": "nobody"}], forceNewDeployment=True)
        self.assertEqual(self.service(called)["launchType"], "FARGATE")
        for strategy in (spot, demand, []):
            before = {t["taskArn"] for t in self.tasks_of(called)}
            shown = self.update(called, capacityProviderStrategy=strategy, forceNewDeployment=True)
            self.assertEqual(shown.get("capacityProviderStrategy", []), strategy)
            self.assertEqual(shown.get("launchType"), None if strategy else "FARGATE")
            self.assertEqual(shown["deployments"][0].get("capacityProviderStrategy", []), strategy)
            after = self.wait(lambda old=before: (now := self.tasks_of(called)) and not old & {t["taskArn"] for t in now}
                              and all(t["lastStatus"] == "RUNNING" for t in now) and now)
            self.assertEqual({t.get("capacityProviderName") for t in after}, {strategy[0]["capacityProvider"] if strategy else None})
            self.stable(called)

    @unittest.skipUnless(aws_programs(), "there is no AWS CLI")
    def test_cli_waits(self):
        called = name()
        self.create(self.server("cli", check=False), 1, called)
        for program in aws_programs():
            run(program, "--endpoint-url", ENDPOINT, "--region", self.region, "ecs", "wait", "services-stable", "--cluster", self.cluster,
                "--services", called)
            tasks = [t["taskArn"] for t in self.tasks_of(called)]
            run(program, "--endpoint-url", ENDPOINT, "--region", self.region, "ecs", "wait", "tasks-running", "--cluster", self.cluster,
                "--tasks", *tasks)


class Refusals(ServiceCase):
    def test_what_is_refused(self):
        good = {"definition": self.server("x"), "count": 1}
        services = lambda: set(self.ecs.list_services(cluster=self.cluster)["serviceArns"])  # of other tests, and some on their way out
        before = services()
        lb = [{"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/x/1", "containerName": "c", "containerPort": 80}]
        for message, more, code in (
                ("daemon", {"schedulingStrategy": "DAEMON"}, "InvalidParameterException"),
                ("target group", {"loadBalancers": lb}, "InvalidParameterException"),
                ("registry", {"serviceRegistries": [{"registryArn": "arn:aws:servicediscovery:x:1:service/srv-1"}]}, "InvalidParameterException"),
                ("controllers", {"deploymentController": {"type": "EXTERNAL"}}, "UnsupportedFeatureException"),
                ("namespace", {"serviceConnectConfiguration": {"enabled": True}}, "InvalidParameterException"),
                ("greater", {"configuration": {"minimumHealthyPercent": 50, "maximumPercent": 50}}, "InvalidParameterException"),
                ("at least 100", {"configuration": {"minimumHealthyPercent": 50, "maximumPercent": 90}}, "InvalidParameterException"),
                ("Placement", {"placementStrategy": [{"type": "random"}]}, "InvalidParameterException"),
                ("grace period", {"healthCheckGracePeriodSeconds": 5}, "InvalidParameterException"),
                ("platform version", {"platformVersion": "9.9.9"}, "PlatformUnknownException"),
                ("negative", {"count": -1}, "InvalidParameterException"),
                ("not found", {"definition": "none:1"}, "ClientException")):
            with self.subTest(message):
                given = {**good, **more}
                self.assertAwsError(code, self.create_only, given.pop("definition"), given.pop("count"), status=400, message=message, **given)
        self.assertLessEqual(services(), before)

    def create_only(self, definition, count, configuration=None, **more):
        if configuration:
            more["deploymentConfiguration"] = configuration
        self.ecs.create_service(cluster=self.cluster, serviceName=name(), taskDefinition=definition, desiredCount=count, launchType="FARGATE",
                                networkConfiguration=self.network(), **more)

    def test_goes_on_with_what_it_was_made_of(self):
        """A definition that has been deregistered starts nothing new, but its services go on."""
        called, definition = name(), self.server("old", check=False)
        self.create(definition, 1, called)
        self.stable(called)
        self.ecs.deregister_task_definition(taskDefinition=definition)
        self.update(called, desiredCount=2)
        self.wait(lambda: self.service(called)["runningCount"] == 2)
        self.assertRefused("inactive", self.update, called, taskDefinition=definition, code="ClientException")

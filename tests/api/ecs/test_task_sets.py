"""What only services of external controllers have, and what this cloud does not have at all: ECS's own errors."""
import unittest

from services import ServiceCase, name
from tasks import ACCOUNT


class TaskSets(ServiceCase):
    def test_services_of_ecs_have_none(self):
        called, gone = name(), name()
        definition = self.register("sleep 1000")
        for one in (called, gone):
            self.create(definition, 0, called=one)
        self.delete(gone)
        self.wait(lambda: self.service(gone)["status"] == "INACTIVE")
        calls = {
            "create": lambda **of: self.ecs.create_task_set(taskDefinition=definition, **of),
            "update": lambda **of: self.ecs.update_task_set(taskSet="ecs-svc/1", scale={"value": 50, "unit": "PERCENT"}, **of),
            "delete": lambda **of: self.ecs.delete_task_set(taskSet="ecs-svc/1", **of),
            "describe": self.ecs.describe_task_sets,
            "primary": lambda **of: self.ecs.update_service_primary_task_set(primaryTaskSet="ecs-svc/1", **of),
        }
        for what, call in calls.items():
            with self.subTest(what):
                self.assertRefused("Amazon ECS only supports task set management on services configured to use external deployment controllers.",
                                   call, cluster=self.cluster, service=called)
                self.assertRefused("Cluster not found", call, cluster="nowhere-" + self.word, service=called, code="ClusterNotFoundException")
                self.assertRefused("Service not found", call, cluster=self.cluster, service="nobody", code="ServiceNotFoundException")
                self.assertRefused("not ACTIVE", call, cluster=self.cluster, service=gone, code="ServiceNotActiveException")
        self.assertRefused("", self.ecs.create_service, cluster=self.cluster, serviceName=name(), deploymentController={"type": "EXTERNAL"},
                           code="UnsupportedFeatureException")

    def test_no_deployment_waits(self):
        called = name()
        self.create(self.register("sleep 1000"), 0, called=called)
        (made,) = self.newer("ListServiceDeployments", cluster=self.cluster, service=called)["serviceDeployments"]
        proceed = lambda arn: self.newer("ContinueServiceDeployment", serviceDeploymentArn=arn, hookId="h")
        said = proceed(made["serviceDeploymentArn"])
        self.assertEqual(said[0], "InvalidParameterException")
        self.assertIn("does not wait", said[1])
        other = made["serviceDeploymentArn"].rsplit("/", 1)[0] + "/nothing"
        self.assertEqual(proceed(other)[0], "ServiceDeploymentNotFoundException")


class Absent(ServiceCase):
    def test_ecs_says_so(self):
        """An operation that is not there is refused by an error of ECS's model, which clients know."""
        role = f"arn:aws:iam::{ACCOUNT}:role/r"
        for operation, given in (("CreateDaemon", {"daemonName": "d", "daemonTaskDefinitionArn": "d:1", "capacityProviderArns": ["p"]}),
                                 ("ListDaemons", {}), ("ListDaemonTaskDefinitions", {}), ("DescribeDaemon", {"daemonArn": "d"}),
                                 ("CreateExpressGatewayService", {"executionRoleArn": role, "infrastructureRoleArn": role, "primaryContainer": {"image": "i"}}),
                                 ("DescribeExpressGatewayService", {"serviceArn": "s"})):
            with self.subTest(operation):
                code, message = self.newer(operation, **given)
                self.assertEqual(code, "UnsupportedFeatureException")
                self.assertIn(operation, message)


if __name__ == "__main__":
    unittest.main()

"""Service deployments and revisions: what has become of a service, and turning back."""
from services import ServiceCase, name, side_by_side

HOLD = {"command": "trap 'exit 0' TERM; sleep 1000 & wait", "healthCheck": {"command": ["CMD", "false"], "interval": 5, "retries": 10, "startPeriod": 300}}


class History(ServiceCase):
    def listed(self, called, **more):
        return self.newer("ListServiceDeployments", cluster=self.cluster, service=called, **more)["serviceDeployments"]

    def deployment(self, arn):
        said = self.newer("DescribeServiceDeployments", serviceDeploymentArns=[arn])
        self.assertEqual(said["failures"], [])
        return said["serviceDeployments"][0]

    def revision(self, arn):
        (found,) = self.newer("DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"]
        return found

    def shown(self, called):
        (found,) = self.newer("DescribeServices", cluster=self.cluster, services=[called])["services"]
        return found

    def now(self, called):
        return self.deployment(self.shown(called)["currentServiceDeployment"])

    def over(self, called, status):
        self.wait(lambda: self.now(called)["status"] == status, 300)  # a way back: a task is good after 40 s, and the old one may take 30 to end
        return self.now(called)

    def test_history(self):
        side_by_side(self, self.one_after_another, self.turning_back, self.aborted, self.broken)

    def one_after_another(self):
        called = name()
        first = self.server("one")
        self.create(first, 1, called)
        (brief,) = self.listed(called)
        head = f"arn:aws:ecs:{self.region}:000000000000:"
        self.assertTrue(brief["serviceDeploymentArn"].startswith(f"{head}service-deployment/{self.cluster}/{called}/"), brief)
        self.assertTrue(brief["targetServiceRevisionArn"].startswith(f"{head}service-revision/{self.cluster}/{called}/"), brief)
        self.assertIn(brief["status"], ("PENDING", "IN_PROGRESS"))
        self.stable(called)
        made = self.over(called, "SUCCESSFUL")
        self.assertEqual(made["sourceServiceRevisions"], [])
        self.assertEqual(made["targetServiceRevision"], {"arn": brief["targetServiceRevisionArn"], "requestedTaskCount": 1,
                                                         "runningTaskCount": 1, "pendingTaskCount": 0})
        self.assertEqual(made["deploymentCircuitBreaker"]["status"], "DISABLED")
        self.assertLessEqual(made["createdAt"], made["startedAt"])
        self.assertLessEqual(made["startedAt"], made["finishedAt"])
        revision = self.revision(brief["targetServiceRevisionArn"])
        self.assertEqual(revision["taskDefinition"], first)
        self.assertEqual(revision["networkConfiguration"]["awsvpcConfiguration"]["subnets"], [self.subnet["SubnetId"]])
        self.assertEqual(revision["containerImages"], [{"containerName": "c", "image": self.image, "imageDigest": self.digest}])
        self.update(called, desiredCount=2)
        self.assertEqual(len(self.listed(called)), 1)  # a count alone is no deployment
        second = self.server("two")
        self.update(called, taskDefinition=second)
        self.stable(called)
        done = self.over(called, "SUCCESSFUL")
        self.assertEqual([s["arn"] for s in done["sourceServiceRevisions"]], [revision["serviceRevisionArn"]])
        self.assertEqual(self.revision(done["targetServiceRevision"]["arn"])["taskDefinition"], second)
        current = self.shown(called)["currentServiceRevisions"]
        self.assertEqual(current, [{"arn": done["targetServiceRevision"]["arn"], "requestedTaskCount": 2, "runningTaskCount": 2,
                                    "pendingTaskCount": 0}])
        arns = [d["serviceDeploymentArn"] for d in self.listed(called)]
        self.assertEqual(arns, [done["serviceDeploymentArn"], made["serviceDeploymentArn"]])
        self.assertEqual([d["serviceDeploymentArn"] for d in self.listed(called, status=["SUCCESSFUL"], createdAt={"after": made["createdAt"]})],
                         arns[:1])
        self.assertEqual(self.listed(called, status=["STOPPED"]), [])
        page = self.newer("ListServiceDeployments", cluster=self.cluster, service=called, maxResults=1)
        self.assertEqual([d["serviceDeploymentArn"] for d in page["serviceDeployments"]], arns[:1])
        self.assertEqual([d["serviceDeploymentArn"] for d in self.listed(called, nextToken=page["nextToken"])], arns[1:])
        said = self.newer("StopServiceDeployment", serviceDeploymentArn=arns[0])
        self.assertEqual(said[0], "ConflictException")

    def turning_back(self):
        called = name()
        good = self.server("good")
        self.create(good, 1, called)
        self.stable(called)
        before = self.over(called, "SUCCESSFUL")
        kept = {t["taskArn"] for t in self.tasks_of(called)}
        self.update(called, taskDefinition=self.register(HOLD))
        self.wait(lambda: self.now(called)["status"] == "IN_PROGRESS")
        arn = self.shown(called)["currentServiceDeployment"]
        self.wait(lambda: self.deployment(arn)["targetServiceRevision"]["runningTaskCount"] == 1)
        self.assertEqual(self.newer("StopServiceDeployment", serviceDeploymentArn=arn, stopType="ROLLBACK"), {"serviceDeploymentArn": arn})
        self.assertEqual(self.newer("StopServiceDeployment", serviceDeploymentArn=arn), {"serviceDeploymentArn": arn})  # goes on
        done = self.over(called, "ROLLBACK_SUCCESSFUL")
        self.assertEqual(done["serviceDeploymentArn"], arn)
        self.assertEqual(done["rollback"]["serviceRevisionArn"], before["targetServiceRevision"]["arn"])
        self.assertIn("StopServiceDeployment", done["rollback"]["reason"])
        self.assertEqual(self.service(called)["taskDefinition"], good)
        self.stable(called)
        self.assertEqual([r["arn"] for r in self.shown(called)["currentServiceRevisions"]], [before["targetServiceRevision"]["arn"]])
        self.assertEqual(len(self.listed(called)), 2)
        self.assertTrue(kept)

    def aborted(self):
        """It stays as it was: nothing more is started, and what ran before goes on."""
        called = name()
        self.create(self.server("good"), 1, called)
        self.stable(called)
        kept = {t["taskArn"] for t in self.tasks_of(called)}
        self.update(called, taskDefinition=self.register(HOLD))
        self.wait(lambda: self.now(called)["targetServiceRevision"]["runningTaskCount"] == 1)
        arn = self.shown(called)["currentServiceDeployment"]
        self.assertEqual(self.newer("StopServiceDeployment", serviceDeploymentArn=arn, stopType="ABORT"), {"serviceDeploymentArn": arn})
        stopped = self.deployment(arn)
        self.assertEqual(stopped["status"], "STOPPED")
        self.assertIn("stoppedAt", stopped)
        self.assertEqual(self.service(called)["deployments"][0]["rolloutState"], "FAILED")
        for task in self.tasks_of(called):
            if task["taskArn"] not in kept:
                self.ecs.stop_task(cluster=self.cluster, task=task["taskArn"])
        self.wait(lambda: {t["taskArn"] for t in self.tasks_of(called)} == kept)
        self.assertEqual(self.newer("StopServiceDeployment", serviceDeploymentArn=arn)[0], "ConflictException")

    def broken(self):
        called = name()
        breaker = {"enable": True, "rollback": True, "thresholdConfiguration": {"type": "COUNT", "value": 1}}
        self.create(self.server("good"), 1, called)
        self.stable(called)
        self.over(called, "SUCCESSFUL")
        said = self.newer("UpdateService", cluster=self.cluster, service=called, taskDefinition=self.register("exit 3"),
                          deploymentConfiguration={"deploymentCircuitBreaker": breaker})
        self.assertEqual(said["service"]["deploymentConfiguration"]["deploymentCircuitBreaker"], breaker)
        done = self.over(called, "ROLLBACK_SUCCESSFUL")
        self.assertEqual(done["deploymentCircuitBreaker"], {"status": "TRIGGERED", "failureCount": 1, "threshold": 1})
        self.assertIn("circuit breaker", done["rollback"]["reason"])
        for value, type_ in ((0, "COUNT"), (101, "BOUNDED_PERCENT")):
            bad = {"enable": True, "rollback": True, "thresholdConfiguration": {"type": type_, "value": value}}
            said = self.newer("UpdateService", cluster=self.cluster, service=called, deploymentConfiguration={"deploymentCircuitBreaker": bad})
            self.assertEqual(said[0], "InvalidParameterException")

    def test_refused(self):
        word = f"arn:aws:ecs:{self.region}:000000000000:"
        missing = f"{word}service-deployment/{self.cluster}/none/abc"
        said = self.newer("DescribeServiceDeployments", serviceDeploymentArns=[missing])
        self.assertEqual((said["serviceDeployments"], said["failures"]), ([], [{"arn": missing, "reason": "MISSING"}]))
        gone = f"{word}service-revision/{self.cluster}/none/1"
        self.assertEqual(self.newer("DescribeServiceRevisions", serviceRevisionArns=[gone])["failures"], [{"arn": gone, "reason": "MISSING"}])
        self.assertEqual(self.newer("StopServiceDeployment", serviceDeploymentArn=missing)[0], "ServiceDeploymentNotFoundException")
        for operation, values, code in (
                ("ListServiceDeployments", {"cluster": self.cluster, "service": "none"}, "ServiceNotFoundException"),
                ("ListServiceDeployments", {"cluster": "none", "service": "none"}, "ClusterNotFoundException"),
                ("DescribeServiceDeployments", {"serviceDeploymentArns": []}, "InvalidParameterException"),
                ("DescribeServiceDeployments", {"serviceDeploymentArns": ["x"]}, "InvalidParameterException"),
                ("DescribeServiceDeployments", {"serviceDeploymentArns": [missing] * 21}, "InvalidParameterException"),
                ("DescribeServiceRevisions", {"serviceRevisionArns": [missing]}, "InvalidParameterException"),
                ("StopServiceDeployment", {"serviceDeploymentArn": "x"}, "InvalidParameterException")):
            with self.subTest(operation, **values):
                self.assertEqual(self.newer(operation, **values)[0], code)

    def test_strategies(self):
        for strategy in ("BLUE_GREEN", "LINEAR", "CANARY"):
            said = self.newer("CreateService", cluster=self.cluster, serviceName=name(), taskDefinition=self.server("x"), desiredCount=0,
                              launchType="FARGATE", networkConfiguration=self.network(), deploymentConfiguration={"strategy": strategy})
            self.assertEqual(said, ("UnsupportedFeatureException", "Deployment strategies other than ROLLING are not supported by this cloud."))

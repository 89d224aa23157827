"""Rolling deployments of ECS's services under load, and what becomes of bad ones."""
from services import Load, ServiceCase, name, side_by_side


class Deployments(ServiceCase):
    moves = True

    def serving(self, called):
        """Addresses of tasks that are healthy and not about to stop, as a client of discovery sees them."""
        known = {}

        def addresses():
            found = []
            for t in self.tasks_of(called):
                if t["healthStatus"] == "HEALTHY" and t["lastStatus"] == "RUNNING":
                    if t["taskArn"] not in known:
                        known[t["taskArn"]] = self.public_address(t)
                    found.append(known[t["taskArn"]])
            return found
        return addresses

    def test_no_request_is_lost(self):
        called = name()
        self.create(self.server("one"), 2, called)
        self.stable(called)
        load = Load(self.serving(called))
        self.addCleanup(load.end)
        self.wait(lambda: len(load.answers) > 10)
        two = self.server("two")
        changed = self.update(called, taskDefinition=two)
        self.assertEqual([d["status"] for d in changed["deployments"]], ["PRIMARY", "ACTIVE"])
        self.assertEqual([d["desiredCount"] for d in changed["deployments"]], [2, 0])
        seen = set()

        def over():
            s = self.service(called)
            seen.add((len(s["deployments"]), s["runningCount"]))
            return len(s["deployments"]) == 1 and s["deployments"][0]["rolloutState"] == "COMPLETED"
        self.wait(over)
        self.assertEqual({t["taskDefinitionArn"] for t in self.tasks_of(called)}, {two})
        self.assertTrue(all(2 <= running <= 4 for _, running in seen), seen)
        self.assertIn(2, {n for n, _ in seen})
        many = len(load.answers)
        self.wait(lambda: len(load.answers) > many + 10)
        load.end()
        self.assertEqual(load.failed, [])
        self.assertEqual(set(load.answers), {"one", "two"})
        self.assertEqual(load.answers[-1], "two")
        again = self.update(called, forceNewDeployment=True)
        self.assertNotEqual(again["deployments"][0]["id"], again["deployments"][1]["id"])
        self.assertEqual(again["deployments"][0]["taskDefinition"], two)
        self.stable(called)

    def bad(self, called, definition):
        """A deployment of what cannot work: the events and the service when it has been given up."""
        good = self.service(called)["deployments"][0]
        tasks = {t["taskArn"] for t in self.tasks_of(called)}
        failing = self.update(called, taskDefinition=definition)["deployments"][0]
        end = f"(service {called}) (deployment {failing['id']}) deployment failed: tasks failed to start."
        self.wait(lambda: end in self.messages(called))
        said = self.messages(called)
        self.assertIn(f"(service {called}) rolling back to deployment {good['id']}.", said)
        after = self.service(called)
        self.assertEqual(after["taskDefinition"], good["taskDefinition"])
        self.assertEqual(after["deployments"][0]["rolloutStateReason"],
                         f"ECS deployment circuit breaker: rolling back to deploymentId {good['id']}.")
        for d in after["deployments"]:
            if d["id"] == failing["id"]:
                self.assertEqual((d["rolloutState"], d["rolloutStateReason"]),
                                 ("FAILED", "ECS deployment circuit breaker: tasks failed to start."))
        running = {t["taskArn"] for t in self.tasks_of(called) if t["lastStatus"] == "RUNNING"}
        self.assertLessEqual(tasks, running)
        self.stable(called)

    def breaker(self, **more):
        return {"deploymentCircuitBreaker": {"enable": True, "rollback": True}, **more}

    def test_an_alarm_turns_it_back(self):
        cloudwatch = self.client("cloudwatch", region=self.region)
        alarm, called = "bad-" + name(), name()
        cloudwatch.put_metric_alarm(AlarmName=alarm, Namespace="mine", MetricName=alarm, Statistic="Average", Period=10, EvaluationPeriods=1, Threshold=1,
                                    ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore")
        self.addCleanup(cloudwatch.delete_alarms, AlarmNames=[alarm])
        conf = {"minimumHealthyPercent": 100, "maximumPercent": 200, "alarms": {"alarmNames": [alarm], "enable": True, "rollback": True}}
        self.assertEqual(self.newer("CreateService", cluster=self.cluster, serviceName="x", taskDefinition=self.server("one"), desiredCount=0, launchType="FARGATE",
                                    networkConfiguration=self.network(), deploymentConfiguration={"alarms": {"alarmNames": [], "enable": True, "rollback": True}})[0],
                         "InvalidParameterException")
        one, two = self.server("one", check=False), self.server("two", check=False)
        self.create(one, 1, called)
        good = self.stable(called)["deployments"][0]
        failing = self.newer("UpdateService", cluster=self.cluster, service=called, taskDefinition=two, deploymentConfiguration=conf)["service"]["deployments"][0]
        self.wait(lambda: self.service(called)["deployments"][0]["runningCount"] == 1)
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
        self.wait(lambda: f"(service {called}) (deployment {failing['id']}) deployment failed: alarm detected." in self.messages(called))
        self.assertIn(f"(service {called}) rolling back to deployment {good['id']}.", self.messages(called))
        self.assertEqual(self.stable(called)["taskDefinition"], one)

    def test_bad_deployments(self):
        side_by_side(self, self.missing_tag, self.exits_at_once, self.failing_check, self.without_breaker, self.no_room)

    def missing_tag(self):
        called = name()
        self.create(self.server("good"), 1, called, configuration=self.breaker())
        self.stable(called)
        self.bad(called, self.register({"command": "true", "image": self.image + ":missing"}))
        stopped = [t for t in self.tasks_of(called, "STOPPED") if t["stopCode"] == "TaskFailedToStart"]
        self.assertEqual(len(stopped), 3)
        self.assertIn("CannotPullContainerError", stopped[0]["stoppedReason"])

    def exits_at_once(self):
        called = name()
        self.create(self.server("good"), 1, called, configuration=self.breaker())
        self.stable(called)
        self.bad(called, self.register("exit 3"))

    def failing_check(self):
        called = name()
        self.create(self.server("good"), 1, called, configuration=self.breaker())
        self.stable(called)
        self.bad(called, self.register({"command": "sleep 1000", "healthCheck": {"command": ["CMD", "false"], "interval": 5, "retries": 1, "timeout": 2}}))
        self.assertIn("Task failed container health checks", {t["stoppedReason"] for t in self.tasks_of(called, "STOPPED")})

    def without_breaker(self):
        """It keeps trying, ever more slowly, and what runs goes on."""
        called = name()
        self.create(self.server("good", check=False), 1, called)
        self.stable(called)
        (good,) = self.tasks_of(called)
        self.update(called, taskDefinition=self.register({"command": "true", "image": self.image + ":missing"}))
        throttled = (f"(service {called}) is unable to consistently start tasks successfully. For more information, see the "
                     "Troubleshooting section of the Amazon ECS Developer Guide.")
        self.wait(lambda: throttled in self.messages(called))
        primary = self.service(called)["deployments"][0]
        self.assertEqual((primary["rolloutState"], primary["status"]), ("IN_PROGRESS", "PRIMARY"))
        self.assertGreaterEqual(primary["failedTasks"], 3)
        failed = primary["failedTasks"]
        self.wait(lambda: self.service(called)["deployments"][0]["failedTasks"] > failed)
        self.assertLessEqual(self.service(called)["deployments"][0]["failedTasks"], failed + 2)
        self.assertIn(good["taskArn"], [t["taskArn"] for t in self.tasks_of(called)])

    def no_room(self):
        """With 100 percent at least and at most, nothing can be replaced; with 0 at least, the old goes first."""
        called = name()
        self.create(self.server("tight", check=False), 1, called, configuration={"maximumPercent": 100})
        self.stable(called)
        (old,) = self.tasks_of(called)
        self.update(called, forceNewDeployment=True)
        stuck = (f"(service {called}) was unable to stop or start tasks during a deployment because of the service deployment "
                 "configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
        self.wait(lambda: stuck in self.messages(called))
        self.assertEqual([t["taskArn"] for t in self.tasks_of(called)], [old["taskArn"]])
        self.update(called, deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100})
        self.stable(called)
        self.assertNotIn(old["taskArn"], [t["taskArn"] for t in self.tasks_of(called)])

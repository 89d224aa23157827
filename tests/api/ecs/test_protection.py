"""Protection from scale in: as tasks ask for it themselves, and what it keeps from ending."""
import datetime
import json
import unittest

from services import ServiceCase, name
from tasks import allow, role

STAY = "trap 'exit 0' TERM; touch /tmp/up; sleep 1000 & wait"
CHECK = {"command": ["CMD-SHELL", "test -f /tmp/up"], "interval": 5, "timeout": 4, "retries": 2}


def put(body):
    """A command of busybox: the reply's status, and what it says. What it is asked by stays open until it has answered."""
    head = f"Content-Type: application/json\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
    return (f"A=${{ECS_AGENT_URI#http://}}; (printf 'PUT /%s/task-protection/v1/state HTTP/1.0\\r\\n{head}%s' \"${{A#*/}}\" '{body}'; sleep 2) | "
            "nc 169.254.170.2 80 | tr -d '\\r' | sed -n '1p;$p'; echo")


GET = "wget -q -O - $ECS_AGENT_URI/task-protection/v1/state; echo"


class Protection(ServiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.may = role("protects-" + cls.word, "ecs-tasks.amazonaws.com", allow("ecs:GetTaskProtection", "ecs:UpdateTaskProtection"))
        cls.may_not = role("protects-not-" + cls.word, "ecs-tasks.amazonaws.com")

    def told(self, lines):
        """Statuses and messages of what put() printed."""
        found = [line for line in lines if line]
        return [(int(status.split()[1]), json.loads(body)) for status, body in zip(found[::2], found[1::2])]

    def protection(self, arns):
        got = self.ecs.get_task_protection(cluster=self.cluster, tasks=arns)
        self.assertEqual(got["failures"], [])
        return {p["taskArn"]: p for p in got["protectedTasks"]}

    def arns(self, called):
        return sorted(t["taskArn"] for t in self.tasks_of(called))

    def test_from_inside(self):
        """A task of a service protects itself, sees that, and outlives scaling in until it says that it has done its work."""
        called = name()
        work = "; ".join(["touch /tmp/up", put('{"ProtectionEnabled":true,"ExpiresInMinutes":60}'), GET, STAY])
        self.create(self.register({"command": work, "healthCheck": CHECK, "logConfiguration": self.log(called)}, taskRoleArn=self.may), 2, called=called)
        self.stable(called)
        first, second = self.arns(called)
        for arn, protection in self.protection([first, second]).items():
            lines = [line for line in self.wait_for_lines(3, called, arn) if line]
            ((status, said),) = self.told(lines[:2])
            self.assertEqual((status, list(said)), (200, ["protection"]), lines)
            self.assertEqual(json.loads(lines[2]), said)
            said = said["protection"]
            self.assertEqual((said["ProtectionEnabled"], said["TaskArn"], protection["protectionEnabled"]), (True, arn, True))
            self.assertEqual(said["ExpirationDate"], protection["expirationDate"].astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        self.update(called, desiredCount=0)
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[first], protectionEnabled=False)
        self.wait(lambda: self.arns(called) == [second])
        self.assertEqual(self.task(first)["stopCode"], "ServiceSchedulerInitiated")
        self.assertEqual(self.task(second)["desiredStatus"], "RUNNING")
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[second], protectionEnabled=False)
        self.wait(lambda: not self.arns(called))

    def test_deployments_wait(self):
        """A protected task of the deployment before goes on beside the new one, and ends when it is protected no more."""
        called = name()
        before = self.register({"command": STAY, "healthCheck": CHECK})
        self.create(before, 1, called=called)
        self.stable(called)
        (old,) = self.arns(called)
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[old], protectionEnabled=True, expiresInMinutes=5)
        self.update(called, taskDefinition=self.register({"command": STAY, "healthCheck": CHECK}))
        healthy = lambda: [t for t in self.tasks_of(called) if t["taskArn"] != old and t["healthStatus"] == "HEALTHY"]
        (new,) = self.wait(healthy)
        service = self.service(called)
        self.assertEqual([(d["status"], d["rolloutState"]) for d in service["deployments"]], [("PRIMARY", "IN_PROGRESS"), ("ACTIVE", "COMPLETED")])
        self.assertEqual(self.task(old)["desiredStatus"], "RUNNING")
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[old], protectionEnabled=False)
        self.stable(called)
        self.assertEqual(self.arns(called), [new["taskArn"]])
        # who is to end, or has, cannot be protected
        failed = self.ecs.update_task_protection(cluster=self.cluster, tasks=[old], protectionEnabled=True)
        self.assertEqual((failed["protectedTasks"], [(f["arn"], f["reason"]) for f in failed["failures"]]), ([], [(old, "TASK_NOT_VALID")]))

    def test_sick_ones_go(self):
        called = name()
        self.create(self.register({"command": "touch /tmp/up; sleep 8; rm /tmp/up; sleep 1000", "healthCheck": CHECK, "stopTimeout": 0}), 1, called=called)
        (first,) = self.wait(lambda: self.arns(called))
        self.ecs.update_task_protection(cluster=self.cluster, tasks=[first], protectionEnabled=True)
        self.wait(lambda: self.task(first)["desiredStatus"] == "STOPPED")
        self.assertEqual(self.task(first)["stoppedReason"], "Task failed container health checks")

    def test_who_may_not(self):
        yes = '{"ProtectionEnabled":true}'
        lines, task = self.says("; ".join(map(put, ('{"ProtectionEnabled":1}', "{}", '{"ProtectionEnabled":true,"Minutes":3}', "no", yes))), taskRoleArn=self.may)
        *bad, alone = self.told(lines)
        self.assertEqual([(status, said["error"]["Code"], said["error"]["Arn"]) for status, said in bad],
                         [(400, "InvalidParameterException", task["taskArn"])] * 4)
        self.assertIn("ProtectionEnabled", bad[1][1]["error"]["Message"])
        self.assertEqual(alone, (400, {"failure": {"Arn": task["taskArn"], "Detail": None, "Reason": "TASK_NOT_VALID"}}))
        lines, task = self.says(put(yes), taskRoleArn=self.may_not)
        ((status, said),) = self.told(lines)
        self.assertEqual((status, said["error"]["Code"]), (400, "AccessDeniedException"))
        self.assertIn("ecs:UpdateTaskProtection", said["error"]["Message"])
        lines, _ = self.says(put(yes))
        ((status, said),) = self.told(lines)
        self.assertEqual((status, said["error"]["Code"]), (403, "AccessDeniedException"))
        self.assertIn("no task IAM role", said["error"]["Message"])

    def test_refused(self):
        arn = self.run_task(STAY)
        self.until(arn, "RUNNING")
        done = self.ecs.update_task_protection(cluster=self.cluster, tasks=[arn], protectionEnabled=True)
        self.assertEqual([(f["arn"], f["reason"]) for f in done["failures"]], [(arn, "TASK_NOT_VALID")])
        nobody = "0" * 32
        done = self.ecs.update_task_protection(cluster=self.cluster, tasks=[nobody], protectionEnabled=True)
        self.assertEqual([f["reason"] for f in done["failures"]], ["MISSING"])
        for minutes in (0, 2881):
            self.assertRefused("expiresInMinutes", self.ecs.update_task_protection, cluster=self.cluster, tasks=[arn], protectionEnabled=True,
                               expiresInMinutes=minutes)
        self.assertRefused("not found", self.ecs.get_task_protection, cluster="nowhere-" + self.word, code="ClusterNotFoundException")


if __name__ == "__main__":
    unittest.main()

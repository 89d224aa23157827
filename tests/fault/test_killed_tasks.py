"""Containers of tasks when roles and what is around them are killed, and when the cloud is stopped and started again."""
import os
import signal
import time
import unittest

from busybox import why_not
from tasked import AWAY, STAY, Tasked, hears, words


@unittest.skipIf(why_not(), why_not())
class KilledTasks(Tasked):
    def running(self, service, count=1):
        """The ARNs of a service's tasks, if they are so many and all run."""
        try:
            (found,) = self.ecs.describe_services(services=[service])["services"]
            arns = self.ecs.list_tasks(serviceName=service)["taskArns"]
            return found["runningCount"] == count and found["desiredCount"] == count and len(arns) == count and arns
        except AWAY:
            return None

    @staticmethod
    def killed(pids):
        """The first of them is, and was there still: a deployment ends processes too."""
        try:
            os.kill(pids[0], signal.SIGKILL)
            return True
        except (IndexError, ProcessLookupError):
            return False

    def settled(self, before):
        """Nothing is there any more that was not there before."""
        self.wait(lambda: self.left() == before)

    def first(self):
        """What is there when one task has come and gone."""
        arn = self.run_task()
        self.until(arn, "RUNNING")
        self.stop_task(arn)
        self.until(arn, "STOPPED")
        self.wait(lambda: not self.left()["groups"])
        return self.left()

    def test_roles_killed(self):
        """A task goes on while the role that serves is killed, and is that role's again: it stops as any other."""
        arn = self.run_task()
        before = self.until(arn, "RUNNING")
        (init,) = self.inits()
        for role in ("api", "priv", "net"):
            self.kill(role)
            self.assertEqual(self.inits(), [init], role)
        after = self.until(arn, "RUNNING")
        self.assertEqual((after["startedAt"], after["containers"][0]["runtimeId"]), (before["startedAt"], before["containers"][0]["runtimeId"]))
        self.wait(lambda: self.stop_task(arn))
        ended = self.until(arn, "STOPPED")
        self.assertEqual((ended["stopCode"], ended["containers"][0]["exitCode"]), ("UserInitiated", 6))

    def test_killed_in_mid_start(self):
        """It runs all the same, once, and stops as any other."""
        before = self.first()
        for role in ("api", "priv", "net"):
            for delay in (0.05, 0.25):
                arn = self.run_task()
                time.sleep(delay)
                self.kill(role)
                self.until(arn, "RUNNING")
                self.assertEqual(len(self.inits()), 1, (role, delay))
                self.wait(lambda one=arn: self.stop_task(one))
                self.assertEqual(self.until(arn, "STOPPED")["containers"][0]["exitCode"], 6, (role, delay))
        self.settled(before)

    def test_killed_in_mid_stop(self):
        """It stops, with the code that it ended with."""
        self.define("slow", "trap 'sleep 1; exit 7' TERM; echo up; while true; do sleep 0.1; done")
        before = self.first()
        for role in ("api", "priv", "net"):
            arn = self.run_task("slow")
            self.until(arn, "RUNNING")
            self.wait(lambda: self.inits() and all(map(hears, self.inits())))
            self.stop_task(arn)
            self.kill(role)
            ended = self.until(arn, "STOPPED")
            self.assertEqual((ended["stopCode"], ended["containers"][0].get("exitCode")), ("UserInitiated", 7), role)
        self.settled(before)

    def kill_in_groups(self, groups, name):
        """Kills what is called so in groups of tasks: how many. Quicker than a look at all processes."""
        killed = 0
        for place, _, files in os.walk(groups):
            for pid in words(os.path.join(place, "cgroup.procs")).split() if "cgroup.procs" in files else ():
                if words(f"/proc/{pid}/comm").strip() == name:
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                        killed += 1
                    except ProcessLookupError:
                        continue
        return killed

    def memory_groups(self):
        """Where this cloud's groups are, of the hierarchy that has the memory."""
        top = "/sys/fs/cgroup/memory" if os.path.exists("/sys/fs/cgroup/memory") else "/sys/fs/cgroup"
        for place, folders, _ in os.walk(top):
            if self.group() in folders:
                return os.path.join(place, self.group())
        return self.fail("the cloud has no groups")

    def test_its_processes_killed(self):
        """The first process of a container, the shim, and the runtime while it makes the container: the task ends, and nothing stays."""
        before = self.first()
        arn = self.run_task()
        self.until(arn, "RUNNING")
        os.kill(self.inits()[0], signal.SIGKILL)
        ended = self.until(arn, "STOPPED")
        self.assertEqual((ended["stopCode"], ended["containers"][0]["exitCode"]), ("EssentialContainerExited", 137))
        arn = self.run_task()
        self.until(arn, "RUNNING")
        (shim,) = [pid for pid in self.shims() if len(words(f"/proc/{pid}/status").split("NSpid:")[1].splitlines()[0].split()) > 1]
        os.kill(shim, signal.SIGKILL)
        ended = self.until(arn, "STOPPED")
        self.assertEqual((ended["stopCode"], ended["containers"][0]["exitCode"]), ("EssentialContainerExited", 137))
        self.assertEqual(self.inits(), [])
        killed, groups = 0, self.memory_groups()
        for _ in range(20):
            arn = self.run_task()
            until = time.monotonic() + 20
            while not killed and time.monotonic() < until and self.show(arn)["lastStatus"] in ("PROVISIONING", "PENDING"):
                for _ in range(50):  # it is there for some milliseconds
                    killed += self.kill_in_groups(groups, "crun")
            if killed:
                ended = self.until(arn, "STOPPED")
                self.assertEqual(ended["stopCode"], "TaskFailedToStart", ended)
                self.assertIn("CannotStartContainerError", ended["containers"][0]["reason"])
                break
            self.stop_task(arn)
            self.until(arn, "STOPPED")
        self.assertTrue(killed)
        self.settled(before)

    def test_all_killed_at_once(self):
        """The next cloud finds what ran, goes on with what was on its way, and cannot be told from the one before."""
        before = self.first()
        arn, late = self.run_task(), None
        started = self.until(arn, "RUNNING")["startedAt"]
        (init,) = self.inits()
        late = self.run_task()
        self.kill("api", "priv", "main")
        self.assertEqual(self.until(arn, "RUNNING")["startedAt"], started)
        self.assertIn(init, self.inits())
        self.until(late, "RUNNING")
        for one in (arn, late):
            self.wait(lambda t=one: self.stop_task(t))
            self.assertEqual(self.until(one, "STOPPED")["containers"][0]["exitCode"], 6)
        self.settled(before)
        self.cloud.stop()
        self.assertEqual(self.cloud.leftovers(), [])

    def test_killed_in_mid_deployment(self):
        """A service has as many tasks as it should, of the revision that it should have, whoever dies on the way."""
        before = self.first()
        self.ecs.create_service(serviceName="s", taskDefinition="t", desiredCount=2, launchType="FARGATE", networkConfiguration=self.network)
        self.wait(lambda: self.running("s", 2))
        self.define("t", STAY.replace("6", "8"))
        self.ecs.update_service(service="s", taskDefinition="t")
        for role in ("api", "priv", "net", "init", "shim"):
            if role == "init":
                self.wait(lambda: self.killed(self.inits()))
            elif role == "shim":
                self.wait(lambda: self.killed(sorted(self.shims(), reverse=True)))
            else:
                self.kill(role)
            time.sleep(0.3)

        def done():
            arns = self.running("s", 2)
            tasks = arns and self.ecs.describe_tasks(tasks=arns)["tasks"]
            return tasks and {t["taskDefinitionArn"].rsplit(":", 1)[1] for t in tasks} == {"2"} and arns
        self.wait(done)
        self.wait(lambda: len(self.inits()) == 2)  # one of before may be on its way out
        self.wait(lambda: len(self.ecs.describe_services(services=["s"])["services"][0]["deployments"]) == 1)
        self.ecs.delete_service(service="s", force=True)
        self.settled(before)

    def test_stopped_and_started(self):
        """What ran has ended with the cloud and says so; a service has its tasks again."""
        self.ecs.create_service(serviceName="s", taskDefinition="t", desiredCount=1, launchType="FARGATE", networkConfiguration=self.network)
        (of_service,) = self.wait(lambda: self.running("s"))
        arn = self.run_task()
        self.until(arn, "RUNNING")
        self.cloud.process.send_signal(signal.SIGTERM)
        self.cloud.process.wait(60)
        self.assertEqual(self.cloud.leftovers(), [])
        self.cloud.start()
        for task in (arn, of_service):
            ended = self.until(task, "STOPPED")
            self.assertEqual(ended["stopCode"], "TerminationNotice")
            self.assertNotIn("exitCode", ended["containers"][0])
        self.wait(lambda: (now := self.running("s")) and now != [of_service])


if __name__ == "__main__":
    unittest.main()

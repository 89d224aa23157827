"""`quartet exec` into a container of a task: who may, what the command gets, what comes back."""
import http.client
import json
import os
import pty
import select
import subprocess
import time
import unittest
import urllib.parse

from aws import ENDPOINT, client
from cloud import program
from tasks import TaskCase, role

STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


class Exec(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.role = role("exec-task-" + cls.word, "ecs-tasks.amazonaws.com")
        case = cls("test_commands")
        definition = case.register({"command": STAY, "environment": [{"name": "A", "value": "b c"}]}, {"name": "other", "command": STAY},
                                   taskRoleArn=cls.role)
        (task,) = case.run_tasks(definition, enableExecuteCommand=True)
        cls.arn, cls.task_id = task["taskArn"], task["taskArn"].rsplit("/", 1)[1]
        case.until(cls.arn, "RUNNING")

    def exec(self, *words, task=None, stdin="", env=None):
        return subprocess.run([program(), "exec", task or self.arn, *words], input=stdin.encode() if isinstance(stdin, str) else stdin, capture_output=True,
                              env={**os.environ, **(env or {})}, timeout=120)

    def test_commands(self):
        done = self.exec("--container", "c", "/bin/sh", "-c", "echo $A; echo two words; exit 5")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (5, b"b c\ntwo words\n", b""))
        by_id = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        self.assertEqual(self.exec("--container", "other", "/bin/sh", "-c", "echo ${A:-other}", task=self.task_id, env=by_id).stdout, b"other\n")
        self.assertEqual(self.task(self.arn)["containers"][0]["managedAgents"][0]["lastStatus"], "RUNNING")

    def test_bytes(self):
        """Every byte arrives, both ways, and the end of input too."""
        data = bytes(range(256)) * 300 + b"\r\n\n\r" + b"x" * 10000
        done = self.exec("--container", "c", "/bin/cat", stdin=data)
        self.assertEqual((done.returncode, len(done.stdout)), (0, len(data)))
        self.assertEqual(done.stdout, data)
        self.assertEqual(self.exec("--container", "c", "/bin/sh", "-c", "wc -c", stdin="no end of line").stdout.strip(), b"14")

    def test_terminal(self):
        """Where there is a terminal the command has one of the same size."""
        master, slave = pty.openpty()
        subprocess.run(["stty", "rows", "31", "cols", "97"], stdin=slave, check=True)
        with subprocess.Popen([program(), "exec", self.arn, "--container", "c"], stdin=slave, stdout=slave, stderr=slave) as shell:
            os.close(slave)
            os.write(master, b"stty size; tty; exit 3\n")
            said, until = b"", time.monotonic() + 60
            while b"97" not in said or b"/dev/pts" not in said:
                self.assertLess(time.monotonic(), until, said)
                if select.select([master], [], [], 1)[0]:
                    said += os.read(master, 4096)
            self.assertEqual(shell.wait(60), 3)
        os.close(master)
        self.assertIn(b"31 97", said)

    def test_refusals(self):
        says = lambda *words, **more: (lambda d: (d.returncode, d.stderr.decode()))(self.exec(*words, **more))
        self.assertEqual(says("id")[0], 1)
        self.assertIn("several containers", says("id")[1])
        self.assertIn("no container 'x'", says("--container", "x", "id")[1])
        self.assertIn("was not found", says("id", task=self.arn[:-32] + "0" * 32)[1])
        status, why = says("--container", "c", "/missing")
        self.assertEqual(status, 1)
        self.assertIn("cannot be started", why)
        plain = self.run_task(STAY, taskRoleArn=self.role)
        self.until(plain, "RUNNING")
        self.assertIn("execute command was not enabled", says("id", task=plain)[1])
        # A task needs a role for it.
        definition = self.register(STAY)
        self.assertAwsError("InvalidParameterException", self.run_tasks, definition, enableExecuteCommand=True, message="taskRoleArn")

    def test_permissions(self):
        iam, name = client("iam"), "exec-" + self.word
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]

        def enter():
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(ENDPOINT).netloc, timeout=60)
            connection.request("POST", f"/_quartet/exec/{urllib.parse.quote(self.arn, safe='')}?arg=id&container=c", headers={
                "Connection": "Upgrade", "Upgrade": "quartet-session", "X-Quartet-Region": self.region,
                "X-Quartet-Key": f"{key['AccessKeyId']}:{key['SecretAccessKey']}"})
            reply = connection.getresponse()
            said = reply.read() if reply.status != 101 else b""
            connection.close()
            return reply.status, said
        status, why = enter()
        self.assertEqual(status, 403)
        self.assertIn(b"is not authorized to perform: ecs:ExecuteCommand", why)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ecs:ExecuteCommand", "Resource": self.arn}]}))
        self.assertEqual(enter()[0], 101)

    def test_task_that_ends(self):
        """The command ends with its task."""
        (task,) = self.run_tasks(self.register(STAY, taskRoleArn=self.role), enableExecuteCommand=True)
        self.until(task["taskArn"], "RUNNING")
        with subprocess.Popen([program(), "exec", task["taskArn"], "/bin/sh", "-c", "echo in; sleep 1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
            self.assertEqual(command.stdout.readline(), b"in\n")
            self.ecs.stop_task(cluster=self.cluster, task=task["taskArn"])
            self.assertEqual(command.wait(120), 137)
        self.until(task["taskArn"], "STOPPED")


if __name__ == "__main__":
    unittest.main()

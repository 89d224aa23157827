"""`quartet choose`: advice for a described workload, without a cloud."""
import json
import subprocess
import unittest

from cloud import program


def choose(*arguments, status=0):
    done = subprocess.run([program(), "choose", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != status:
        raise AssertionError(f"{done.returncode}: {done.stdout}{done.stderr}")
    return done.stderr if status else done.stdout


class Choose(unittest.TestCase):
    def test_advice(self):
        said = json.loads(choose("--load", "steady:5rps", "--duration", "200", "--memory", "512", "--disk", "0", "--private", "--json"))
        models = {m["model"]: m for m in said["models"]}
        self.assertEqual(list(models), ["lambda", "fargate", "ec2", "beanstalk"])
        self.assertEqual(said["requestsMonth"], 13140000)
        self.assertAlmostEqual(models["lambda"]["usdMonth"], 13.14 * 1.866670, places=4)  # 0.20 + 16.6667 x 0.2 s x 0.5 GB a million
        self.assertAlmostEqual(models["fargate"]["usdMonth"], 730 * (0.25 * 0.04048 + 0.5 * 0.004445), places=6)
        self.assertAlmostEqual(models["ec2"]["usdMonth"], 730 * 0.0104, places=6)
        self.assertEqual(said["choose"], "ec2")
        for m in models.values():
            self.assertAlmostEqual(sum(p["usd"] for p in m["parts"]), m["usdMonth"], places=6)
        self.assertAlmostEqual(models["ec2"]["breakEvenRequestsMonth"] * said["functionUsdPerRequest"], models["ec2"]["usdMonth"], places=6)

    def test_words(self):
        text = choose("--load", "cron:1h", "--duration", "1000000", "--state")
        for part in ("cannot: a call may take 15 minutes", "cannot: a task's disk is gone with it", "Choose EC2: nothing else can run it"):
            self.assertIn(part, text)
        self.assertIn("Choose Lambda", choose("--load", "cron:1h"))

    def test_wrong_words(self):
        self.assertIn("a load is", choose("--load", "daily", status=2))
        self.assertIn("--memory wants", choose("--memory", "1", status=2))
        choose("--nothing", status=2)


if __name__ == "__main__":
    unittest.main()

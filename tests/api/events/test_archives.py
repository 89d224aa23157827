"""Archives and replays, in a cloud whose clock is moved."""
import datetime
import time
import unittest

from aws import REGION
from happenings import ACCOUNT, EventCase
from moving import moving_cloud


class Archives(EventCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, of = moving_cloud(cls)
        cls.of = staticmethod(of)

    def archive(self, bus, **more):
        name = self.name("a")
        arn = self.events.create_archive(ArchiveName=name, EventSourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}", **more)["ArchiveArn"]
        self.addCleanup(self.drop_archive, name)
        return name, arn

    def drop_archive(self, name):
        try:
            self.events.delete_archive(ArchiveName=name)
        except self.events.exceptions.ResourceNotFoundException:
            pass

    def drop_bus(self, bus):
        for a in self.events.list_archives(EventSourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}")["Archives"]:
            self.events.delete_archive(ArchiveName=a["ArchiveName"])
        super().drop_bus(bus)

    def until(self, what, seconds=60):
        end = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        return found

    def count(self, name, want):
        return self.until(lambda: (said := self.events.describe_archive(ArchiveName=name))["EventCount"] == want and said)

    def test_kept_and_replayed(self):
        bus = self.bus()
        name, arn = self.archive(bus, EventPattern='{"detail-type": ["Order"]}', Description="d")
        sent = [self.put(bus, kind="Order", detail={"n": n}, Time=datetime.datetime(2026, 1, 1 + n, tzinfo=datetime.timezone.utc)) for n in range(28)]
        self.put(bus, kind="Other")
        said = self.count(name, 28)
        self.assertGreater(said["SizeBytes"], 28 * 200)
        self.assertEqual((said["State"], said["RetentionDays"], said["Description"], said["EventPattern"]), ("ENABLED", 0, "d", '{"detail-type": ["Order"]}'))
        (first, first_arn), (second, second_arn) = self.queue(), self.queue()
        _, rule = self.rule({"detail-type": ["Order"]}, bus, [{"Arn": first_arn}])
        self.rule({"detail-type": ["Order"]}, bus, [{"Arn": second_arn}])
        bus_arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}"
        replay = self.name("r")
        window = {"EventStartTime": datetime.datetime(2026, 1, 3, tzinfo=datetime.timezone.utc), "EventEndTime": datetime.datetime(2026, 1, 6, tzinfo=datetime.timezone.utc)}
        self.assertEqual(self.events.start_replay(ReplayName=replay, EventSourceArn=arn, Destination={"Arn": bus_arn, "FilterArns": [rule]}, **window)["State"], "STARTING")
        got = self.heard(first, 3)
        self.assertEqual(sorted(e["id"] for e in got), sorted(sent[2:5]))
        self.assertEqual({e["replay-name"] for e in got}, {replay})
        said = self.until(lambda: (r := self.events.describe_replay(ReplayName=replay))["State"] == "COMPLETED" and r)
        self.assertEqual(said["EventLastReplayedTime"], datetime.datetime(2026, 1, 5, tzinfo=datetime.timezone.utc))
        self.assertNotIn("Messages", self.sqs.receive_message(QueueUrl=second))
        self.assertEqual(self.count(name, 28)["EventCount"], 28)  # what is replayed is not kept again
        self.assertEqual([r["State"] for r in self.events.list_replays(NamePrefix=replay)["Replays"]], ["COMPLETED"])
        fail = self.assertAwsError
        fail("ResourceAlreadyExistsException", self.events.start_replay, ReplayName=replay, EventSourceArn=arn, Destination={"Arn": bus_arn}, **window)
        fail("ValidationException", self.events.start_replay, ReplayName=replay + "2", EventSourceArn=arn, Destination={"Arn": bus_arn + "x"}, **window)
        fail("ValidationException", self.events.start_replay, ReplayName=replay + "2", EventSourceArn=arn, Destination={"Arn": bus_arn}, EventStartTime=window["EventEndTime"],
             EventEndTime=window["EventStartTime"])
        fail("ResourceNotFoundException", self.events.start_replay, ReplayName=replay + "2", EventSourceArn=arn + "x", Destination={"Arn": bus_arn}, **window)
        fail("IllegalStatusException", self.events.cancel_replay, ReplayName=replay)

    def test_its_rule_is_managed(self):
        bus = self.bus()
        name, _ = self.archive(bus)
        rule = "Events-Archive-" + name
        said = self.events.describe_rule(Name=rule, EventBusName=bus)
        self.assertEqual(said["ManagedBy"], "prod.vhs.events.aws.internal")
        for call, more in ((self.events.disable_rule, {"Name": rule}), (self.events.delete_rule, {"Name": rule}), (self.events.put_rule, {"Name": rule, "EventPattern": '{"source": ["a"]}'}),
                           (self.events.remove_targets, {"Rule": rule, "Ids": ["Archive"]})):
            self.assertAwsError("ManagedRuleException", call, EventBusName=bus, **more)
        self.events.delete_archive(ArchiveName=name)
        self.assertAwsError("ResourceNotFoundException", self.events.describe_rule, Name=rule, EventBusName=bus)
        self.assertAwsError("ResourceNotFoundException", self.events.describe_archive, ArchiveName=name, message=f"Archive {name} does not exist.")

    def test_retention(self):
        bus = self.bus()
        name, _ = self.archive(bus, RetentionDays=1)
        self.put(bus)
        self.count(name, 1)
        self.cloud.forward("23h")
        self.put(bus)
        self.count(name, 2)
        self.cloud.forward("2h")
        self.count(name, 1)
        self.events.update_archive(ArchiveName=name, RetentionDays=5, EventPattern='{"source": ["none"]}')
        self.put(bus)
        self.assertEqual([(a["ArchiveName"], a["RetentionDays"], a["EventCount"]) for a in self.events.list_archives(NamePrefix=name)["Archives"]], [(name, 5, 1)])
        self.assertAwsError("InvalidEventPatternException", self.events.update_archive, ArchiveName=name, EventPattern="{}")
        self.assertAwsError("ResourceAlreadyExistsException", self.events.create_archive, ArchiveName=name, EventSourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}")


if __name__ == "__main__":
    unittest.main()

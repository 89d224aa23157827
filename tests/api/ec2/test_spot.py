"""Spot instances: prices and requests."""
import time

from ec2 import end_instances, halting_image, wait_for
from spot import SpotCase


class Spot(SpotCase):
    def test_prices(self):
        ask = lambda **more: self.ec2.describe_spot_price_history(InstanceTypes=["t3.micro"], **more)["SpotPriceHistory"]  # noqa: E731
        found = ask()
        self.assertEqual([p["AvailabilityZone"] for p in found], ["us-east-1a", "us-east-1b", "us-east-1c"])
        self.assertEqual({(p["SpotPrice"], p["ProductDescription"]) for p in found}, {("0.003120", "Linux/UNIX")})
        self.assertEqual(len(ask(AvailabilityZone="us-east-1b")), 1)
        self.assertEqual(ask(ProductDescriptions=["Windows"]), [])
        pages = list(self.ec2.get_paginator("describe_spot_price_history").paginate(InstanceTypes=["t3.micro", "t3.small"], MaxResults=2))
        self.assertEqual(sum(len(p["SpotPriceHistory"]) for p in pages), 6)
        self.fails("InvalidParameterValue", self.ec2.describe_spot_price_history, Filters=[{"Name": "colour", "Values": ["red"]}])

    def test_refusals(self):
        self.image = halting_image(self)
        run = lambda **more: self.run_one(InstanceMarketOptions=self.market(**more))  # noqa: E731
        self.fails("SpotMaxPriceTooLow", run, MaxPrice="0.0001",
                   message="Your Spot request price of 0.000100 is lower than the minimum required Spot request fulfillment price of 0.001740.")
        self.fails("InvalidParameterValue", run, MaxPrice="cheap")
        self.fails("InvalidParameterCombination", run, InstanceInterruptionBehavior="stop")
        self.fails("UnsupportedOperation", run, SpotInstanceType="persistent", InstanceInterruptionBehavior="stop",
                   message="Stopping or hibernating Spot Instances at an interruption is not supported.")
        self.fails("InvalidSpotInstanceRequestID.NotFound", self.ec2.cancel_spot_instance_requests, SpotInstanceRequestIds=["sir-0123456789abcdef0"])
        self.fails("InvalidSpotInstanceRequestID.Malformed", self.ec2.describe_spot_instance_requests, SpotInstanceRequestIds=["sir-1"])

    def test_life(self):
        self.image = halting_image(self)
        made = self.run_one(InstanceMarketOptions=self.market(), TagSpecifications=[
            {"ResourceType": "spot-instances-request", "Tags": [{"Key": "k", "Value": "v"}]}])
        self.assertEqual(made["InstanceLifecycle"], "spot")
        sir = made["SpotInstanceRequestId"]
        request = self.request(sir)
        self.assertEqual((request["State"], request["Status"]["Code"], request["InstanceId"], request["Type"]),
                         ("active", "fulfilled", made["InstanceId"], "one-time"))
        self.assertEqual((request["SpotPrice"], request["Tags"]), ("0.005800", [{"Key": "k", "Value": "v"}]))
        found = self.ec2.describe_instances(Filters=[{"Name": "spot-instance-request-id", "Values": [sir]}])["Reservations"]
        self.assertEqual(found[0]["Instances"][0]["InstanceId"], made["InstanceId"])
        wait_for(self, self.ec2, made["InstanceId"], "running")
        self.fails("UnsupportedOperation", self.ec2.stop_instances, InstanceIds=[made["InstanceId"]])
        cancelled = self.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[sir])["CancelledSpotInstanceRequests"]
        self.assertEqual([c["State"] for c in cancelled], ["cancelled"])
        self.assertEqual(self.status(sir), ("cancelled", "request-canceled-and-instance-running"))

    def test_requests(self):
        self.image = halting_image(self)
        spec = {"ImageId": self.image, "InstanceType": "t2.nano"}
        low = self.ec2.request_spot_instances(SpotPrice="0.001", LaunchSpecification=spec)["SpotInstanceRequests"][0]
        self.assertEqual((low["State"], low["Status"]["Code"]), ("open", "price-too-low"))
        self.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[low["SpotInstanceRequestId"]])
        self.assertEqual(self.status(low["SpotInstanceRequestId"]), ("cancelled", "canceled-before-fulfillment"))
        made = self.ec2.request_spot_instances(LaunchSpecification=spec)["SpotInstanceRequests"][0]
        instance = made["InstanceId"]
        self.assertEqual((made["State"], made["Status"]["Code"]), ("active", "fulfilled"))
        end_instances(self, self.ec2, instance)
        wait_for(self, self.ec2, instance, "running")
        self.ec2.terminate_instances(InstanceIds=[instance])
        wait_for(self, self.ec2, instance, "terminated", 90)
        self.assertEqual(self.status(made["SpotInstanceRequestId"]), ("closed", "instance-terminated-by-user"))
        self.fails("InvalidParameterValue", self.ec2.request_spot_instances, LaunchSpecification={**spec, "InstanceType": "t9.huge"})
        self.fails("UnsupportedOperation", self.ec2.request_spot_instances, LaunchSpecification=spec, Type="persistent",
                   InstanceInterruptionBehavior="hibernate")
        self.fails("InvalidParameterValue", self.ec2.request_spot_instances, LaunchSpecification=spec, ValidUntil="2020-01-01T00:00:00Z")
        self.fails("MissingParameter", self.ec2.request_spot_instances)

    def test_a_persistent_request(self):
        self.image = halting_image(self)
        first = self.run_one(InstanceMarketOptions=self.market(SpotInstanceType="persistent"))
        sir = first["SpotInstanceRequestId"]
        self.addCleanup(lambda: self.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[sir]))
        wait_for(self, self.ec2, first["InstanceId"], "running")
        self.ec2.stop_instances(InstanceIds=[first["InstanceId"]], Force=True)
        wait_for(self, self.ec2, first["InstanceId"], "stopped", 90)
        self.assertEqual(self.status(sir), ("disabled", "instance-stopped-by-user"))
        self.ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
        for _ in range(600):
            request = self.request(sir)
            if request["State"] == "active":
                break
            self.assertEqual((request["State"] in ("open", "disabled"), "InstanceId" in request and request["State"] == "open"), (True, False))
            time.sleep(0.1)
        self.assertNotIn(request["InstanceId"], (None, first["InstanceId"]))
        second = request["InstanceId"]
        end_instances(self, self.ec2, second)
        wait_for(self, self.ec2, second, "running")
        self.assertEqual(self.status(sir), ("active", "fulfilled"))
        self.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[sir])
        self.ec2.terminate_instances(InstanceIds=[second])
        wait_for(self, self.ec2, second, "terminated", 90)
        self.assertEqual(self.status(sir), ("cancelled", "instance-terminated-by-user"))

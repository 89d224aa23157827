"""What the tests of spot instances share."""
from aws import client
from ec2 import Ec2Case, end_instances


class SpotCase(Ec2Case):
    def setUp(self):
        super().setUp()
        self.ec2 = client("ec2")

    def market(self, **more):
        return {"MarketType": "spot", "SpotOptions": more}

    def run_one(self, kind="t2.nano", **more):
        made = self.ec2.run_instances(ImageId=self.image, InstanceType=kind, MinCount=1, MaxCount=1, **more)["Instances"][0]
        end_instances(self, self.ec2, made["InstanceId"])
        return made

    def request(self, sir):
        return self.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[sir])["SpotInstanceRequests"][0]

    def status(self, sir):
        r = self.request(sir)
        return r["State"], r["Status"]["Code"]

"""The price list: products, their attributes and prices, filters and pages; and the user's own prices in front of it."""
import json
import pathlib
import subprocess
import tempfile
import unittest

from botocore.exceptions import ClientError
from aws import client
from cloud import Cloud, program

US_EAST = "US East (N. Virginia)"


def term(field, value, kind="TERM_MATCH"):
    return {"Type": kind, "Field": field, "Value": value}


def products(service, *filters, pricing=None, **more):
    out = (pricing or client("pricing")).get_products(ServiceCode=service, Filters=list(filters), **more)
    return [json.loads(text) for text in out["PriceList"]]


def dimensions(product):
    (only,) = product["terms"]["OnDemand"].values()
    return sorted(only["priceDimensions"].values(), key=lambda d: int(d["beginRange"]))


class Products(unittest.TestCase):
    def code(self, call, *args, **kw):
        with self.assertRaises(ClientError) as refused:
            call(*args, **kw)
        return refused.exception.response["Error"]["Code"]

    def test_an_instance_type(self):
        (one,) = products("AmazonEC2", term("instanceType", "t3.micro"), term("operatingSystem", "Linux"), term("tenancy", "Shared"),
                          term("preInstalledSw", "NA"), term("capacitystatus", "Used"), term("location", US_EAST), term("regionCode", "us-east-1"))
        self.assertEqual(one["product"]["productFamily"], "Compute Instance")
        said = one["product"]["attributes"]
        self.assertEqual((said["vcpu"], said["memory"], said["usagetype"], said["servicecode"], said["operation"]),
                         ("2", "1 GiB", "BoxUsage:t3.micro", "AmazonEC2", "RunInstances"))
        sku = one["product"]["sku"]
        self.assertRegex(sku, "^[A-Z0-9]{16}$")
        self.assertEqual(list(one["terms"]["OnDemand"]), [f"{sku}.JRTCKXETXF"])
        (only,) = dimensions(one)
        self.assertEqual((only["unit"], only["beginRange"], only["endRange"], only["pricePerUnit"]), ("Hrs", "0", "Inf", {"USD": "0.0104000000"}))
        self.assertEqual(only["rateCode"], f"{sku}.JRTCKXETXF.6YS6EN2CT7")
        (reserved,) = one["terms"]["Reserved"].values()
        self.assertEqual(reserved["termAttributes"], {"LeaseContractLength": "1yr", "OfferingClass": "standard", "PurchaseOption": "No Upfront"})
        self.assertEqual([d["pricePerUnit"]["USD"] for d in reserved["priceDimensions"].values()], ["0.0064900000"])

    def test_tiers(self):
        (one,) = products("AWSLambda", term("usagetype", "Lambda-GB-Second"))
        self.assertEqual([(d["beginRange"], d["endRange"], d["pricePerUnit"]["USD"]) for d in dimensions(one)],
                         [("0", "6000000000", "0.0000166667"), ("6000000000", "15000000000", "0.0000150000"), ("15000000000", "Inf", "0.0000133334")])

    def test_filters(self):
        disks = products("AmazonEC2", term("productFamily", "Storage"))
        self.assertEqual({d["product"]["attributes"]["volumeApiName"] for d in disks}, {"standard", "gp2", "gp3", "io1", "io2", "st1", "sc1"})
        some = products("AmazonEC2", term("volumeApiName", "gp2, gp3", "ANY_OF"), term("ServiceCode", "AmazonEC2"), term("productFamily", "Storage", "EQUALS"))
        self.assertEqual(sorted(dimensions(d)[0]["pricePerUnit"]["USD"] for d in some), ["0.0800000000", "0.1000000000"])
        rest = products("AmazonEC2", term("productFamily", "Storage"), term("volumeApiName", "gp2,gp3", "NONE_OF"))
        self.assertEqual(len(rest), 5)
        self.assertEqual(len(products("AmazonEC2", term("usagetype", "EBS:VolumeP-", "CONTAINS"))), 4)
        self.assertEqual(products("AmazonEC2", term("instanceType", "t9.none")), [])
        self.assertEqual(products("AmazonEC2", term("nothing", "x")), [])

    def test_pages_meet_every_product_once(self):
        pages = client("pricing").get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=[term("instanceType", "m5.", "CONTAINS")])
        skus = [json.loads(p)["product"]["sku"] for page in pages for p in page["PriceList"]]
        self.assertGreater(len(skus), 10)
        self.assertEqual(len(set(skus)), len(skus))
        self.assertEqual(len(products("AmazonEC2", MaxResults=7)), 7)

    def test_services_and_values(self):
        pricing = client("pricing")
        services = {s["ServiceCode"]: s["AttributeNames"] for s in pricing.describe_services(FormatVersion="aws_v1")["Services"]}
        self.assertLessEqual({"AWSDataTransfer", "AWSELB", "AWSLambda", "AmazonCloudWatch", "AmazonEC2", "AmazonECR", "AmazonECS", "AmazonRoute53", "AmazonS3",
                              "AmazonVPC"}, set(services))
        self.assertIn("instanceType", services["AmazonEC2"])
        self.assertEqual(pricing.describe_services(ServiceCode="AWSLambda")["Services"][0]["ServiceCode"], "AWSLambda")
        values = [v["Value"] for page in pricing.get_paginator("get_attribute_values").paginate(ServiceCode="AmazonEC2", AttributeName="volumeType") for v in page["AttributeValues"]]
        self.assertEqual(values, ["Cold HDD", "General Purpose", "Magnetic", "Provisioned IOPS", "Throughput Optimized HDD"])

    def test_refusals(self):
        pricing = client("pricing")
        self.assertEqual(self.code(pricing.get_products, ServiceCode="AmazonNone"), "NotFoundException")
        self.assertEqual(self.code(pricing.describe_services, ServiceCode="AmazonNone"), "NotFoundException")
        self.assertEqual(self.code(pricing.get_attribute_values, ServiceCode="AmazonEC2", AttributeName="none"), "NotFoundException")
        self.assertEqual(self.code(pricing.get_products, ServiceCode="AmazonEC2", NextToken="x"), "InvalidNextTokenException")
        self.assertEqual(self.code(pricing.get_products, ServiceCode="AmazonEC2", FormatVersion="v9"), "InvalidParameterException")


class OwnPrices(unittest.TestCase):
    """A cloud with a price file of its own."""

    def test_own_prices_are_the_book(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        own, config = folder / "prices.json", folder / "quartet.conf"
        config.write_text(f"[bill]\nprices = {own}\n")

        def refused(text):
            own.write_text(text)
            done = subprocess.run([program(), "up", "--config", str(config), "--data", str(folder / "none"), "--listen", "127.0.0.1:1"],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            return done.stderr
        self.assertIn("no usage type Box", refused('{"us-east-1": {"Box": 1}}'))
        self.assertIn("a price is", refused('{"us-east-1": {"BoxUsage:t3.micro": "1"}}'))
        self.assertIn("a price is", refused('{"us-east-1": {"BoxUsage:t3.micro": [[5, 1]]}}'))
        self.assertIn("offset", refused("{"))
        own.write_text(json.dumps({"us-east-1": {"PublicIPv4:IdleAddress": 6, "EBS:VolumeUsage.gp3": None}, "eu-west-1": {"PublicIPv4:IdleAddress": 0.12}}))
        cloud = Cloud(options=("--config", str(config))).start()
        self.addCleanup(cloud.stop)
        cloud.client("ec2").allocate_address()
        cloud.client("ec2", region="eu-west-1").allocate_address()
        cloud.client("ec2").create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3")
        done = subprocess.run([program(), "bill", "--data", cloud.data, "--json"], capture_output=True, text=True, check=True, timeout=60)
        lines = {line["usageType"]: (line["price"], line["usd"]) for line in json.loads(done.stdout)["lines"]}
        self.assertEqual(lines, {"PublicIPv4:IdleAddress": (6, 0.1), "EU-PublicIPv4:IdleAddress": (0.12, 0.002), "EBS:VolumeUsage.gp3": (None, None)})
        found = products("AmazonVPC", term("group", "VPCPublicIPv4Address"), term("usagetype", "EU-PublicIPv4:IdleAddress"), pricing=cloud.client("pricing"))
        self.assertEqual([dimensions(p)[0]["pricePerUnit"]["USD"] for p in found], ["0.1200000000"])
        self.assertEqual(found[0]["product"]["attributes"]["location"], "EU (Ireland)")


if __name__ == "__main__":
    unittest.main()

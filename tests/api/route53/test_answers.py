"""The responder for this machine, asked by dig: answers, refusals, truncation, delegation, two clouds beside each other, a restart."""
import datetime
import json
import os
import shutil
import subprocess
import time
import unittest
import urllib.request
import uuid

from cloud import Cloud, free_port

DIG = shutil.which("dig")


class Answering(Cloud):
    """A cloud that answers names on a port of its own."""

    def __init__(self, port=None):
        super().__init__()
        self.dns_port = port or free_port()
        config = os.path.join(self.data, "conf")
        with open(config, "w") as f:
            f.write(f"[dns]\nlisten = 127.0.0.1:{self.dns_port}\n")
        os.chmod(config, 0o644)
        self.options = ["--config", config, "--resolver", "127.0.0.1:9"]

    def dig(self, *args):
        """(status, flags, {section: [[name, ttl, class, type, data], ...]}) of one answer."""
        text = subprocess.run([DIG, "@127.0.0.1", "-p", str(self.dns_port), "+nocookie", "+tries=3", "+time=10", *args],
                              capture_output=True, text=True, timeout=60).stdout
        status = flags = ""
        found, section = {}, None
        for line in text.splitlines():
            if "status: " in line:
                status = line.split("status: ")[1].split(",")[0]
            elif line.startswith(";; flags:"):
                flags = line.split(":")[1].split(";")[0].split()
            elif line.startswith(";; ") and line.endswith("SECTION:"):
                section = line.split()[1]
            elif line and not line.startswith(";") and section:
                found.setdefault(section, []).append(line.split(None, 4))
        return status, flags, found


@unittest.skipUnless(DIG, "no dig")
class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Answering().start()
        cls.addClassCleanup(cls.cloud.stop)
        cls.dns = cls.cloud.client("route53")
        made = cls.dns.create_hosted_zone(Name="Example.test", CallerReference="1")
        cls.zone, cls.servers = made["HostedZone"]["Id"], made["DelegationSet"]["NameServers"]

    def put(self, *sets, zone=None, action="UPSERT"):
        info = self.dns.change_resource_record_sets(HostedZoneId=zone or self.zone, ChangeBatch={
            "Changes": [{"Action": action, "ResourceRecordSet": s} for s in sets]})["ChangeInfo"]
        self.assertEqual(self.dns.get_change(Id=info["Id"])["ChangeInfo"]["Status"], "INSYNC")

    @staticmethod
    def set(called, kind, *values, ttl=60, **more):
        return {"Name": called, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": v} for v in values], **more}

    def ask(self, *args, section="ANSWER"):
        return sorted(r[4] for r in self.cloud.dig(*args)[2].get(section, []))

    def test_what_is_there(self):
        self.put(self.set("www.example.test", "A", "192.0.2.1", "192.0.2.2", ttl=123), self.set("*.example.test", "TXT", '"wild card"'),
                 self.set("alias.example.test", "CNAME", "www.example.test"))
        status, flags, found = self.cloud.dig("WWW.example.test", "A")
        self.assertEqual((status, "aa" in flags), ("NOERROR", True))
        self.assertEqual(sorted((r[1], r[3], r[4]) for r in found["ANSWER"]), [("123", "A", "192.0.2.1"), ("123", "A", "192.0.2.2")])
        self.assertEqual(self.ask("alias.example.test", "A"), ["192.0.2.1", "192.0.2.2", "www.example.test."])
        self.assertEqual(self.ask("any.example.test", "TXT"), ['"wild card"'])
        self.assertEqual(self.ask("example.test", "NS"), sorted(s + "." for s in self.servers))
        self.assertEqual(self.ask("+tcp", "example.test", "SOA"), [f"{self.servers[0]}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"])

    def test_what_is_not(self):
        self.put(self.set("only.example.test", "A", "192.0.2.1"))
        for called, kind, status in (("only.example.test", "AAAA", "NOERROR"), ("not.only.example.test", "A", "NXDOMAIN")):
            got, flags, found = self.cloud.dig(called, kind)
            self.assertEqual((got, "aa" in flags, found.get("ANSWER")), (status, True, None))
            self.assertEqual([(r[0], r[1], r[3]) for r in found["AUTHORITY"]], [("example.test.", "900", "SOA")])
        self.assertEqual(self.cloud.dig("+norecurse", "elsewhere.test")[0], "REFUSED")
        self.assertEqual(self.cloud.dig("elsewhere.test")[0], "SERVFAIL")  # the name server that it would ask is not there

    def test_all_kinds(self):
        """dig writes each value as it was given."""
        values = {"AAAA": "2001:db8::1", "CAA": '0 issue "ca.test"', "DS": "123 5 1 0123456789ABCDEF0123456789ABCDEF01234567", "MX": "10 mail.test.",
                  "NAPTR": '100 50 "u" "E2U+sip" "!^(.*)$!sip:1@t!" .', "PTR": "host.test.", "SRV": "1 2 443 h.test.", "SPF": '"v=spf1 -all"',
                  "SSHFP": "4 2 " + "0123456789ABCDEF" * 4, "TXT": '"a\\"b" "c"',
                  "HTTPS": '1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1', "SVCB": "0 target.test."}
        self.put(*[self.set(kind + ".kinds.example.test", kind, v) for kind, v in values.items()])
        for kind, value in values.items():
            with self.subTest(kind=kind):
                got = self.ask(kind + ".kinds.example.test", kind)
                if kind in ("SSHFP", "DS"):
                    got = [g.replace(" ", "") for g in got]
                    value = value.replace(" ", "")
                self.assertEqual(got, [value])

    def test_large(self):
        many = [f"192.0.2.{i}" for i in range(100)]
        self.put(self.set("large.example.test", "A", *many))
        _, flags, found = self.cloud.dig("+noedns", "+ignore", "large.example.test")
        self.assertEqual(("tc" in flags, found.get("ANSWER")), (True, None))
        self.assertEqual(self.ask("+noedns", "large.example.test"), sorted(many))
        self.assertEqual(self.ask("+bufsize=4096", "+ignore", "large.example.test"), sorted(many))

    def test_delegation(self):
        self.put(self.set("sub.example.test", "NS", "ns.sub.example.test", "ns.elsewhere.test"), self.set("ns.sub.example.test", "A", "192.0.2.53"))
        status, flags, found = self.cloud.dig("+norecurse", "x.sub.example.test")
        self.assertEqual((status, "aa" in flags, found.get("ANSWER")), ("NOERROR", False, None))
        self.assertEqual(sorted(r[4] for r in found["AUTHORITY"]), ["ns.elsewhere.test.", "ns.sub.example.test."])
        self.assertEqual([r[0] + r[4] for r in found["ADDITIONAL"]], ["ns.sub.example.test.192.0.2.53"])

    def test_policies(self):
        for i in range(10):
            self.put({**self.set("multi.example.test", "A", f"192.0.2.{i}"), "SetIdentifier": str(i), "MultiValueAnswer": True})
        self.assertEqual(len(set(self.ask("multi.example.test"))), 8)
        self.put({**self.set("w.example.test", "A", "192.0.2.1"), "SetIdentifier": "a", "Weight": 1}, {**self.set("w.example.test", "A", "192.0.2.2"), "SetIdentifier": "b", "Weight": 0})
        self.assertEqual({tuple(self.ask("w.example.test")) for _ in range(20)}, {("192.0.2.1",)})

    def test_private_stays_inside(self):
        vpc = self.cloud.client("ec2").create_vpc(CidrBlock="10.79.0.0/24")["Vpc"]["VpcId"]
        zone = self.dns.create_hosted_zone(Name="inner.example.test", CallerReference=uuid.uuid4().hex, VPC={"VPCRegion": "us-east-1", "VPCId": vpc})["HostedZone"]["Id"]
        self.put(self.set("db.inner.example.test", "A", "10.79.0.5"), zone=zone)
        self.assertEqual(self.ask("db.inner.example.test", "A"), [])

    def test_deleted(self):
        one = self.set("gone.example.org", "A", "192.0.2.1")
        zone = self.dns.create_hosted_zone(Name="example.org", CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]
        self.put(one, zone=zone)
        self.assertEqual(self.ask("gone.example.org"), ["192.0.2.1"])
        self.put(one, zone=zone, action="DELETE")
        self.assertEqual(self.cloud.dig("gone.example.org")[0], "NXDOMAIN")
        self.dns.delete_hosted_zone(Id=zone)
        self.assertEqual(self.cloud.dig("+norecurse", "gone.example.org")[0], "REFUSED")

    def test_bill(self):
        zone = self.dns.create_hosted_zone(Name="billed.test", CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]
        for _ in range(5):
            self.cloud.dig("billed.test", "SOA")
        now = datetime.datetime.now(datetime.timezone.utc).date()
        period = {"Start": str(now - datetime.timedelta(days=1)), "End": str(now + datetime.timedelta(days=2))}

        def used():
            out = self.cloud.client("ce").get_cost_and_usage(TimePeriod=period, Granularity="DAILY", Metrics=["UnblendedCost", "UsageQuantity"],
                                                             GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}])["ResultsByTime"]
            return {g["Keys"][0]: float(g["Metrics"]["UsageQuantity"]["Amount"]) for day in out for g in day["Groups"]}
        end = time.monotonic() + 60
        while (got := used()).get("DNS-Queries", 0) < 5 and time.monotonic() < end:  # counted queries are written once a second
            time.sleep(0.2)
        self.assertGreaterEqual(got["DNS-Queries"], 5)
        self.assertGreater(got["HostedZone"], 0)
        self.dns.delete_hosted_zone(Id=zone)

    def test_restart(self):
        self.put(self.set("kept.example.test", "A", "192.0.2.77"))
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", before, seconds=60)
        self.cloud.wait(60)
        self.assertEqual(self.ask("kept.example.test"), ["192.0.2.77"])

    def test_beside(self):
        with Answering(self.cloud.dns_port) as other:
            self.assertIn(f"no names are answered to this machine: 127.0.0.1:{self.cloud.dns_port}: Address already in use", other.log_text())
            self.assertEqual(other.client("route53").list_hosted_zones()["HostedZones"], [])
            self.assertEqual(self.names(self.cloud), {"answered_at": f"127.0.0.1:{self.cloud.dns_port}", "why_not": ""})
            self.assertEqual(self.names(other), {"answered_at": "", "why_not": f"127.0.0.1:{self.cloud.dns_port}: Address already in use"})
            said = subprocess.run([os.environ["QUARTET"], "doctor", "--data", other.data], capture_output=True, text=True, check=False).stdout
            self.assertIn(f"127.0.0.1:{self.cloud.dns_port}: Address already in use: another address as [dns] listen", said)

    def names(self, cloud):
        with urllib.request.urlopen(cloud.endpoint + "/_quartet/health", timeout=10) as reply:
            return json.load(reply)["names"]


if __name__ == "__main__":
    unittest.main()

"""Where record sets of geolocation may be for."""
import unittest
import uuid

from aws import TestCase, client


class Geo(TestCase):
    def setUp(self):
        self.dns = client("route53")

    def test_list(self):
        all_of = self.dns.list_geo_locations()
        found = all_of["GeoLocationDetailsList"]
        self.assertEqual((all_of["IsTruncated"], found[0], found[-1]), (False, {"CountryCode": "*", "CountryName": "Default"},
                                                                        {"ContinentCode": "SA", "ContinentName": "South America"}))
        self.assertIn({"CountryCode": "US", "CountryName": "United States", "SubdivisionCode": "WA", "SubdivisionName": "Washington"}, found)
        self.assertIn({"CountryCode": "DE", "CountryName": "Germany"}, found)
        self.assertEqual([p["ContinentCode"] for p in found if "ContinentCode" in p], ["AF", "AN", "AS", "EU", "NA", "OC", "SA"])
        keys = [(p["CountryCode"], p.get("SubdivisionCode", "")) for p in found if "CountryCode" in p]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual(sum(k[0] == "US" for k in keys), 52)
        # by pages of any size
        seen, start = [], {}
        while True:
            page = self.dns.list_geo_locations(MaxItems="7", **start)
            seen += page["GeoLocationDetailsList"]
            if not page["IsTruncated"]:
                break
            start = {"Start" + k[4:]: v for k, v in page.items() if k in ("NextContinentCode", "NextCountryCode", "NextSubdivisionCode")}
        self.assertEqual(seen, found)
        one = self.dns.list_geo_locations(StartCountryCode="US", StartSubdivisionCode="NY", MaxItems="1")["GeoLocationDetailsList"]
        self.assertEqual([p["SubdivisionName"] for p in one], ["New York"])

    def test_get(self):
        get = lambda **codes: self.dns.get_geo_location(**codes)["GeoLocationDetails"]  # noqa: E731
        self.assertEqual(get(ContinentCode="EU"), {"ContinentCode": "EU", "ContinentName": "Europe"})
        self.assertEqual(get(CountryCode="JP"), {"CountryCode": "JP", "CountryName": "Japan"})
        self.assertEqual(get(CountryCode="UA", SubdivisionCode="30")["SubdivisionName"], "Kyiv")
        for codes in ({"CountryCode": "XX"}, {"ContinentCode": "XX"}, {"CountryCode": "DE", "SubdivisionCode": "BY"}):
            self.assertAwsError("NoSuchGeoLocation", self.dns.get_geo_location, status=404, **codes)
        for codes in ({}, {"SubdivisionCode": "NY"}, {"ContinentCode": "EU", "CountryCode": "DE"}):
            self.assertAwsError("InvalidInput", self.dns.get_geo_location, status=400, **codes)

    def test_record_sets(self):
        name = f"g{uuid.uuid4().hex[:8]}.test"
        zone = self.dns.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]
        self.addCleanup(self.dns.delete_hosted_zone, Id=zone)

        def change(action, **place):
            self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": {
                "Name": name, "Type": "A", "TTL": 60, "SetIdentifier": "-".join(place.values()), "GeoLocation": place,
                "ResourceRecords": [{"Value": "192.0.2.1"}]}}]})
        for place in ({"CountryCode": "*"}, {"ContinentCode": "AF"}, {"CountryCode": "US", "SubdivisionCode": "AL"}):
            change("CREATE", **place)
            self.addCleanup(change, "DELETE", **place)
        for place in ({"CountryCode": "XX"}, {"ContinentCode": "ZZ"}, {"CountryCode": "FR", "SubdivisionCode": "75"}):
            self.assertAwsError("InvalidInput", change, "CREATE", status=400, message="not supported", **place)


if __name__ == "__main__":
    unittest.main()

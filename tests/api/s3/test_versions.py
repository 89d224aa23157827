"""Versions, delete markers, the null version."""
import unittest

from s3case import S3Case, elements, noise, raw


class Versions(S3Case):
    def versions(self, b, **more):
        page = self.s3.list_object_versions(Bucket=b, **more)
        return [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])], \
               [(m["Key"], m["VersionId"], m["IsLatest"]) for m in page.get("DeleteMarkers", [])]

    def test_status(self):
        b = self.bucket()
        self.assertNotIn("Status", self.s3.get_bucket_versioning(Bucket=b))
        for status in ("Enabled", "Suspended", "Enabled"):
            self.s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": status})
            self.assertEqual(self.s3.get_bucket_versioning(Bucket=b)["Status"], status)
        self.assertEqual(raw("PUT", f"/{b}", [("versioning", "")], b"<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>").status, 400)

    def test_every_put_is_kept(self):
        b = self.bucket(versioned=True)
        ids = []
        for i in range(5):
            ids.append(self.put(b, "k", noise(9000, i))["VersionId"])
        self.assertEqual(len(set(ids)), 5)
        for i, version in enumerate(ids):
            self.assertEqual(self.get(b, "k", VersionId=version), noise(9000, i))
        self.assertEqual(self.get(b, "k"), noise(9000, 4))
        self.assertEqual(self.versions(b)[0], [("k", v, v == ids[4]) for v in reversed(ids)])
        self.assertAwsError("NoSuchVersion", self.get, b, "k", VersionId="0" * 32)

    def test_delete_marker(self):
        b = self.bucket(versioned=True)
        first = self.put(b, "k", b"1")["VersionId"]
        gone = self.s3.delete_object(Bucket=b, Key="k")
        self.assertTrue(gone["DeleteMarker"])
        marker = gone["VersionId"]
        missing = raw("GET", f"/{b}/k")
        self.assertEqual((missing.status, missing.headers["x-amz-delete-marker"], missing.headers["x-amz-version-id"]), (404, "true", marker))
        by_id = raw("GET", f"/{b}/k", [("versionId", marker)])
        self.assertEqual((by_id.status, by_id.headers["x-amz-delete-marker"], by_id.headers["allow"]), (405, "true", "DELETE"))
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)
        self.assertEqual(self.get(b, "k", VersionId=first), b"1")
        self.assertEqual(self.versions(b), ([("k", first, False)], [("k", marker, True)]))
        undone = self.s3.delete_object(Bucket=b, Key="k", VersionId=marker)
        self.assertEqual((undone["DeleteMarker"], undone["VersionId"]), (True, marker))
        self.assertEqual(self.get(b, "k"), b"1")

    def test_removing_the_newest_brings_the_next_forward(self):
        b = self.bucket(versioned=True)
        ids = [self.put(b, "k", bytes([i]))["VersionId"] for i in range(3)]
        self.s3.delete_object(Bucket=b, Key="k", VersionId=ids[2])
        self.assertEqual(self.get(b, "k"), b"\x01")
        self.s3.delete_object(Bucket=b, Key="k", VersionId=ids[0])
        self.assertEqual(self.versions(b)[0], [("k", ids[1], True)])

    def test_null_version(self):
        b = self.bucket()
        self.put(b, "k", b"old")
        self.s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"})
        new = self.put(b, "k", b"new")["VersionId"]
        self.assertEqual(self.get(b, "k", VersionId="null"), b"old")
        self.s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Suspended"})
        self.assertEqual(self.put(b, "k", b"suspended")["VersionId"], "null")
        self.assertEqual(self.versions(b)[0], [("k", "null", True), ("k", new, False)])
        self.assertEqual(self.put(b, "k", b"again")["VersionId"], "null")
        self.assertEqual(self.versions(b)[0], [("k", "null", True), ("k", new, False)])
        self.assertEqual(self.s3.delete_object(Bucket=b, Key="k")["VersionId"], "null")
        self.assertEqual(self.versions(b), ([("k", new, False)], [("k", "null", True)]))
        self.assertEqual(self.get(b, "k", VersionId=new), b"new")

    def test_long_keys_have_versions(self):
        b = self.bucket(versioned=True)
        key = "x" * 900
        ids = [self.put(b, key, bytes([i]))["VersionId"] for i in range(3)]
        self.put(b, "x" * 899 + "a")
        self.assertEqual([v for _, v, _ in self.versions(b, Prefix=key)[0]], list(reversed(ids)))
        for v in ids:
            self.s3.delete_object(Bucket=b, Key=key, VersionId=v)
        self.assertEqual(self.versions(b, Prefix=key), ([], []))

    def test_pages(self):
        b = self.bucket(versioned=True)
        want = []
        for key in ("a", "b/1", "b/2", "c"):
            ids = [self.put(b, key, bytes([i]))["VersionId"] for i in range(3)]
            want += [(key, v) for v in reversed(ids)]
        for size in (1, 2, 5, 100):
            got, marker = [], {}
            while True:
                page = self.s3.list_object_versions(Bucket=b, MaxKeys=size, **marker)
                got += [(v["Key"], v["VersionId"]) for v in page.get("Versions", [])]
                if not page["IsTruncated"]:
                    break
                marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
            self.assertEqual(got, want, size)
        page = self.s3.list_object_versions(Bucket=b, Delimiter="/")
        self.assertEqual(page["CommonPrefixes"], [{"Prefix": "b/"}])
        self.assertEqual(len(page["Versions"]), 6)

    def test_delete_bucket_wants_all_versions_gone(self):
        b = self.bucket(versioned=True)
        self.put(b, "k")
        self.s3.delete_object(Bucket=b, Key="k")
        self.assertAwsError("BucketNotEmpty", self.s3.delete_bucket, Bucket=b, status=409)

    def test_ids_that_are_none(self):
        b = self.bucket(versioned=True)
        self.put(b, "k")
        for method in ("GET", "DELETE"):
            bad = raw(method, f"/{b}/k", [("versionId", "nope")])
            self.assertEqual(elements(bad), (400, {"Code": "InvalidArgument", "ArgumentName": "versionId", "ArgumentValue": "nope"}))
        self.assertEqual(elements(raw("GET", f"/{b}/k", [("versionId", "a" * 32)])), (404, {"Code": "NoSuchVersion", "Key": "k", "VersionId": "a" * 32}))
        self.assertEqual(raw("DELETE", f"/{b}/k", [("versionId", "a" * 32)]).status, 204)
        done = self.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "k", "VersionId": "nope"}, {"Key": "k", "VersionId": "b" * 32}]})
        self.assertEqual([e["Code"] for e in done["Errors"]], ["NoSuchVersion"])
        self.assertEqual(len(done["Deleted"]), 1)

    def test_copy_of_a_version(self):
        b = self.bucket(versioned=True)
        first = self.put(b, "k", noise(20000, 1))["VersionId"]
        self.put(b, "k", noise(20000, 2))
        done = self.s3.copy_object(Bucket=b, Key="k", CopySource={"Bucket": b, "Key": "k", "VersionId": first})
        self.assertEqual(done["CopySourceVersionId"], first)
        self.assertEqual(self.get(b, "k"), noise(20000, 1))
        self.s3.delete_object(Bucket=b, Key="k", VersionId=first)
        self.assertEqual(self.get(b, "k"), noise(20000, 1))


if __name__ == "__main__":
    unittest.main()

"""Listings."""
import itertools
import unittest

from s3case import S3Case, elements, raw

KEYS = ["a", "a/", "a/1", "a/2/x", "a/2/y", "b", "b/1", "c c", "c+c", "d&<>", "z//", "z//a", "é"]


def expected(keys, prefix="", delimiter="", after=""):
    out = []
    for key in sorted(keys, key=lambda k: k.encode()):
        if not key.startswith(prefix):
            continue
        if delimiter and delimiter in key[len(prefix):]:
            entry = (prefix + key[len(prefix):].split(delimiter)[0] + delimiter, True)
        else:
            entry = (key, False)
        if entry[0].encode() > after.encode() and entry not in out:
            out.append(entry)
    return out


class Lists(S3Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import uuid
        cls.name = "b-" + uuid.uuid4().hex[:16]
        cls.s3.create_bucket(Bucket=cls.name)
        for key in KEYS:
            cls.s3.put_object(Bucket=cls.name, Key=key, Body=b"")

    @classmethod
    def tearDownClass(cls):
        cls.s3.delete_objects(Bucket=cls.name, Delete={"Objects": [{"Key": k} for k in KEYS]})
        cls.s3.delete_bucket(Bucket=cls.name)

    @staticmethod
    def entries(page):
        got = [(o["Key"], False) for o in page.get("Contents", [])] + [(p["Prefix"], True) for p in page.get("CommonPrefixes", [])]
        return sorted(got, key=lambda e: e[0].encode())

    def test_v2(self):
        for prefix, delimiter, size in itertools.product(("", "a", "a/", "b/", "z/", "none"), ("", "/", "2", "//"), (1, 2, 1000)):
            with self.subTest(prefix=prefix, delimiter=delimiter, size=size):
                got, more = [], {}
                while True:
                    page = self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix, Delimiter=delimiter, MaxKeys=size, **more)
                    self.assertEqual(page["KeyCount"], len(self.entries(page)))
                    self.assertLessEqual(page["KeyCount"], size)
                    got += self.entries(page)
                    if not page["IsTruncated"]:
                        break
                    more = {"ContinuationToken": page["NextContinuationToken"]}
                self.assertEqual(got, expected(KEYS, prefix, delimiter))

    def test_v1(self):
        for prefix, delimiter, size in itertools.product(("", "a/"), ("", "/"), (1, 3, 1000)):
            got, marker = [], ""
            while True:
                page = self.s3.list_objects(Bucket=self.name, Prefix=prefix, Delimiter=delimiter, MaxKeys=size, Marker=marker)
                got += self.entries(page)
                if not page["IsTruncated"]:
                    break
                marker = page.get("NextMarker") or got[-1][0]
            self.assertEqual(got, expected(KEYS, prefix, delimiter))

    def test_start_after(self):
        for after in ("", "a", "a/", "a/2", "b", "zzz", "é"):
            page = self.s3.list_objects_v2(Bucket=self.name, StartAfter=after)
            self.assertEqual(self.entries(page), expected(KEYS, after=after), after)

    def test_encoding(self):
        page = raw("GET", f"/{self.name}", [("list-type", "2"), ("encoding-type", "url"), ("prefix", "c")])
        self.assertIn(b"<Key>c+c</Key>", page.body)
        self.assertIn(b"<Key>c%2Bc</Key>", page.body)
        plain = raw("GET", f"/{self.name}", [("list-type", "2"), ("prefix", "d")])
        self.assertIn(b"<Key>d&amp;&lt;&gt;</Key>", plain.body)

    def test_limits(self):
        self.assertEqual(self.s3.list_objects_v2(Bucket=self.name, MaxKeys=0)["KeyCount"], 0)
        self.assertEqual(self.s3.list_objects_v2(Bucket=self.name, MaxKeys=5000)["MaxKeys"], 1000)
        for query in ([("max-keys", "-1")], [("max-keys", "x")], [("encoding-type", "zip")], [("continuation-token", "!")]):
            bad = raw("GET", f"/{self.name}", [("list-type", "2")] + query)
            self.assertEqual((bad.status, b"InvalidArgument" in bad.body), (400, True), query)

    def test_words_of_faults(self):
        for query, name, value, words in (
                ([("max-keys", "-1")], "maxKeys", "-1", b"Argument maxKeys must be an integer between 0 and 2147483647"),
                ([("max-keys", "x")], "max-keys", "x", b"Provided max-keys not an integer or within integer range"),
                ([("max-keys", "99999999999")], "max-keys", "99999999999", b"Provided max-keys not an integer or within integer range"),
                ([("encoding-type", "zip")], "encoding-type", "zip", b"Invalid Encoding Method specified in Request"),
                ([("list-type", "3")], "list-type", "3", b"Invalid List Type specified in Request"),
                ([("versions", ""), ("key-marker", "a"), ("version-id-marker", "x")], "version-id-marker", "x", b"Invalid version id specified")):
            bad = raw("GET", f"/{self.name}", query)
            self.assertEqual(elements(bad), (400, {"Code": "InvalidArgument", "ArgumentName": name, "ArgumentValue": value}), query)
            self.assertIn(words, bad.body)

    def test_times_have_whole_seconds(self):
        b = self.bucket()
        self.put(b, "k")
        upload = self.s3.create_multipart_upload(Bucket=b, Key="u")["UploadId"]
        self.s3.upload_part(Bucket=b, Key="u", UploadId=upload, PartNumber=1, Body=b"x")
        modified = self.s3.head_object(Bucket=b, Key="k")["LastModified"]
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["Contents"][0]["LastModified"], modified)
        self.assertEqual(self.s3.list_object_versions(Bucket=b)["Versions"][0]["LastModified"], modified)
        for when in (self.s3.list_parts(Bucket=b, Key="u", UploadId=upload)["Parts"][0]["LastModified"],
                     self.s3.list_multipart_uploads(Bucket=b)["Uploads"][0]["Initiated"],
                     self.s3.copy_object(Bucket=b, Key="c", CopySource=f"{b}/k")["CopyObjectResult"]["LastModified"],
                     next(x["CreationDate"] for x in self.s3.list_buckets()["Buckets"] if x["Name"] == b)):
            self.assertEqual(when.microsecond, 0)
        self.s3.abort_multipart_upload(Bucket=b, Key="u", UploadId=upload)

    def test_owner(self):
        self.assertNotIn("Owner", self.s3.list_objects_v2(Bucket=self.name)["Contents"][0])
        owner = self.s3.list_objects_v2(Bucket=self.name, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
        self.assertEqual(owner, self.s3.list_buckets()["Owner"]["ID"])
        self.assertEqual(len(owner), 64)

    def test_more_than_a_page(self):
        b = self.bucket()
        keys = [f"k{i:05}" for i in range(1203)]
        for key in keys:
            self.put(b, key, b"")
        first = self.s3.list_objects_v2(Bucket=b)
        self.assertEqual((first["KeyCount"], first["IsTruncated"]), (1000, True))
        got = [o["Key"] for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=b) for o in page["Contents"]]
        self.assertEqual(got, keys)
        self.s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": k} for k in keys[:1000]]})
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 203)


if __name__ == "__main__":
    unittest.main()

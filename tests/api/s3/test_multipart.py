"""Uploads in parts."""
import concurrent.futures
import hashlib
import unittest
import zlib
import base64

from s3case import S3Case, elements, md5, noise, raw

MIB = 1 << 20


class Multipart(S3Case):
    def begin(self, b, key, **more):
        return self.s3.create_multipart_upload(Bucket=b, Key=key, **more)["UploadId"]

    def part(self, b, key, upload, number, data):
        return {"PartNumber": number, "ETag": self.s3.upload_part(Bucket=b, Key=key, UploadId=upload, PartNumber=number, Body=data)["ETag"]}

    def complete(self, b, key, upload, parts):
        return self.s3.complete_multipart_upload(Bucket=b, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    def test_parts_make_an_object(self):
        b = self.bucket()
        upload = self.begin(b, "k", ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")
        pieces = [noise(5 * MIB, 1), noise(6 * MIB + 7, 2), b"end"]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            parts = list(pool.map(lambda i: self.part(b, "k", upload, i * 3 + 1, pieces[i]), range(3)))
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)
        done = self.complete(b, "k", upload, parts)
        whole = b"".join(pieces)
        etag = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in pieces)).hexdigest()
        self.assertEqual(done["ETag"], f'"{etag}-3"')
        got = self.s3.get_object(Bucket=b, Key="k")
        self.assertEqual((got["ContentLength"], got["ContentType"], got["Metadata"]), (len(whole), "text/x", {"a": "1"}))
        self.assertEqual(got["Body"].read(), whole)
        for first, last in ((0, 9), (5 * MIB - 5, 5 * MIB + 5), (5 * MIB, 5 * MIB), (len(whole) - 5, len(whole) - 1), (100, 11 * MIB)):
            self.assertEqual(self.get(b, "k", Range=f"bytes={first}-{last}"), whole[first:last + 1])
        second = self.s3.get_object(Bucket=b, Key="k", PartNumber=2)
        self.assertEqual((second["Body"].read(), second["PartsCount"]), (pieces[1], 3))
        self.assertEqual(second["ContentRange"], f"bytes {5 * MIB}-{11 * MIB + 6}/{len(whole)}")
        self.assertAwsError("NoSuchUpload", self.s3.list_parts, Bucket=b, Key="k", UploadId=upload)
        # A copy is one piece, with the digest of the whole.
        copied = self.s3.copy_object(Bucket=b, Key="copy", CopySource=f"{b}/k")
        self.assertEqual(copied["CopyObjectResult"]["ETag"], f'"{md5(whole)}"')
        self.s3.delete_object(Bucket=b, Key="k")
        self.assertEqual(self.get(b, "copy"), whole)

    def test_completing_twice_is_harmless(self):
        b = self.bucket()
        upload = self.begin(b, "k")
        parts = [self.part(b, "k", upload, 1, b"1")]
        self.assertEqual(self.complete(b, "k", upload, parts)["ETag"], self.complete(b, "k", upload, parts)["ETag"])

    def test_part_again_replaces_it(self):
        b = self.bucket()
        upload = self.begin(b, "k")
        old = self.part(b, "k", upload, 1, noise(9000))
        new = self.part(b, "k", upload, 1, b"new")
        self.assertAwsError("InvalidPart", self.complete, b, "k", upload, [old])
        self.complete(b, "k", upload, [new])
        self.assertEqual(self.get(b, "k"), b"new")

    def test_faults(self):
        b = self.bucket()
        upload = self.begin(b, "k")
        one, two = self.part(b, "k", upload, 1, b"1"), self.part(b, "k", upload, 2, b"2")
        self.assertAwsError("InvalidPartOrder", self.complete, b, "k", upload, [two, one])
        self.assertAwsError("EntityTooSmall", self.complete, b, "k", upload, [one, two])
        self.assertAwsError("InvalidPart", self.complete, b, "k", upload, [{"PartNumber": 3, "ETag": '"x"'}])
        self.assertAwsError("NoSuchUpload", self.part, b, "k", "0" * 48, 1, b"")
        self.assertAwsError("NoSuchUpload", self.part, b, "other", upload, 1, b"")
        self.assertEqual(raw("PUT", f"/{b}/k", [("partNumber", "0"), ("uploadId", upload)], b"x").status, 400)
        self.assertEqual(raw("PUT", f"/{b}/k", [("partNumber", "10001"), ("uploadId", upload)], b"x").status, 400)
        self.assertEqual(raw("POST", f"/{b}/k", [("uploadId", upload)], b"<CompleteMultipartUpload/>").status, 400)
        self.s3.abort_multipart_upload(Bucket=b, Key="k", UploadId=upload)
        self.assertAwsError("NoSuchUpload", self.s3.abort_multipart_upload, Bucket=b, Key="k", UploadId=upload)
        self.assertAwsError("NoSuchUpload", self.complete, b, "k", upload, [one])

    def test_lists(self):
        b = self.bucket()
        uploads = [(key, self.begin(b, key)) for key in ("a", "a", "b/1", "b/2", "c")]
        got, marker = [], {}
        while True:
            page = self.s3.list_multipart_uploads(Bucket=b, MaxUploads=2, **marker)
            got += [(u["Key"], u["UploadId"]) for u in page["Uploads"]]
            if not page["IsTruncated"]:
                break
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        self.assertEqual(got, uploads)
        page = self.s3.list_multipart_uploads(Bucket=b, Delimiter="/")
        self.assertEqual(page["CommonPrefixes"], [{"Prefix": "b/"}])
        for number in (1, 2, 5, 9):
            self.part(b, "c", uploads[4][1], number, bytes(number))
        page = self.s3.list_parts(Bucket=b, Key="c", UploadId=uploads[4][1], MaxParts=3)
        self.assertEqual([(p["PartNumber"], p["Size"]) for p in page["Parts"]], [(1, 1), (2, 2), (5, 5)])
        self.assertTrue(page["IsTruncated"])
        page = self.s3.list_parts(Bucket=b, Key="c", UploadId=uploads[4][1], PartNumberMarker=page["NextPartNumberMarker"])
        self.assertEqual([p["PartNumber"] for p in page["Parts"]], [9])

    def test_part_copy(self):
        b = self.bucket()
        data = noise(6 * MIB)
        self.put(b, "source", data)
        upload = self.begin(b, "k")
        parts = []
        for number, part_range in ((1, f"bytes=0-{5 * MIB - 1}"), (2, "bytes=10-99")):
            done = self.s3.upload_part_copy(Bucket=b, Key="k", UploadId=upload, PartNumber=number, CopySource=f"{b}/source", CopySourceRange=part_range)
            parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
        self.assertAwsError("InvalidArgument", self.s3.upload_part_copy, Bucket=b, Key="k", UploadId=upload, PartNumber=3, CopySource=f"{b}/source",
                            CopySourceRange=f"bytes=0-{6 * MIB}")
        self.complete(b, "k", upload, parts)
        self.assertEqual(self.get(b, "k"), data[:5 * MIB] + data[10:100])

    def test_checksums(self):
        b = self.bucket()
        pieces = [noise(5 * MIB, 1), noise(1000, 2)]
        sums = [hashlib.sha256(p).digest() for p in pieces]
        for algorithm, kind, want in (
                ("SHA256", "COMPOSITE", base64.b64encode(hashlib.sha256(b"".join(sums)).digest()).decode() + "-2"),
                ("CRC32", "FULL_OBJECT", base64.b64encode(zlib.crc32(b"".join(pieces)).to_bytes(4, "big")).decode())):
            made = raw("POST", f"/{b}/k", [("uploads", "")], headers={"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind})
            upload = made.body.split(b"<UploadId>")[1].split(b"<")[0].decode()
            xml = "<CompleteMultipartUpload>"
            for number, piece in enumerate(pieces, 1):
                sum_header = f"x-amz-checksum-{algorithm.lower()}"
                sent = {sum_header: base64.b64encode(sums[number - 1]).decode()} if kind == "COMPOSITE" else {}
                put = raw("PUT", f"/{b}/k", [("partNumber", number), ("uploadId", upload)], piece, sent)
                self.assertIn(sum_header, put.headers)
                part_sum = f"<Checksum{algorithm}>{put.headers[sum_header]}</Checksum{algorithm}>" if kind == "COMPOSITE" else ""
                xml += f"<Part><PartNumber>{number}</PartNumber><ETag>{put.headers['etag']}</ETag>{part_sum}</Part>"
            xml += "</CompleteMultipartUpload>"
            bad = raw("POST", f"/{b}/k", [("uploadId", upload)], xml.encode(), {f"x-amz-checksum-{algorithm.lower()}-x": ""} and
                      {"x-amz-mp-object-size": "7"})
            self.assertEqual(bad.status, 400)
            done = raw("POST", f"/{b}/k", [("uploadId", upload)], xml.encode())
            self.assertEqual(done.status, 200)
            self.assertIn(want.encode(), done.body)
            head = raw("HEAD", f"/{b}/k", headers={"x-amz-checksum-mode": "ENABLED"})
            self.assertEqual((head.headers[f"x-amz-checksum-{algorithm.lower()}"], head.headers["x-amz-checksum-type"]), (want, kind))
        self.assertEqual(raw("POST", f"/{b}/k", [("uploads", "")], headers={"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"}).status, 400)

    def test_composite_checksums_want_the_parts_own(self):
        b = self.bucket()
        upload = self.s3.create_multipart_upload(Bucket=b, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
        path, query = f"/{b}/k", [("partNumber", "1"), ("uploadId", upload)]
        bad = raw("PUT", path, query, b"x")
        self.assertIn(b"Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null", bad.body)
        bad = raw("PUT", path, query, b"x", {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()})
        self.assertIn(b"expected checksum Type: sha256, actual checksum Type: crc32", bad.body)
        etag = raw("PUT", path, query, b"x", {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(b"x").digest()).decode()}).headers["etag"]
        bad = raw("POST", path, [("uploadId", upload)],
                  f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>".encode())
        self.assertEqual((bad.status, b"The complete request must include the checksum for each part. It was missing for part 1 in the request." in bad.body),
                         (400, True), bad)

    def test_half_a_part_is_no_object(self):
        b = self.bucket()
        for name in ("partNumber", "uploadId"):
            bad = raw("PUT", f"/{b}/k", [(name, "1")], b"x")
            self.assertEqual(elements(bad), (400, {"Code": "InvalidArgument", "ArgumentName": name, "ArgumentValue": "1"}))
        bad = raw("POST", f"/{b}/k", [], b"x")
        self.assertEqual(elements(bad), (405, {"Code": "MethodNotAllowed", "Method": "POST", "ResourceType": "OBJECT"}))
        self.assertEqual(self.s3.list_objects_v2(Bucket=b)["KeyCount"], 0)

    def test_words_of_faults(self):
        b = self.bucket()
        upload = self.begin(b, "k")
        for number in ("0", "10001", "x"):
            bad = raw("PUT", f"/{b}/k", [("partNumber", number), ("uploadId", upload)], b"x")
            self.assertEqual(elements(bad), (400, {"Code": "InvalidArgument", "ArgumentName": "partNumber", "ArgumentValue": number}))
            self.assertIn(b"Part number must be an integer between 1 and 10000, inclusive", bad.body)
        self.assertIn(b"You must specify at least one part", raw("POST", f"/{b}/k", [("uploadId", upload)], b"").body)
        self.put(b, "source", b"0123456789")
        for part_range, words in (("bytes=5-10", b"Range specified is not valid for source object of size: 10"), ("bytes=5-", b"must be of the form bytes=first-last")):
            bad = raw("PUT", f"/{b}/k", [("partNumber", "1"), ("uploadId", upload)], b"", {"x-amz-copy-source": f"{b}/source", "x-amz-copy-source-range": part_range})
            self.assertEqual((bad.status, words in bad.body), (400, True), bad)
        self.complete(b, "k", upload, [self.part(b, "k", upload, 1, b"1")])
        bad = raw("GET", f"/{b}/k", [("partNumber", "2")])
        self.assertEqual(elements(bad), (416, {"Code": "InvalidPartNumber", "PartNumberRequested": "2", "ActualPartCount": "1"}))

    def test_bucket_with_open_uploads_can_go(self):
        b = self.s3.create_bucket
        name = self.bucket()
        self.part(name, "k", self.begin(name, "k"), 1, noise(20000))
        self.s3.delete_bucket(Bucket=name)
        self.s3.create_bucket(Bucket=name)
        self.assertNotIn("Uploads", self.s3.list_multipart_uploads(Bucket=name))


if __name__ == "__main__":
    unittest.main()

"""What tests of queues share: queues of a test's own, and AWS JSON 1.0 beside the query protocol that Debian's SDK speaks."""
import hashlib
import http.client
import json
import os
import struct
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from aws import ENDPOINT, REGION, TestCase, client


def say(operation, endpoint=None, key=None, secret=None, **params):
    """An operation as newer SDKs spell it: (status, headers, what the body says)."""
    endpoint = endpoint or ENDPOINT
    request = botocore.awsrequest.AWSRequest("POST", endpoint + "/", data=json.dumps(params), headers={
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + operation, "x-amzn-query-mode": "true"})
    credentials = botocore.credentials.Credentials(key or os.environ["AWS_ACCESS_KEY_ID"], secret or os.environ["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(credentials, "sqs", REGION).add_auth(request)
    c = http.client.HTTPConnection(endpoint.split("//")[1], timeout=60)
    try:
        prepared = request.prepare()
        c.request("POST", "/", body=prepared.body, headers=dict(prepared.headers))
        reply = c.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, json.loads(reply.read() or b"{}")
    finally:
        c.close()


def attributes_md5(attributes):
    """As SDKs compute it."""
    h = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        data = value["BinaryValue"] if binary else value["StringValue"].encode()
        for part in (name.encode(), value["DataType"].encode()):
            h.update(struct.pack(">I", len(part)) + part)
        h.update(b"\2" if binary else b"\1")
        h.update(struct.pack(">I", len(data)) + data)
    return h.hexdigest()


class QueueCase(TestCase):
    def setUp(self):
        self.sqs = getattr(self, "sqs", None) or client("sqs")

    def queue(self, fifo=False, called=None, sqs=None, **attributes):
        sqs = sqs or self.sqs
        called = called or "q-" + uuid.uuid4().hex[:12] + (".fifo" if fifo else "")
        if fifo:
            attributes["FifoQueue"] = "true"
        url = sqs.create_queue(QueueName=called, Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]
        self.addCleanup(self.drop, sqs, url)
        return url

    def drop(self, sqs, url):
        try:
            sqs.delete_queue(QueueUrl=url)
        except sqs.exceptions.QueueDoesNotExist:
            pass

    def attribute(self, url, name):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name]).get("Attributes", {}).get(name)

    def arn(self, url):
        return self.attribute(url, "QueueArn")

    def counts(self, url):
        """(visible, in flight, delayed)"""
        names = ["ApproximateNumberOfMessages" + x for x in ("", "NotVisible", "Delayed")]
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return tuple(int(said[n]) for n in names)

    def send(self, url, *bodies, **more):
        return [self.sqs.send_message(QueueUrl=url, MessageBody=b, **more) for b in bodies]

    def receive(self, url, most=10, **more):
        return self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=most, **more).get("Messages", [])

    def bodies(self, url, most=10, **more):
        return [m["Body"] for m in self.receive(url, most, **more)]

    def delete(self, url, *messages):
        for m in messages:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])

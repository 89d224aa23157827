// The AWS SDK for JavaScript v3 speaks with checksums, aws-chunked bodies and protocols of its own choosing: what boto3 does not try.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { CloudWatchLogsClient, CreateLogGroupCommand, CreateLogStreamCommand, DeleteLogGroupCommand, FilterLogEventsCommand, PutLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CreateRoleCommand, DeleteRoleCommand, GetRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateFunctionCommand, DeleteFunctionCommand, GetFunctionCommand, InvokeCommand, InvokeWithResponseStreamCommand, LambdaClient, ListFunctionsCommand, waitUntilFunctionActiveV2 } from "@aws-sdk/client-lambda";
import { CreateBucketCommand, DeleteBucketCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const config = { endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION, maxAttempts: 1 };
const name = (what) => `js-${what}-${process.pid}-${Math.floor(Math.random() * 1e9)}`;

test("sts says who calls", async () => {
  const who = await new STSClient(config).send(new GetCallerIdentityCommand({}));
  assert.match(who.Arn, /:root$/);
});

test("iam role and its session", async () => {
  const iam = new IAMClient(config), sts = new STSClient(config), RoleName = name("role");
  const trust = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { AWS: "arn:aws:iam::000000000000:root" }, Action: "sts:AssumeRole" }] };
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: JSON.stringify(trust) }));
  assert.ok((await iam.send(new GetRoleCommand({ RoleName }))).Role.CreateDate instanceof Date);
  const session = await sts.send(new AssumeRoleCommand({ RoleArn: Role.Arn, RoleSessionName: "js" }));
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = session.Credentials;
  const as = new STSClient({ ...config, credentials: { accessKeyId, secretAccessKey, sessionToken } });
  assert.match((await as.send(new GetCallerIdentityCommand({}))).Arn, new RegExp(`assumed-role/${RoleName}/js$`));
  await iam.send(new DeleteRoleCommand({ RoleName }));
  await assert.rejects(iam.send(new GetRoleCommand({ RoleName })), { name: "NoSuchEntityException" });
});

test("s3 objects: checksums, streams, presigned, multi-delete", async () => {
  const s3 = new S3Client({ ...config, forcePathStyle: true }), Bucket = name("bucket");
  await s3.send(new CreateBucketCommand({ Bucket }));
  const body = Buffer.alloc(300_000, "quartet ");
  await s3.send(new PutObjectCommand({ Bucket, Key: "a/b c+ü", Body: body, Metadata: { kind: "test" } }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a/b c+ü", ChecksumMode: "ENABLED" }));
  assert.deepEqual(Buffer.from(await got.Body.transformToByteArray()), body);
  assert.equal(got.Metadata.kind, "test");
  assert.ok(got.ChecksumCRC32);
  await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body: Readable.from([body.subarray(0, 100_000), body.subarray(100_000)]), ContentLength: body.length }));
  assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: "stream" }))).ContentLength, body.length);
  const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "stream" }), { expiresIn: 60 });
  assert.equal((await (await fetch(url)).arrayBuffer()).byteLength, body.length);
  await new Upload({ client: s3, params: { Bucket, Key: "parts", Body: Buffer.alloc(11 << 20, 7) }, partSize: 5 << 20 }).done();
  assert.match((await s3.send(new HeadObjectCommand({ Bucket, Key: "parts" }))).ETag, /-3"$/);
  const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
  assert.deepEqual(Contents.map((o) => o.Key), ["a/b c+ü", "parts", "stream"]);
  const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: Contents.map(({ Key }) => ({ Key })) } }));
  assert.equal(Deleted.length, 3);
  await s3.send(new DeleteBucketCommand({ Bucket }));
  await assert.rejects(s3.send(new ListObjectsV2Command({ Bucket })), { name: "NoSuchBucket" });
});

test("logs: put and filter", async () => {
  const logs = new CloudWatchLogsClient(config), logGroupName = name("group");
  await logs.send(new CreateLogGroupCommand({ logGroupName }));
  await logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName: "s" }));
  const timestamp = Date.now();
  await logs.send(new PutLogEventsCommand({ logGroupName, logStreamName: "s", logEvents: [{ timestamp, message: "ERROR one" }, { timestamp, message: "fine" }] }));
  const { events } = await logs.send(new FilterLogEventsCommand({ logGroupName, filterPattern: "ERROR" }));
  assert.deepEqual(events.map((e) => e.message), ["ERROR one"]);
  await logs.send(new DeleteLogGroupCommand({ logGroupName }));
});

test("lambda: lists and typed errors", async () => {
  const lambda = new LambdaClient(config);
  assert.ok(Array.isArray((await lambda.send(new ListFunctionsCommand({}))).Functions));
  await assert.rejects(lambda.send(new GetFunctionCommand({ FunctionName: "absent" })), (e) => e.name === "ResourceNotFoundException" && e.$metadata.httpStatusCode === 404);
});

// A zip file of one stored entry.
function zip(entry, text) {
  const file = Buffer.from(entry), data = Buffer.from(text);
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++)
      crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  const head = (signature, size) => {
    const b = Buffer.alloc(size), at = size === 46 ? 6 : 4;
    b.writeUInt32LE(signature);
    b.writeUInt16LE(20, at);
    b.writeUInt32LE((crc ^ 0xffffffff) >>> 0, at + 10);
    b.writeUInt32LE(data.length, at + 14);
    b.writeUInt32LE(data.length, at + 18);
    b.writeUInt16LE(file.length, at + 22);
    return b;
  };
  const local = Buffer.concat([head(0x04034b50, 30), file, data]), central = Buffer.concat([head(0x02014b50, 46), file]), end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

test("lambda: calls, logs and streams", async () => {
  const lambda = new LambdaClient(config), iam = new IAMClient(config), FunctionName = name("function"), RoleName = name("role");
  const trust = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }] };
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: JSON.stringify(trust) }));
  const code = `exports.handler = awslambda.streamifyResponse(async (event, stream) => {
    for (const part of event.parts) { stream.write(part); await new Promise((r) => setTimeout(r, 30)); }
    if (event.fail) throw new TypeError("in the middle");
    stream.end();
  });`;
  await lambda.send(new CreateFunctionCommand({ FunctionName, Role: Role.Arn, Runtime: "nodejs20.x", Handler: "index.handler", Timeout: 20, Code: { ZipFile: zip("index.js", code) } }));
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 30, minDelay: 1 }, { FunctionName });
  const text = (bytes) => Buffer.from(bytes).toString();

  const whole = await lambda.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify({ parts: ["a", "\u00fc"] }), LogType: "Tail" }));
  assert.equal(text(whole.Payload), "a\u00fc");
  assert.match(Buffer.from(whole.LogResult, "base64").toString(), /^START RequestId: [^]*\nREPORT RequestId: /);

  for (const fail of [false, true]) {
    const reply = await lambda.send(new InvokeWithResponseStreamCommand({ FunctionName, Payload: JSON.stringify({ parts: ["one", "two"], fail }), LogType: "Tail" }));
    assert.equal(reply.ExecutedVersion, "$LATEST");
    const chunks = [];
    let complete;
    for await (const event of reply.EventStream) {
      if (event.PayloadChunk)
        chunks.push(text(event.PayloadChunk.Payload));
      complete = event.InvokeComplete ?? complete;
    }
    assert.equal(chunks.join(""), "onetwo");
    assert.equal(complete.ErrorCode, fail ? "Unhandled" : undefined);
    assert.equal(fail && JSON.parse(complete.ErrorDetails).errorMessage, fail && "in the middle");
    assert.match(Buffer.from(complete.LogResult, "base64").toString(), /\nREPORT RequestId: /);
  }
  await lambda.send(new DeleteFunctionCommand({ FunctionName }));
  await assert.rejects(lambda.send(new InvokeCommand({ FunctionName })), { name: "ResourceNotFoundException" });
  await iam.send(new DeleteRoleCommand({ RoleName }));
});

// Answers at its own address with a page of all thumbnails; each part of it leaves as soon as it has been read.
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";

const s3 = new S3Client({});
const Bucket = process.env.BUCKET;

export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const page = awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: { "Content-Type": "text/html" } });
  page.write("<!doctype html><title>Photos</title>\n");
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: "thumbnails/" }));
  for (const { Key } of Contents) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    page.write(`<img alt="${encodeURIComponent(Key.slice(11))}" src="data:image/png;base64,${await Body.transformToString("base64")}">\n`);
  }
  page.end(`<p>${Contents.length} pictures\n`);
});

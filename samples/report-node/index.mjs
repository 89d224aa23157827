// Reads an object of orders from S3, adds them up by month and region, writes the report back.
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

const s3 = new S3Client({});

function addUp(lines) {
  const groups = new Map(), products = new Map();
  let orders = 0, revenue_cents = 0;
  for (const line of lines) {
    const [, date, region, product, quantity, unitCents] = line.split(",");
    const units = Number(quantity), cents = units * Number(unitCents);
    const month = date.slice(0, 7), key = `${month} ${region}`;
    const group = groups.get(key) ?? { month, region, orders: 0, units: 0, revenue_cents: 0 };
    group.orders++;
    group.units += units;
    group.revenue_cents += cents;
    groups.set(key, group);
    products.set(product, (products.get(product) ?? 0) + cents);
    orders++;
    revenue_cents += cents;
  }
  const byKey = [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
  const top = [...products.entries()].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, 5);
  return { orders, revenue_cents, groups: byKey, top_products: top.map(([product, cents]) => ({ product, revenue_cents: cents })) };
}

export async function handler(event) {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: event.bucket, Key: event.key }));
  const lines = (await Body.transformToString()).trimEnd().split("\n").slice(1);
  const report = addUp(lines);
  await s3.send(new PutObjectCommand({ Bucket: event.bucket, Key: event.report, Body: JSON.stringify(report), ContentType: "application/json" }));
  console.log(`${report.orders} orders, ${(report.revenue_cents / 100).toFixed(2)} in all`);
  return { orders: report.orders, revenue_cents: report.revenue_cents, best: report.top_products[0].product };
}

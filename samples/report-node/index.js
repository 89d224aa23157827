// Adds up a CSV of orders in S3 and writes a report beside it.
'use strict';
const { S3Client, GetObjectCommand, PutObjectCommand } = require('@aws-sdk/client-s3');

const s3 = new S3Client({});

function addUp(text) {
	const byMonth = new Map(), byProduct = new Map();
	let revenue = 0, count = 0;
	for (let at = text.indexOf('\n') + 1; at < text.length;) {
		const end = text.indexOf('\n', at);
		const [, day, region, product, quantity, price] = text.slice(at, end).split(',');
		at = end + 1;
		const amount = Number(quantity) * Number(price);
		const key = `${region}-${day.slice(0, 7)}`;
		byMonth.set(key, (byMonth.get(key) || 0) + amount);
		byProduct.set(product, (byProduct.get(product) || 0) + amount);
		revenue += amount;
		count++;
	}
	const top = [...byProduct].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5);
	return {
		orders: count,
		revenue_cents: revenue,
		by_region_month: Object.fromEntries([...byMonth].sort((a, b) => (a[0] < b[0] ? -1 : 1))),
		top_products: top.map(([product, cents]) => ({ product, revenue_cents: cents })),
	};
}

exports.handler = async (event) => {
	const object = await s3.send(new GetObjectCommand({ Bucket: event.bucket, Key: event.key }));
	const text = await object.Body.transformToString();
	const report = addUp(text);
	await s3.send(new PutObjectCommand({ Bucket: event.bucket, Key: event.report, Body: JSON.stringify(report), ContentType: 'application/json' }));
	console.log(`${report.orders} orders in ${text.length} bytes`);
	return { orders: report.orders, revenue_cents: report.revenue_cents, best: report.top_products[0].product, report: `s3://${event.bucket}/${event.report}` };
};

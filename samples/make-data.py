#!/usr/bin/python3
"""Writes the sample's orders as CSV on standard output, or with --expected the report that they add up to.

The rule: a linear congruential generator (x = 6364136223846793005 x + 1442695040888963407 mod 2^64, from x = 2026), whose upper 31 bits
are drawn in this order for each order: day of the year (0..364), region, product (square of a draw, so that some sell better), quantity
(1..9). A product's price in cents is fixed: 199 + 37 n^2 mod 9801.
"""
import datetime
import json
import sys

ORDERS = 60000
REGIONS = ["af", "ap", "eu", "na", "sa"]
PRODUCTS = 120


def orders():
    x = 2026

    def draw(below):
        nonlocal x
        x = (6364136223846793005 * x + 1442695040888963407) % (1 << 64)
        return (x >> 33) * below >> 31

    for number in range(1, ORDERS + 1):
        day = datetime.date(2026, 1, 1) + datetime.timedelta(days=draw(365))
        region = REGIONS[draw(len(REGIONS))]
        product = draw(1 << 15) ** 2 * PRODUCTS >> 30
        quantity = 1 + draw(9)
        price = 199 + 37 * product * product % 9801
        yield number, day.isoformat(), region, f"p{product:03d}", quantity, price


def expected():
    by_month, by_product, revenue, count = {}, {}, 0, 0
    for _, day, region, product, quantity, price in orders():
        amount = quantity * price
        key = f"{region}-{day[:7]}"
        by_month[key] = by_month.get(key, 0) + amount
        by_product[product] = by_product.get(product, 0) + amount
        revenue += amount
        count += 1
    top = sorted(by_product.items(), key=lambda item: (-item[1], item[0]))[:5]
    return {"orders": count, "revenue_cents": revenue, "by_region_month": dict(sorted(by_month.items())),
            "top_products": [{"product": name, "revenue_cents": cents} for name, cents in top]}


if "--expected" in sys.argv:
    print(json.dumps(expected(), separators=(",", ":")))
else:
    out = ["order,day,region,product,quantity,price_cents,customer\n"]
    for row in orders():
        out.append("%d,%s,%s,%s,%d,%d,customer-%06d\n" % (*row, row[0] * 7919 % 100000))
    sys.stdout.write("".join(out))

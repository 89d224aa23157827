#!/usr/bin/python3
"""Writes a year of orders of a made-up shop as CSV: make-data.py ROWS > orders.csv

The rule, so that anybody gets the same bytes: a linear congruential generator (the constants of Numerical Recipes, seed 2026) is drawn four times
a row, for day, region, product and quantity; small draws are the upper bits modulo the number of choices. A product's price in cents is
499 + 250 x its number; the 12 products are ordered by it. 100,000 rows are about 3.7 MB.
"""
import sys

REGIONS = ["africa", "americas", "asia", "europe", "oceania"]
PRODUCTS = ["anvil", "bellows", "chisel", "drill", "easel", "file", "gimlet", "hammer", "iron", "jigsaw", "knife", "lathe"]
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def rows(count):
    state = 2026

    def draw(choices):
        nonlocal state
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        return (state >> 12) % choices

    yield "order,date,region,product,quantity,unit_cents"
    for order in range(1, count + 1):
        day, region, product, quantity = draw(365), draw(5), draw(12), 1 + draw(9)
        month = 0
        while day >= MONTH_DAYS[month]:
            day -= MONTH_DAYS[month]
            month += 1
        yield f"{order},2026-{month + 1:02d}-{day + 1:02d},{REGIONS[region]},{PRODUCTS[product]},{quantity},{499 + 250 * product}"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    sys.stdout.write("\n".join(rows(int(sys.argv[1]))) + "\n")

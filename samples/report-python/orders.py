"""The work itself: adds up the lines of a file of orders by month and region. The function and the instance run this same file."""


def add_up(lines):
    groups, products, orders, total = {}, {}, 0, 0
    for line in lines:
        _, date, region, product, quantity, unit_cents = line.split(",")
        units, cents = int(quantity), int(quantity) * int(unit_cents)
        group = groups.setdefault((date[:7], region), [0, 0, 0])
        group[0] += 1
        group[1] += units
        group[2] += cents
        products[product] = products.get(product, 0) + cents
        orders += 1
        total += cents
    top = sorted(products.items(), key=lambda p: (-p[1], p[0]))[:5]
    return {
        "orders": orders,
        "revenue_cents": total,
        "groups": [{"month": m, "region": r, "orders": g[0], "units": g[1], "revenue_cents": g[2]} for (m, r), g in sorted(groups.items())],
        "top_products": [{"product": name, "revenue_cents": cents} for name, cents in top],
    }

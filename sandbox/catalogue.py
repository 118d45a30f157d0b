"""Products and prices."""

from typing import Any

from sandbox import shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed
from sandbox.money import check_representable, read_currency
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

PRODUCT_FIELDS = ("active", "description", "images", "marketing_features", "name", "package_dimensions", "shippable",
                  "statement_descriptor", "tax_code", "unit_label", "url", "default_price")  # fmt: skip
PRICE_FIELDS = ("active", "lookup_key", "nickname", "tax_behavior")
RECURRING = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}


def product_fields(params: Json, current: Json | None) -> Json:
    fields = {name: params[name] if params[name] != "" else None for name in PRODUCT_FIELDS if name in params}
    for listing in ("images", "marketing_features"):
        if listing in fields:
            fields[listing] = fields[listing] or []
    if "metadata" in params:
        fields["metadata"] = merged_metadata(current and current["metadata"], params["metadata"])
    return fields


def make_product(box: Box, params: Json, *, active: bool = True) -> Json:
    created = box.clock.now()
    key = params.get("id") or box.ids.new("prod_")[:19]
    if key in box.state.objects:
        raise Problem("Product already exists.", code="resource_already_exists", param="id")
    fields = {"active": active, "updated": created} | product_fields(params, None)
    return box.state.add(shapes.thing("product", key, created, **fields))


def make_price(box: Box, params: Json, *, product: str, active: bool = True, where: str = "") -> Json:
    """`where` is the parameter that holds the price, for what an error says: `line_items[0][price_data]`."""

    def at(name: str) -> str:
        return f"{where}[{name}]" if where else name

    currency = read_currency(params["currency"], param=at("currency"))
    for name in ("tiers", "custom_unit_amount", "currency_options", "transform_quantity"):
        if name in params:
            raise unsupported(at(name))
    amount = params.get("unit_amount")
    if amount is None and "unit_amount_decimal" in params:
        whole, _, rest = str(params["unit_amount_decimal"]).partition(".")
        if rest.strip("0"):
            raise unsupported(at("unit_amount_decimal"))
        amount = int(whole)
    if amount is None:
        raise missing_param(at("unit_amount"))
    if amount < 0:
        raise Problem(
            f"This value must be greater than or equal to 0 (it currently is '{amount}').",
            code="parameter_invalid_integer",
            param=at("unit_amount"),
        )
    check_representable(amount, currency, param=at("unit_amount"))
    recurring: Any = params.get("recurring")
    fields = {name: params[name] for name in PRICE_FIELDS if name in params}
    return box.state.add(
        shapes.thing(
            "price",
            box.ids.new("price_1")[:30],
            box.clock.now(),
            **{"active": active, "metadata": merged_metadata(None, params.get("metadata", {}))} | fields,
            currency=currency,
            product=product,
            recurring=RECURRING | recurring if recurring else None,
            type="recurring" if recurring else "one_time",
            unit_amount=amount,
            unit_amount_decimal=str(amount),
        )
    )


def create_product(call: Call) -> Json:
    box, params = call.box, dict(call.params)
    price_data = params.pop("default_price_data", None)
    product = make_product(box, params)
    if price_data is not None:
        price = make_price(box, price_data, product=product["id"], where="default_price_data")
        box.state.change(product, default_price=price["id"])
    box.emit("product.created", product)
    if price_data is not None:
        box.emit("price.created", box.state.objects[product["default_price"]])
    return product


def retrieve_product(call: Call) -> Json:
    return call.named("product", "product", "id")


def update_product(call: Call) -> Json:
    product, box = retrieve_product(call), call.box
    previous = box.state.change(product, **product_fields(call.params, product))
    if previous:
        previous |= box.state.change(product, updated=box.clock.now())
        box.emit("product.updated", product, previous)
    return product


def delete_product(call: Call) -> Json:
    product, box = retrieve_product(call), call.box
    if box.state.all("price", product=product["id"]):
        raise Problem("This product cannot be deleted because it has one or more user-created prices.")
    box.state.remove(product)
    box.emit("product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


def index_products(call: Call) -> Json:
    wanted = call.params.pop("ids", None)
    return listed(
        call, "product", label="product", url="/v1/products",
        extra=lambda _, product: wanted is None or product["id"] in wanted,
    )  # fmt: skip


def create_price(call: Call) -> Json:
    box, params = call.box, call.params
    if ("product" in params) == ("product_data" in params):
        raise Problem("You must specify either `product` or `product_data` when creating a price.", param="product")
    if "product" in params:
        product = call.referred("product", "product", "product")
    else:
        product = make_product(box, params["product_data"])
        box.emit("product.created", product)
    price = make_price(box, params, product=product["id"])
    box.emit("price.created", price)
    return price


def retrieve_price(call: Call) -> Json:
    return call.named("price", "price", "price")


def update_price(call: Call) -> Json:
    price, box = retrieve_price(call), call.box
    fields = {name: call.params[name] for name in PRICE_FIELDS if name in call.params}
    if "metadata" in call.params:
        fields["metadata"] = merged_metadata(price["metadata"], call.params["metadata"])
    previous = box.state.change(price, **fields)
    if previous:
        box.emit("price.updated", price, previous)
    return price


def index_prices(call: Call) -> Json:
    keys, interval = call.params.pop("lookup_keys", None), call.params.pop("recurring", None)

    def extra(_: Box, price: Json) -> bool:
        recurring = price["recurring"] or {}
        return (keys is None or price["lookup_key"] in keys) and all(
            recurring.get(name) == value for name, value in (interval or {}).items()
        )

    return listed(call, "price", label="price", url="/v1/prices", extra=extra)

#!/usr/bin/python3
"""Makes C structs and const tables (src/model/model.h says what they mean) out of models/*.json.

    generate.py api MODEL.json OUT.h OUT.c [--models DIR] [--verbose]
    generate.py apis OUT.c ID...
    generate.py unicode OUT.c

Names. A model's name becomes snake case so: everything that is no letter or digit is `_`; a plural or unit that capitals hide
is made plain first (ARNs -> Arns, IPv6 -> Ipv6, MiB -> Mib); then `_` goes between a small letter or digit and a capital
(functionName, S3Bucket -> s3_bucket), and before the last of several capitals when a small letter follows it (DBInstanceId ->
db_instance_id, SSEKMSKeyId -> ssekms_key_id, ETag -> e_tag). Members that are C keywords or macros get a final `_` (default_,
linux_); of several names that become the same, the later ones in the model's order get _2, _3 ...
Structs are <api>_<shape>; lists and maps are <api>_<shape> too, and a map's entry is <api>_<shape>_entry. Lists of strings are
struct str_list, maps from string to string are struct str_map.

A model of our own records (models/state) has no operations. Its metadata may say `"imports": {"lambda": ["VpcConfig", ...]}`:
those shapes, with all that they refer to, join its tables under their names, and are the C structs of gen/lambda.h.

The output depends on the model and on this file alone.
"""
import argparse
import json
import pathlib
import re
import struct
import sys
import unicodedata

RESERVED = set("""
    auto break case char const continue default do double else enum extern float for goto if inline int long register restrict
    return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof bool true false
    linux unix i386 errno stdin stdout stderr assert signals environ major minor
""".split())
KINDS = {
    "structure": ("SHAPE_STRUCTURE", None), "list": ("SHAPE_LIST", None), "map": ("SHAPE_MAP", None),
    "string": ("SHAPE_STRING", "struct str"), "character": ("SHAPE_STRING", "struct str"), "blob": ("SHAPE_BLOB", "struct str"),
    "boolean": ("SHAPE_BOOLEAN", "struct opt_bool"), "integer": ("SHAPE_INTEGER", "struct opt_int"),
    "long": ("SHAPE_LONG", "struct opt_int"), "float": ("SHAPE_FLOAT", "struct opt_double"),
    "double": ("SHAPE_DOUBLE", "struct opt_double"), "timestamp": ("SHAPE_TIMESTAMP", "struct opt_time"),
    "document": ("SHAPE_DOCUMENT", "struct str"),
}
TIMES = {None: "MT_DEFAULT", "iso8601": "MT_ISO8601", "rfc822": "MT_RFC822", "unixTimestamp": "MT_EPOCH"}
PROTOCOLS = {"query": "QUERY", "ec2": "EC2", "rest-json": "REST_JSON", "rest-xml": "REST_XML", "smithy-rpc-v2-cbor": "CBOR"}
# Patterns that every string satisfies.
ANYTHING = {r"[\s\S]*", r"[\S\s]*", r"(?s).*", r"^[\s\S]*$", r"[\w\W]*", r"[\d\D]*"}


def snake(name):
    name = re.sub(r"[^A-Za-z0-9]+", "_", name)
    name = re.sub(r"([A-Z]{2,})s(?![a-z])", lambda m: m[1].capitalize() + "s", name)
    name = re.sub(r"IPv([46])", r"Ipv\1", name)
    name = re.sub(r"([KMGT])iB(?![a-z])", r"\1ib", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    return name.lower()


def unique(name, taken):
    result, n = name, 2
    while result in taken:
        result, n = f"{name}_{n}", n + 1
    taken.add(result)
    return result


def c_string(text):
    def escape(byte):
        char = chr(byte)
        if char in '"\\':
            return "\\" + char
        return char if 32 <= byte < 127 and char != "?" else f"\\{byte:03o}"
    return "".join(escape(byte) for byte in text.encode())


def message_order(values):
    """Enum values in the order in which AWS's messages list them: that of a Java HashSet which begins with 32 buckets and doubles
    when it is three quarters full (true of every message that we have seen whole, up to Lambda's 25 runtimes in 64 buckets)."""
    buckets = 32
    while len(values) * 4 > buckets * 3:
        buckets *= 2

    def bucket(value):
        code = 0
        for unit in struct.unpack(f"<{len(value.encode('utf-16-le')) // 2}H", value.encode("utf-16-le")):
            code = (code * 31 + unit) & 0xffffffff
        return (code ^ code >> 16) & (buckets - 1)
    return sorted(values, key=bucket)


class Text:
    """All names of an API in one array. Added strings get offsets when the array is laid out: a string that ends
    another one lies inside it."""

    def __init__(self):
        self.strings, self.offsets = {""}, {}

    def add(self, string):
        self.strings.add(string)
        return string

    def lay_out(self):
        rows, at = [], 0
        self.offsets[""] = 0
        rows.append("")
        at = 1
        backwards = sorted((s.encode()[::-1] for s in self.strings if s), reverse=True)
        last, start = None, 0
        for reverse in backwards:
            if last is not None and last.startswith(reverse):
                self.offsets[reverse[::-1].decode()] = start + len(last) - len(reverse)
                continue
            last, start = reverse, at
            string = reverse[::-1].decode()
            self.offsets[string] = at
            rows.append(string)
            at += len(reverse) + 1
        self.bytes = at
        return rows


class Api:
    def __init__(self, model, models_dir, verbose=False):
        self.model, self.verbose = model, verbose
        self.metadata = model["metadata"]
        self.id = self.metadata["id"]
        self.operations = sorted(model.get("operations", {}).items())
        self.shapes = dict(model["shapes"])
        self.origin = {}
        self.imported = []
        for other_id, names in sorted(self.metadata.get("imports", {}).items()):
            self.import_shapes(load(models_dir, other_id), names, models_dir)
        for shape in self.shapes.values():
            if shape["type"] == "structure" and shape.get("document"):
                shape["type"] = "document"
        self.reached = self.reach()
        self.protocols = self.find_protocols()
        self.name_shapes()

    def import_shapes(self, model, names, models_dir):
        other = Api(model, models_dir)
        self.imported.append(other.id)
        for name in other.closure(names):
            if name not in other.reached:
                sys.exit(f"{self.id}: {other.id}.{name} is imported but no operation of {other.id} uses it")
            if name in self.shapes:
                sys.exit(f"{self.id}: shape {name} is also imported from {other.id}")
            self.shapes[name] = other.shapes[name]
            self.origin[name] = other

    def closure(self, roots):
        seen, todo = set(), list(roots)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self.shapes:
                sys.exit(f"{self.id}: no shape {name}")
            todo.extend(target["shape"] for _, target in self.members(name))
        return sorted(seen)

    def reach(self):
        if not self.operations:
            return sorted(self.shapes)
        roots = []
        for _, operation in self.operations:
            roots += [operation[side]["shape"] for side in ("input", "output") if side in operation]
            roots += operation.get("errors", [])
        roots += [name for name, shape in self.shapes.items() if shape.get("exception")]
        return self.closure(roots)

    def members(self, name):
        """(name, reference) of what a shape is made of."""
        shape = self.shapes[name]
        if shape["type"] == "structure":
            return list(shape.get("members", {}).items())
        if shape["type"] == "list":
            return [("member", shape["member"])]
        if shape["type"] == "map":
            return [("key", shape["key"]), ("value", shape["value"])]
        return []

    def find_protocols(self):
        names = self.metadata.get("protocols") or ([self.metadata["protocol"]] if "protocol" in self.metadata else [])
        json_name = "JSON10" if self.metadata.get("jsonVersion") == "1.0" else "JSON11"
        return [PROTOCOLS.get(name, json_name) for name in names] or ["CBOR"]

    # --- C names and types ---------------------------------------------------------------------------------------

    def is_text(self, name):
        return self.shapes[name]["type"] in ("string", "character", "blob", "document")

    def own_struct(self, name):
        """Does the shape have a C struct of its own?"""
        shape = self.shapes[name]
        if shape["type"] == "list":
            return not self.is_text(shape["member"]["shape"])
        if shape["type"] == "map":
            return not self.is_text(shape["value"]["shape"])
        return shape["type"] == "structure"

    def name_shapes(self):
        taken = set()
        self.tags, self.entries, self.fields = {}, {}, {}
        structures_first = sorted(self.reached, key=lambda n: (self.shapes[n]["type"] != "structure", n))
        for name in structures_first:
            if name in self.origin:
                self.tags[name] = self.origin[name].tags.get(name)
                self.entries[name] = self.origin[name].entries.get(name)
            elif self.own_struct(name):
                self.tags[name] = unique(f"{self.id}_{snake(name)}", taken)
                if self.shapes[name]["type"] == "map":
                    self.entries[name] = unique(self.tags[name] + "_entry", taken)
            if self.shapes[name]["type"] == "structure":
                names = set()
                self.fields[name] = [unique(f + "_" if f in RESERVED else f"_{f}" if f[0].isdigit() else f, names)
                                     for f in (snake(member) for member, _ in self.members(name))]

    def value_type(self, name):
        """The C type of a member, element or map value with this shape, where it lies by value."""
        shape = self.shapes[name]
        if self.own_struct(name):
            return "struct " + self.tags[name]
        if shape["type"] == "list":
            return "struct str_list"
        if shape["type"] == "map":
            return "struct str_map"
        return KINDS[shape["type"]][1]

    def field_type(self, reference):
        name = reference["shape"]
        if self.streams(reference):
            return "struct str "
        return self.value_type(name) + (" *" if self.shapes[name]["type"] == "structure" else " ")

    def streams(self, reference):
        shape = self.shapes[reference["shape"]]
        return bool(reference.get("streaming") or shape.get("streaming") or shape.get("eventstream"))

    # --- the header ------------------------------------------------------------------------------------------------

    def header(self):
        out = [f"/* Structs and operations of {self.metadata.get('serviceId', self.id)}. Generated by tools/generate.py. */",
               "#pragma once", '#include "model/model.h"']
        out += [f'#include "gen/{other}.h"' for other in self.imported]
        own = [n for n in self.reached if n not in self.origin and self.own_struct(n)]
        out += ["", f"extern const struct api {self.id}_api;", ""]
        out += [f"struct {self.tags[n]};" for n in own if self.shapes[n]["type"] == "structure"]
        out += [f"struct {self.entries[n]};" for n in own if n in self.entries]
        for name in own:
            shape = self.shapes[name]
            if shape["type"] == "list":
                out.append(f"struct {self.tags[name]} {{ {self.value_type(shape['member']['shape'])} *v; uint32_t n; bool set; }};")
            elif shape["type"] == "map":
                out.append(f"struct {self.tags[name]} {{ struct {self.entries[name]} *v; uint32_t n; bool set; }};")
        for name in own:
            if self.shapes[name]["type"] == "structure":
                out += ["", f"struct {self.tags[name]} {{"]
                for field, (_, reference) in zip(self.fields[name], self.members(name)):
                    out.append(f"\t{self.field_type(reference)}{field};")
                if not self.fields[name]:
                    out.append("\tchar none;")
                out.append("};")
        out.append("")
        for name in own:
            if name in self.entries:
                value = self.value_type(self.shapes[name]["value"]["shape"])
                out.append(f"struct {self.entries[name]} {{ struct str key; {value} value; }};")
        if self.operations:
            out += ["", f"enum {self.id}_op {{"]
            out += [f"\t{self.id.upper()}_OP_{snake(name).upper()}," for name, _ in self.operations]
            out += [f"\t{self.id.upper()}_OPS,", "};", "", "struct call;"]
            for name, operation in self.operations:
                sides = ["struct " + self.tags[operation[s]["shape"]] if s in operation else "struct model_none"
                         for s in ("input", "output")]
                out.append(f"typedef int {self.id}_{snake(name)}_handler(struct call *, const {sides[0]} *, {sides[1]} *);")
        return "\n".join(out) + "\n"

    # --- the tables --------------------------------------------------------------------------------------------------

    def pattern(self, name):
        pattern = self.shapes[name].get("pattern")
        if not pattern or pattern in ANYTHING:
            return None
        if re.search(r"\\[1-9]", pattern):
            if self.verbose:
                print(f"{self.id}.{name}: pattern with a back reference is not checked: {pattern}", file=sys.stderr)
            return None
        return pattern

    def scalar_key(self, name):
        """Scalars that agree in all this share a table entry."""
        shape = self.shapes[name]
        if shape["type"] in ("structure", "list", "map"):
            return name
        return json.dumps([KINDS[shape["type"]][0], self.shape_flags(name), self.bounds(name), shape.get("enum"),
                           self.pattern(name)])

    def bounds(self, name):
        shape = self.shapes[name]
        scale = 1000 if shape["type"] in ("float", "double") else 1
        return [None if bound not in shape else round(shape[bound] * scale) for bound in ("min", "max")]

    def shape_flags(self, name):
        shape = self.shapes[name]
        error = shape.get("error", {})
        names = [("flattened", "FLATTENED"), ("union", "UNION"), ("exception", "ERROR"), ("streaming", "STREAMING"),
                 ("eventstream", "EVENT_STREAM"), ("event", "EVENT"), ("sensitive", "SENSITIVE"), ("box", "BOX"),
                 ("jsonvalue", "JSON_VALUE")]
        flags = [flag for trait, flag in names if shape.get(trait)]
        if shape.get("fault") or error.get("fault") or error.get("httpStatusCode", 400) >= 500:
            flags.append("FAULT")
        return flags

    def member_row(self, name, reference, required, offset):
        shape = self.shapes[reference["shape"]]
        own_name = reference.get("locationName", shape.get("locationName"))
        flattened = shape["type"] in ("list", "map") and (reference.get("flattened") or shape.get("flattened"))
        wire_name = name if own_name is None else own_name  # a prefix of headers may be empty
        if flattened and shape["type"] == "list" and shape["member"].get("locationName") and "REST_XML" not in self.protocols:
            wire_name = shape["member"]["locationName"]
        ec2_name = wire_name
        if "EC2" in self.protocols:
            ec2_name = reference.get("queryName") or (own_name[0].upper() + own_name[1:] if own_name else name)
        flags = ["REQUIRED"] if required else []
        flags += ["FLATTENED"] if flattened else []
        for trait, flag in (("xmlAttribute", "XML_ATTRIBUTE"), ("idempotencyToken", "TOKEN"), ("hostLabel", "HOST_LABEL"),
                            ("eventpayload", "EVENT_PAYLOAD"), ("eventheader", "EVENT_HEADER"), ("jsonvalue", "JSON_VALUE")):
            flags += [flag] if reference.get(trait) else []
        flags += ["STREAMING"] if self.streams(reference) else []
        location = {None: "IN_BODY", "header": "IN_HEADER", "headers": "IN_HEADERS", "uri": "IN_URI",
                    "querystring": "IN_QUERY_MAP" if shape["type"] == "map" else "IN_QUERY",
                    "statusCode": "IN_STATUS"}[reference.get("location")]
        time = TIMES[reference.get("timestampFormat") or shape.get("timestampFormat")]
        return [self.text.add(name), self.text.add(wire_name), self.text.add(ec2_name), reference["shape"], offset,
                " | ".join("MEMBER_" + f for f in flags) or "0", location, time]

    def namespace(self, value):
        if isinstance(value, dict):
            return value.get("uri", ""), value.get("prefix", "")
        return value or "", ""

    def shape_row(self, name):
        """The table row of a shape; its members, enum values go to the shared arrays."""
        shape = self.shapes[name]
        kind = KINDS[shape["type"]][0]
        members = [] if kind == "SHAPE_DOCUMENT" else self.members(name)
        first = len(self.member_rows)
        if kind == "SHAPE_STRUCTURE":
            tag = "struct " + self.tags[name]
            size = f"sizeof({tag})"
            for field, (member, reference) in zip(self.fields[name], members):
                self.member_rows.append(self.member_row(member, reference, member in shape.get("required", []),
                                                        f"offsetof({tag}, {field})"))
        elif kind == "SHAPE_LIST":
            size = f"sizeof({self.value_type(shape['member']['shape'])})"
            self.member_rows.append(self.member_row("member", shape["member"], False, "0"))
        elif kind == "SHAPE_MAP":
            entry = "struct " + (self.entries.get(name) or "str_map_entry")
            size = f"sizeof({entry})"
            self.member_rows.append(self.member_row("key", shape["key"], True, f"offsetof({entry}, key)"))
            self.member_rows.append(self.member_row("value", shape["value"], False, f"offsetof({entry}, value)"))
        else:
            size = f"sizeof({KINDS[shape['type']][1]})"
        payload = 1 + [m for m, _ in members].index(shape["payload"]) if "payload" in shape else 0
        bounds, pattern, enum = self.bounds(name), self.pattern(name), message_order(shape.get("enum", []))
        have = [flag for flag, there in (("MIN", bounds[0] is not None), ("MAX", bounds[1] is not None),
                                         ("PATTERN", pattern), ("ENUM", enum)) if there]
        enum_first = len(self.enum_values) if enum else 0
        self.enum_values += [self.text.add(value) for value in enum]
        error = shape.get("error", {})
        status = 0
        if shape.get("exception"):
            status = error.get("httpStatusCode") or (500 if "FAULT" in self.shape_flags(name) else 400)
        code = error.get("code", name)
        uri, prefix = self.namespace(shape.get("xmlNamespace"))
        add = self.text.add
        return [add(name), kind, " | ".join("HAS_" + h for h in have) or "0",
                " | ".join("SHAPE_" + f for f in self.shape_flags(name)) or "0", size, first if members else 0, len(members),
                payload, enum_first, len(enum), status, (add(pattern or ""),), (add("" if code == name else code),), (add(uri),),
                (add(prefix),), (add(shape.get("locationName", "")),), bounds[0] or 0, bounds[1] or 0]

    def operation_row(self, name, operation):
        http = operation.get("http", {})
        request, reply = operation.get("input", {}), operation.get("output", {})
        flags = []
        flags += ["UNSIGNED"] if operation.get("authtype") == "none" else []
        flags += ["UNSIGNED_PAYLOAD"] if operation.get("unsignedPayload") else []
        flags += ["STREAM_IN"] if request and self.has_stream(request["shape"], "streaming") else []
        events = reply and self.has_stream(reply["shape"], "eventstream")
        flags += ["EVENTS_OUT"] if events else []
        flags += ["STREAM_OUT"] if events or (reply and self.has_stream(reply["shape"], "streaming")) else []
        checksum = operation.get("httpChecksum", {})
        flags += ["CHECKSUM_REQUIRED"] if checksum.get("requestChecksumRequired") else []
        first = len(self.error_shapes)
        errors = operation.get("errors", [])
        self.error_shapes += errors
        wrapper = reply.get("resultWrapper", f"{name}Result" if reply and "QUERY" in self.protocols else "")
        uri, _ = self.namespace(request.get("xmlNamespace"))
        add = self.text.add
        return [(add(name),), (add(http.get("method", "POST")),), (add(http.get("requestUri", "/")),), request.get("shape"),
                reply.get("shape"), http.get("responseCode", 200), " | ".join("OPERATION_" + f for f in flags) or "0", first,
                len(errors), (add(operation.get("endpoint", {}).get("hostPrefix", "")),), (add(request.get("locationName", "")),),
                (add(uri),), (add(wrapper),), (add(checksum.get("requestAlgorithmMember", "")),)]

    def has_stream(self, name, trait):
        return any(reference.get(trait) or self.shapes[reference["shape"]].get(trait) for _, reference in self.members(name))

    def api_xml_namespace(self):
        """Of replies: the API's, or where it gives none that of its first request that has one (s3, route53)."""
        found = self.namespace(self.metadata.get("xmlNamespace"))[0]
        inputs = (self.namespace(o.get("input", {}).get("xmlNamespace"))[0] for _, o in self.operations)
        return found or next((uri for uri in inputs if uri), "")

    def source(self):
        self.text = Text()
        self.member_rows, self.enum_values, self.error_shapes = [], [], []
        first_of, self.index, listed = {}, {}, []
        for name in self.reached:
            key = self.scalar_key(name)
            if key not in first_of:
                first_of[key] = len(listed)
                listed.append(name)
            self.index[name] = first_of[key]
        shapes = [(name, self.shape_row(name)) for name in listed]
        operations = [self.operation_row(name, operation) for name, operation in self.operations]
        rows = self.text.lay_out()
        at = self.text.offsets

        def cell(value):
            return str(at[value[0]]) if isinstance(value, tuple) else str(value)

        def array(declaration, lines):
            return [f"static const {declaration}[] = {{"] + (lines or ["\t0"]) + ["};"]

        out = [f"/* Tables of {self.id}. Generated by tools/generate.py. */", f'#include "gen/{self.id}.h"', "",
               "#include <stddef.h>", "", "static const char text[] ="]
        out += [f'\t"{c_string(row)}\\0"' for row in rows[:-1]] + [f'\t"{c_string(rows[-1])}";']
        out += array("struct member members", [
            "\t{%d, %d, %d, %d, %s, %s, %s, %s}," % (at[r[0]], at[r[1]], at[r[2]], self.index[r[3]], *r[4:])
            for r in self.member_rows] or ["\t{0}"])
        out += array("uint32_t enum_values", [f"\t{at[value]}," for value in self.enum_values])
        out += array("uint32_t error_shapes", [f"\t{self.index[name]}," for name in self.error_shapes])
        out += array("struct shape shapes", ["\t{%d, %s}," % (at[row[0]], ", ".join(map(cell, row[1:]))) for _, row in shapes])
        for row in operations:
            for side in (3, 4):
                row[side] = 1 + self.index[row[side]] if row[side] else 0
        out += array("struct operation operations", ["\t{%s}," % ", ".join(map(cell, row)) for row in operations] or ["\t{0}"])
        meta = self.metadata
        bits = " | ".join(f"1 << PROTOCOL_{name}" for name in self.protocols)
        prefix = meta.get("endpointPrefix", "")
        out += ["", f"const struct api {self.id}_api = {{", f'\t.id = "{self.id}",', "\t.text = text,", "\t.shapes = shapes,",
                "\t.members = members,", "\t.operations = operations,", "\t.enum_values = enum_values,",
                "\t.error_shapes = error_shapes,", f"\t.shape_count = {len(shapes)},",
                f"\t.member_count = {len(self.member_rows)},", f"\t.operation_count = {len(operations)},",
                "\t.text_bytes = sizeof(text),"]
        for field, value in (("endpoint_prefix", prefix), ("signing_name", meta.get("signingName", prefix)),
                             ("service_id", meta.get("serviceId", "")), ("api_version", meta.get("apiVersion", "")),
                             ("target_prefix", meta.get("targetPrefix", "")), ("xml_ns", self.api_xml_namespace())):
            out.append(f'\t.{field} = "{c_string(value)}",')
        out += [f"\t.protocols = {bits},", f"\t.protocol = PROTOCOL_{self.protocols[0]},",
                f"\t.query_compatible = {'true' if 'awsQueryCompatible' in meta else 'false'},",
                f"\t.global = {'true' if meta.get('global') else 'false'},", "};"]
        return "\n".join(out) + "\n"


def load(models_dir, service):
    for name in (service, service.replace("_", "-")):
        path = models_dir / f"{name}.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
    sys.exit(f"{models_dir}: no model of {service}")


def list_apis(ids):
    ids = sorted(ids)
    out = ["/* Every API with a model. Generated by tools/generate.py. */", '#include "model/model.h"', ""]
    out += [f"extern const struct api {name}_api;" for name in ids]
    out += ["const struct api *const model_apis[] = {"] + [f"\t&{name}_api," for name in ids] + ["\tNULL,", "};"]
    return "\n".join(out) + "\n"


def unicode_tables():
    """Ranges of the general categories that patterns name: letters, numbers, separators."""
    out = ["/* Ranges of Unicode's general categories. Generated by tools/generate.py. */", '#include "model/unicode.h"', ""]
    for letter, name in (("L", "letters"), ("N", "numbers"), ("Z", "separators")):
        ranges = []
        for code in range(0x110000):
            if unicodedata.category(chr(code))[0] == letter:
                if ranges and ranges[-1][1] == code - 1:
                    ranges[-1][1] = code
                else:
                    ranges.append([code, code])
        out.append(f"const struct unicode_range unicode_{name}[] = {{")
        out += [f"\t{{0x{low:x}, 0x{high:x}}}," for low, high in ranges]
        out += ["};", f"const unsigned unicode_{name}_count = {len(ranges)};"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    api = commands.add_parser("api")
    api.add_argument("model", type=pathlib.Path)
    api.add_argument("header", type=pathlib.Path)
    api.add_argument("source", type=pathlib.Path)
    api.add_argument("--models", type=pathlib.Path, help="where imported models are")
    api.add_argument("--verbose", action="store_true")
    apis = commands.add_parser("apis")
    apis.add_argument("output", type=pathlib.Path)
    apis.add_argument("ids", nargs="*")
    commands.add_parser("unicode").add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    if options.command == "api":
        model = json.loads(options.model.read_text(encoding="utf-8"))
        made = Api(model, options.models or options.model.parent, options.verbose)
        options.header.write_text(made.header(), encoding="utf-8")
        options.source.write_text(made.source(), encoding="utf-8")
    elif options.command == "apis":
        options.output.write_text(list_apis(options.ids), encoding="utf-8")
    else:
        options.output.write_text(unicode_tables(), encoding="utf-8")


if __name__ == "__main__":
    main()

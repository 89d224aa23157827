#!/usr/bin/python3
"""What the platform knows, for hooks and commands of a bundle: get-config [--output JSON|YAML] environment|optionsettings|container|platformconfig|meta [-k KEY]."""
import argparse
import json
import sys

import yaml

PLACE = "/var/lib/elasticbeanstalk/settings.json"
KINDS = ("environment", "optionsettings", "container", "platformconfig", "meta")


def answer(settings, options):
    found = settings[options.kind]
    if options.kind == "optionsettings":
        for key in (options.namespace, options.option_name):
            if key is not None:
                found = found[key]
    elif options.key is not None:
        found = found[options.key]
    if isinstance(found, str):
        return found
    return yaml.safe_dump(found, default_flow_style=False).rstrip() if options.output.upper() == "YAML" else json.dumps(found)


def main(argv):
    parser = argparse.ArgumentParser(prog="get-config")
    parser.add_argument("--output", choices=("JSON", "YAML", "json", "yaml"), default="JSON")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("-k", "--key")
    parser.add_argument("-n", "--namespace")
    parser.add_argument("-o", "--option-name")
    options = parser.parse_args(argv)
    try:
        with open(PLACE, encoding="utf-8") as f:
            print(answer(json.load(f), options))
    except KeyError as e:
        print(f"get-config: {e} is not known", file=sys.stderr)
        return 1
    except OSError as e:
        print(f"get-config: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

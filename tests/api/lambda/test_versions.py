"""Versions, aliases, layers."""
import collections
import unittest
import uuid

from aws import client
from lambdacase import LambdaCase, package

CODE = "import os\ndef lambda_handler(e, c):\n    return [os.environ['AWS_LAMBDA_FUNCTION_VERSION'], os.environ.get('COLOR'), c.invoked_function_arn.split(':', 6)[6]]\n"


class Versions(LambdaCase):
    def active(self, name, version):
        self.aws.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version, WaiterConfig={"Delay": 1})

    def test_publish(self):
        name = self.make(CODE, Environment={"Variables": {"COLOR": "red"}})
        self.assertEqual(self.aws.publish_version(FunctionName=name)["Version"], "1")
        self.assertEqual(self.aws.publish_version(FunctionName=name)["Version"], "1", "nothing has changed")
        self.aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "blue"}})
        self.settle(name)
        two = self.aws.publish_version(FunctionName=name, Description="second")
        self.assertEqual((two["Version"], two["Description"]), ("2", "second"))
        self.active(name, "1")
        self.active(name, "2")
        self.assertEqual(self.result(f"{name}:1"), ["1", "red", f"{name}:1"])
        self.assertEqual(self.result(name, Qualifier="2"), ["2", "blue", f"{name}:2"])
        listed = self.aws.list_versions_by_function(FunctionName=name)["Versions"]
        self.assertEqual([v["Version"] for v in listed], ["$LATEST", "1", "2"])
        self.assertAwsError("InvalidParameterValueException", self.aws.publish_version, FunctionName=name, CodeSha256="x" * 44)
        self.aws.delete_function(FunctionName=name, Qualifier="1")
        self.assertAwsError("ResourceNotFoundException", self.aws.invoke, FunctionName=name, Qualifier="1", status=404)
        self.aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "red"}})
        self.settle(name)
        self.assertEqual(self.aws.publish_version(FunctionName=name)["Version"], "3", "numbers are never used again")

    def test_aliases(self):
        name = self.make(CODE)
        self.aws.publish_version(FunctionName=name)
        self.aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "blue"}})
        self.settle(name)
        self.aws.publish_version(FunctionName=name)
        self.active(name, "2")
        self.aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
        seen = collections.Counter(self.aws.invoke(FunctionName=f"{name}:live")["ExecutedVersion"] for _ in range(60))
        self.assertEqual(set(seen), {"1", "2"})
        self.assertTrue(12 <= seen["2"] <= 48, seen)
        alias = self.aws.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
        self.assertNotIn("RoutingConfig", alias)
        self.assertEqual(self.result(f"{name}:live"), ["2", "blue", f"{name}:live"])
        self.assertAwsError("ResourceConflictException", self.aws.create_alias, FunctionName=name, Name="live", FunctionVersion="1", status=409)
        self.assertAwsError("ResourceConflictException", self.aws.delete_function, FunctionName=name, Qualifier="2", status=409)
        self.assertAwsError("PreconditionFailedException", self.aws.update_alias, FunctionName=name, Name="live", FunctionVersion="1",
                            RevisionId=str(uuid.uuid4()), status=412)
        self.assertAwsError("InvalidParameterValueException", self.aws.create_alias, FunctionName=name, Name="bad", FunctionVersion="$LATEST",
                            RoutingConfig={"AdditionalVersionWeights": {"1": 0.1}}, message="$LATEST is not supported")
        self.assertEqual([a["Name"] for a in self.aws.list_aliases(FunctionName=name)["Aliases"]], ["live"])
        self.aws.delete_alias(FunctionName=name, Name="live")
        self.assertAwsError("ResourceNotFoundException", self.aws.get_alias, FunctionName=name, Name="live", status=404)

    def test_weights_that_are_refused(self):
        name, bare = self.make(CODE), client("lambda", parameter_validation=False)
        self.aws.publish_version(FunctionName=name)
        self.aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "blue"}})
        self.settle(name)
        self.aws.publish_version(FunctionName=name)
        for weights, message, code, status in (
            ({"2": 1.5}, "Map value must satisfy constraint: [Member must have value less than or equal to 1,", "ValidationException", 400),
            ({"2": -0.1}, "Map value must satisfy constraint: [Member must have value less than or equal to 1,", "ValidationException", 400),
            ({"2": "NaN"}, "Member must have value", "ValidationException", 400),
            ({"1": 0.5}, "Function version 1 is already included in routing configuration.", "InvalidParameterValueException", 400),
            ({"9": 0.5}, f":function:{name}:9", "ResourceNotFoundException", 404),
            ({"2": 0.1, "3": 0.1}, "Number of items in AdditionalVersionWeights cannot be greater than 1", "InvalidParameterValueException", 400),
        ):
            with self.subTest(weights=weights):
                self.assertAwsError(code, bare.create_alias, FunctionName=name, Name="shared", FunctionVersion="1", status=status,
                                    RoutingConfig={"AdditionalVersionWeights": weights}, message=message)
        self.assertAwsError("ResourceNotFoundException", self.aws.create_alias, FunctionName=name, Name="shared", FunctionVersion="9", status=404)
        self.assertEqual(self.aws.list_aliases(FunctionName=name)["Aliases"], [])
        self.aws.create_alias(FunctionName=name, Name="shared", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.05}})
        self.aws.create_alias(FunctionName=name, Name="whole", FunctionVersion="1")
        for version, want in (("1", ["shared", "whole"]), ("2", ["shared"]), ("3", [])):
            found = self.aws.list_aliases(FunctionName=name, FunctionVersion=version)["Aliases"]
            self.assertEqual([a["Name"] for a in found], want)

    def test_layers(self):
        layer = "l-" + uuid.uuid4().hex[:8]
        one = self.aws.publish_layer_version(LayerName=layer, Content={"ZipFile": package({"python/shared.py": "WHO = 'one'", "bin/a.txt": "a"})},
                                             CompatibleRuntimes=["python3.12"])
        two = self.aws.publish_layer_version(LayerName=layer, Content={"ZipFile": package({"python/shared.py": "WHO = 'two'"})})
        self.assertEqual((one["Version"], two["Version"]), (1, 2))
        other = self.aws.publish_layer_version(LayerName=layer + "-b", Content={"ZipFile": package({"python/shared.py": "WHO = 'other'", "b.txt": "b"})})
        code = "import os, shared\ndef lambda_handler(e, c):\n    return [shared.WHO, sorted(os.listdir('/opt'))]\n"
        name = self.make(code, Layers=[one["LayerVersionArn"]])
        self.assertEqual(self.result(name), ["one", ["bin", "python"]])
        self.aws.update_function_configuration(FunctionName=name, Layers=[one["LayerVersionArn"], other["LayerVersionArn"]])
        self.settle(name)
        self.assertEqual(self.result(name), ["other", ["b.txt", "bin", "python"]])
        self.assertEqual([v["Version"] for v in self.aws.list_layer_versions(LayerName=layer)["LayerVersions"]], [2, 1])
        found = [i for i in self.aws.list_layers()["Layers"] if i["LayerName"] == layer]
        self.assertEqual(found[0]["LatestMatchingVersion"]["Version"], 2)
        self.aws.delete_layer_version(LayerName=layer, VersionNumber=1)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_layer_version, LayerName=layer, VersionNumber=1, status=404)
        self.assertEqual(self.result(name)[0], "other", "functions keep what they use")
        self.assertAwsError("InvalidParameterValueException", self.aws.update_function_configuration, FunctionName=name,
                            Layers=[one["LayerVersionArn"]], message="does not exist")
        self.aws.delete_layer_version(LayerName=layer, VersionNumber=2)
        self.aws.delete_layer_version(LayerName=layer + "-b", VersionNumber=1)


if __name__ == "__main__":
    unittest.main()

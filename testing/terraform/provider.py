"""A Terraform provider that has a schema and nothing behind it: `provider.py DIRECTORY PROVIDER`.

It serves what `bindings.py` read over Terraform's plugin protocol, so that `terraform validate` and `terraform test` with a
mocked provider check a configuration against the real schema, without a registry and without an account. Beside what
Terraform checks by the schema, it refuses values of computed attributes, and values that the provider's descriptions don't list.
"""

import json
import pathlib
import sys
from concurrent import futures

import grpc
import msgpack

protocol = grpc.protos(str(pathlib.Path("tfplugin5.proto")))
NESTING = {"single": 1, "list": 2, "set": 3}
SERVICE = "tfplugin5.Provider"
UNKNOWN = object()


def block_message(block: dict):
    message = protocol.Schema.Block()
    for name, attribute in block["attributes"].items():
        message.attributes.add(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            required=attribute["required"],
            optional=attribute["optional"],
            computed=attribute["computed"] and not attribute["required"],
        )
    for name, nested in block["blocks"].items():
        message.block_types.add(
            type_name=name,
            nesting=NESTING[nested["nesting"]],
            min_items=nested["min"],
            max_items=nested["max"],
            block=block_message(nested["block"]),
        )
    return message


def wrong_values(block: dict, value: dict | None, path: str = "") -> list[str]:
    """Computed attributes that a configuration gives, and values that the provider's descriptions don't list."""
    wrong = []
    for name, attribute in block["attributes"].items():
        given = (value or {}).get(name)
        if given is not None and not (attribute["required"] or attribute["optional"]):
            wrong.append(f"{path}{name} is computed and can't be given")
        if "values" in attribute and isinstance(given, str) and given not in attribute["values"]:
            wrong.append(f'{path}{name} is "{given}", and can be: {", ".join(attribute["values"])}')
    for name, nested in block["blocks"].items():
        given = (value or {}).get(name)
        for element in given if isinstance(given, list) else [given]:
            if isinstance(element, dict):
                wrong += wrong_values(nested["block"], element, f"{path}{name}.")
    return wrong


class Provider:
    """The answers to Terraform's questions."""

    def __init__(self, schema: dict) -> None:
        self.schema = schema

    def get_schema(self, _request, _context):
        answer = protocol.GetProviderSchema.Response()
        provider = protocol.Schema.Block()
        for name in ("project", "region", "zone", "billing_project"):
            provider.attributes.add(name=name, type=b'"string"', optional=True)
        provider.attributes.add(name="user_project_override", type=b'"bool"', optional=True)
        answer.provider.CopyFrom(protocol.Schema(block=provider))
        for kind, types in (("resource", answer.resource_schemas), ("data", answer.data_source_schemas)):
            for name, block in self.schema[kind].items():
                types[name].CopyFrom(protocol.Schema(block=block_message(block)))
        return answer

    def prepare(self, request, _context):
        return protocol.PrepareProviderConfig.Response(prepared_config=request.config)

    def validate(self, kind: str):
        def answer(request, _context):
            value = msgpack.unpackb(request.config.msgpack, ext_hook=lambda _code, _data: UNKNOWN, strict_map_key=False)
            response = protocol.ValidateConfig.Response()
            for sentence in wrong_values(self.schema[kind][request.type_name], value):
                response.diagnostics.add(severity=1, summary="A value that the provider refuses", detail=sentence)
            return response

        return answer


def serve(schema: dict) -> None:
    provider = Provider(schema)
    questions = {
        "GetSchema": (provider.get_schema, protocol.GetProviderSchema),
        "PrepareProviderConfig": (provider.prepare, protocol.PrepareProviderConfig),
        "ValidateResourceTypeConfig": (provider.validate("resource"), protocol.ValidateConfig),
        "ValidateDataSourceConfig": (provider.validate("data"), protocol.ValidateConfig),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(answer, message.Request.FromString, lambda m: m.SerializeToString())
        for name, (answer, message) in questions.items()
    }
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=unlimited)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # Core protocol 1, plugin protocol 5, where, and how.
    print(f"1|5|tcp|127.0.0.1:{port}|grpc", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    directory, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    serve(json.loads((directory / f"{name}.json").read_text()))

"""What LocalStack 4.14.0 does otherwise than AWS, and tests of deployments would trip over."""

import copy
import functools
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

EVENTS_AT_ONCE = 500


def listen_on_loopback() -> None:
    """The gateway takes the port of GATEWAY_LISTEN, and forgets its host."""
    from localstack.runtime.server import twisted

    tcp4 = twisted.endpoints.TCP4ServerEndpoint
    twisted.endpoints.TCP4ServerEndpoint = functools.partial(tcp4, interface="127.0.0.1")


def name_uuids_by_bytes() -> None:
    """Keys of KMS are named so, which Python can since 3.12. A table that is encrypted with a key of AWS makes one."""
    by_text = uuid.uuid5

    def by_either(namespace: uuid.UUID, name: str | bytes) -> uuid.UUID:
        # What is hashed is the text in UTF-8; by any other code the hash is another, and as good.
        return by_text(namespace, name if isinstance(name, str) else name.decode("latin-1"))

    uuid.uuid5 = by_either


def run_events_side_by_side() -> None:
    """Of the asynchronous invocations of one version, as many run at a time as a thread pool has by default: six on two cores.

    The others wait until one ends. A session of a stream lasts minutes, and its successor is invoked before it ends.
    """
    from localstack.services.lambda_.invocation.event_manager import Poller

    make = Poller.__init__

    @functools.wraps(make)
    def with_many_threads(self, *args, **kwargs):
        make(self, *args, **kwargs)
        self.invoker_pool.shutdown(wait=False)
        self.invoker_pool = ThreadPoolExecutor(max_workers=EVENTS_AT_ONCE)

    Poller.__init__ = with_many_threads


class _With:
    """An object that is like another, with some attributes of its own."""

    def __init__(self, like, **attributes):
        self._like = like
        self.__dict__.update(attributes)

    def __getattr__(self, name):
        return getattr(self._like, name)


def heed_event_settings_of_aliases() -> None:
    """Retries, age and destinations that were set for an alias are not looked up: only those of the version that it names are.

    On AWS those of the qualifier that was invoked count.
    """
    from localstack.services.lambda_.invocation.event_manager import Poller

    handle = Poller.handle_message

    @functools.wraps(handle)
    def with_invoked_qualifier(self, message):
        manager = self.version_manager
        parts = json.loads(message["Body"])["invoked_arn"].split(":")
        version = manager.function_version.id.qualifier
        invoked = parts[7] if len(parts) > 7 else version
        if invoked == version:
            return handle(self, message)
        settings = manager.function.event_invoke_configs.get(invoked)
        function = _With(manager.function, event_invoke_configs={version: settings})
        poller = copy.copy(self)
        poller.version_manager = _With(manager, function=function)
        return handle(poller, message)

    Poller.handle_message = with_invoked_qualifier


def describe_by_alias() -> None:
    """Where the settings of a function are asked for by an alias, it is not found. On AWS those of the version that the alias names are told."""
    from localstack.services.lambda_ import provider
    from localstack.services.lambda_.invocation.models import lambda_stores

    by_version = provider.get_function_version

    def by_either(function_name: str, qualifier: str | None, account_id: str, region: str):
        function = lambda_stores[account_id][region].functions.get(function_name)
        alias = function and function.aliases.get(qualifier)
        return by_version(function_name, alias.function_version if alias else qualifier, account_id, region)

    provider.get_function_version = by_either


def replace_only_what_has_changed() -> None:
    """A resource whose properties refer to one that changes is taken for one that is to be replaced: made anew, and the old one removed.

    Where both have one name, that fails or removes the new one. What is referred to is known when the resource's turn comes.
    """
    from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor
    from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor

    change = ChangeSetModelExecutor._execute_resource_change

    def identity(resource) -> list:
        provider = ResourceProviderExecutor.try_load_resource_provider(resource.resource_type)
        names = [path.replace("/properties/", "", 1) for path in provider.SCHEMA.get("createOnlyProperties", [])]
        return [resource.properties.properties.get(name) for name in names]

    @functools.wraps(change)
    def with_values(self, name, before, after):
        if getattr(after, "requires_replacement", False) and hasattr(before, "properties"):
            after.requires_replacement = identity(before) != identity(after)
        return change(self, name, before, after)

    ChangeSetModelExecutor._execute_resource_change = with_values


def update_aliases() -> None:
    """An alias stays at the version for which it was made: a stack's update of it does nothing."""
    from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent
    from localstack.services.lambda_.resource_providers.lambda_alias import LambdaAliasProvider

    def update(_self, request):
        wanted = request.desired_state
        names = {name: wanted[name] for name in ("FunctionName", "FunctionVersion", "Name")}
        alias = request.aws_client_factory.lambda_.update_alias(**names)
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model={**wanted, "Id": alias["AliasArn"]})

    LambdaAliasProvider.update = update

"""What LocalStack 4.14.0 does otherwise than AWS, and tests of deployments would trip over."""

import copy
import functools
import json
from concurrent.futures import ThreadPoolExecutor

EVENTS_AT_ONCE = 500


def listen_on_loopback() -> None:
    """The gateway takes the port of GATEWAY_LISTEN, and forgets its host."""
    from localstack.runtime.server import twisted

    tcp4 = twisted.endpoints.TCP4ServerEndpoint
    twisted.endpoints.TCP4ServerEndpoint = functools.partial(tcp4, interface="127.0.0.1")


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

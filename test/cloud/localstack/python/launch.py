"""Runs LocalStack in this process, without Docker, until SIGTERM or until standard input ends, as it does when whoever started it is gone.

What differs from `python -m localstack.runtime.main`: functions are Node processes of this machine (process_executor.py), a few faults are
mended (repairs.py), and nothing but the loopback interface is listened on.
"""

import os
import signal
import sys
import threading

import process_executor
import repairs
from localstack.runtime import main


def end_with_standard_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    repairs.listen_on_loopback()
    repairs.name_uuids_by_bytes()
    if "lambda" in os.environ["SERVICES"].split(","):
        process_executor.install()
        repairs.run_events_side_by_side()
        repairs.heed_event_settings_of_aliases()
        repairs.describe_by_alias()
    if "cloudformation" in os.environ["SERVICES"].split(","):
        repairs.replace_only_what_has_changed()
        repairs.update_aliases()
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    main.main()

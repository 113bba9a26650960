"""Functions of LocalStack as Node processes: one per execution environment, frozen between invocations as Lambda freezes them.

A process has the function's code as its working directory, and its environment variables with no others but PATH. It is killed when its
deadline has passed, and replaced at the next invocation after it has ended, however it has. Only zip functions for Node.
"""

import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time

from localstack import config
from localstack.services.lambda_.invocation import runtime_executor
from localstack.services.lambda_.invocation.lambda_models import InvocationResult

BOOTSTRAP = str(pathlib.Path(__file__).with_name("bootstrap.cjs"))
INIT_SECONDS_MAX = 10


def install() -> None:
    runtime_executor.get_runtime_executor = lambda: ProcessExecutor


class FunctionProcess:
    """A Node process that answers lines of JSON: first one that it has loaded its code, then one for each request."""

    def __init__(self, code: str, environment: dict):
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            ["node", BOOTSTRAP],
            cwd=code,
            env={**environment, "LAMBDA_TASK_ROOT": code, "TIDEMARK_ANSWERS": str(write_end)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
        )
        os.close(write_end)
        self.answers = queue.Queue()
        self.has_ended = False
        self.log = []
        self.log_reader = threading.Thread(target=self._read_log, daemon=True)
        self.log_reader.start()
        threading.Thread(target=self._read_answers, args=[read_end], daemon=True).start()
        self.started_at = time.time()
        self.init_error = self._await_init()

    def _read_log(self) -> None:
        for line in self.process.stdout:
            self.log.append(line.decode(errors="replace"))

    def _read_answers(self, read_end: int) -> None:
        with os.fdopen(read_end, "rb") as answers:
            for line in answers:
                self.answers.put(json.loads(line))
        # A process that is killed closes its files before its parent can see that it has ended.
        self.has_ended = True
        self.answers.put(None)

    def _await_init(self):
        """The error that loading the code ended with, if it did."""
        try:
            answer = self.answers.get(timeout=INIT_SECONDS_MAX)
        except queue.Empty:
            self.kill()
            message = f"Init phase timed out after {INIT_SECONDS_MAX} seconds"
            return {"errorType": "Sandbox.Timedout", "errorMessage": message}
        return self.exit_error() if answer is None else answer.get("error")

    def exit_error(self) -> dict:
        code = self.process.wait()
        reason = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        told = "Runtime exited without providing a reason" if code == 0 else f"Runtime exited with error: {reason}"
        return {"errorType": "Runtime.ExitError", "errorMessage": told}

    def is_usable(self) -> bool:
        return not self.has_ended and self.process.poll() is None and self.init_error is None

    def answer(self, request: dict, seconds: float):
        """What the function answers: {"result"} or {"error"}. None: its process had ended before it took the request."""
        if self.init_error is not None:
            return {"error": self.init_error}
        deadline = time.time() + seconds
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            if self._next_answer(deadline) is None:
                return None
            answer = self._next_answer(deadline)
        except queue.Empty:
            self.kill()
            message = f"Task timed out after {seconds:.2f} seconds"
            return {"error": {"errorType": "Sandbox.Timedout", "errorMessage": message}}
        except BrokenPipeError:
            return None
        if answer is None:
            return {"error": self.exit_error()}
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def _next_answer(self, deadline: float):
        return self.answers.get(timeout=max(0.001, deadline - time.time()))

    def take_log(self) -> str:
        # What was written before the answer comes by another pipe.
        self.log_reader.join(timeout=0.005 if self.process.poll() is None else 1)
        lines, self.log = self.log, []
        return "".join(lines)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class ProcessExecutor(runtime_executor.RuntimeExecutor):
    function = None
    stopped = False

    def start(self, env_vars: dict) -> None:
        self.environment = {name: str(value) for name, value in env_vars.items()}
        # What LocalStack says of the machine where a container would run; here functions run beside it.
        self.environment |= {"PATH": os.environ["PATH"], "NODE_PATH": os.environ.get("TIDEMARK_RUNTIME_MODULES", "")}
        self.function = self._new_process()

    def _new_process(self) -> FunctionProcess:
        code = self.function_version.config.code.get_unzipped_code_location()
        return FunctionProcess(str(code), self.environment)

    def _answer(self, payload: dict, seconds: float) -> dict:
        while not self.stopped:
            if not self.function.is_usable():
                self.function.kill()
                self.function = self._new_process()
            request = {
                "id": payload["invoke-id"],
                "arn": payload["invoked-function-arn"],
                "payload": payload["payload"],
                "deadline": int((time.time() + seconds) * 1000),
            }
            answer = self.function.answer(request, seconds)
            if answer is not None:
                return answer
        self.function.kill()
        return {"error": self.function.exit_error()}

    def invoke(self, payload: dict) -> InvocationResult:
        request_id = payload["invoke-id"]
        begun = time.time()
        answer = self._answer(payload, self.function_version.config.timeout)
        took = (time.time() - begun) * 1000
        version = self.function_version.id.qualifier
        logs = (
            f"START RequestId: {request_id} Version: {version}\n{self.function.take_log()}"
            f"END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {took:.2f} ms\n"
        )
        if "error" not in answer:
            return InvocationResult(request_id, answer["result"].encode(), False, logs)
        error = answer["error"]
        if "trace" not in error:
            error = {**error, "errorMessage": f"RequestId: {request_id} Error: {error['errorMessage']}"}
        return InvocationResult(request_id, json.dumps(error).encode(), True, logs)

    def stop(self) -> None:
        self.stopped = True
        if self.function is not None:
            self.function.kill()

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    def get_logs(self) -> str:
        return "" if self.function is None else "".join(self.function.log)

    @classmethod
    def prepare_version(cls, function_version) -> None:
        if function_version.config.code is None:
            raise ValueError("only functions with a zip of code run as processes")
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version) -> None:
        """Nothing: the code of $LATEST is also that of the version that was published from it."""

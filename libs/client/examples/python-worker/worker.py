"""An ingestion worker in Python: asks for each upload, obeys the kill switch, reports how it went.

    pip install grpcio-tools
    python worker.py --uploads 5

Code for the contracts is generated from proto/ when it starts, into a directory that is gone afterwards.
Each line of standard input is one more upload, until it ends; each line of standard output says what was
done. The worker keeps to the plan: out of touch it defers, it does not guess.
"""

import argparse
import importlib
import importlib.resources
import json
import pathlib
import queue
import sys
import tempfile
import threading
import time
import uuid

import grpc
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROTOS = ROOT / "proto"
BATCH_MAX = 100
CALL_SECONDS = 5
RETRIES = 5


def generate(into: str) -> None:
    """Generates the modules of our contracts, and makes them importable."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    files = [str(path) for path in (PROTOS / "softlaunch").rglob("*.proto")]
    arguments = ["", f"-I{PROTOS}", f"-I{well_known}", f"--python_out={into}", f"--grpc_python_out={into}"]
    if protoc.main(arguments + files) != 0:
        raise SystemExit("the contracts do not generate")
    sys.path.insert(0, into)


class Kills:
    """What is killed, as the kill-switch service says; everything while it says nothing."""

    def __init__(self, channel, worker_id: str, pipeline: str):
        self.pb = importlib.import_module("softlaunch.killswitch.v1.killswitch_service_pb2")
        self.words = importlib.import_module("softlaunch.killswitch.v1.killswitch_pb2")
        stubs = importlib.import_module("softlaunch.killswitch.v1.killswitch_service_pb2_grpc")
        self.stub = stubs.KillSwitchServiceStub(channel)
        self.worker_id, self.pipeline = worker_id, pipeline
        self.lock = threading.Lock()
        self.epoch, self.engaged, self.lease_ends = 0, [], 0.0
        threading.Thread(target=self.follow, daemon=True).start()

    def killed(self, workspace: str) -> bool:
        with self.lock:
            if time.monotonic() >= self.lease_ends:
                return True  # Out of touch: whoever guesses here ingests what was to be stopped.
            return any(self.covers(switch.scope, workspace) for switch in self.engaged)

    def covers(self, scope, workspace: str) -> bool:
        kinds = self.words.Scope
        if scope.kind == kinds.KIND_GLOBAL:
            return True
        if scope.pipeline != self.pipeline:
            return False
        if scope.kind == kinds.KIND_WORKSPACE:
            first, star, last = scope.workspace_pattern.partition("*")
            if not star:
                return workspace == first
            return workspace.startswith(first) and workspace.endswith(last)
        return True  # The pipeline; a cohort, or what this worker does not know, is read as all of it.

    def follow(self) -> None:
        while True:
            try:
                self.watch()
            except grpc.RpcError as error:
                print(json.dumps({"lost": error.code().name}), file=sys.stderr, flush=True)
            time.sleep(0.5)

    def watch(self) -> None:
        said: queue.Queue = queue.Queue()
        asked: dict[int, float] = {}
        request = self.pb.WatchKillSwitchesRequest
        said.put(request(hello=request.Hello(worker_id=self.worker_id, pipeline=self.pipeline, epoch=self.epoch)))

        def renew() -> None:
            sequence = len(asked) + 1
            asked[sequence] = time.monotonic()  # A lease counts from the moment it was asked for.
            said.put(request(renewal=request.Renewal(sequence=sequence)))

        renew()
        for news in self.stub.WatchKillSwitches(iter(said.get, None)):
            with self.lock:
                applied = news.state.epoch != self.epoch
                self.epoch, self.engaged = news.state.epoch, list(news.state.engaged)
                if news.renewed_sequence in asked:
                    lease = news.policy.lease_duration.ToTimedelta().total_seconds()
                    self.lease_ends = max(self.lease_ends, asked[news.renewed_sequence] + lease)
            if applied:
                said.put(request(acknowledgement=request.Acknowledgement(epoch=news.state.epoch)))
                print(json.dumps({"applied": news.state.epoch}), flush=True)
            renew()


class Worker:
    def __init__(self, arguments):
        flag = importlib.import_module("softlaunch.flag.v1.evaluation_service_pb2_grpc")
        gate = importlib.import_module("softlaunch.gate.v1.signal_service_pb2_grpc")
        self.admission_pb = importlib.import_module("softlaunch.flag.v1.evaluation_service_pb2")
        self.signal_pb = importlib.import_module("softlaunch.gate.v1.signal_service_pb2")
        self.arguments = arguments
        self.admission = flag.AdmissionServiceStub(grpc.insecure_channel(arguments.flag))
        self.signals = gate.SignalServiceStub(grpc.insecure_channel(arguments.gate))
        channel = grpc.insecure_channel(arguments.killswitch)
        self.kills = Kills(channel, f"python-{uuid.uuid4()}", arguments.pipeline)
        self.outcomes = []

    def upload(self) -> str:
        """Takes one upload to its end, and says which one it was."""
        upload_id, workspace = str(uuid.uuid4()), self.arguments.workspace
        if self.kills.killed(workspace):
            return "DEFERRED"
        begun = time.monotonic()
        asked = self.admission_pb.AdmitUploadRequest(
            name=f"flags/{self.arguments.flag_key}", workspace_id=workspace, upload_id=upload_id, file_size_bytes=1024
        )
        admitted = self.admission.AdmitUpload(asked, timeout=CALL_SECONDS).admission
        word = self.admission_pb.Admission.Name(admitted).removeprefix("ADMISSION_")
        if word not in ("ADMIT", "LEGACY"):
            return "DEFERRED" if word in ("DEFER", "UNSPECIFIED") else "REJECTED"
        outcome = self.signal_pb.UploadOutcome(
            upload_id=upload_id,
            workspace_id=workspace,
            result=self.signal_pb.UploadOutcome.RESULT_SUCCEEDED,
            path=self.signal_pb.UploadOutcome.PATH_NEW if word == "ADMIT" else self.signal_pb.UploadOutcome.PATH_LEGACY,
        )
        outcome.occur_time.GetCurrentTime()
        outcome.latency_duration.FromMilliseconds(int((time.monotonic() - begun) * 1000))
        self.outcomes.append(outcome)
        return word

    def report(self) -> None:
        """Reports what has ended. A batch keeps its id however often it is sent: it counts once."""
        while self.outcomes:
            batch, self.outcomes = self.outcomes[:BATCH_MAX], self.outcomes[BATCH_MAX:]
            report = self.signal_pb.ReportOutcomesRequest(
                pipeline=self.arguments.pipeline, batch_id=str(uuid.uuid4()), outcomes=batch
            )
            for attempt in range(RETRIES):
                try:
                    # Twice on purpose: the second answer says that nothing was counted again.
                    first = self.signals.ReportOutcomes(report, timeout=CALL_SECONDS)
                    again = self.signals.ReportOutcomes(report, timeout=CALL_SECONDS)
                    counted = {"reported": len(batch), "again": [first.duplicate, again.duplicate]}
                    print(json.dumps(counted), flush=True)
                    break
                except grpc.RpcError as error:
                    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                        raise
                    time.sleep(2**attempt / 10)
            else:
                raise SystemExit("the gate service takes no reports: nothing may be forgotten")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flag", default="127.0.0.1:7101")
    parser.add_argument("--gate", default="127.0.0.1:7102")
    parser.add_argument("--killswitch", default="127.0.0.1:7103")
    parser.add_argument("--pipeline", default="ingestion_v2")
    parser.add_argument("--flag-key", default="ingestion_v2_enabled")
    parser.add_argument("--workspace", default="internal-test-workspace")
    parser.add_argument("--uploads", type=int, default=0, help="uploads before the first line is read")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as generated:
        generate(generated)
        worker = Worker(arguments)
        for _upload in range(arguments.uploads):
            print(json.dumps({"upload": worker.upload()}), flush=True)
        worker.report()
        for _line in sys.stdin:
            print(json.dumps({"upload": worker.upload()}), flush=True)
            worker.report()


if __name__ == "__main__":
    main()

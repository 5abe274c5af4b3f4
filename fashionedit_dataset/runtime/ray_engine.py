"""Many machines: a pool of Ray workers, each of which holds one replica of a model and only answers requests.

The process that was started, the driver, owns the work: it decides what is asked, keeps records and money, and writes
files. A worker is a Ray actor without anything that a run could lose, so it needs no shared disk, and one that dies is
replaced and its request asked again.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import signal
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fashionedit.errors import FashionEditError, InvalidDataError, MissingExtraError, ServiceError, UnknownNameError

from .ray_replica import Replica, Reply, called, check_versions
from .shipped_files import CHUNK, ShippedPath

MOST_KILLS = 3
"""A request that was under way when so many workers died is not asked again."""

_PLACED = 60.0  # seconds that workers have to find a place in the cluster, before the work begins without them
_ANSWER = 5.0  # seconds that an address has to accept a connection
_LOOK = 0.2  # seconds between two looks at whether a worker that starts is still wanted
_STORE = 256 * 2**20  # bytes of memory for what is under way, of a cluster of this process's own; Ray spills to disk
_ADDRESS = re.compile(r"ray://(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Where models run.

    Args:
        address: `ray://HOST:PORT` of a cluster's Ray client server. None uses the cluster that `$RAY_ADDRESS` names,
            else one that is started on this machine and ends with the work.
        workers: Replicas of the model; by default one for each GPU, or each CPU where there is no GPU.
        gpus_per_worker: GPUs that each of them has, a fraction to share one; by default 1 where the cluster has GPUs.

    Raises:
        InvalidDataError: A number is out of range, or the address has another form.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InvalidDataError(f"workers is {self.workers}; give a whole number from 1 on")
        gpus = self.gpus_per_worker
        if gpus is not None and not (0 <= gpus < 1 or (gpus >= 1 and gpus == int(gpus))):
            raise InvalidDataError(f"gpus_per_worker is {gpus:g}; give a whole number, or a fraction below 1")
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise InvalidDataError(f"{self.address!r} is no address of a Ray cluster; write ray://HOST:PORT")


def parse_engine(name: str, workers: int | None = None, gpus_per_worker: float | None = None) -> RayEngine | None:
    """Returns the engine that a command line names; None for `local`, this process alone.

    Raises:
        UnknownNameError: It names none.
        InvalidDataError: There are workers of nothing, or a number or an address is not what it must be.
    """
    if name == "local":
        if workers is not None or gpus_per_worker is not None:
            option = "workers" if workers is not None else "gpus-per-worker"
            raise InvalidDataError(f"--{option} is for a Ray cluster; give --engine ray with it")
        return None
    if name != "ray" and not name.startswith("ray:"):
        raise UnknownNameError(f"no engine is called {name!r}; choose local, ray or ray://HOST:PORT")
    return RayEngine(None if name == "ray" else name, workers, gpus_per_worker)


_connecting = threading.Lock()
_connections = 0
_ours = False  # whether this module connected the process, and not its user


@contextmanager
def connected(engine: RayEngine) -> Iterator[None]:
    """Keeps this process connected to the cluster for as long as the block runs.

    A process that is connected already stays as it is. A cluster that was started here ends with the last block, or
    with the process.

    Raises:
        MissingExtraError: Ray, or what it needs for an address, is not installed.
        ServiceError: The address does not answer, or the cluster can't be joined.
    """
    global _connections, _ours
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    with _connecting:
        if not ray.is_initialized():
            _connect(engine)
            _ours = True
        _connections += 1
    try:
        yield
    finally:
        with _connecting:
            _connections -= 1
            if not _connections and _ours:
                _ours = False
                ray.shutdown()


def _connect(engine: RayEngine) -> None:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    logging.getLogger("ray").setLevel(logging.ERROR)
    address = engine.address or os.environ.get("RAY_ADDRESS") or "local"
    if address.startswith("ray://") and importlib.util.find_spec("grpc") is None:
        raise MissingExtraError("ray", "grpcio")
    _check_answers(address)
    if address != "local":
        warnings.filterwarnings("ignore", message="More than 10MB of messages")  # pictures are sent, and meant to be
        with suppress(Exception):  # Ray looks for the token only where it starts a cluster
            from ray._private.authentication.authentication_token_setup import (
                maybe_enable_token_auth_if_token_available,
            )

            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    own: dict[str, Any] = {}
    if address == "local":
        workers = engine.workers or 1
        own = {
            "num_cpus": max(workers, os.cpu_count() or 1),
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",  # nobody else is to join it
            "object_store_memory": _STORE + workers * 2**26,
        }
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)} if in_main else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        reason = str(error).strip().splitlines()
        raise ServiceError(
            f"the Ray cluster {'on this machine' if address == 'local' else address} can't be joined "
            f"({reason[0] if reason else type(error).__name__}); check that it runs with the same versions of Python "
            "and Ray, and that ~/.ray/auth_token is its token"
        ) from error
    finally:
        for name, handler in handlers.items():  # Ray's own would end the process without a word
            signal.signal(name, handler)
    with suppress(Exception):  # it prints to stdout when a worker dies, which is ours to say
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def _check_answers(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # local or auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        hint = ""
        if address.startswith("ray://"):
            hint = " (it is that of the Ray client server, 10001 by default)"
        raise ServiceError(
            f"no Ray cluster answers at {address} ({getattr(error, 'strerror', None) or error}); start it, or check "
            f"the address{hint}"
        ) from error


class WorkersLostError(RuntimeError):
    """A request was under way when so many workers died (`kills`) that it may be what they died of."""

    def __init__(self, message: str, kills: int) -> None:
        super().__init__(message)
        self.kills = kills


class WorkerTimeoutError(TimeoutError):
    """A worker gave no answer in time, and was replaced."""


@dataclass(slots=True, eq=False)
class _Worker:
    """One actor, from its start to its end."""

    slot: int
    actor: Any
    facts: Any = None


class RayWorkers:
    """Replicas of one model in a cluster; safe to use from several threads.

    Args:
        engine: The cluster, and how many workers.
        load: Called in each worker with a mapping from each shipped text to the path that it has there; returns an
            object whose `facts()` are the same in all workers, and whose other methods answer requests.
        shipped: Local files that the workers need.
        what: What is loaded, for messages.
        tell: Given a sentence about workers that are missing, refused or lost.

    Raises:
        MissingExtraError: Ray is not installed.
        ServiceError: The cluster can't be joined, has too few GPUs, a worker has other versions, or none can start.
        FashionEditError: What loading raises in a worker.
    """

    def __init__(
        self,
        engine: RayEngine,
        load: Callable[..., Any],
        shipped: Sequence[ShippedPath] = (),
        *,
        what: str,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._load = load
        self._shipped = tuple(shipped)
        self._what = what
        self._tell = tell or (lambda sentence: None)
        self._changed = threading.Condition()  # its lock holds for all that follows
        self._free: deque[_Worker] = deque()
        self._alive: dict[int, _Worker] = {}
        self._starting = 0
        self._placed = 0
        self._begun = False
        self._closed = False
        self._error: Exception | None = None
        self._facts: Any = None
        self._mine = threading.local()
        self._shipping: dict[str, threading.Lock] = {}  # by node: the second worker there finds what the first was sent
        self._connection = connected(engine)
        self._connection.__enter__()
        try:
            self._plan(engine)
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def facts(self) -> Any:
        """What the model says of itself, the same in all workers."""
        return self._facts

    def _plan(self, engine: RayEngine) -> None:
        import ray

        resources = ray.cluster_resources()
        cpus, gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
        each = engine.gpus_per_worker if engine.gpus_per_worker is not None else (1.0 if gpus else 0.0)
        self.count = engine.workers or max(1, int(gpus / each) if each else cpus)
        if each and self.count * each > gpus:
            raise ServiceError(
                f"the cluster has {gpus:g} GPUs, and --workers {self.count} × --gpus-per-worker {each:g} is "
                f"{self.count * each:g}; give fewer"
            )
        self._fit = max(1, min(self.count, cpus))
        told = os.environ.get("OMP_NUM_THREADS", "")
        self._threads = int(told) if told.isdecimal() and int(told) else max(1, cpus // self.count)
        self._actor = ray.remote(num_cpus=1, num_gpus=each, max_restarts=0, max_task_retries=0)(Replica)

    def _start(self) -> None:
        for slot in range(self.count):
            self._starting += 1
            threading.Thread(target=self._fill, args=(slot,), name="ray worker", daemon=True).start()
        until = time.monotonic() + _PLACED
        with self._changed:
            while self._error is None and len(self._alive) < self._fit:
                waiting = self._placed < self._fit and time.monotonic() > until
                if waiting and (self._alive or not self._placed):
                    break
                self._changed.wait(_LOOK)
            self._begun = True
            count = len(self._alive)
            if self._error is not None:
                raise self._error
        if not count:
            raise ServiceError(
                f"no worker found a place in the Ray cluster within {_PLACED:g} s; its CPUs or GPUs are taken, so wait "
                "for them or give fewer --gpus-per-worker"
            )
        if count < self.count:
            self._tell(f"{count} of {self.count} workers started; the others follow when the cluster has room")

    def _fill(self, slot: int) -> None:
        """Starts a worker in the slot; runs in a thread of its own."""
        import ray

        deaths = 0
        try:
            while self._wanted():
                worker = _Worker(slot, self._actor.remote())
                try:
                    self._prepare(worker)
                except ray.exceptions.RayActorError as error:
                    if error.actor_init_failed or "ModuleNotFoundError" in str(error):
                        raise ServiceError(
                            "a worker can't be started; install fashionedit on every machine of the cluster, in the "
                            f"same version ({_last_line(error)})"
                        ) from error
                    deaths += 1
                    if deaths >= MOST_KILLS:
                        raise ServiceError(
                            f"a worker died {deaths} times while it loaded {self._what} ({_cause(error)}); look at its "
                            "memory"
                        ) from error
                    continue
                except ray.exceptions.RayTaskError as error:
                    raise ServiceError(f"a worker can't load {self._what} ({_last_line(error)})") from error
                with self._changed:
                    if self._wanted():
                        self._alive[slot] = worker
                        self._free.append(worker)
                        return
                _kill(worker)
        except _NotWantedError:
            pass
        except Exception as error:
            self._refuse(error)
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()

    def _wanted(self) -> bool:
        return not self._closed

    def _refuse(self, error: Exception) -> None:
        """A worker that can't be had: an error at the start and where no other is left, else a sentence."""
        with self._changed:
            left = len(self._alive) + self._starting - 1
            if not self._begun or not left:
                self._error = self._error or error
                return
        self._tell(f"{error}; the work goes on with {left} {'worker' if left == 1 else 'workers'}")

    def _prepare(self, worker: _Worker) -> None:
        environment = self._wait(worker.actor.environment.remote())
        with self._changed:
            self._placed += 1
            lock = self._shipping.setdefault(environment["node"], threading.Lock())
        check_versions(environment)
        with lock:
            for shipped in self._shipped:
                self._ship(worker, shipped)
        threads = min(self._threads, environment["cpus"])
        reply = self._wait(worker.actor.load.remote(self._load, self._shipped, threads))
        if reply.error is not None and not isinstance(reply.error, FashionEditError):
            raise ServiceError(f"a worker can't load {self._what}: {reply.error}") from reply.error
        worker.facts = self._opened(reply)
        with self._changed:
            if self._facts is None:
                self._facts = worker.facts
            elif worker.facts != self._facts:
                raise ServiceError(
                    f"{self._what} is not the same on {environment['host']} as on the first worker; give every machine "
                    "the same files and versions"
                )

    def _ship(self, worker: _Worker, shipped: ShippedPath) -> None:
        for number in self._wait(worker.actor.missing.remote(shipped)):
            for offset, data in shipped.parts(number, CHUNK):
                self._wait(worker.actor.write.remote(shipped, number, offset, data))

    def _wait(self, reference: Any) -> Any:
        import ray

        while self._wanted():
            done, _ = ray.wait([reference], timeout=_LOOK)
            if done:
                return ray.get(reference)
        raise _NotWantedError

    def _opened(self, reply: Reply) -> Any:
        for text, category in reply.warnings:
            warnings.warn(text, category, stacklevel=2)
        if reply.error is None:
            return reply.value
        if not isinstance(reply.error, FashionEditError):
            reply.error.add_note(reply.trace)
        raise reply.error

    def take(self) -> None:
        """Waits for a free worker, and keeps it for the next request of this thread.

        Raises:
            ServiceError: No worker is left, and none can be started.
        """
        if getattr(self._mine, "worker", None) is None:
            self._mine.worker = self._taken()

    def _taken(self) -> _Worker:
        with self._changed:
            while not self._free:
                if self._error is not None:
                    raise self._error
                if self._closed:
                    raise ServiceError("the workers have been stopped; give the same command again")
                self._changed.wait(_LOOK)
            return self._free.popleft()

    def ask(self, method: str, *arguments: Any, seconds: float | None = None) -> tuple[Any, int]:
        """Returns what a worker answers, and how many workers died before over the same request.

        Args:
            method: Of the object that `load` returned.
            arguments: What it is given.
            seconds: How long the answer is waited for; the worker is replaced then.

        Raises:
            WorkersLostError: So many workers died over it that it is not asked again (`MOST_KILLS`).
            WorkerTimeoutError: The time is over.
            ServiceError: No worker is left.
            Exception: What the method raised.
        """
        import ray

        kills = 0
        while True:
            worker = getattr(self._mine, "worker", None) or self._taken()
            self._mine.worker = None
            try:
                reply = ray.get(worker.actor.ask.remote(method, *arguments), timeout=seconds)
            except ray.exceptions.GetTimeoutError as error:
                self._replace(worker)
                raise WorkerTimeoutError(f"no answer within {seconds:g} s") from error
            except ray.exceptions.RayTaskError:  # a request or an answer that can't be sent
                self._give_back(worker)
                raise
            except ray.exceptions.RayError as error:
                self._replace(worker)
                kills += not _node_left(error)
                if kills >= MOST_KILLS:
                    raise WorkersLostError(
                        f"{kills} workers died while they computed this ({_cause(error)}); look at their memory, or "
                        "at the model",
                        kills,
                    ) from error
                self._tell(f"a worker died ({_cause(error)}); its request is asked again")
                continue
            except BaseException:  # Ctrl-C: nobody knows what it still does
                self._replace(worker)
                raise
            self._give_back(worker)
            return self._opened(reply), kills

    def _give_back(self, worker: _Worker) -> None:
        with self._changed:
            self._free.append(worker)
            self._changed.notify_all()

    def _replace(self, worker: _Worker) -> None:
        with self._changed:
            self._alive.pop(worker.slot, None)
            wanted = not self._closed
            self._starting += wanted
        _kill(worker)
        if wanted:
            threading.Thread(target=self._fill, args=(worker.slot,), name="ray worker", daemon=True).start()

    def close(self) -> None:
        """Ends the workers, and the cluster where it was started for them."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            workers = list(self._alive.values())
            self._alive.clear()
            self._free.clear()
            self._changed.notify_all()
        for worker in workers:
            _kill(worker)
        with self._changed:  # threads that still start a worker use the connection
            self._changed.wait_for(lambda: not self._starting, 5 * _LOOK)
        self._connection.__exit__(None, None, None)


class _NotWantedError(Exception):
    """The pool was closed while a worker started."""


def _kill(worker: _Worker) -> None:
    import ray

    with suppress(Exception):
        ray.kill(worker.actor)


def _node_left(error: Exception) -> bool:
    return (
        bool(getattr(error, "preempted", False)) or "node has died" in str(error) or "NodeDied" in type(error).__name__
    )


def _cause(error: Exception) -> str:
    """Returns in a few words why a worker died."""
    text = str(error)
    if "out of memory" in text.lower() or "OutOfMemory" in type(error).__name__ or "memory pressure" in text.lower():
        return "out of memory"
    if _node_left(error):
        return "its machine left the cluster"
    return "its process ended"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def run_in_worker(engine: RayEngine, function: Callable[[], Any]) -> Any:
    """Returns what the function returns on some machine of the cluster, without a GPU; raises what it raises."""
    import ray

    with connected(engine):
        reply: Reply = ray.get(ray.remote(num_cpus=0)(called).remote(function))
        if reply.error is not None:
            raise reply.error
        return reply.value

"""Grading on a Dask cluster: hands out tasks and gives back what came of them. Needs the extra `dask`.

What is sent to the scheduler, the secret of the hidden inputs too, can be read on the network unless its address begins
with tls://.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

SECONDS_TO_ANSWER = 10


class ClusterError(RuntimeError):
    """A cluster that cannot be used; the text says what to do."""


class Cluster:
    """A connection to a Dask scheduler.

    Raises:
        ClusterError: `distributed` is not installed, or nothing that can be used answers at the address.
    """

    def __init__(self, address: str, *, seconds: float = SECONDS_TO_ANSWER) -> None:
        try:
            import distributed
        except ImportError:
            raise ClusterError(
                "--scheduler needs Dask, which is not installed. Install the course's extra `dask` here and on every "
                "worker: pip install -e '.[dask]'. Without a cluster, use --workers or --shard."
            ) from None
        self.address = address
        # Of a scheduler that went away it would write pages; `run` says it in a sentence.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            # First by a bare connection: a client that finds no scheduler takes another 40 seconds to give up.
            asyncio.run(_greet(address, seconds))
            self._client = distributed.Client(address, timeout=seconds, set_as_default=False)
        except Exception as fault:  # any program may answer there with anything, and an address may be any text
            raise ClusterError(
                f"no Dask scheduler answers at {address!r} ({str(fault) or type(fault).__name__}). Start one with "
                "`dask scheduler`, workers with `dask worker ADDRESS --nthreads 1`, and give the address that it "
                "prints, such as tcp://10.0.0.5:8786. The extra, for all machines: pip install -e '.[dask]'."
            ) from None
        try:
            self._client.wait_for_workers(1, timeout=seconds)
        except TimeoutError:
            self.close()
            raise ClusterError(
                f"the Dask scheduler at {address!r} has no workers. Start some: dask worker {address} --nthreads 1"
            ) from None

    def run(
        self, function: Callable[[Any, Any], Any], tasks: Sequence[Any], shared: Any, *, one_by_one: bool = False
    ) -> Iterator[tuple[Any, Any, BaseException | None]]:
        """Gives (task, result, None) or (task, None, what it raised) as each is done.

        Args:
            function: called with a task and `shared`, on a worker.
            shared: sent to the scheduler once.
            one_by_one: nothing else of ours runs beside a task.

        Raises:
            ClusterError: the scheduler went away.
        """
        import distributed

        common = self._client.submit(_itself, shared, pure=False)  # a task, so that it survives a lost worker
        groups = [[task] for task in tasks] if one_by_one else [list(tasks)]
        for group in groups:
            waiting = {self._client.submit(function, task, common, pure=False): task for task in group}
            with self._client.as_current():
                completed = distributed.as_completed(list(waiting))
            for future in completed:
                try:
                    result, fault = None, None
                    if future.status == "finished":
                        result = future.result()  # fetched only now
                    elif future.status == "error":
                        fault = future.exception()
                    else:
                        raise OSError(future.status)
                except (OSError, TimeoutError, distributed.CancelledError):
                    raise ClusterError(
                        f"the Dask scheduler at {self.address!r} went away. What was graded is kept; "
                        "run the same command again."
                    ) from None
                if isinstance(fault, distributed.KilledWorker):
                    fault = BrokenProcessPool("the workers that graded it ended, one after another")
                yield waiting[future], result, fault

    def close(self) -> None:
        """Leaves the cluster, which goes on; tasks of ours that still wait there are dropped."""
        self._client.close()


async def _greet(address: str, seconds: float) -> None:
    """Connects as a client would, and hangs up."""
    from distributed.comm.core import connect
    from distributed.security import Security

    async with asyncio.timeout(seconds + 1):  # its own does not cover one who takes a connection and says nothing
        connection = await connect(address, timeout=seconds, **Security().get_connection_args("client"))
    await connection.close()


def _itself(value: Any) -> Any:
    return value

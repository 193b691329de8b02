"""Runs in a client: one job by dask-jobqueue, a worker that calls back and computes."""

import dask_jobqueue
import distributed

with (
    dask_jobqueue.SLURMCluster(
        queue="normal", cores=1, memory="300MB", walltime="00:05:00", interface="eth0"
    ) as cluster,
    distributed.Client(cluster) as client,
):
    cluster.scale(jobs=1)
    print(client.submit(pow, 2, 10).result(timeout=100))

"""Runs in a client, on Python 3.9 too: one job by dask-jobqueue, a worker that calls back and computes."""

import dask_jobqueue
import distributed

cluster = dask_jobqueue.SLURMCluster(
    queue="normal", cores=1, memory="300MB", walltime="00:05:00", interface="eth0"
)
with cluster, distributed.Client(cluster) as client:
    cluster.scale(jobs=1)
    print(client.submit(pow, 2, 10).result(timeout=100))

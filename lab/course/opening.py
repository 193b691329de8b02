"""Opens the course on a lab: gives it what types solutions and what judges."""

from __future__ import annotations

from lab.cluster.cluster import Cluster
from lab.course.catalog import Catalog
from lab.course.judging import judge
from lab.course.progress import ProgressFile
from lab.course.runner import Course, Say
from lab.course.solving import prepare, solve


def open_course(catalog: Catalog, progress: ProgressFile, cluster: Cluster, say: Say) -> Course:
    """The course of a lab that the caller has locked; `say` gets a line for each step."""
    return Course(
        catalog,
        progress,
        cluster,
        solve=lambda exercise: solve(cluster, exercise, say),
        judge=lambda exercise: judge(cluster, exercise),
        say=say,
        prepare=lambda exercise: prepare(cluster, exercise, say),
    )

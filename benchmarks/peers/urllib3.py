"""urllib3: a PoolManager."""

from typing import Any

import urllib3

from benchmarks.peers import Task, Turn, contents


def manager_of(task: Task, **more: Any) -> urllib3.PoolManager:
    if task.ca:
        more["ca_certs"] = task.ca
    return urllib3.PoolManager(**more)


@contents
def kept(task: Task) -> Turn:
    manager, url = manager_of(task), task.url
    return lambda: manager.request("GET", url).data

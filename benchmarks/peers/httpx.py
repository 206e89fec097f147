"""httpx: a Client, and its module-level get. httpx2 is its successor, with the
same names."""

import ssl
from types import ModuleType
from typing import Any

import httpx

from benchmarks.peers import Task, Turn, contents


def trust(task: Task) -> Any:
    """What httpx documents since it took `verify="file"` back."""
    return ssl.create_default_context(cafile=task.ca) if task.ca else True


def kept_of(module: ModuleType) -> Any:
    @contents
    def kept(task: Task) -> Turn:
        client, url = module.Client(verify=trust(task)), task.url
        return lambda: client.get(url).content

    return kept


def call_of(module: ModuleType) -> Any:
    @contents
    def call(task: Task) -> Turn:
        url, verify = task.url, trust(task)
        return lambda: module.get(url, verify=verify).content

    return call


kept, call = kept_of(httpx), call_of(httpx)

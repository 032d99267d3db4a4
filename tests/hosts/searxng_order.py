"""Runs where SearXNG is: our plugin over results of both of its kinds, of engines of any weight.

Reads, as JSON, the results of each engine in their order (`url`, `kind`, `priority`); prints the
addresses in SearXNG's order before and after the plugin.
"""

import json
import os
import sys
from types import SimpleNamespace

import searx.engines
import searx.metrics
from mtspam_rerank import SXNGPlugin
from searx.plugins import PluginCfg
from searx.result_types import MainResult
from searx.results import ResultContainer


def filled(told):
    container = ResultContainer()
    for name, results in told["results"].items():
        made = []
        for one in results:
            said = {"url": one["url"], "title": one["url"], "content": "text"}
            if one["kind"] == "main":
                made.append(MainResult(**said, priority=one["priority"]))
            else:
                made.append({**said, "priority": one["priority"]})
        container.extend(name, made)
    return container


def order(container):
    container.close()
    return [one["url"] for one in container.get_ordered_results()]


def main():
    told = json.load(sys.stdin)
    for name, weight in told["weights"].items():
        searx.engines.engines[name] = SimpleNamespace(
            name=name, weight=weight, paging=False, timeout=1.0, categories=["general"]
        )
    searx.metrics.initialize(list(told["weights"]), enabled=False)
    os.environ["MTSPAM_RERANK_MOST"] = str(told["most"])
    plugin = SXNGPlugin(PluginCfg(active=True))
    after = filled(told)
    search = SimpleNamespace(
        result_container=after, search_query=SimpleNamespace(query="tree", lang="en")
    )
    plugin.post_search(SimpleNamespace(headers={}, cookies={}), search)
    json.dump([order(filled(told)), order(after)], sys.stdout)


if __name__ == "__main__":
    main()

"""Reads metrics with the parser of Prometheus's own Python library: the text on standard input, a list of JSON out.

    [{"name": …, "type": …, "help": …, "samples": [{"name": …, "labels": {…}, "value": …}]}]
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
print(
    json.dumps(
        [
            {
                "name": family.name,
                "type": family.type,
                "help": family.documentation,
                "samples": [{"name": s.name, "labels": s.labels, "value": float(s.value)} for s in family.samples],
            }
            for family in families
        ]
    )
)

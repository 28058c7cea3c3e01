"""Serve a store's counters, scrape them once, and end; with "close", close the server first."""

import sys
import urllib.request

import papyra
import papyra_otel

store = papyra.MemoryBackend()
server = papyra_otel.prometheus.serve(store, port=0)
with urllib.request.urlopen(server.url) as answer:
    print(answer.status)
if sys.argv[1:] == ["close"]:
    server.close()

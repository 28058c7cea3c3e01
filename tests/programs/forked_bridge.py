"""Fork while another thread is making a bridge; print how the child ended, which makes one."""

import os
import threading
import warnings

from opentelemetry.sdk.metrics import MeterProvider

from papyra_otel import MetricsBridge, registry

holds, ended = threading.Event(), threading.Event()


def hold() -> None:
    with registry._registry.lock:
        holds.set()
        ended.wait()


threading.Thread(target=hold).start()
holds.wait()
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside a thread
child = os.fork()
if child == 0:
    MetricsBridge(MeterProvider(shutdown_on_exit=False))
    os._exit(7)
ended.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

"""Make a bridge of the global provider, and print why it is refused."""

import papyra_otel

try:
    papyra_otel.MetricsBridge()
except papyra_otel.BridgeError as error:
    print(error)

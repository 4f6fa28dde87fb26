"""What all tests stand on."""

from __future__ import annotations

import signal

# A shell starts what runs in its background with Ctrl-C ignored, and all that this starts inherits
# that; tests of Ctrl-C would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

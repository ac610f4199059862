"""``winslow`` whose heartbeat blocks while the file $STALL exists: as it does behind a storm of dirty pages."""

import os
import time
from pathlib import Path

from reconciler.adapters.share.heartbeat import HeartbeatFile
from reconciler.cli.main import main

STALL = Path(os.environ["STALL"])
_beat = HeartbeatFile.beat


def beat(self: HeartbeatFile, facts: dict[str, object]) -> None:
    while STALL.exists():
        time.sleep(0.05)
    _beat(self, facts)


if __name__ == "__main__":
    HeartbeatFile.beat = beat  # type: ignore[method-assign]
    main()

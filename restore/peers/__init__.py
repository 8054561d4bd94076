"""What people use today: other methods behind one signature, to be measured beside ours. Each one is optional."""

from __future__ import annotations

from restore.peers.registry import PEERS, Peer, Task, missing_packages

__all__ = ["PEERS", "Peer", "Task", "missing_packages"]

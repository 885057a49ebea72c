"""Queries that answer again when what they read has changed, in whatever process.

Theory. Triggers write what changed into `change_log`; that log is the truth, and every
wake-up is only a hint to look at it. The writer's thread looks inside each transaction
of its own and tells after the commit (`changes`). After each commit it also rings a
doorbell that other processes hear (`doorbell`); there a thread looks (`listener`).
What is told makes the shared queries on that topic stale, and no others; a stale query
is read again when one of its watchers asks for the next answer (`shared`).
"""

__all__: list[str] = []

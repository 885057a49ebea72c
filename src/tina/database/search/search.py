"""Looking for words in what was said."""

import logging
from functools import partial

import apsw

from tina.database.daos import search as dao
from tina.database.engine.engine import Engine
from tina.database.mappers.search import to_filter, to_hit
from tina.database.search.indexing import index_some
from tina.database.search_rows import HitRow, SearchFilter
from tina.domain.failures import FailureRecord, StorageFailure
from tina.domain.ports import Clock
from tina.domain.search import SearchOrder, SearchQuery, SearchResult, check_search

_logger = logging.getLogger(__name__)

MAX_LOOKED_AT = 20_000
"""How many matches a filter may reject before a search gives up."""

RANKED_WINDOW = 500
"""How many matches are ranked, the newest."""

CATCH_UP_S = 1.0
"""How long a search may index what is not indexed yet."""


class DatabaseSearch:
    """Fulfils `Search`."""

    def __init__(self, engine: Engine, *, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def search(self, query: SearchQuery) -> SearchResult:
        """Messages that contain all the words, deleted conversations aside.

        Raises:
            InvalidInputFailure: there are no words, or too many; or the limit is none.
            StorageFailure: it could not be read.
        """
        wanted = to_filter(query, check_search(query))
        is_indexed, failure = await self._catch_up()
        rows, is_whole = await self._engine.read(
            partial(_search, wanted=wanted, order=query.order, limit=query.limit)
        )
        return SearchResult(
            hits=tuple(map(to_hit, rows)),
            is_whole=is_whole and is_indexed,
            failure=failure,
        )

    async def _catch_up(self) -> tuple[bool, FailureRecord | None]:
        """Index what is not indexed yet, for a while.

        Returns:
            Whether nothing is left, and why something is if it could not be stored.
        """
        deadline_s = self._clock.monotonic() + CATCH_UP_S
        try:
            while await self._engine.read(dao.has_backlog):
                if self._clock.monotonic() >= deadline_s:
                    return False, None
                await index_some(self._engine)
        except StorageFailure as failure:
            # A full disk, say: what is indexed can be searched all the same.
            _logger.warning("indexing_failed", extra={"failure": failure.kind})
            return False, failure.as_record()
        return True, None


def _search(
    connection: apsw.Connection,
    *,
    wanted: SearchFilter,
    order: SearchOrder,
    limit: int,
) -> tuple[list[HitRow], bool]:
    """What is shown, and whether everything was looked at; in one snapshot."""
    if order is SearchOrder.NEWEST:
        rids, is_whole = dao.newest(connection, wanted, limit=limit, most=MAX_LOOKED_AT)
        return dao.hits(connection, wanted, rids), is_whole
    # One more than is ranked says whether there are more.
    rids, is_whole = dao.newest(
        connection, wanted, limit=RANKED_WINDOW + 1, most=MAX_LOOKED_AT
    )
    window = rids[:RANKED_WINDOW]
    chosen = dao.best(connection, wanted, window, limit=limit)
    return dao.hits(connection, wanted, chosen), is_whole and len(rids) == len(window)

"""What Tina promises, as data: one entry per behaviour, each proven by a test.

A test names what it proves: `@pytest.mark.requirement("architecture:rooms")`.
`tests/architecture/test_requirements.py` accepts neither without the other.
An id is `room:subject` or `room:subject:outcome`; entries are sorted by id.
"""

from typing import NamedTuple


class Requirement(NamedTuple):
    id: str
    sentence: str
    source: str
    """The document, standard or issue that asks for it."""


REQUIREMENTS = (
    Requirement(
        "architecture:exports",
        "What a room offers stands in its `__all__`, and all of it exists.",
        "CONTRIBUTING.md, Rules that tests enforce",
    ),
    Requirement(
        "architecture:pure",
        "A pure module imports nothing that waits, draws lots or touches the world.",
        "CONTRIBUTING.md, Where code goes",
    ),
    Requirement(
        "architecture:rooms",
        "Imports run downward, neighbours do not meet, a new folder is given a place.",
        "CONTRIBUTING.md, Where code goes",
    ),
    Requirement(
        "architecture:sizes",
        "No module is longer than 400 lines, no function longer than 40.",
        "CONTRIBUTING.md, Rules that tests enforce",
    ),
    Requirement(
        "architecture:start",
        "Nothing heavy is imported before it is used.",
        "CONTRIBUTING.md, Rules that tests enforce",
    ),
    Requirement(
        "architecture:tests:leave-nothing",
        "A test that leaves a thread, a process or a descriptor behind fails.",
        "CONTRIBUTING.md, Tests",
    ),
    Requirement(
        "architecture:tests:no-network",
        "A test that reaches for another machine fails.",
        "CONTRIBUTING.md, Tests",
    ),
    Requirement(
        "architecture:tests:no-secrets",
        "No test sees the keys, addresses or home of whoever runs it.",
        "CONTRIBUTING.md, Tests",
    ),
    Requirement(
        "cli:ctrl-c:keeps-text",
        "Ctrl-C stops the answer, keeps what was said and exits with 130.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "cli:delete:taken-back",
        "A deletion says how and until when it can be taken back, and is.",
        "issue 3",
    ),
    Requirement(
        "cli:detach:always-a-worker",
        "A question that is stored gets its worker, though nobody reads its ids.",
        "issue 3",
    ),
    Requirement(
        "cli:detach:answered",
        "A question asked with --detach is answered by a process of its own.",
        "design: an answer is data, not a connection",
    ),
    Requirement(
        "cli:detach:bounded",
        "Many detached questions are all answered, each once, so many at a time.",
        "design: an answer is data, not a connection",
    ),
    Requirement(
        "cli:detach:holds-nothing",
        "A worker holds no descriptor that was handed on, so nobody waits for its end.",
        "issue 3",
    ),
    Requirement(
        "cli:detach:no-foreign-code",
        "A worker imports nothing that lies in the folder where somebody asked.",
        "issue 3",
    ),
    Requirement(
        "cli:detach:outlives-terminal",
        "A detached answer goes on when the terminal it was asked from is closed.",
        "design: an answer is data, not a connection",
    ),
    Requirement(
        "cli:detach:survives-kill",
        "A killed worker leaves its answer interrupted and what is queued queued.",
        "design: an answer is data, not a connection",
    ),
    Requirement(
        "cli:follow:other-process",
        "Another process sees an answer grow, and leaving does not stop it.",
        "design: an answer is data, not a connection",
    ),
    Requirement(
        "cli:pipe-closed:keeps-text",
        "A closed pipe stops the answer, keeps what was said and exits with 141.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "cli:sigterm:keeps-text",
        "SIGTERM leaves the answer interrupted with its text and exits with 143.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "cli:stop:any-process",
        "`tina stop` ends an answer that another process writes, and keeps its text.",
        "issue 3",
    ),
    Requirement(
        "cli:versions:chosen",
        "Every version of an answer is kept, listed, and can be gone back to.",
        "issue 3",
    ),
    Requirement(
        "cli:worker:waits-for-others",
        "A worker does not leave while a question waits behind another one's answer.",
        "issue 3",
    ),
    Requirement(
        "context:fits:exchanges-whole",
        "What does not fit is left out in whole exchanges, and named; the newest, the "
        "system's and pinned messages stay.",
        "issue 4",
    ),
    Requirement(
        "database:backup:beside-writers",
        "A backup is whole, and others go on writing while it is made.",
        "SQLite, VACUUM INTO",
    ),
    Requirement(
        "database:backup:daily",
        "A backup is made once a day while Tina runs; three are kept.",
        "tina.database.keeping.upkeep",
    ),
    Requirement(
        "database:backup:only-of-something",
        "What is not Tina's, or holds no conversation, removes no backup.",
        "tina.database.keeping.backups",
    ),
    Requirement(
        "database:backup:whole-or-nothing",
        "A backup that is given up leaves nothing half, and nobody waits for it.",
        "tina.database.keeping.backups",
    ),
    Requirement(
        "database:damaged:kept",
        "A damaged file and its log stay as they are, whatever is saved of them.",
        "tina.database.salvage",
    ),
    Requirement(
        "database:damaged:not-written",
        "A file that was found damaged is not written any more.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:damaged:original-kept",
        "A damaged file is kept as it was, whatever takes its place.",
        "tina.database.keeping.swap",
    ),
    Requirement(
        "database:damaged:repaired",
        "Of a damaged file all that can be read is saved into a new one.",
        "tina.database.keeping.repair",
    ),
    Requirement(
        "database:damaged:salvage",
        "Of a damaged file every row on undamaged pages is saved into a new one.",
        "tina.database.salvage",
    ),
    Requirement(
        "database:damaged:untouched",
        "A damaged file is refused, and nothing is written near it.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:delete:stops-turns",
        "Once a conversation is deleted, no model is asked for it.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "database:emptied:refused",
        "A file that was emptied beside its backups is not taken for a new one.",
        "tina.database.engine.sqlite",
    ),
    Requirement(
        "database:full:bounded-memory",
        "However long the disk is full, nothing piles up beside the answers.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:full:ends-are-kept",
        "An end that met a full disk is stored as soon as there is room.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:full:ends-by-itself",
        "With room again all is stored as before, and the reserve is made anew.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:full:nothing-lost",
        "A full disk takes nothing that was said; what is stored can be read.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:full:refused-at-once",
        "On a full disk what is not essential is refused without a try.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:full:reserve",
        "On a full disk the ends of answers are stored in the reserve's room.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:link:one-place",
        "A database that is reached through a link is still one for all who have it.",
        "issue 3: two installations on one file",
    ),
    Requirement(
        "database:lock:names-the-holder",
        "Whoever is in the way of work on the whole file is named.",
        "tina.database.keeping.file_lock",
    ),
    Requirement(
        "database:locked:told-within-seconds",
        "A database held for long is told after 5 s; readers never wait.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:log:bounded",
        "The write-ahead log stays under 64 MiB, also under a flood of writes.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:migration:all-or-nothing",
        "A migration that is killed leaves the old or the new schema, never less.",
        "tina.database.keeping.upgrade",
    ),
    Requirement(
        "database:migration:backup-before",
        "Before a migration a backup is made; three are kept.",
        "tina.database.keeping.upgrade",
    ),
    Requirement(
        "database:migration:every-version",
        "The file of every released version is opened with all its data.",
        "tests/database/schemas",
    ),
    Requirement(
        "database:moved:refused",
        "A database that was moved or deleted while open takes no more writes.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:network-disk:refused",
        "A database on a disk of another machine is refused with the reason.",
        "SQLite, Write-Ahead Logging",
    ),
    Requirement(
        "database:private",
        "A new database, its log and its index are for their owner alone.",
        "tina.database.engine.sqlite",
    ),
    Requirement(
        "database:processes:nobody-locked-out",
        "Many processes write: nobody is told of a lock, nothing is lost.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:purge:after-a-month",
        "What was deleted a month ago is removed for good.",
        "tina.database.keeping.upkeep",
    ),
    Requirement(
        "database:purge:takes-tools",
        "A purged conversation takes its tool calls along; what it used stays known.",
        "tina.database.migrations, 0002_alive.sql",
    ),
    Requirement(
        "database:read-only:looked-after",
        "Where nothing can be written, status, check and a copy elsewhere work.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:read-only:reads",
        "What cannot be written can still be listed, shown and searched.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:read-only:says-why",
        "Who asks what cannot be stored is told before a model is asked.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:repair:derived",
        "Counters, tips, triggers and index are checked, and repaired by one command.",
        "tina.database.keeping.repair",
    ),
    Requirement(
        "database:repair:killed",
        "A repair that is killed leaves to the next one all that it had.",
        "tina.database.keeping.swap",
    ),
    Requirement(
        "database:repositories:as-modelled",
        "Anything in any order, in two processes, through deaths, reads back as done.",
        "tina.domain.ports",
    ),
    Requirement(
        "database:restore:all-or-nothing",
        "A restore that is killed leaves the old file or the new one.",
        "tina.database.keeping.swap",
    ),
    Requirement(
        "database:restore:keeps-the-present",
        "What a restore replaces is kept as a backup.",
        "tina.database.keeping.restoring",
    ),
    Requirement(
        "database:restore:previewed",
        "What a restore would change is said before it does.",
        "tina.database.keeping.restoring",
    ),
    Requirement(
        "database:restore:twice-is-once",
        "A restore that is repeated changes nothing and costs no backup.",
        "tina.database.keeping.restoring",
    ),
    Requirement(
        "database:restore:with-its-log",
        "Of a database that was copied with its log all is restored.",
        "tina.database.keeping.restoring",
    ),
    Requirement(
        "database:side-files:hold-nobody-up",
        "A pipe, link or folder with the name of a file beside the database is left "
        "alone, and nobody waits for it.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "database:tool-calls:any-process",
        "A person in any process decides a tool call; whoever waits for it goes on.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "database:tool-calls:once",
        "A tool call is decided once and started once, whoever asks in any process.",
        "tina.domain.ports.ToolCallRepository",
    ),
    Requirement(
        "death:kill:bounded-loss",
        "kill -9 breaks nothing and costs at most 50 ms (p95) of what was delivered.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "death:kill:continues",
        "A killed answer can be continued.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "death:kill:many-answers",
        "A process killed while it writes 20 answers loses 50 ms of each at the most.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "disk:fails:nothing-lost",
        "Whatever call to the disk fails: nothing lost, a clear failure within 1 s.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "disk:power-cut:durable",
        "A power cut takes at most a second of running answers and nothing durable.",
        "docs/how-tina-keeps-your-data.md",
    ),
    Requirement(
        "limits:what-is-handed-over",
        "What is longer than Tina keeps is refused, and the limit is named.",
        "tina.domain.text.require_short",
    ),
    Requirement(
        "live:follow:growth",
        "What a running answer says in one process is heard in any other, in order.",
        "issue 3",
    ),
    Requirement(
        "live:processes:nobody-stale",
        "Whoever writes in whatever process: each watcher sees what was written last.",
        "docs/design/live-queries.md",
    ),
    Requirement(
        "live:schedules:nothing-lost",
        "In any order of readings, changes and cancellations no change is lost.",
        "tina.database.live.shared",
    ),
    Requirement(
        "live:watch-many:one-moment",
        "Queries that are watched together are always read in one snapshot.",
        "docs/design/live-queries.md",
    ),
    Requirement(
        "live:watch:answers-again",
        "A watched query answers at once, and again when its answer is another one.",
        "tina.domain.ports.LiveQueries",
    ),
    Requirement(
        "live:watch:newest-wins",
        "A slow watcher gets the newest answer; nothing queues for it.",
        "tina.domain.ports.LiveQueries",
    ),
    Requirement(
        "live:watch:own-rows",
        "A change of one conversation makes nothing be read for those of others.",
        "docs/design/live-queries.md",
    ),
    Requirement(
        "live:watch:shared",
        "A change is read once for any number of watchers of the same query.",
        "docs/design/live-queries.md",
    ),
    Requirement(
        "live:watch:skips-equal",
        "An equal answer is not given again.",
        "tina.domain.ports.LiveQueries",
    ),
    Requirement(
        "networking:deadlines",
        "Connecting, headers, silence and the whole answer each have their deadline.",
        "tina.domain.chat.Deadlines",
    ),
    Requirement(
        "networking:hostile:bounded",
        "A hostile server costs at most 64 MiB and its deadline, and is a typed "
        "failure.",
        "issue 4; docs/design/providers.md",
    ),
    Requirement(
        "networking:origin:https-only",
        "Plain http to another machine is refused before anything is sent.",
        "RFC 9110, section 17.11",
    ),
    Requirement(
        "networking:origin:no-redirect",
        "A redirect is not followed, so no key reaches a place that nobody named.",
        "RFC 9110, section 15.4",
    ),
    Requirement(
        "networking:outage:bounded",
        "1,000 requests in an outage make at most 1,135 attempts; recovery is seen in "
        "35 s.",
        "docs/design/providers.md",
    ),
    Requirement(
        "networking:rate-limit:fair",
        "Requests wait in line for a limit, first come first served, and can be "
        "cancelled.",
        "docs/design/providers.md",
    ),
    Requirement(
        "networking:socket:never-completes",
        "A WebSocket that closes is never the end of an answer.",
        "OpenAI API reference, Responses, WebSocket mode",
    ),
    Requirement(
        "networking:sse:any-cut",
        "Server-sent events are read as the standard says, wherever bytes are cut.",
        "HTML standard, Server-sent events",
    ),
    Requirement(
        "networking:sse:bounded",
        "An event over the limit is refused, and what came before it is kept.",
        "tina.networking.sse",
    ),
    Requirement(
        "providers:capture:any-cut",
        "Every recorded answer gives the same events, wherever its bytes are cut.",
        "OpenAI API reference, Chat Completions, streaming",
    ),
    Requirement(
        "providers:cut:exact-prefix",
        "A stream that is cut gives an exact prefix of the answer, never a whole one.",
        "RFC 9112, section 8",
    ),
    Requirement(
        "providers:fuzz:no-fall",
        "No bytes of a server raise anything but a failure.",
        "issue 4",
    ),
    Requirement(
        "providers:key:bound-to-origin",
        "A key goes to the one address it was given for.",
        "docs/asking-models.md",
    ),
    Requirement(
        "providers:key:never-shown",
        "A key that a server repeats is in no message, cause, record or log.",
        "tina.domain.secret",
    ),
    Requirement(
        "providers:live-server",
        "A real llama.cpp server answers through three protocols, text and tools.",
        "issue 4",
    ),
    Requirement(
        "providers:local-deadlines",
        "The local model has a total and an idle deadline; failures name the option.",
        "docs/design/local-model.md",
    ),
    Requirement(
        "providers:local-stop:one-token",
        "The local model stops within one token.",
        "docs/design/local-model.md",
    ),
    Requirement(
        "providers:no-answer:fails",
        "A success that is no answer is a failure.",
        "OpenAI API reference, Chat Completions",
    ),
    Requirement(
        "providers:overflow:both-numbers",
        "A prompt that does not fit is refused with its size and the window's.",
        "tina.domain.failures.ContextOverflowFailure",
    ),
    Requirement(
        "providers:own-server",
        "A server of one's own is an entry in a file.",
        "docs/asking-models.md",
    ),
    Requirement(
        "providers:plugin",
        "Another package can add a provider.",
        "examples/provider_package",
    ),
    Requirement(
        "providers:pull:leaves-nothing",
        "A pull that fails or is cancelled leaves nothing.",
        "docs/design/local-model.md",
    ),
    Requirement(
        "providers:replay:verbatim",
        "What a provider said goes back to it unchanged, and to nobody else.",
        "docs/design/providers.md",
    ),
    Requirement(
        "providers:retry:visible",
        "A person sees that Tina waits, and for how long.",
        "docs/asking-models.md",
    ),
    Requirement(
        "providers:same-as-sdks",
        "The vendors' own clients read the same text, calls, counts and reasons.",
        "issue 4",
    ),
    Requirement(
        "providers:thousand-streams",
        "1,000 answers at once are all exact, in at most 300 MiB.",
        "issue 4",
    ),
    Requirement(
        "providers:unknown:costs-nothing",
        "Unknown events, fields and blocks change nothing of an answer.",
        "docs/design/providers.md",
    ),
    Requirement(
        "search:any-words",
        "Any string can be searched for: nothing in it is syntax.",
        "SQLite, FTS5 Extension, section 3; issue 3",
    ),
    Requirement(
        "search:index:says-what-messages-say",
        "The index follows every edit and deletion, whoever fills it when.",
        "issue 3",
    ),
    Requirement(
        "turn:end:ends-its-calls",
        "Tool calls do not outlive the turn that asked for them.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "turn:end:never-in-the-way",
        "A turn that nobody can end or read keeps no other waiting.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "turn:failure:keeps-text",
        "A failed answer keeps what was said, and its failure.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "turn:fallback:before-output",
        "Another model is asked only before any output, and the answer says why.",
        "docs/asking-models.md",
    ),
    Requirement(
        "turn:leaving:keeps-text",
        "A process that leaves settles its answers as interrupted.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "turn:spending-limit",
        "A spending limit stops before the request.",
        "docs/asking-models.md",
    ),
    Requirement(
        "turn:stop:keeps-text",
        "A stopped answer keeps what was said.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "worker:settings:same",
        "No question is left to a worker that would ask another server than its asker.",
        "docs/design/answer-as-data.md",
    ),
)

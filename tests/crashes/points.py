"""Where nodes are killed: every boundary at which a node changes something outside itself.

In the order of a life. ``after`` points are those whose call is done while nothing that rests on it is.
``test_crash_points_are_complete`` compares them with what a node really does.
"""

from tests.crashes.dying import Point

PROJECT = "share/projects/ulm"
FIRST, SECOND = f"{PROJECT}/runs/0001-first", f"{PROJECT}/runs/0002-second"

JOINING = (
    Point("identity drafted, not in place", "rename local/home.part *"),
    Point("node record drafted, not linked", "link * share/nodes/alpha/records/00000001.json"),
    Point("node record linked, not read back", "link * share/nodes/alpha/records/00000001.json", after=True),
    Point("heartbeat made, empty", "pwrite share/nodes/alpha/heartbeat.*"),
    Point("heartbeat torn", "pwrite share/nodes/alpha/heartbeat.*", torn=True, passage=2),
    Point("heartbeat beaten, not synced", "fsync share/nodes/alpha/heartbeat.*"),
)

FETCHING = (
    Point("clone empty", "mkdir local/state.git", after=True),
    Point("clone configured, not made", "run git * init *"),
    Point("clone being made", "started git * init *"),
    Point("clone made, not noted", "write local/state.git/winslow.url"),
    Point("clone noted, nothing fetched", "run git * fetch *main*"),
    Point("clone being filled", "started git * fetch *main*"),
    Point("clone being tidied", "started git * gc *"),
    Point("no branch observed, not noted", "run git * update-ref -d refs/winslow/remote/observed"),
    Point("head fetched, not accepted", "run git * update-ref refs/winslow/accepted/main *"),
)

CLAIMING = (
    Point("DESIRED drafted, not linked", f"link * {PROJECT}/records/00000001.json"),
    Point("DESIRED linked, not read back", f"link * {PROJECT}/records/00000001.json", after=True),
    Point("RUN's draft not synced", "fsync share/tmp/alpha.*", passage=3),
    Point("RUN drafted, not linked", f"link * {PROJECT}/records/00000002.json"),
    Point("RUN linked, its draft still there", f"link * {PROJECT}/records/00000002.json", after=True),
    Point("RUN stands, no directory for its CLAIM", f"mkdir {FIRST}", after=True),
    Point("RUN stands, CLAIM drafted", f"link * {FIRST}/records/00000001.json"),
    Point("CLAIM linked, not read back", f"link * {FIRST}/records/00000001.json", after=True),
    Point("RUN of the next run linked", f"link * {PROJECT}/records/00000003.json", after=True),
    Point("CLAIM of the next run linked", f"link * {SECOND}/records/00000001.json", after=True),
)

PREPARING = (
    Point("claim's directory being made", f"mkdir {FIRST}/1"),
    Point("claim's output made, no workspace", f"mkdir {FIRST}/1/workspace.partial"),
    Point("workspace's clone empty", f"mkdir {SECOND}/1/workspace.partial", after=True),
    Point("workspace's clone torn", f"fsync {SECOND}/1/workspace.partial/*"),
    Point("workspace cloned, not in place", f"rename {SECOND}/1/workspace.partial *"),
    Point("workspace in place", f"rename {SECOND}/1/workspace.partial *", after=True),
)

STARTING = (
    Point("supervisor about to be started", "run *supervisor.py"),
    Point("supervisor started, without its order", "started *supervisor.py"),
    Point("program runs, nothing noted", "answered *supervisor.py"),
    Point("start about to be noted", f"write {FIRST}/1/events.jsonl"),
    Point("start noted, not synced", f"fsync {FIRST}/1/events.jsonl"),
    Point("start noted", f"fsync {SECOND}/1/events.jsonl", after=True),
)

FINISHING = (
    Point("program ended, log not looked at", f"write {FIRST}/1/log.jsonl"),
    Point("log looked at", f"truncate {FIRST}/1/log.jsonl", after=True),
    Point("DONE drafted, not linked", f"link * {FIRST}/records/00000002.json"),
    Point("DONE linked, not read back", f"link * {FIRST}/records/00000002.json", after=True),
    Point("DONE of the last run linked", f"link * {SECOND}/records/00000002.json", after=True),
    Point("program about to be forgotten", "remove local/process/*-0001-first-*"),
    Point("program forgotten", "remove local/process/*-0001-first-*", after=True),
    Point("wish to stop about to be forgotten", "remove local/stopped/*"),
    Point("project's outputs have no place", f"mkdir {PROJECT}/output"),
    Point("output's draft about to be made", "mkdir share/tmp/*", after=True),
    Point("output's draft torn", "fsync share/tmp/*/result"),
    Point("output cloned, not in place", f"rename share/tmp/* {PROJECT}/output/0001-first"),
    Point("last output cloned, not in place", f"rename share/tmp/* {PROJECT}/output/0002-second"),
)

PUBLISHING = (
    Point("publisher's lock about to be made", "write share/locks/publisher"),
    Point("publisher's lock proved", "pwrite share/locks/publisher"),
    Point("publisher's lock proved, not synced", "fsync share/locks/publisher"),
    Point("observed folded", "run git * fast-import *"),
    Point("observed being committed", "started git * fast-import *", passage=2),
    Point("observed committed, not pushed", "run git * push *"),
    Point("observed being pushed", "started git * push *", passage=2),
    Point("observed pushed, not remembered", "run git * update-ref refs/winslow/remote/observed *"),
    Point("observed being remembered", "started git * update-ref refs/winslow/remote/observed *", passage=2),
)

LIFE = (*JOINING, *FETCHING, *CLAIMING, *PREPARING, *STARTING, *FINISHING, *PUBLISHING)

PRUNING = (
    Point("DELETED drafted, not linked", f"link * {PROJECT}/records/00000004.json"),
    Point("DELETED linked, not read back", f"link * {PROJECT}/records/00000004.json", after=True),
    Point("share's clock asked", "fsync share/tmp/alpha.*", passage=12),
    Point("PURGED drafted, not linked", f"link * {PROJECT}/records/00000005.json"),
    Point("PURGED linked, not read back", f"link * {PROJECT}/records/00000005.json", after=True),
    Point("project about to be moved away", f"rename {PROJECT} share/retired/ulm.00000005"),
    Point("project moved away, all files left", "remove share/retired/*"),
    Point("project half removed", "rmdir share/retired/*", passage=3),
    Point("project removed but for records", "remove share/retired/*/records/*"),
    Point("only the last record is left to remove", "remove share/retired/*/records/*", passage=3),
)

DOCKER = (
    Point("container about to be created", "request POST */containers/create*"),
    Point("container created, not started", "request POST */start"),
    Point("container started, nothing noted", f"write {FIRST}/1/events.jsonl"),
    Point("container started, start not synced", f"fsync {FIRST}/1/events.jsonl"),
    Point("log made, nothing asked", f"truncate {FIRST}/1/log.jsonl"),
    Point("log asked for, nothing written", f"pwrite {FIRST}/1/log.jsonl"),
    Point("log torn early", f"pwrite {FIRST}/1/log.jsonl", torn=True),
    Point("log torn in the middle", f"pwrite {FIRST}/1/log.jsonl", torn=True, passage=9),
    Point("log written, not synced", f"fsync {SECOND}/1/log.jsonl"),
    Point("container ended, nobody waited", "request POST */wait*"),
    Point("container's DONE drafted", f"link * {FIRST}/records/00000002.json"),
    Point("container's DONE linked", f"link * {FIRST}/records/00000002.json", after=True),
    Point("container about to be removed", "request DELETE *"),
)

IN_SUPERVISOR = (
    Point("state drafted, not linked", "link local/process/* local/process/*.json"),
    Point("state linked, no log", "write share/*/1/log.jsonl"),
    Point("log made, not cut", "truncate share/*/1/log.jsonl"),
    Point("log made, no program", "run sh *"),
    Point("program about to be noted", "child: rename local/process/*"),
    Point("program's log torn", "pwrite share/*/1/log.jsonl", torn=True, passage=9),
    Point("program ended, log not synced", "fsync share/*/1/log.jsonl"),
    Point("program ended, its end not in place", "rename local/process/*"),
)

/** What a control plane sends when all is well: everything hostile is made from it. */
const ID = "3b7f8c52-93c5-4c6e-8f0a-0e9a3f6f4f10";

/** Payloads of every task type. */
export const PAYLOADS: Record<string, unknown> = {
  "shell.exec": {
    command: "true",
    shell: "/bin/sh",
    working_dir: "/",
    environment: { A: "1", PASSWORD: "hunter22" },
    timeout: "30s",
    timeout_seconds: 5,
    runAsRoot: false,
    rootScope: "task",
  },
  "log.scan": {
    mode: "preview",
    sourcePresetId: "syslog",
    limits: { maxLines: 10, maxBytes: 1_000, backfillLines: 5 },
    cursor: {
      fileInode: "1",
      fileOffset: 5,
      journalCursor: "",
      lastReadAt: "2026-01-01T00:00:00Z",
    },
    runAsRoot: false,
    rootScope: "operational",
  },
  packageList: {},
  packageSearch: { query: "vim", term: "vim" },
  packageInstall: { names: ["vim", "g++"], packages: ["vim"], package: "vim", purge: false },
  packageRemove: { names: ["vim"] },
  packagePurge: { names: ["vim"], purge: true },
};

const task = (type: string) => ({
  id: ID,
  workspaceId: ID,
  nodeId: ID,
  type,
  payload: PAYLOADS[type],
  status: "accepted",
  leaseUntil: "2026-01-01T00:01:00Z",
  claimToken: "secret",
  timeoutSeconds: 30,
});

/** Tasks of every type. */
export const TASKS = Object.keys(PAYLOADS).map(task);

/** Answers to every call. */
export const ANSWERS: unknown[] = [
  { statusCode: 503, path: "/api/v1/x", timestamp: "", message: "no", error: "x", errors: ["a"] },
  { token: "the-token", expiresAt: "2026-01-01T00:00:00Z" },
  { status: "approved", nodeId: ID, agentToken: "token" },
  { nodeId: ID, agentToken: "token" },
  ...TASKS.map((each) => ({
    task: each,
    outputTruncated: false,
    rootAccess: { profile: "off", updatedAt: "2026-01-01T00:00:00Z" },
  })),
  { taskId: ID, status: "running", cancelRequested: true, cancelReason: "because" },
  { acknowledged: true, nodeId: ID, status: "online" },
  { ok: true, duplicate: true, taskId: ID },
  { id: 5, taskId: ID },
  { id: ID, status: "running" },
];

/** Events that agents get. */
export const EVENTS: Record<string, unknown> = {
  "terminal.start": { type: "terminal.start", sessionId: ID, cols: 80, rows: 24, runAsRoot: false },
  "terminal.input": { type: "terminal.input", sessionId: ID, payload: "bHMK" },
  "terminal.resize": { type: "terminal.resize", sessionId: ID, cols: 80, rows: 24 },
  "terminal.stop": { type: "terminal.stop", sessionId: ID, reason: "enough" },
  "task.dispatch": { type: "task.dispatch", task: task("shell.exec") },
  "root-access.updated": { rootAccess: { profile: "all", updatedAt: "2026-01-01T00:00:00Z" } },
  "agent.error": { type: "agent.error", eventType: "x", code: "UNKNOWN_EVENT", message: "no" },
  "agent.auth.ack": { authenticated: true, nodeId: ID, rootAccess: null },
};

/** A record of the journal. */
export const RECORD = {
  version: 1,
  task: task("shell.exec"),
  claimedAt: "2026-01-01T00:00:00Z",
  claimed: { bootId: ID, ms: 5 },
  process: { pid: 2 ** 22, startTicks: "1", bootId: ID },
  outcome: { status: "success", exitCode: 0, output: "x", durationMs: 5 },
};

/** An identity file. */
export const IDENTITY = {
  node_id: ID,
  agent_token: "token",
  registered_at: "2026-01-01T00:00:00Z",
};

/** Lines of dpkg, apt, dnf and rpm, and what they say when something is wrong. */
export const PACKAGE_LINES = [
  "ii  libc6:amd64  2.36-9+deb12u9  amd64  GNU C Library: Shared libraries",
  "rc  nginx  1.22.1-9  amd64",
  "libc6/stable,now 2.36-9 amd64 [installed,automatic]",
  "install ok installed\tlibc6:amd64\tlibc6\t2.36-9\tamd64\tGNU C Library\tmore",
  "deinstall ok config-files\tnginx\tnginx\t1.22\tamd64\tserver",
  "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12 (apt-get)",
  "dpkg: error processing package foo (--configure):\n installed foo package failed",
  "bash\t0\t5.2.26\t3.el9\tx86_64\tThe GNU Bourne Again shell",
  "error: %post(foo-1-1.noarch) scriptlet failed, exit status 1",
];

import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { CommanderError } from "commander";
import * as fc from "fast-check";
import { TASK_TYPES } from "../../src/agent/task_types.ts";
import { takeEnvironment } from "../../src/cli/environment.ts";
import { commandLine } from "../../src/cli/program.ts";
import { parseConfigText } from "../../src/config/load.ts";
import {
  CONFIG_KEYS,
  fileForm,
  inspectConfig,
  parseDuration,
  parseValue,
} from "../../src/config/mod.ts";
import { parseSize } from "../../src/config/kinds.ts";
import { RefusedError, UnreachableError } from "../../src/control_plane/errors.ts";
import { HttpTransport } from "../../src/control_plane/http.ts";
import { retryAfterMs } from "../../src/control_plane/retry_after.ts";
import * as schemas from "../../src/control_plane/schemas.ts";
import { parseIdentity } from "../../src/identity/identity_file.ts";
import { openLog, pull } from "../../src/logs/_test_spool.ts";
import { LineDecoder, MAX_ENTRY_CODE_POINTS, toLogEntry } from "../../src/logs/log_entries.ts";
import { SecretMask } from "../../src/logs/secret_mask.ts";
import { reasonsIn } from "../../src/packages/apt.ts";
import { parseAptList, parseDpkgColumns } from "../../src/packages/apt_list.ts";
import { parseDpkg } from "../../src/packages/dpkg.ts";
import { failedScripts, parseRpm } from "../../src/packages/rpm_database.ts";
import { Inbox } from "../../src/realtime/inbox.ts";
import { AuthAck, EventAck } from "../../src/realtime/events.ts";
import { jsonOf } from "../../src/system/text.ts";
import { Logger } from "../../src/system/logger.ts";
import { UserError } from "../../src/system/user_error.ts";
import { TaskJournal } from "../../src/tasks/journal.ts";
import { secretsOf } from "../../src/tasks/task_secrets.ts";
import { describeBadPayload, timeLimitMs } from "../../src/tasks/task_type.ts";
import { FakeLink } from "../../src/terminal/_fake_link.ts";
import { TerminalManager } from "../../src/terminal/manager.ts";
import { compareVersions, ReleaseVersion } from "../../src/update/update_record.ts";
import { checksumOf, publicKeys } from "../../src/update/signature.ts";
import { ANSWERS, EVENTS, IDENTITY, PACKAGE_LINES, PAYLOADS, RECORD } from "./_examples.ts";
import { like, likeJson, likeText } from "./_like.ts";

/** A way in for what others have made. */
export interface Door {
  /** What comes in there. */
  name: string;
  /** How many events come with one run. */
  events: number;
  /** What must hold of whatever comes. */
  property: fc.IAsyncProperty<unknown> | fc.IProperty<unknown>;
  /** Ends what the property uses. */
  close?: () => Promise<void>;
}

/** A folder that costs no disk, where there is one. */
async function memoryFolder(): Promise<string> {
  const isThere = await Deno.stat("/dev/shm").then(() => true, () => false);
  return await Deno.makeTempDir(isThere ? { dir: "/dev/shm" } : {});
}

/** So many events are one run where one costs little. */
const MANY = 50;
/** So many where it is waited for. */
const FEW = 10;
const silent = new Logger({ level: "debug", write: () => {} });

function many<T>(name: string, values: fc.Arbitrary<T>, law: (value: T) => void): Door {
  const batch = fc.array(values, { minLength: MANY, maxLength: MANY, size: "max" });
  return { name, events: MANY, property: fc.property(batch, (all) => all.forEach(law)) };
}

/** What is waited for goes in beside others; `law` hears which of them it is. */
function each<T>(
  name: string,
  values: fc.Arbitrary<T>,
  law: (value: T, at: number) => Promise<void>,
): Door {
  const batch = fc.array(values, { minLength: FEW, maxLength: FEW, size: "max" });
  const property = fc.asyncProperty(batch, async (all) => {
    const results = await Promise.allSettled(all.map(law));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });
  return { name, events: FEW, property };
}

/** Lets those errors by that a person, or the control plane, is told as a sentence. */
function onlySentences(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    requireSentence(error);
  }
}

function requireSentence(error: unknown): void {
  if (error instanceof z.ZodError) assert.equal(typeof describeBadPayload(error), "string");
  else assert(error instanceof UserError && !/\n\s+at /.test(error.message), `${error}`);
}

const SCHEMAS = [
  schemas.ErrorBody,
  schemas.OwnErrorBody,
  schemas.InitiatedEnrollment,
  schemas.EnrollmentStatus,
  schemas.ConsumedInstall,
  schemas.Claim,
  schemas.TaskControl,
  schemas.HeartbeatAnswer,
  schemas.AcceptedAnswer,
  schemas.ChangedTask,
  AuthAck,
  EventAck,
];

function judgeAnswer(text: string): void {
  const json = jsonOf(text);
  for (const schema of SCHEMAS) schema.safeParse(json);
  const { task } = schemas.Claim.safeParse(json).data ?? {};
  if (task) {
    assert.match(task.id, /^[\w-]+$/);
    judgeTask([task.type, task.payload]);
    onlySentences(() => timeLimitMs(task, 1_000));
  }
}

function judgeTask([type, payload]: readonly [string, unknown]): void {
  for (const secret of secretsOf(payload)) assert.equal(typeof secret, "string");
  onlySentences(() => TASK_TYPES.get(type)?.prepare(payload));
}

const task = fc.oneof(
  ...Object.entries(PAYLOADS).map(([type, example]) =>
    like(example).map((payload) => [type, payload] as const)
  ),
);

/** Answers with whatever it is given next. */
function httpDoor(): Door {
  const next: { status: number; text: string; headers: Record<string, string> }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const { status = 404, text = "", headers = {} } = next[Number(url.split("/").at(-1))] ?? {};
    const hasBody = ![101, 204, 205, 304].includes(status);
    return new Response(hasBody ? text : null, { status, headers });
  });
  const transport = new HttpTransport(`http://127.0.0.1:${server.addr.port}`);
  const answer = fc.record({
    status: fc.constantFrom(200, 201, 204, 205, 301, 304, 400, 401, 404, 409, 429, 500, 503, 599),
    text: likeJson(...ANSWERS),
    headers: fc.record({
      "retry-after": fc.constantFrom(
        "1",
        "-1",
        "x",
        "99999999999",
        "Sun, 29 Nov 2026 00:00:00 GMT",
      ),
      "content-type": fc.constantFrom("application/json", "text/html", "x"),
      "location": fc.constantFrom("/", "http://127.0.0.1:1/", "::"),
    }, { requiredKeys: [] }),
  });
  return {
    ...each("HTTP answers", answer, async (given, at) => {
      next[at] = given;
      try {
        await transport.call({
          method: "POST",
          path: `/${at}`,
          answer: schemas.Claim,
          body: {},
          timeoutMs: 60_000,
        });
        assert(given.status < 300);
      } catch (error) {
        assert(error instanceof RefusedError || error instanceof UnreachableError, `${error}`);
        assert(error.message.length < 1_500, error.message);
      }
    }),
    close: async () => {
      transport[Symbol.dispose]();
      await server.shutdown();
    },
  };
}

/** What the contract takes of an answer to an event. */
const ToldError = z.strictObject({
  type: z.literal("terminal.error"),
  sessionId: z.string().min(1).max(200),
  message: z.string().min(1).max(1_000).refine((text) => text.isWellFormed()),
});

function realtimeDoor(): Door {
  const link = new FakeLink();
  link.emit = (_event, payload) => {
    if (payload.type !== "terminal.exited") ToldError.parse(payload);
    return true;
  };
  const manager = new TerminalManager({ link, logger: silent, authorize: () => "not here" });
  const inbox = new Inbox(
    {
      onTerminal: (event, payload) => manager.handle(event, payload),
      onDispatch: (task) => judgeTask([task.type, task.payload]),
      onRootAccess: ({ profile }) => assert.equal(typeof profile, "string"),
    },
    new Logger({
      level: "debug",
      write: (line) => {
        const { msg, error } = JSON.parse(line);
        assert.notEqual(msg, "realtime event could not be handled", error);
      },
    }),
  );
  const events = fc.oneof(
    ...Object.entries(EVENTS).map(([name, example]) =>
      like(example).map((payload) => [name, payload] as const)
    ),
    fc.tuple(fc.string(), fc.jsonValue()),
  );
  return {
    ...many("Socket.IO events", events, ([name, payload]) => inbox.take(name, payload)),
    close: () => manager[Symbol.asyncDispose](),
  };
}

const CONFIG = Object.fromEntries(
  CONFIG_KEYS.flatMap((row) => {
    const { data } = row.schema.safeParse(undefined);
    return [[row.key, data ?? "x"]];
  }),
);
const configText = likeJson(CONFIG, { api_url: "https://example.com", heartbeat_interval: "30s" });

async function configDoor(): Promise<Door> {
  const folder = await memoryFolder();
  const env = fc.dictionary(
    fc.constantFrom(...CONFIG_KEYS.flatMap((row) => row.env)),
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", "5s", "true", "http://[", "1e9")),
    { maxKeys: 4 },
  );
  return {
    ...each(
      "configuration: file and environment",
      fc.tuple(configText, env),
      async ([text, set], at) => {
        const path = join(folder, `${at}.json`);
        await Deno.writeTextFile(path, text.toWellFormed());
        const named: Record<string, string> = { ...set, NODERAX_CONFIG_FILE: path };
        try {
          const { config, problems } = await inspectConfig({ env: (name) => named[name] });
          for (const row of CONFIG_KEYS) fileForm(row, config);
          for (const sentence of Object.values(problems)) assert.equal(typeof sentence, "string");
        } catch (error) {
          assert(error instanceof UserError, `${error}`);
        }
      },
    ),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

async function journalDoor(): Promise<Door> {
  const folder = await memoryFolder();
  const record = fc.record({
    text: likeJson(RECORD),
    ended: likeJson({ taskId: RECORD.task.id, status: "success" }),
    other: likeText(fc.constantFrom("1 2 3", "stdout 5 text")),
  });
  return {
    ...each("journal and spool files", record, async ({ text, ended, other }, at) => {
      const tasks = join(folder, `tasks${at}`);
      await Deno.mkdir(tasks, { mode: 0o700 });
      const files = {
        [`${RECORD.task.id}.json`]: text,
        "ended.jsonl": `${ended}\n${ended}\n`,
        [`${RECORD.task.id}.1.log`]: other,
        [`${RECORD.task.id}.cursor`]: other,
      };
      for (const [name, content] of Object.entries(files)) {
        await Deno.writeTextFile(join(tasks, name), content.toWellFormed(), { mode: 0o600 });
      }
      const { unfinished } = await TaskJournal.open(tasks, silent);
      assert.equal(unfinished.records.length + unfinished.damaged.length, 1);
      await Deno.remove(tasks, { recursive: true });
    }),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

/** The list of a release's checksums, and the words that lead to it: data until a signature proves it. */
type Manifest = { sums: string; key: string; versions: string[] };
const manifest: fc.Arbitrary<Manifest> = fc.record({
  sums: likeText(fc.constant(`${"0".repeat(64)}  agent-2.1.0.tar.gz\n${"a".repeat(64)} *b.deb\n`)),
  key: likeText(fc.constant("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")),
  versions: fc.tuple(
    ...[0, 1].map(() => likeText(fc.constantFrom("2.1.0", "2.1.0-rc.1", "0.0.0"))),
  ),
});

async function judgeManifest({ sums, key, versions: [a = "", b = ""] }: Manifest): Promise<void> {
  onlySentences(() => assert.match(checksumOf(sums, "agent-2.1.0.tar.gz"), /^[0-9a-f]{64}$/));
  await publicKeys(key).catch(requireSentence);
  if (![a, b].every((version) => ReleaseVersion.safeParse(version).success)) return;
  // However they compare, they do so from both sides.
  assert.equal(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0);
}

function judgePackages(text: string): void {
  const found = [...parseDpkgColumns(text), ...parseAptList(text)];
  for (const { name, version } of found) assert(name !== "" && version !== "");
  for (const { name } of [...parseDpkg(text), ...parseRpm(text)]) assert(name !== "");
  assert.equal(typeof reasonsIn(text, text), "string");
  for (const name of failedScripts(text)) assert.equal(typeof name, "string");
}

const words = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("5s", "1h2m", "-1s", "9e99h", "64MiB", "1kb", "0", "Infinity", "1e400ms"),
);

function judgeWords(text: string): void {
  for (const found of [parseDuration(text), parseSize(text)]) {
    if (found !== undefined) assert(Number.isFinite(found), `${text}: ${found}`);
  }
  for (const row of CONFIG_KEYS) onlySentences(() => parseValue(row, text, "the test"));
  onlySentences(() => parseConfigText("/config.json", text));
  const headers = new Headers();
  try {
    headers.set("retry-after", text);
  } catch {
    // No such header can come.
  }
  const waitMs = retryAfterMs(new Response(null, { status: 429, headers }));
  assert(waitMs >= 0 && waitMs <= 120_000);
}

function judgeEnvironment(variables: Record<string, string>): void {
  const left = new Map(Object.entries(variables));
  const read = takeEnvironment({
    get: (name) => left.get(name),
    delete: (name) => void left.delete(name),
    toObject: () => Object.fromEntries(left),
  });
  for (const [name, value] of Object.entries(variables)) {
    assert.equal(read(name), value);
    assert(!name.startsWith("NODERAX_") || !left.has(name));
  }
}

const environment = fc.dictionary(
  fc.oneof(
    fc.string({ minLength: 1, maxLength: 12 }),
    fc.string({ maxLength: 9 }).map((rest) => `NODERAX_${rest}`),
    fc.constantFrom("STATE_DIRECTORY", "TMPDIR", "AGENT_TOKEN", "NOTIFY_SOCKET"),
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
  { maxKeys: 6 },
);

/** The command line, of which nothing is done that it asks for. */
function argumentsDoor(): Door {
  const names: string[] = [];
  const quiet = { writeOut: () => {}, writeErr: () => {} };
  const program = () => {
    const whole = commandLine(() => {});
    for (const commands = [whole]; commands.length > 0;) {
      const command = commands.pop() ?? whole;
      command.configureOutput(quiet).exitOverride().action(() => {});
      names.push(command.name(), ...command.options.flatMap(({ long }) => long ?? []));
      commands.push(...command.commands);
    }
    return whole;
  };
  program();
  const word = fc.oneof(fc.constantFrom(...new Set(names)), fc.string({ unit: "binary" }));
  return each("arguments", fc.array(word, { maxLength: 6 }), async (words) => {
    try {
      await program().parseAsync(words, { from: "user" });
    } catch (error) {
      assert(error instanceof CommanderError || error instanceof UserError, `${error}`);
    }
  });
}

/** What an entry must be for the control plane to store it. */
function judgeLine(line: string): void {
  assert(line !== "" && line.isWellFormed() && !line.includes("\0"), JSON.stringify(line));
  assert([...line].length <= MAX_ENTRY_CODE_POINTS);
}

/** Bytes as programs print them: text, what is no text, long lines, and lines that are written over. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
  fc.constantFrom("\n", "\r\n", "\r", "50%\r100%\n", "\0\n", "x".repeat(6_000), "💥".repeat(5_001))
    .map((text) => new TextEncoder().encode(text)),
);

function judgeOutput(chunks: Uint8Array[]): void {
  for (const forPeople of [true, false]) {
    const decoder = new LineDecoder(new SecretMask(["hunter22"]), { forPeople });
    const text = chunks.map((chunk) => decoder.push(chunk)).join("") + decoder.end();
    for (const line of text.split("\n").slice(0, -1)) judgeLine(line || " ");
    assert(text === "" || text.endsWith("\n"));
  }
}

/** A task's log that an earlier agent has left, and a disk has changed. */
async function leftLogDoor(): Promise<Door> {
  const folder = await memoryFolder();
  const damage = fc.record({
    file: fc.constantFrom("t.stdout", "t.stderr", "t.index", "t.cursor"),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    removed: fc.nat({ max: 200 }),
    added: fc.uint8Array({ maxLength: 30 }),
  });
  return {
    ...each(
      "log files that are left",
      fc.array(damage, { minLength: 1, maxLength: 3 }),
      async (all, at) => {
        const own = join(folder, `${at}`);
        await Deno.mkdir(own);
        const prefix = join(own, "t");
        const left = await openLog(prefix);
        for (let i = 0; i < 8; i++) {
          await left.write(
            i % 3 === 0 ? "stderr" : "stdout",
            `${i} 日😀\n`,
            i,
          );
        }
        await pull(left, 3);
        await left.close();
        for (const { file, at, removed, added } of all) {
          const path = join(own, file);
          const before = await Deno.readFile(path).catch(() => new Uint8Array());
          const from = Math.floor(at * before.length);
          const after = [...before.subarray(0, from), ...added, ...before.subarray(from + removed)];
          await Deno.writeFile(path, new Uint8Array(after));
        }
        const log = await openLog(prefix, { onDamaged: () => {} });
        for (const entry of await pull(log)) judgeLine(toLogEntry(entry).line);
        await log.close();
        await Deno.remove(own, { recursive: true });
      },
    ),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Every door that is within this process. */
export async function doors(): Promise<Door[]> {
  return [
    many("answers, as JSON", likeJson(...ANSWERS), judgeAnswer),
    httpDoor(),
    realtimeDoor(),
    many("payloads of tasks", task, judgeTask),
    await configDoor(),
    many("identity files", likeJson(IDENTITY), (text) => {
      onlySentences(() => parseIdentity("/identity.json", text));
    }),
    await journalDoor(),
    await leftLogDoor(),
    many("output of programs", fc.array(bytes, { maxLength: 6 }), judgeOutput),
    argumentsDoor(),
    many("values, durations, sizes, headers", words, judgeWords),
    each("update manifests", manifest, judgeManifest),
    many("environments", environment, judgeEnvironment),
    many(
      "output of dpkg, apt, rpm and dnf",
      likeText(
        fc.array(fc.constantFrom(...PACKAGE_LINES), { maxLength: 6 }).map((all) => all.join("\n")),
      ),
      judgePackages,
    ),
  ];
}

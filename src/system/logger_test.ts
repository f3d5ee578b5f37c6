import assert from "node:assert/strict";
import { localTime } from "./text.ts";
import { Logger, type LoggerOptions, type LogLevel } from "./logger.ts";

const NOW = new Date("2025-03-04T05:06:07.089Z");

function makeLogger(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = new Logger({ write: (line) => lines.push(line), now: () => NOW, ...options });
  return { logger, lines };
}

Deno.test("an event is one JSON object on one line", () => {
  const { logger, lines } = makeLogger();
  logger.with({ taskId: "t" }).info("it began", { text: "a\nb", none: undefined, n: 1 });
  const [line = "", ...more] = lines;
  assert.deepEqual(more, []);
  assert.equal(line.indexOf("\n"), line.length - 1);
  assert.deepEqual(JSON.parse(line), {
    time: "2025-03-04T05:06:07.089Z",
    level: "info",
    msg: "it began",
    taskId: "t",
    text: "a\nb",
    n: 1,
  });
});

Deno.test("a level lets itself and what is graver through; relatives share it", () => {
  const expected: Record<LogLevel, number> = { debug: 4, info: 3, warn: 2, error: 1 };
  for (const level of ["debug", "info", "warn", "error"] as const) {
    const { logger, lines } = makeLogger({ level: "error" });
    const child = logger.with({ a: 1 }).with({ b: 2 });
    logger.setLevel(level);
    for (const each of ["debug", "info", "warn", "error"] as const) child[each]("x");
    assert.equal(lines.length, expected[level], level);
    assert.deepEqual(JSON.parse(lines.at(-1) ?? "").b, 2);
  }
});

Deno.test("a secret is hidden wherever it turns up, also from children made before", () => {
  for (const pretty of [false, true]) {
    const { logger, lines } = makeLogger({ pretty });
    const child = logger.with({ early: "tok-123" });
    logger.hide("tok-123");
    logger.hide(undefined);
    logger.hide("");
    child.info("told tok-123", {
      nested: { list: ["x tok-123 y"], deep: { "tok-123": 1 } },
      error: new Error("refused tok-123", { cause: new Error("because of tok-123") }),
      errors: [new Error("tok-123")],
    });
    const line = lines.join("");
    assert(!line.includes("tok-123"), line);
    assert.equal(line.split("[redacted]").length - 1, 7, line);
    if (!pretty) assert.equal(JSON.parse(line).msg, "told [redacted]");
  }
});

Deno.test("a secret that JSON writes otherwise is hidden too", () => {
  const secret = 'a"b\\c\nd';
  const { logger, lines } = makeLogger();
  logger.hide(secret);
  logger.info("x", { value: `<${secret}>` });
  assert.equal(JSON.parse(lines[0] ?? "").value, "<[redacted]>");
});

Deno.test("errors are told by their message and cause, wherever they stand", () => {
  const { logger, lines } = makeLogger();
  const error = new Error("it failed", { cause: new Error("disk full") });
  logger.error("x", { error, list: [error], twice: new Error("a: b", { cause: new Error("b") }) });
  const { error: told, list, twice } = JSON.parse(lines[0] ?? "");
  assert.equal(told, "it failed: disk full");
  assert.deepEqual(list, ["it failed: disk full"]);
  assert.equal(twice, "a: b");
});

Deno.test("a pretty line is for reading: time, level, message, fields", () => {
  const { logger, lines } = makeLogger({ pretty: true });
  logger.warn("task failed", { a: "plain", b: "two words", c: 3, d: { e: "f" }, none: undefined });
  assert.equal(
    lines[0],
    `${localTime(NOW)} WARN  task failed a=plain b="two words" c=3 d={"e":"f"}\n`,
  );
  const colored = makeLogger({ pretty: true, color: true });
  colored.logger.error("x");
  assert.equal(colored.lines[0], `${localTime(NOW)} \x1b[31mERROR\x1b[0m x\n`);
});

Deno.test("what comes from outside can neither break a pretty line nor steer the terminal", () => {
  const { logger, lines } = makeLogger({ pretty: true });
  logger.warn("x", { a: "one\ntwo", b: "\x1b[2J", c: "say:\u0007", d: 'quo"te' });
  assert.equal(
    lines[0],
    `${localTime(NOW)} ` +
      'WARN  x a="one\\ntwo" b="\\u001b[2J" c="say:\\u0007" d="quo\\"te"\n',
  );
});

Deno.test("the journal of systemd hears how grave a line is", () => {
  const { logger, lines } = makeLogger({ level: "debug", priorities: true });
  for (const level of ["debug", "info", "warn", "error"] as const) logger[level]("x");
  assert.deepEqual(lines.map((line) => line.slice(0, 4)), ["<7>{", "<6>{", "<4>{", "<3>{"]);
});

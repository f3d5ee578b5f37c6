import assert from "node:assert/strict";
import { localTime } from "../system/text.ts";
import { formatEvent, formatOther, isEvent } from "./service_journal.ts";

const EVENT = '{"time":"2026-01-02T03:04:05.678Z","level":"warn","msg":"slow","path":"a b","n":1}';

const TIME = localTime("2026-01-02T03:04:05Z");

Deno.test("an event is shown with its day, time, level and fields", () => {
  assert.equal(formatEvent(EVENT), `${TIME} WARN  slow path="a b" n=1`);
  assert.equal(
    formatEvent(EVENT, true),
    `${TIME} \x1b[33mWARN \x1b[0m slow path="a b" n=1`,
  );
  assert(isEvent(EVENT));
});

Deno.test("what others have written is shown with who it was, and steers no terminal", () => {
  const entry = { MESSAGE: "a\x1b[2Jb\nc\u009bd\u202ee", SYSLOG_IDENTIFIER: "x\x07", _PID: "7" };
  assert.equal(
    formatOther(entry),
    String.raw`x\u0007[7]: a\u001b[2Jb\u000ac\u009bd\u202ee`,
  );
  const event = JSON.stringify({ ...JSON.parse(EVENT), msg: "a\u009bb", path: "c\u009bd" });
  assert(!/[\p{Cc}]/u.test(formatEvent(event)));
});

Deno.test("what is no event of the agent is shown as it is", () => {
  const others = ["Started the agent.", "", "{", "null", "[1]", '{"msg":"x"}', '"text"'];
  for (const line of [...others, EVENT.replace("warn", "loud")]) {
    assert.equal(formatEvent(line, true), line);
    assert(!isEvent(line));
  }
});

Deno.test("a task's process goes by its command, and lines that the journal left out are told", () => {
  const entry = {
    MESSAGE: "hello",
    SYSLOG_IDENTIFIER: "noderax-agent",
    _COMM: "backup",
    _PID: "7",
  };
  assert.equal(formatOther(entry), "backup[7]: hello");
  const dropped = {
    MESSAGE: "Suppressed 12 messages from noderax-agent.service",
    MESSAGE_ID: "a596d6fe7bfa4994828e72309e95d61e",
    N_DROPPED: "12",
    _TRANSPORT: "driver",
  };
  assert.equal(
    formatOther(dropped),
    "journald: 12 lines are missing here: more came than the journal takes",
  );
  assert.match(formatOther({ ...dropped, _TRANSPORT: "journal" }), /Suppressed 12/);
});

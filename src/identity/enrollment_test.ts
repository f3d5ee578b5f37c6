import assert from "node:assert/strict";
import { join } from "@std/path";
import { type ControlPlane, startControlPlane } from "../../scripts/dev/control_plane.ts";
import { loadConfig } from "../config/mod.ts";
import { EnrollmentApi } from "../control_plane/agent_api.ts";
import { HttpTransport } from "../control_plane/http.ts";
import { UserError } from "../system/user_error.ts";
import {
  awaitApproval,
  completeEnrollment,
  type EnrollmentPlace,
  initiateEnrollment,
  type WaitingReport,
} from "./enrollment.ts";
import { readIdentity } from "./identity_file.ts";

const FACTS = { os: "o", arch: "a", agentVersion: "1", platformVersion: "2", kernelVersion: "3" };
const REQUEST = { email: "me@example.com", hostname: "machine", facts: FACTS };
const QUICK = { intervalMs: 5, throttledMs: 5 };

interface World {
  cp: ControlPlane;
  place: EnrollmentPlace;
  warnings: string[];
  stateFile: string;
  /** The configuration file's content. */
  saved: () => Promise<Record<string, unknown>>;
}

/** A control plane, and an empty configuration that leads to it. */
async function withWorld(
  body: (world: World) => Promise<void>,
  variables: Record<string, string> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "enrollment_" });
  try {
    await using cp = await startControlPlane();
    using transport = new HttpTransport(cp.url);
    const path = join(folder, "config.json");
    const stateFile = join(folder, "state.json");
    await Deno.writeTextFile(path, JSON.stringify({ state_file: stateFile, mine: "kept" }));
    const all: Record<string, string> = { ...variables, NODERAX_CONFIG_FILE: path };
    const env = (name: string) => all[name];
    const warnings: string[] = [];
    const place = {
      loaded: await loadConfig({ env }),
      env,
      api: new EnrollmentApi(transport, 5_000),
      warn: (sentence: string) => void warnings.push(sentence),
    };
    const saved = async () => JSON.parse(await Deno.readTextFile(path));
    await body({ cp, place, warnings, stateFile, saved });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the pending token is saved, and an approval leaves the identity in both places", () =>
  withWorld(async ({ cp, place, stateFile, saved, warnings }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    assert.equal((await saved()).enrollment_token, token);
    assert.deepEqual(cp.enrollments[0]?.additionalInfo, FACTS);

    let reports = 0;
    const credentials = await awaitApproval(place, token, {
      ...QUICK,
      onWaiting: () => void (++reports === 2 && cp.approve(token)),
    });
    assert.equal(reports, 2);
    await completeEnrollment(place, credentials, () => new Date(0));

    assert.deepEqual(await readIdentity(stateFile), {
      ...credentials,
      registeredAt: "1970-01-01T00:00:00.000Z",
    });
    assert.deepEqual(await saved(), {
      state_file: stateFile,
      mine: "kept",
      node_id: credentials.nodeId,
      agent_token: credentials.agentToken,
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(cp.violations, []);
  }));

for (const end of ["revoked", "rejected", "expired", "unknown"] as const) {
  Deno.test(`an enrollment that is ${end} is told apart, and its token goes`, () =>
    withWorld(async ({ cp, place, saved }) => {
      const { token } = await initiateEnrollment(place, REQUEST);
      if (end === "revoked") cp.revoke(token);
      if (end === "rejected") cp.reject(token);
      if (end === "expired") cp.expire(token);
      const asked = end === "unknown" ? "nobody-knows" : token;
      await assert.rejects(awaitApproval(place, asked, QUICK), {
        name: "UserError",
        end,
        message: /noderax-agent enroll/,
      });
      assert.equal((await saved()).enrollment_token, undefined);
    }));
}

Deno.test("denied is another word for rejected, and states not known yet are waited through", () =>
  withWorld(async ({ cp, place }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    cp.fault({ path: token, times: 2, status: 200, body: { status: "being-looked-at" } });
    cp.fault({ path: token, skip: 2, status: 200, body: { status: "denied" } });
    let reports = 0;
    const onWaiting = () => void reports++;
    await assert.rejects(awaitApproval(place, token, { ...QUICK, onWaiting }), { end: "rejected" });
    assert.equal(reports, 2);
  }));

Deno.test("a token from the environment cannot be removed: that is said", () =>
  withWorld(async ({ place, warnings }) => {
    const token = place.loaded.config.enrollmentToken ?? "";
    await assert.rejects(awaitApproval(place, token, QUICK), { end: "unknown" });
    assert.deepEqual(warnings, [
      "The environment still holds the ended enrollment: unset ENROLLMENT_TOKEN.",
    ]);
  }, { ENROLLMENT_TOKEN: "from-the-environment" }));

Deno.test("faults, resets, nonsense, throttling and a control plane that is away are waited through", () =>
  withWorld(async ({ cp, place }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    cp.approve(token);
    cp.fault({ path: token, times: 1, status: 503 });
    cp.fault({ path: token, skip: 1, times: 1, status: 429 });
    cp.fault({ path: token, skip: 2, times: 1, badJson: true });
    await cp.stop();
    let back: Promise<void> | undefined;
    const problems: WaitingReport[] = [];
    const credentials = await awaitApproval(place, token, {
      ...QUICK,
      onWaiting: (report) => {
        if (problems.push(report) === 2) back = cp.start();
      },
    });
    await back;
    assert.ok(credentials.nodeId);
    assert.ok(problems.length >= 5, JSON.stringify(problems));
    assert.ok(problems.every(({ problem }) => problem));
  }));

/** What a proxy, a gateway, and another program of the same framework say. */
const STRANGE_404S = [
  "<html>404 default backend</html>",
  { message: "no Route matched with those values" },
  { statusCode: 404, path: "/", message: "Cannot GET /api/v1/enrollments/x" },
];

Deno.test("a 404 that does not speak of the token is waited through, and the token stays", () =>
  withWorld(async ({ cp, place, saved }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    cp.approve(token);
    STRANGE_404S.forEach((body, skip) => {
      cp.fault({ path: token, skip, times: 1, status: 404, body });
    });
    const problems: (string | undefined)[] = [];
    const credentials = await awaitApproval(place, token, {
      ...QUICK,
      onWaiting: ({ problem }) => void problems.push(problem),
    });
    assert.ok(credentials.nodeId);
    assert.equal(problems.length, STRANGE_404S.length, JSON.stringify(problems));
    assert.equal((await saved()).enrollment_token, token);
  }));

Deno.test("after 429 the pause is the longer one", () =>
  withWorld(async ({ cp, place }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    cp.approve(token);
    cp.fault({ path: token, times: 1, status: 429 });
    await awaitApproval(place, token, { intervalMs: 1, throttledMs: 200 });
    const [first, second] = cp.requests.filter(({ method }) => method === "GET");
    assert.ok(first && second && second.at - first.at >= 190);
  }));

Deno.test("a refusal that is no end of the enrollment keeps the token", () =>
  withWorld(async ({ cp, place, saved }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    cp.fault({ path: token, status: 403, body: { message: "not from here" } });
    await assert.rejects(awaitApproval(place, token, QUICK), {
      name: "UserError",
      message: /HTTP 403: not from here/,
    });
    assert.equal((await saved()).enrollment_token, token);
  }));

Deno.test("the wait is given up in time or when told to, with the token kept", () =>
  withWorld(async ({ place, saved }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    await assert.rejects(awaitApproval(place, token, { ...QUICK, limitMs: 30 }), {
      name: "UserError",
      message: /Nobody has approved/,
    });
    const stop = new AbortController();
    const reason = new UserError("stopped", { exitCode: 130 });
    await assert.rejects(
      awaitApproval(place, token, {
        intervalMs: 60_000,
        signal: stop.signal,
        onWaiting: () => void queueMicrotask(() => stop.abort(reason)),
      }),
      (error) => error === reason,
    );
    await assert.rejects(awaitApproval(place, token, { signal: stop.signal }), (e) => e === reason);
    assert.equal((await saved()).enrollment_token, token);
  }));

Deno.test("a machine whose hostname another node has hears after a while what may be wrong", () =>
  withWorld(async ({ cp, place, warnings }) => {
    const old = cp.addNode({ hostname: "machine" });
    const { token } = await initiateEnrollment(place, REQUEST);
    assert.throws(() => cp.approve(token), /hostname already exists/);
    let nowMs = 0;
    await awaitApproval(place, token, {
      ...QUICK,
      now: () => nowMs,
      onWaiting: ({ waitedMs }) => {
        assert.equal(warnings.length, waitedMs < 120_000 ? 0 : 1);
        nowMs += 50_000;
        if (waitedMs < 200_000) return;
        cp.deleteNode(old.nodeId);
        cp.approve(token);
      },
    });
    assert.match(
      String(warnings),
      /^The enrollment is still pending\. .* delete or rename that node/,
    );
  }));

Deno.test("a wait without an answer to its end says what came instead", () =>
  withWorld(async ({ cp, place, saved }) => {
    const { token } = await initiateEnrollment(place, REQUEST);
    const approved = { status: "approved", nodeId: "n1", agentToken: "to ken" };
    cp.fault({ path: token, status: 200, body: approved });
    const waiting = awaitApproval(place, token, { ...QUICK, limitMs: 30 });
    await assert.rejects(waiting, {
      name: "UserError",
      message: /^The control plane does not say .* \(the answer .*agentToken: must be .*\): check/,
    });
    await assert.rejects(waiting, (error: Error) => !error.message.includes("to ken"));
    assert.equal((await saved()).enrollment_token, token);
  }));

Deno.test("a token that could not be used later is not saved", () =>
  withWorld(async ({ cp, place, saved }) => {
    const body = { token: "tok en\n", expiresAt: "2100-01-01T00:00:00Z" };
    cp.fault({ path: "/initiate", status: 201, body });
    await assert.rejects(initiateEnrollment(place, REQUEST), {
      name: "UserError",
      message:
        /^the control plane answers, but the answer is not the control plane's \(token: must be /,
    });
    assert.equal((await saved()).enrollment_token, undefined);
  }));

Deno.test("an interruption does not wait for the answer to the first call", () =>
  withWorld(async ({ cp, place, saved }) => {
    cp.fault({ path: "/initiate", hang: true });
    const stop = new AbortController();
    const reason = new UserError("stopped", { exitCode: 130 });
    const trying = initiateEnrollment(place, REQUEST, { signal: stop.signal });
    const interrupted = assert.rejects(trying, (error) => error === reason);
    await cp.waitFor(() => cp.requests.length === 1, { what: "the first call" });
    stop.abort(reason);
    await interrupted;
    assert.equal((await saved()).enrollment_token, undefined);
  }));

Deno.test("what keeps an enrollment from beginning is one sentence that says what to do", () =>
  withWorld(async ({ cp, place, saved }) => {
    const sentences: [Parameters<ControlPlane["fault"]>[0], RegExp][] = [
      [{ path: "/initiate", times: 1, status: 429 }, /asked too often: try again in a minute/],
      [{ path: "/initiate", times: 1, status: 500 }, /has a fault .* try again in a few minutes/],
      [
        { path: "/initiate", times: 1, status: 400, body: { message: ["email is taken"] } },
        /refused the enrollment \(email is taken\)/,
      ],
    ];
    for (const [fault, message] of sentences) {
      cp.fault(fault);
      const trying = initiateEnrollment(place, REQUEST, { retryMs: 0 });
      await assert.rejects(trying, { name: "UserError", message });
    }
    await cp.stop();
    await assert.rejects(initiateEnrollment(place, REQUEST), /cannot be reached .* check api_url/);
    assert.equal((await saved()).enrollment_token, undefined);
  }));

Deno.test("a control plane that has a fault just now is asked again", () =>
  withWorld(async ({ cp, place, saved, warnings }) => {
    cp.fault({ path: "/initiate", times: 1, status: 503 });
    const { token } = await initiateEnrollment(place, REQUEST);
    assert.equal((await saved()).enrollment_token, token);
    assert.match(warnings[0] ?? "", /No answer yet .*: trying again/);
  }));

Deno.test("a configuration that cannot be written does not lose an approval", () =>
  withWorld(async ({ place, stateFile, warnings }) => {
    await Deno.remove(place.loaded.path);
    await Deno.mkdir(place.loaded.path);
    await completeEnrollment(place, { nodeId: "n", agentToken: "t" });
    assert.equal((await readIdentity(stateFile))?.nodeId, "n");
    assert.match(warnings[0] ?? "", /saved, but not in the configuration: .* \(it is a folder\)/);
  }));

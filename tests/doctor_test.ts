import assert from "node:assert/strict";
import { join } from "@std/path";
import { certificates } from "../src/realtime/_certificates.ts";
import { Fleet } from "./_agent.ts";
import { FETCHED } from "./_command.ts";
import {
  BlackHole,
  examine,
  examineWith,
  expiredCertificate,
  fleetWithState,
  Peer,
} from "./_doctor.ts";
import { mayMount, SmallDisk } from "./_small_disk.ts";
import { together } from "./_together.ts";

/** A name that no name server is asked for, be there one or not: it can be nobody's. */
const NO_HOST = "-noderax.invalid";
/** Nobody listens on it, and nobody is given it: it is not one of those that are handed out. */
const CLOSED_PORT = 2;

Deno.test("doctor finds a healthy machine healthy, and leaves no trace", async () => {
  await using fleet = await fleetWithState();
  const { controlPlane, nodeId, agentToken } = fleet;
  controlPlane.queueTask({ type: "shell.exec", payload: { command: "true" } });
  const report = await examineWith(fleet, {});
  assert.deepEqual(report.failed, [], report.stdout);
  assert.equal(report.of("credentials"), `ok: accepted for node ${nodeId}`);
  assert.match(report.of("Socket.IO"), /^ok: WebSocket opens, \/agent-realtime can be joined$/);
  assert.match(report.of("clock"), /^ok: agrees/);
  assert.match(report.of("terminal"), /^ok: pty\+ctty, \/.*sh$/);
  assert.match(report.of("shell"), /^ok: \/bin\/sh -lc runs tasks as \S+$/);
  assert.match(report.of("temp folder"), /^ok: .*can be run$/);
  assert.match(report.of("instance"), /^ok: no agent runs/);
  assert.doesNotMatch(report.stdout, new RegExp(agentToken));

  assert.deepEqual(await Array.fromAsync(Deno.readDir(fleet.stateFolder)), []);
  assert.deepEqual(controlPlane.violations, []);
  assert.deepEqual(controlPlane.requests.filter(({ method }) => method !== "GET"), []);
  assert.equal(controlPlane.tasks[0]?.status, "queued");
  assert.equal(controlPlane.node(nodeId).status, "offline");
});

Deno.test("doctor says all of it in columns, and leaves the running agent's session alone", async () => {
  await using fleet = await Fleet.start({ realtime_enabled: true });
  await using agent = await fleet.agent();
  await agent.waitForLog("realtime session is up");
  const [socket] = fleet.controlPlane.realtime.sockets;
  const report = await examine(fleet.configFile, { args: [], env: { LOG_LEVEL: "loud" } });
  assert.equal(report.code, 1);
  const lines = report.stdout.trimEnd().split("\n");
  assert.match(
    lines[0] ?? "",
    /^FAIL {2}config {8}log_level is "loud" in the environment variable/,
  );
  assert.match(lines[1] ?? "", /^ {20}fix: noderax-agent config set <key> <value>$/);
  assert.match(lines[2] ?? "", /^skip {2}api_url {7}needs config$/);
  assert.match(lines.at(-1) ?? "", /^\d+ ok, (\d+ warnings?, )?\d+ failed, \d+ skipped$/);

  const { of } = await examine(fleet.configFile);
  const runs = `ok: an agent runs with ${fleet.stateFolder}, process ${agent.pid}`;
  assert.equal(of("instance").slice(0, runs.length), runs);
  assert.deepEqual(fleet.controlPlane.realtime.sockets.map(({ id }) => id), [socket?.id]);

  await fleet.configure({ realtime_enabled: true, run_as_user: "nobody" });
  agent.signal("SIGHUP");
  await agent.waitForLog("configuration reloaded");
  const waiting = (await examine(fleet.configFile)).of("instance");
  assert.match(
    waiting,
    /^warn: .*; waits for a restart: run_as_user \[sudo noderax-agent restart\]$/,
  );
});

Deno.test("doctor names what is wrong with the configuration and the identity", async () => {
  await using fleet = await fleetWithState();
  const { folder } = fleet;
  const write = async (name: string, text: string, mode = 0o600) => {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text, { mode });
    // The umask has a say in the mode of a new file.
    await Deno.chmod(path, mode);
    return path;
  };
  const unenrolled = { node_id: "", agent_token: "" };
  await together({
    "text that is no JSON": async () => {
      const { of } = await examine(await write("bad.json", '{\n "api_url": oops }'));
      assert.match(
        of("config"),
        /bad\.json is not valid JSON \[correct it at line 2, column 13\]/,
      );
      assert.equal(of("API"), "skip: needs TLS");
      // What it finds is the machine's, whose packages other tests may be changing.
      assert.doesNotMatch(of("packages"), /needs config/);
    },
    "bad values": async () => {
      const { of, stdout } = await examineWith(fleet, {
        log_level: "loud",
        agent_token: "very secret",
      });
      assert.match(of("config"), /^fail: agent_token is "\*\*\*" .*\nlog_level is "loud" .*\[/);
      assert.doesNotMatch(stdout, /very secret/);
    },
    "unknown keys and no address": async () => {
      const { of } = await examineWith(fleet, { api_url: "", color: "red" });
      assert.match(of("config"), /^warn: .*unknown keys: color/);
      assert.match(of("api_url"), /^fail: not set \[noderax-agent config set api_url/);
    },
    "credentials in clear": async () => {
      const { of } = await examineWith(fleet, { api_url: `http://${NO_HOST}` });
      assert.match(of("api_url"), /^warn: .*http shows the credentials/);
      assert.match(
        of("DNS"),
        /^fail: -noderax\.invalid is not found .*getent hosts -noderax\.invalid\]/,
      );
      assert.equal(of("TCP"), "skip: needs DNS");
    },
    "a configuration for everybody": async () => {
      const secret = JSON.stringify({ node_id: "n", agent_token: "t" });
      const path = await write("open.json", secret, 0o644);
      const { of } = await examine(path);
      assert.match(of("file modes"), /^fail: .*0644 .*everybody can read it, with the node's cred/);
      assert(of("file modes").includes(`chmod 0600 ${path}`));
    },
    "not enrolled": async () => {
      const { of } = await examineWith(fleet, unenrolled);
      assert.match(of("identity"), /^fail: not enrolled: .*\[noderax-agent enroll\]/);
      assert.equal(of("credentials"), "skip: needs identity");
    },
    "an enrollment that waits": async () => {
      const { of, failed, stdout } = await examineWith(fleet, {
        ...unenrolled,
        enrollment_token: "waiting",
      });
      assert.match(of("identity"), /^warn: .*approval \[approve this machine/);
      assert.deepEqual(failed, [], stdout);
    },
    "a damaged identity": async () => {
      const state_file = await write("damaged.json", "{");
      const { of } = await examineWith(fleet, { ...unenrolled, state_file });
      assert.match(of("identity"), /^fail: .*damaged\.json is not valid JSON \[restore it/);
    },
    "a profile that ends the shell, or puts another in its place": async () => {
      for (const profile of ["echo hello; exit 0", "exec /bin/sh"]) {
        const HOME = await Deno.makeTempDir({ dir: folder });
        await Deno.writeTextFile(join(HOME, ".profile"), profile);
        const { of } = await examineWith(fleet, {}, { env: { HOME, ...FETCHED } });
        assert.match(
          of("shell"),
          /^fail: no command of a task is run: .* \[look into .*~\S+\/\.profile .*neither exit nor exec\]$/,
        );
      }
    },
    "a full disk (needs the right to mount)": async () => {
      if (!await mayMount()) return;
      const stateFolder = join(folder, "full");
      await using disk = await SmallDisk.mount(stateFolder);
      await Deno.mkdir(join(stateFolder, "tmp"));
      await disk.fill();
      const { stdout } = await examineWith(fleet, {
        state_file: join(stateFolder, "agent_identity.json"),
      });
      assert.doesNotMatch(stdout, /mount it/);
      assert.match(stdout, /free some space/);
    },
    "a user that is not there": async () => {
      const { of } = await examineWith(fleet, { run_as_user: "nobody-here" });
      assert.match(of("run_as_user"), /^fail: .*no such user \[create it \(useradd/);
      assert.equal(of("terminal"), "skip: needs run_as_user");
    },
  });
});

Deno.test("doctor names what is wrong on the way to the control plane", async (t) => {
  await using fleet = await fleetWithState();
  const { controlPlane: { port } } = fleet;
  const certificate = await certificates(fleet.folder);
  const api_tls_ca_file = join(fleet.folder, "ca.pem");
  await using tls = await Peer.tls(port, certificate);
  await using expired = await Peer.tls(port, await expiredCertificate(fleet.folder));
  await using silent = await Peer.silent();
  await using page = await Peer.saying(
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
  );
  await using moved = await Peer.saying(
    "HTTP/1.1 301 Moved\r\nLocation: https://new.test\r\nContent-Length: 0\r\n\r\n",
  );
  await using refusing = await Peer.saying("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  using hole = await BlackHole.open();
  const local = (port: number) => ({ api_url: `http://127.0.0.1:${port}` });
  const secure = ({ port }: { port: number }) => ({ api_url: `https://localhost:${port}` });

  await t.step("a certificate that is trusted", async () => {
    const { of, failed } = await examineWith(fleet, { ...secure(tls), api_tls_ca_file });
    assert.match(
      of("TLS"),
      /^warn: TLSv1\.3, localhost by Test CA, expires 20.* \(in 1 day\) \[renew/,
    );
    assert.match(of("credentials"), /^ok/);
    assert.match(of("Socket.IO"), /^ok/);
    assert.deepEqual(failed, []);
  });
  await together({
    "a closed port": async () => {
      const { of } = await examineWith(fleet, local(CLOSED_PORT));
      assert.match(of("TCP"), /^fail: 127\.0\.0\.1 port \d+: .*refused.*\[check that the control/i);
      assert.equal(of("credentials"), "skip: needs API");
    },
    "a firewall that drops": async () => {
      const { of } = await examineWith(fleet, local(hole.port));
      assert.match(of("TCP"), /^fail: .*no answer/);
    },
    "a server that never speaks": async () => {
      const { of } = await examineWith(fleet, local(silent.port));
      assert.match(of("API"), /^fail: no answer within 6 s/);
    },
    "a server that never speaks TLS": async () => {
      const { of } = await examineWith(fleet, secure(silent));
      assert.match(of("TLS"), /^fail: no answer within 6 s/);
    },
    "something else": async () => {
      const { of } = await examineWith(fleet, local(page.port));
      assert.match(of("API"), /^fail: something else answers there: HTTP status 200, text\/html/);
    },
    "a redirect": async () => {
      const { of } = await examineWith(fleet, local(moved.port));
      assert.match(of("API"), /^fail: redirected to https:\/\/new\.test/);
    },
  });
  // Not all at once: each is a process of its own.
  await together({
    "an authority that nobody knows": async () => {
      const { of } = await examineWith(fleet, secure(tls));
      assert.match(
        of("TLS"),
        /^fail: the authority .* is not known; it is for localhost, control-/,
      );
      assert.match(of("TLS"), /by Test CA \[save .*config set api_tls_ca_file/);
    },
    "a CA file that is none": async () => {
      const { of } = await examineWith(fleet, { ...secure(tls), api_tls_ca_file: "/etc/hostname" });
      assert.match(of("CA file"), /^fail: api_tls_ca_file is \/etc\/hostname.* \[name a PEM file/);
      assert.equal(of("TLS"), "skip: needs CA file");
    },
    "a CA file that is missing, whether the name is found or not": async () => {
      const config = { api_url: `https://${NO_HOST}`, api_tls_ca_file: "/nonexistent.pem" };
      const { of } = await examineWith(fleet, config);
      assert.match(
        of("CA file"),
        /^fail: .*\/nonexistent\.pem, .*No such file.* \[name a PEM file/,
      );
      assert.match(of("DNS"), /^fail: /);
    },
    "a certificate that has expired": async () => {
      const { of } = await examineWith(fleet, { ...secure(expired), api_tls_ca_file });
      assert.match(
        of("TLS"),
        /^fail: the certificate of localhost has expired on 20\d\d-.*\[renew/,
      );
    },
    "a certificate for another name": async () => {
      const api_url = `https://127.0.0.1:${tls.port}/base`;
      const { of } = await examineWith(fleet, { api_url, api_tls_ca_file });
      assert.match(
        of("TLS"),
        new RegExp(`^fail: .* is for another name.*api_url https://localhost:${tls.port}/base\\]`),
      );
    },
    "http behind https": async () => {
      const api_url = `https://localhost:${port}/base`;
      const { of } = await examineWith(fleet, { api_url });
      assert.equal(
        of("TLS"),
        `fail: localhost:${port} does not speak TLS ` +
          `[if it speaks http: noderax-agent config set api_url http://localhost:${port}/base]`,
      );
    },
    "a proxy that refuses": async () => {
      const env = { HTTPS_PROXY: `http://me:hidden@127.0.0.1:${refusing.port}` };
      const { of, stdout } = await examineWith(fleet, { api_url: `https://${NO_HOST}` }, {
        env,
      });
      assert.match(of("proxy"), /^ok: http:\/\/me:\*\*\*@127\.0\.0\.1:\d+, named by HTTPS_PROXY$/);
      assert.match(
        of("TLS"),
        /^fail: the proxy answered 407 Proxy Auth.*password into HTTPS_PROXY/,
      );
      assert.doesNotMatch(stdout, /hidden/);
    },
    "a proxy that is not there": async () => {
      const env = { ALL_PROXY: `http://127.0.0.1:${CLOSED_PORT}` };
      const { of } = await examineWith(fleet, { api_url: `https://${NO_HOST}` }, { env });
      assert.match(of("TCP"), /^fail: .*refused.* \[check that the proxy of ALL_PROXY runs/i);
    },
  });
});

Deno.test("doctor names what the control plane does not like", async () => {
  await using fleet = await fleetWithState();
  const { controlPlane } = fleet;
  await together({
    "a wrong token": async () => {
      const { of } = await examineWith(fleet, { agent_token: "wrong" });
      assert.match(
        of("credentials"),
        /^fail: refused: Invalid agent cred.*enroll --again, then sudo noderax-agent restart\]/,
      );
      assert.match(of("Socket.IO"), /^ok/);
    },
    "a namespace that is not there": async () => {
      const { of } = await examineWith(fleet, { realtime_namespace: "/elsewhere" });
      assert.match(of("Socket.IO"), /^fail: namespace connect failure.*\[check realtime_namespace/);
    },
    "an answer without an end": async () => {
      const head = 'HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n"';
      await using endless = await Peer.endless(head);
      const { of } = await examineWith(fleet, { api_url: `http://127.0.0.1:${endless.port}` });
      assert.match(of("API"), /^fail: something else answers there: HTTP status 404/);
    },
    "another program that refuses in the same shape": async () => {
      const words = '{"statusCode":404,"path":"/","message":"Cannot GET /api/v1/enrollments/x"}';
      await using other = await Peer.saying(
        `HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n${words}`,
      );
      const { of } = await examineWith(fleet, { api_url: `http://127.0.0.1:${other.port}` });
      assert.match(of("API"), /^fail: something else answers there: HTTP status 404/);
      assert.equal(of("credentials"), "skip: needs API");
    },
    "words that would command the terminal": async () => {
      const words = '{"statusCode":401,"path":"/","message":"no \\u001b[31mway\\nat all"}';
      await using rude = await Peer.saying(
        `HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n${words}`,
      );
      const { of } = await examineWith(fleet, { api_url: `http://127.0.0.1:${rude.port}` });
      assert.match(of("credentials"), /^fail: refused: no  ?\[31mway at all \[/);
    },
    "no realtime": async () => {
      const { of } = await examineWith(fleet, { realtime_enabled: false });
      assert.equal(of("Socket.IO"), "skip: realtime_enabled is false");
    },
  });
  controlPlane.fault({ path: /transport=websocket/, status: 403 });
  // 10 min, and half of the minute that doctor may take until it looks.
  const date = new Date(Date.now() + 625_000).toUTCString();
  controlPlane.fault({ path: "/enrollments/", status: 404, headers: { date } });
  const { of } = await examineWith(fleet, {});
  assert.match(of("Socket.IO"), /^fail: t.*failure: .*\[check .*proxy/i);
  assert.match(
    of("clock"),
    /^fail: 10 min behind the control plane's \[.*timedatectl set-ntp true\]/,
  );
});

Deno.test("doctor tells of a state folder that cannot be written", async () => {
  await using fleet = await fleetWithState();
  await Deno.chmod(fleet.stateFolder, 0o500);
  // Root may write everywhere, unless that is taken from it.
  const through = Deno.uid() === 0 ? ["setpriv", "--bounding-set=-all"] : [];
  const { of } = await examineWith(fleet, {}, { through });
  assert.match(
    of("state folder"),
    /^fail: .* is not writable for \S+ \(permission denied\) .*chmod/,
  );
});

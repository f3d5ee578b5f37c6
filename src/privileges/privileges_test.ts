import assert from "node:assert/strict";
import { join } from "@std/path";
import { Logger } from "../system/logger.ts";
import { type Accounts, lookUpAccounts } from "./accounts.ts";
import { asAgent, bySudo } from "./launch.ts";
import { readLaunches } from "./privileges.ts";

const ANNA = { name: "anna", uid: 1001, gid: 1001, home: "/home/anna", shell: "/bin/sh" };
const MACHINE: Accounts = { uid: 0, account: ANNA, switcher: "/usr/bin/setpriv" };

async function read(runAsUser: string | undefined, machine: Partial<Accounts> = {}) {
  const log: string[] = [];
  const logger = new Logger({ write: (line) => log.push(line) });
  const lookUp = () => Promise.resolve({ ...MACHINE, ...machine });
  return { ...await readLaunches(runAsUser, logger, lookUp), log };
}

Deno.test("without run_as_user, or with the agent's own, commands are the agent's", async () => {
  const { log, ...launches } = await read(undefined);
  assert.deepEqual(launches, { unprivileged: asAgent, root: asAgent, sudo: false });
  assert.match(log.join(), /"msg":"all tasks and terminals run as root".*run_as_user/);
  assert.deepEqual((await read(undefined, { uid: 1001 })).log, []);
  const own = await read("anna", { uid: 1001 });
  assert.deepEqual(own, { unprivileged: asAgent, root: bySudo, sudo: true, log: [] });
  const root = { ...ANNA, name: "root", uid: 0, gid: 0 };
  const wanted = await read("root", { account: root });
  assert.deepEqual([wanted.unprivileged, wanted.log], [asAgent, []]);
});

Deno.test("root runs commands as run_as_user, another user warns that it cannot", async () => {
  const { unprivileged, root, sudo } = await read("anna");
  assert.deepEqual([root, sudo], [asAgent, false]);
  const { argv, env } = unprivileged({ argv: ["id"], env: { LD_PRELOAD: "/home/anna/evil.so" } });
  assert(argv.join(" ").includes("/usr/bin/setpriv --reuid=1001 --regid=1001 --init-groups -- "));
  assert.deepEqual(
    Object.keys(env ?? {}),
    ["AGENT_ENVIRONMENT_0"],
    "none of it means anything yet",
  );
  assert(!argv.some((arg) => arg.includes("evil")), "arguments can be seen by everybody");

  const bob = await read("anna", { uid: 1002 });
  assert.equal(bob.unprivileged, asAgent);
  assert.equal(bob.log.length, 1);
  assert.match(bob.log[0] ?? "", /run_as_user has no effect/);
});

Deno.test("a user that is not there, or cannot be become, is told in a sentence", async () => {
  for (const uid of [0, 1002]) {
    await assert.rejects(read("nobody-here", { uid, account: undefined }), {
      name: "UserError",
      message: /^run_as_user is "nobody-here", but this machine has no such user: .*\.$/,
    });
  }
  await assert.rejects(read("anna", { switcher: undefined }), {
    name: "UserError",
    message: /neither setpriv nor runuser .* install util-linux/,
  });
});

Deno.test("a user database that does not answer is told of, with the way to look into it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "getent_" });
  const env = { PATH: `${folder}:${Deno.env.get("PATH")}` };
  const script = "#!/bin/sh\nexec sleep 1000\n";
  await Deno.writeTextFile(join(folder, "getent"), script, { mode: 0o755 });
  try {
    await assert.rejects(lookUpAccounts("anna", { limitMs: 300, env }), {
      name: "UserError",
      message: /^The user database .* does not answer: `getent passwd anna` .*nsswitch\.conf/,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("accounts are read from the machine", async () => {
  const { uid, account, switcher } = await lookUpAccounts("root");
  assert.equal(uid, Deno.uid());
  assert.deepEqual([account?.name, account?.uid, account?.gid], ["root", 0, 0]);
  assert.match(switcher ?? "", /^\/.*\/(setpriv|runuser)$/);
  for (const name of ["", "no-such-user", ".*", "roo."]) {
    assert.equal((await lookUpAccounts(name)).account, undefined, name);
  }
});

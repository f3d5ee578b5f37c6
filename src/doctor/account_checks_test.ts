import assert from "node:assert/strict";
import { readLaunches } from "../privileges/privileges.ts";
import { Logger } from "../system/logger.ts";
import { configured, finding, machine, tools } from "./_test_context.ts";
import { accountChecks } from "./account_checks.ts";

const ME = { "id -u": "1000", "id -un": "me", "id -Gn": "me adm" };

Deno.test("who is not root is told what sudo allows", async () => {
  const user = (sudo: Parameters<typeof tools>[0] = {}) =>
    finding(accountChecks(machine(tools({ ...ME, ...sudo }))), "user");
  assert.equal(
    (await user({ "sudo -n -l": "    (ALL) NOPASSWD: ALL" })).found,
    "me, groups me adm; sudo without a password for everything",
  );
  const none = await user();
  assert.equal(none.status, "warn");
  assert.match(none.fix ?? "", /sudo noderax-agent doctor/);
  const root = await finding(accountChecks(machine(tools({ ...ME, "id -u": "0" }))), "user");
  assert.equal(root.status, "ok");
});

Deno.test("run_as_user is obeyed by root, and by nobody else", async () => {
  const account = { name: "noderax", uid: 998, gid: 998, home: "/", shell: "/bin/sh" };
  const runAsUser = (uid: number, switcher?: string) => {
    const accounts = () => Promise.resolve({ uid, account, switcher });
    const parts = {
      accounts,
      loaded: () => configured({ RUN_AS_USER: "noderax" }),
      launches: () => readLaunches("noderax", new Logger({ write: () => {} }), accounts),
    };
    const run = tools({ "id -Gn -- noderax": "noderax docker" });
    return finding(accountChecks(machine(run, parts)), "run_as_user");
  };
  assert.deepEqual(await runAsUser(0, "/usr/bin/setpriv"), {
    status: "ok",
    found: "noderax (uid 998), groups noderax docker, through /usr/bin/setpriv",
  });
  assert.match((await runAsUser(998)).found, /the agent's own user$/);
  assert.equal((await runAsUser(1000)).status, "warn");
  await assert.rejects(runAsUser(0), /neither setpriv nor runuser/);
});

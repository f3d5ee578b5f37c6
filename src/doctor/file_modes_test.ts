import assert from "node:assert/strict";
import { configured, finding, machine, tools } from "./_test_context.ts";
import { fileModeChecks } from "./file_modes.ts";
import { judgeDisk } from "./storage_checks.ts";

Deno.test("file modes: what may be, and what may not", async () => {
  const modes = (
    files: { config?: string; identity?: string; folder?: string },
    secret = false,
  ) => {
    const run = tools({
      "id -un": "root",
      "stat -L -c %a %U %G -- /etc/n/config.json": files.config ?? { code: 1 },
      "stat -L -c %a %U %G -- /var/n/identity.json": files.identity ?? { code: 1 },
      "stat -L -c %a %U %G -- /var/n": files.folder ?? { code: 1 },
    });
    const loaded = async () => {
      const env = { STATE_FILE: "/var/n/identity.json", ...secret ? { AGENT_TOKEN: "t" } : {} };
      return { ...await configured(env), path: "/etc/n/config.json", exists: true };
    };
    return finding(fileModeChecks(machine(run, { loaded })), "file modes");
  };
  assert.equal((await modes({})).status, "skip");
  const usual = { config: "600 root root", identity: "600 root root", folder: "700 root root" };
  assert.equal((await modes(usual)).status, "ok");
  const kept = await modes({ ...usual, config: "640 root noderax" });
  assert.equal(kept.status, "ok");
  assert.match(kept.found, /^config 0640 root:noderax, so tasks can read it, identity 0600 /);

  const cases: [Partial<typeof usual>, boolean, string, RegExp, string][] = [
    [{ config: "644 root root" }, false, "warn", /everybody can read it$/, "chmod 0600 /etc/n/c"],
    [{ config: "644 root root" }, true, "fail", /with the node's cred/, "chmod 0600 /etc/n/c"],
    [{ config: "640 root users" }, true, "fail", /its group can read/, "chmod 0600 /etc/n/c"],
    [{ config: "620 root root" }, false, "fail", /others than its owner/, "chmod 0600 /etc/n/c"],
    [
      { config: "600 joe joe" },
      false,
      "warn",
      /joe can change it/,
      "if the agent runs as root: chown",
    ],
    [{ identity: "640 root root" }, false, "fail", /its group can read/, "chmod 0600 /var/n/i"],
    [{ folder: "755 root root" }, false, "warn", /everybody can read/, "chmod 0700 /var/n"],
    [{ folder: "1777 root root" }, false, "fail", /others than its owner/, "chmod 0700 /var/n"],
  ];
  for (const [file, secret, status, found, fix] of cases) {
    const result = await modes({ ...usual, ...file }, secret);
    assert.equal(result.status, status, result.found);
    assert.match(result.found, found);
    assert.equal(result.fix?.slice(0, fix.length), fix);
  }
});

Deno.test("disk: space and inodes", () => {
  const well = { bsize: 4096, blocks: 10_000_000, bavail: 5_000_000, files: 1000, ffree: 900 };
  const status = (counts: Partial<typeof well>) => judgeDisk("/s", { ...well, ...counts }).status;
  assert.deepEqual(judgeDisk("/s", well), {
    status: "ok",
    found: "19 GiB (50 %) free at /s, 90 % of inodes",
  });
  assert.equal(status({ files: 0, ffree: 0 }), "ok");
  assert.equal(status({ bavail: 100_000, blocks: 150_000 }), "warn");
  assert.equal(status({ bavail: 400_000 }), "warn");
  assert.equal(status({ bavail: 10_000 }), "fail");
  assert.equal(status({ ffree: 10 }), "warn");
  assert.equal(status({ ffree: 0 }), "fail");
});

import assert from "node:assert/strict";
import { join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { type Identity, readIdentity, writeIdentity } from "./identity_file.ts";

const IDENTITY: Identity = {
  nodeId: "2f0b9e2e-7d36-4d43-a0bb-5c7d1a1a0d11",
  agentToken: "s3cret",
  registeredAt: "2026-01-02T03:04:05.000Z",
};

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "identity_" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("what was written is read again, for the owner alone", () =>
  withFolder(async (folder) => {
    const path = join(folder, "data", "agent_identity.json");
    assert.equal(await readIdentity(path), undefined);
    await writeIdentity(path, IDENTITY);
    assert.deepEqual(await readIdentity(path), IDENTITY);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), {
      node_id: IDENTITY.nodeId,
      agent_token: IDENTITY.agentToken,
      registered_at: IDENTITY.registeredAt,
    });
  }));

Deno.test("properties of other versions do not disturb, and a link stays a link", () =>
  withFolder(async (folder) => {
    const target = join(folder, "real.json");
    const link = join(folder, "link.json");
    await Deno.writeTextFile(
      target,
      '{"node_id":"n","agent_token":"t","registered_at":"2020-01-01T00:00:00Z","later":{}}',
    );
    await Deno.symlink(target, link);
    assert.equal((await readIdentity(link))?.nodeId, "n");
    await writeIdentity(link, IDENTITY);
    assert.ok((await Deno.lstat(link)).isSymlink);
    assert.deepEqual(await readIdentity(target), IDENTITY);
  }));

Deno.test("a damaged file is named, never ignored and never overwritten", () =>
  withFolder(async (folder) => {
    const path = join(folder, "agent_identity.json");
    const damages: [string, RegExp][] = [
      ["", /is empty/],
      ['{"node_id": "n", "agent_tok', /is not valid JSON/],
      ["[]", /holds no JSON object/],
      ['{"node_id":"","agent_token":7,"registered_at":"x"}', /node_id and agent_token/],
      ['{"node_id":"n","agent_token":"t"}', /lacks a usable registered_at/],
    ];
    for (const [text, what] of damages) {
      await Deno.writeTextFile(path, text);
      for (const use of [() => readIdentity(path), () => writeIdentity(path, IDENTITY)]) {
        await assert.rejects(use, (error: Error) => {
          assert.ok(error instanceof UserError);
          assert.match(error.message, what);
          assert.ok(error.message.includes(path) && error.message.includes("restore it"));
          return true;
        });
      }
      assert.equal(await Deno.readTextFile(path), text);
    }
  }));

Deno.test("a folder in its place, or in nobody's reach, is the user's to fix", () =>
  withFolder(async (folder) => {
    await assert.rejects(readIdentity(folder), {
      name: "UserError",
      message: /it is no regular file/,
    });
    const blocked = join(folder, "file", "agent_identity.json");
    await Deno.writeTextFile(join(folder, "file"), "");
    await assert.rejects(writeIdentity(blocked, IDENTITY), { name: "UserError" });
  }));

import assert from "node:assert/strict";
import { startControlPlane } from "../../scripts/dev/control_plane.ts";
import { configSchema } from "../config/mod.ts";
import { EnrollmentApi } from "../control_plane/agent_api.ts";
import { HttpTransport } from "../control_plane/http.ts";
import { consumeToken } from "./enroll_step.ts";

const CONFIG = configSchema.parse({ locationManualRegion: "cellar" });

for (const takesLocation of [true, false]) {
  const how = takesLocation ? "accepted" : "refused";
  Deno.test(`a bootstrap token is taken with a location that is ${how}`, async () => {
    await using cp = await startControlPlane({ takesLocation });
    using transport = new HttpTransport(cp.url);
    const api = new EnrollmentApi(transport, 5_000);
    const { nodeId } = await consumeToken(api, cp.addInstall(), CONFIG);
    const told = takesLocation
      ? { provider: "manual", source: "manual", region: "cellar" }
      : undefined;
    assert.deepEqual(cp.node(nodeId).additionalInfo.location, told);
    assert.deepEqual(cp.requests.map(({ status }) => status), takesLocation ? [201] : [400, 201]);
    assert.deepEqual(cp.violations, []);
  });
}

Deno.test("a hostname that another node has does not cost the bootstrap token", async () => {
  await using cp = await startControlPlane();
  using transport = new HttpTransport(cp.url);
  const api = new EnrollmentApi(transport, 5_000);
  const token = cp.addInstall();
  const hostname = Deno.hostname();
  const { nodeId } = cp.addNode({ hostname });
  await assert.rejects(consumeToken(api, token, configSchema.parse({})), {
    name: "UserError",
    message: "The bootstrap token was refused (A node with this hostname already exists): " +
      `delete or rename the old node ${hostname} in the Noderax web app, then install again with ` +
      "the same token.",
  });
  cp.deleteNode(nodeId);
  assert.ok(await consumeToken(api, token, configSchema.parse({})));
});

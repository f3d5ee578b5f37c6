import assert from "node:assert/strict";
import { startControlPlane } from "../../scripts/dev/control_plane.ts";
import { configSchema } from "../config/mod.ts";
import { EnrollmentApi } from "../control_plane/agent_api.ts";
import { HttpTransport } from "../control_plane/http.ts";
import { consumeToken } from "./bootstrap.ts";

const CONFIG = configSchema.parse({ locationManualRegion: "cellar" });

for (const takesLocation of [true, false]) {
  const how = takesLocation ? "does not keep" : "that is refused does not keep";
  Deno.test(`the location ${how} the bootstrap token from its use`, async () => {
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

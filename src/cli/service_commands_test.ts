import assert from "node:assert/strict";
import { join } from "@std/path";
import { requireStartable } from "./service_commands.ts";
import { serviceEnvironment } from "./environment.ts";

/** What a restart says of a service with this file for its environment; thrown or warned of. */
async function verdictOn(environment: string, config?: object): Promise<[string, string[]]> {
  const folder = await Deno.makeTempDir({ prefix: "service_commands_" });
  try {
    const [file, path] = [join(folder, "environment"), join(folder, "config.json")];
    await Deno.writeTextFile(file, environment);
    if (config) await Deno.writeTextFile(path, JSON.stringify(config), { mode: 0o600 });
    const warnings: string[] = [];
    const thrown = await requireStartable(
      await serviceEnvironment(file, path),
      (text) => warnings.push(text),
    ).then(() => "", (error: Error) => error.message);
    return [thrown, warnings];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A server that answers everything so, and what it was asked for. */
function server(status: number, body: object | string) {
  const asked: string[] = [];
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    asked.push(url);
    return typeof body === "string"
      ? new Response(body, { status })
      : Response.json(body, { status });
  });
  const url = `http://127.0.0.1:${http.addr.port}`;
  return { asked, url, [Symbol.asyncDispose]: () => http.shutdown() };
}

const OWN = { statusCode: 404, message: "Enrollment not found", path: "/" };

Deno.test("a restart is judged with the environment of the service", async () => {
  await using proxy = server(404, OWN);
  const before = Deno.env.get("HTTP_PROXY");
  const config = { api_url: "http://127.0.0.1:2" };
  const environment = `# the way out\nHTTP_PROXY="${proxy.url}"\nNO_PROXY = localhost\n`;
  assert.deepEqual(await verdictOn(environment, config), ["", []]);
  assert.match(proxy.asked.join(), /^http:\/\/127\.0\.0\.1:2\/api\/v1\//);
  assert.equal(Deno.env.get("HTTP_PROXY"), before, "the process has its own again");
  assert.deepEqual(await verdictOn(`API_URL=${proxy.url}\n`), ["", []]);
  assert.equal(proxy.asked.length, 2);
});

Deno.test("an outage is warned of before a restart; what cannot work is refused", async () => {
  await using broken = server(503, "no");
  for (const api_url of ["http://127.0.0.1:2", broken.url]) {
    const [thrown, warnings] = await verdictOn("", { api_url });
    assert.equal(thrown, "");
    assert.match(
      warnings.join(),
      /^api_url is \S+, but (nothing that can be used|HTTP status 503)/,
    );
  }
  await using other = server(200, "hello");
  const wrong = [other.url, other.url.replace("http", "https"), "ftp://one"];
  for (const api_url of wrong) {
    const [thrown, warnings] = await verdictOn("", { api_url });
    assert.match(thrown, /^api_url is .*\nThe service was left as it runs; .*--force/);
    assert.deepEqual(warnings, []);
  }
});

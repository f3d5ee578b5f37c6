import assert from "node:assert/strict";
import { createServer } from "node:net";
import { finding, machine, tools } from "./_test_context.ts";
import { routeChecks } from "./route_checks.ts";
import { runChecks } from "./run_checks.ts";

function route(port: number) {
  const url = new URL(`http://noderax.test:${port}`);
  return () => Promise.resolve({ url, proxy: undefined, host: url.hostname, port });
}

Deno.test("name servers that do not answer are named at the limit", async () => {
  const parts = { route: route(1), addresses: () => new Promise<never>(() => {}) };
  const dns = routeChecks(machine(tools({}), parts)).filter(({ name }) => name === "DNS");
  const [found] = await runChecks(dns, { totalMs: 50 });
  assert.equal(found?.status, "fail");
  assert.equal(found?.fix, "check the name servers in /etc/resolv.conf");
});

Deno.test("one address of two that is not reached is a warning", async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port ?? 0 : 0;
  // Nobody listens on the other one.
  const addresses = () => Promise.resolve(["127.0.0.1", "::1"]);
  const found = await finding(
    routeChecks(machine(tools({}), { route: route(port), addresses })),
    "TCP",
  );
  assert.equal(found.status, "warn", found.found);
  assert.match(found.found, /^127\.0\.0\.1 port \d+: \d+ ms; ::1 port \d+: ./);
  await new Promise((resolve) => server.close(resolve));
});

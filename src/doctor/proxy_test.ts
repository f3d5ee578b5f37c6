import assert from "node:assert/strict";
import { maskProxy, proxyFor } from "./proxy.ts";

/** The proxy of `target`, as `variable -> address`. */
function chosen(target: string, env: Record<string, string>): string {
  const proxy = proxyFor(new URL(target), (name) => env[name]);
  return proxy ? `${proxy.variable} -> ${maskProxy(proxy)}` : "none";
}

const TARGET = "https://a.example.com";

Deno.test("the variable that Deno's network would take names the proxy", () => {
  const cases: [string, Record<string, string>, string][] = [
    [TARGET, {}, "none"],
    [TARGET, { HTTPS_PROXY: "http://p:3128" }, "HTTPS_PROXY -> http://p:3128"],
    [TARGET, { https_proxy: "p:3128", HTTPS_PROXY: "" }, "https_proxy -> http://p:3128"],
    [TARGET, { HTTP_PROXY: "http://p:3128" }, "none"],
    ["http://a.example.com", { HTTP_PROXY: "http://p:3128" }, "HTTP_PROXY -> http://p:3128"],
    [
      TARGET,
      { ALL_PROXY: "socks5://all:1", HTTPS_PROXY: "http://p" },
      "ALL_PROXY -> socks5://all:1",
    ],
    [TARGET, { HTTPS_PROXY: "http://me:hidden@p:1" }, "HTTPS_PROXY -> http://me:***@p:1"],
    [TARGET, { HTTPS_PROXY: "garbage://x y" }, "none"],
  ];
  for (const [target, env, expected] of cases) assert.equal(chosen(target, env), expected);
});

Deno.test("NO_PROXY exempts hosts, domains, networks, and with * everything", () => {
  const HTTPS_PROXY = "http://p:1";
  const isExempt = (NO_PROXY: string, host: string) =>
    chosen(`https://${host}`, { HTTPS_PROXY, NO_PROXY }) === "none";
  for (const entry of ["a.example.com", "example.com", ".example.com", "x, com", "*"]) {
    assert(isExempt(entry, "a.example.com"), entry);
  }
  for (const entry of ["", "b.example.com", "ample.com", "10.0.0.0/8"]) {
    assert(!isExempt(entry, "a.example.com"), entry);
  }
  assert(isExempt("10.0.0.0/8", "10.1.2.3"));
  assert(isExempt("10.1.2.3", "10.1.2.3"));
  assert(isExempt("fd00::/8", "[fd00::1]"));
  assert(!isExempt("10.0.0.0/8", "11.1.2.3"));
  assert(!isExempt("10.0.0.0/99", "10.1.2.3"));
});

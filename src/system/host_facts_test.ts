import assert from "node:assert/strict";
import { hostnameForEnrollment, readHostFacts } from "./host_facts.ts";
import { VERSION } from "./version.ts";

function osRelease(text: string, at = "/etc/os-release") {
  return (path: string): Promise<string> =>
    path === at ? Promise.resolve(text) : Promise.reject(new Deno.errors.NotFound(path));
}

Deno.test("the facts come from os-release, the kernel and the architecture in Go's terms", async () => {
  const facts = await readHostFacts({
    readTextFile: osRelease(`PRETTY_NAME="Debian GNU/Linux 12"\nVERSION_ID="12"\nID=debian\n`),
    kernel: () => "6.1.0-18-amd64",
    arch: "x86_64",
  });
  assert.deepEqual(facts, {
    os: "debian",
    arch: "amd64",
    agentVersion: VERSION,
    platformVersion: "12",
    kernelVersion: "6.1.0-18-amd64",
  });
  assert.equal((await readHostFacts({ arch: "aarch64" })).arch, "arm64");
});

Deno.test("the version is the point release, where a distribution has those", async () => {
  const version = async (os: string, debian = "") => {
    const files: Record<string, string> = { "/etc/os-release": os, "/etc/debian_version": debian };
    const readTextFile = (path: string) => Promise.resolve(files[path] ?? "");
    return (await readHostFacts({ readTextFile })).platformVersion;
  };
  assert.equal(await version("ID=debian\nVERSION_ID=12\n", "12.11\n"), "12.11");
  assert.equal(await version("ID=debian\nVERSION_ID=12\n", "trixie/sid\n"), "12");
  assert.equal(await version("ID=debian\nVERSION_ID=12\n", "13.1\n"), "12");
  const ubuntu = 'ID=ubuntu\nVERSION_ID="24.04"\nVERSION="24.04.3 LTS (Noble Numbat)"\n';
  assert.equal(await version(ubuntu, "trixie/sid\n"), "24.04.3");
  assert.equal(await version("ID=rocky\nVERSION_ID=9.4\nVERSION='9.4 (Blue Onyx)'\n"), "9.4");
});

Deno.test("a distribution without VERSION_ID, or without os-release, has no empty version", async () => {
  const rolling = { readTextFile: osRelease("ID='arch'\nBUILD_ID=rolling", "/usr/lib/os-release") };
  assert.equal((await readHostFacts(rolling)).os, "arch");
  assert.equal((await readHostFacts(rolling)).platformVersion, "rolling");
  const bare = await readHostFacts({ readTextFile: osRelease("", "nowhere"), kernel: () => "" });
  assert.deepEqual([bare.os, bare.platformVersion, bare.kernelVersion], [
    "linux",
    "unknown",
    "unknown",
  ]);
});

Deno.test("what is longer than the control plane's columns is cut, never inside a character", async () => {
  const long = "𝄞".repeat(300);
  const facts = await readHostFacts({
    readTextFile: osRelease(`ID=${long}\nVERSION_ID="${long}"`),
    kernel: () => long,
    arch: long,
  });
  assert.equal(facts.os, "𝄞".repeat(120));
  assert.equal(facts.platformVersion, "𝄞".repeat(120));
  assert.equal(facts.kernelVersion, "𝄞".repeat(120));
  assert.equal(facts.arch, "𝄞".repeat(64));
  assert.equal(hostnameForEnrollment("h".repeat(300)).length, 255);
});

Deno.test("a name too short for the control plane is lengthened", () => {
  assert.equal(hostnameForEnrollment("a"), "host-a");
  assert.equal(hostnameForEnrollment("ab"), "ab");
});

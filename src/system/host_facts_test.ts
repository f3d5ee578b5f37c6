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

Deno.test("the version is the point release where the distribution has one", async () => {
  const cases: [version: string, files: Record<string, string>][] = [
    ["12.11", { "os-release": "ID=debian\nVERSION_ID=12", debian_version: "12.11\n" }],
    // Testing has no point release, and the file may be older or newer than the other.
    ["13", { "os-release": "ID=debian\nVERSION_ID=13", debian_version: "trixie/sid\n" }],
    ["13", { "os-release": "ID=debian\nVERSION_ID=13", debian_version: "12.11\n" }],
    ["12", { "os-release": "ID=debian\nVERSION_ID=12" }],
    ["24.04.3", {
      "os-release": 'ID=ubuntu\nVERSION_ID="24.04"\nVERSION="24.04.3 LTS (Noble Numbat)"',
      debian_version: "trixie/sid\n",
    }],
    ["24.10", { "os-release": 'ID=ubuntu\nVERSION_ID="24.10"\nVERSION="24.10 (Oracular)"' }],
    ["9.4", { "os-release": 'ID="rhel"\nVERSION_ID="9.4"\nVERSION="9.4 (Plow)"' }],
    ["3.19.1", { "os-release": "ID=alpine\nVERSION_ID=3.19.1" }],
    ["22", { "os-release": 'ID=linuxmint\nVERSION_ID=22\nVERSION="2.2 (X)"' }],
  ];
  for (const [version, files] of cases) {
    const readTextFile = (path: string) => {
      const text = files[path.replace("/etc/", "")];
      return text === undefined
        ? Promise.reject(new Deno.errors.NotFound())
        : Promise.resolve(text);
    };
    assert.equal((await readHostFacts({ readTextFile })).platformVersion, version);
  }
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

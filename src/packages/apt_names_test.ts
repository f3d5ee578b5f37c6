import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { describeBadPayload } from "../tasks/task_type.ts";
import { answer } from "./_test_query.ts";
import { asArgument, parseAptRequest, refuseUnknown } from "./apt_names.ts";
import type { Operation } from "./package_manager.ts";

const OPERATIONS: Operation[] = ["install", "remove", "purge"];

function refusal(operation: Operation, payload: unknown): string {
  try {
    return `accepted: ${JSON.stringify(parseAptRequest(operation, payload))}`;
  } catch (error) {
    assert(error instanceof z.ZodError);
    return describeBadPayload(error);
  }
}

Deno.test("names come from all three fields, each once, in their order", () => {
  const payload = {
    names: ["zsh", "a1"],
    packages: ["a1", "zsh", "g++"],
    package: "zsh",
    extra: 1,
  };
  const names = ["zsh", "a1", "g++"];
  assert.deepEqual(parseAptRequest("install", payload), { operation: "install", names });
  assert.deepEqual(parseAptRequest("remove", { package: "zsh" }).names, ["zsh"]);
  assert.deepEqual(parseAptRequest("remove", { names: ["zsh"], package: "" }).names, ["zsh"]);
});

Deno.test("purge in a remove task makes it a purge", () => {
  const operation = (given: Operation, purge: boolean | null) =>
    parseAptRequest(given, { names: ["zsh"], purge }).operation;
  assert.equal(operation("remove", true), "purge");
  assert.equal(operation("remove", false), "remove");
  assert.equal(operation("remove", null), "remove");
  assert.equal(operation("purge", false), "purge");
  assert.equal(operation("install", true), "install");
});

Deno.test("what Debian allows is allowed", () => {
  const bare = ["zsh", "g++", "libstdc++6", "python3.11", "0ad", "libc6:amd64", "libc6:any", "r-"];
  const exact = [
    "zsh=5.9-4+b2",
    "zsh:amd64=5.9-4",
    "vim=2:9.0.1378-2",
    "zsh=1.0~rc1",
    "zsh=1",
    "zsh/bookworm-backports",
    "zsh:arm64/stable",
    "zsh/12.5",
  ];
  for (const name of bare) {
    for (const operation of OPERATIONS) {
      assert.deepEqual(parseAptRequest(operation, { names: [name] }).names, [name]);
    }
  }
  for (const name of exact) {
    assert.deepEqual(parseAptRequest("install", { names: [name] }).names, [name]);
    assert.match(refusal("remove", { names: [name] }), /names\.0: is no package name/);
    assert.match(refusal("purge", { package: name }), /payload\.package: /);
  }
});

Deno.test("hostile names are refused before apt is called", () => {
  const hostile = [
    "",
    " ",
    "a",
    "-",
    "--",
    "-y",
    "--purge",
    "-oDPkg::Pre-Invoke::=id",
    "-o=Dir::Bin::dpkg=/tmp/x",
    "+zsh",
    ".zsh",
    ":amd64",
    "=1.0",
    "Zsh",
    "zsh bash",
    "zsh\n",
    "zsh\nbash",
    "zsh\t",
    "zsh\0",
    "zsh;id",
    "zsh&&id",
    "zsh|id",
    "$(id)",
    "`id`",
    "zsh>x",
    "'zsh'",
    '"zsh"',
    "zsh*",
    "zs?",
    "zs[h]",
    "^zsh$",
    "zsh$",
    "task^",
    "lamp-server^",
    "~i",
    "?installed",
    "?essential",
    "!zsh",
    "%zsh",
    "zsh,bash",
    "zsh_x",
    "zsh@1",
    "/tmp/x.deb",
    "./x.deb",
    "../x.deb",
    "tmp/x.deb",
    "tmp/x.dsc",
    "tmp/x.changes",
    "http://x/y.deb",
    "zsh/../x",
    "zsh/a/b",
    "zsh/",
    "zsh/-",
    "zsh/stable-",
    "zsh/stable+",
    "zsh=",
    "zsh=1.0-",
    "zsh=1.0+",
    "zsh=*",
    "zsh=1.0/stable",
    "zsh=$(id)",
    "zsh:",
    "zsh:-",
    "zsh:amd64-",
    "zsh:AMD64",
    "zsh:*",
    "zsh:amd64:i386",
    "zşh",
    "zsh\u202e",
    "zsh\ud800",
    "𝓏𝓈𝒽",
  ];
  assert(hostile.length >= 40);
  for (const name of hostile) {
    for (const operation of OPERATIONS) {
      assert.match(refusal(operation, { names: ["zsh", name] }), /payload\.names\.1: /, name);
      assert.match(refusal(operation, { packages: [name] }), /payload\.packages\.0: /, name);
      assert.match(refusal(operation, { package: name }), /^bad payload: /, name);
    }
  }
});

Deno.test("a payload that names nothing, or not by text, is refused", () => {
  const none = [{}, { names: [] }, { package: "" }, { names: null, packages: [], package: null }];
  for (const payload of none) {
    assert.equal(
      refusal("install", payload),
      "bad payload: payload.names: must name a package",
    );
  }
  for (
    const payload of [null, "zsh", ["zsh"], { names: "zsh" }, { names: [1] }, { purge: "yes" }]
  ) {
    assert.match(refusal("install", payload), /^bad payload: payload/);
  }
});

/** What apt-cache shows of a name that is only provided, one that is only depended on, and another. */
const SHOWN = ["api-1.0", "api-1.1", "zsh"].map((name) =>
  `Package: ${name}\nVersions: \n\nReverse Depends: \n  top,${name}\nDependencies: \nProvides: \n` +
  `Reverse Provides: \n${name === "api-1.1" ? "" : "base 1.0 (= )\n"}`
).join("");

Deno.test("a name that apt would take for something else must be known exactly", async () => {
  const asked: string[][] = [];
  const query = (...argv: string[]) => {
    asked.push(argv);
    if (argv.includes("showpkg")) return Promise.resolve(answer(SHOWN));
    return Promise.resolve(answer("zsh\ng++\nodd-\npython3.11\n"));
  };
  await refuseUnknown(["zsh", "no-such-package", "zsh:i386", "zsh=1.0+b1"], query);
  assert.deepEqual(asked, []);
  await refuseUnknown(["g++", "odd-", "python3.11:amd64", "g++=1.0"], query);
  assert.deepEqual(asked, [["apt-cache", "pkgnames"]]);
  await refuseUnknown(["api-1.0", "g++"], query);
  const show = ["apt-cache", "-o", "APT::Cmd::Pattern-Only=true", "showpkg", "--", "api-1.0"];
  assert.deepEqual(asked.slice(1), [["apt-cache", "pkgnames"], show]);
  for (
    const name of ["zsh-", "zsh+", "z.h", "g+", "zsh-:amd64", "z.h=1.0", "z+/stable", "api-1.1"]
  ) {
    const bare = name.replace(/[:=/].*/, "");
    await assert.rejects(refuseUnknown(["zsh", name], query), {
      message: `Unable to locate package ${bare}`,
    });
  }
});

Deno.test("no argument ends with an order of apt's own", () => {
  assert.equal(asArgument("g++"), "g++:native");
  assert.equal(asArgument("odd-"), "odd-:native");
  for (const name of ["zsh", "g++:amd64", "g++=1.0"]) assert.equal(asArgument(name), name);
});

import assert from "node:assert/strict";
import { join } from "@std/path";
import { quickestMs } from "../system/_quickest.ts";
import type { Package } from "./package_manager.ts";
import { answer, HAS_APT, realQuery } from "./_test_query.ts";
import { installedPackages, parseAptList, parseDpkgColumns } from "./apt_list.ts";
import { packageList } from "./package_tasks.ts";

const REAL = { ignore: !HAS_APT };

/** Other tests install and remove packages at the same time; those are called like this. */
const isOfTests = (name: string) => name.startsWith("noderax-test-");

async function realPackages(missing: string[] = []): Promise<Package[]> {
  const packages = await installedPackages(realQuery({}, missing));
  return packages.filter(({ name }) => !isOfTests(name));
}

Deno.test("the list is what dpkg has installed", REAL, async () => {
  const packages = await realPackages();
  const format = "${Package} ${Version} ${Architecture} ${db:Status-Status}\n";
  const { stdout } = await realQuery()("dpkg-query", "-W", "-f", format);
  assert.deepEqual(
    packages.map(({ name, version, architecture }) =>
      `${name} ${version} ${architecture} installed`
    ),
    stdout.split("\n").filter((line) => line.endsWith(" installed") && !isOfTests(line)),
  );
  const dpkg = packages.find(({ name }) => name === "dpkg");
  assert.equal(dpkg?.description, "Debian package management system");
});

Deno.test("without dpkg-query it comes from dpkg -l, then from apt list", REAL, async () => {
  const expected = await realPackages();
  assert.deepEqual(await realPackages(["dpkg-query"]), expected);
  const fromApt = await realPackages(["dpkg-query", "dpkg"]);
  const byName = (list: Package[]) =>
    list.map(({ description: _, ...rest }) => JSON.stringify(rest)).sort();
  assert.deepEqual(byName(fromApt), byName(expected));
});

Deno.test("a dpkg that does not find dpkg-query gives way to apt list", REAL, async () => {
  const folder = await Deno.makeTempDir({ prefix: "packages-" });
  try {
    for (const name of ["dpkg", "apt"]) await Deno.symlink(`/usr/bin/${name}`, join(folder, name));
    const packages = await installedPackages(realQuery({ PATH: folder }, ["dpkg-query"]));
    assert(packages.some(({ name }) => name === "dpkg"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("5000 packages are listed, and quickly", REAL, async () => {
  const folder = await Deno.makeTempDir({ prefix: "packages-" });
  try {
    const stanzas = Array.from(
      { length: 5_000 },
      (_, i) =>
        `Package: made-up-${i}\nStatus: install ok installed\nPriority: optional\nSection: misc\n` +
        `Maintainer: T <t@example.com>\nArchitecture: all\nVersion: 1.${i}\n` +
        `Description: made-up package number ${i}\n With a text of its own.\n`,
    );
    await Deno.mkdir(join(folder, "info"));
    await Deno.writeTextFile(join(folder, "status"), stanzas.join("\n"));
    let packages: Awaited<ReturnType<typeof installedPackages>> = [];
    const tookMs = await quickestMs(1_000, async () => {
      packages = await installedPackages(realQuery({ DPKG_ADMINDIR: folder }));
    });
    assert.equal(packages.length, 5_000);
    assert(packages.some(({ description }) => description === "made-up package number 4999"));
    assert(tookMs < 10_000, `it took ${tookMs} ms`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a machine without dpkg and apt is told so, a failure is told as it is", async () => {
  await assert.rejects(installedPackages(() => Promise.resolve(answer("", 127))), {
    message: "package tasks need dpkg and apt, or rpm and dnf",
  });
  const broken = (program = "") =>
    Promise.resolve(program === "dpkg-query" ? answer("", 127) : answer("", 2, "no database\n"));
  await assert.rejects(installedPackages(broken), {
    message: "apt list --installed failed: no database",
  });
  const withoutApt = (program = "") =>
    Promise.resolve(program === "dpkg" ? answer("", 2, "no database\n") : answer("", 127));
  await assert.rejects(installedPackages(withoutApt), { message: "dpkg -l failed: no database" });
});

Deno.test("what waits for a trigger is installed", async () => {
  const states = ["installed", "triggers-pending", "triggers-awaited", "half-configured"];
  const lines = states.map((state) => `${state}\t${state}\t${state}\t1.0\tall\t\n`).join("");
  const packages = await installedPackages(() => Promise.resolve(answer(lines)));
  assert.deepEqual(packages.map(({ name }) => name), states.slice(0, 3));
});

Deno.test("only what is installed is read from columns", () => {
  const columns = "Desired=Unknown/Install/Remove/Purge/Hold\n" +
    "||/ Name  Version  Architecture Description\n" +
    "+++-=====-========-============-===========\n" +
    "ii  libc6:amd64  2.36-9  amd64  GNU C Library: Shared libraries\n" +
    "hi  zsh          5.9     amd64  shell with lots of features\n" +
    "rc  gone         1.0     all    left its configuration\n" +
    "iF  broken       1.0     all    half configured\n" +
    "iHR reinstall    1.0     all    half installed\n" +
    "iW  awaits       1.0     all    awaits a trigger\n" +
    "it  pending      1.0     all    has a trigger to run\n" +
    "ii  plain        1.0     all\n";
  assert.deepEqual(parseDpkgColumns(columns).map((each) => Object.values(each).join("|")), [
    "libc6|2.36-9|amd64|GNU C Library: Shared libraries",
    "zsh|5.9|amd64|shell with lots of features",
    "awaits|1.0|all|awaits a trigger",
    "pending|1.0|all|has a trigger to run",
    "plain|1.0|all|",
  ]);
  const list = "Listing...\n" +
    "libc6/stable,now 2.36-9 amd64 [installed,automatic]\n" +
    "libc6/now 2.35-1 i386 [installed,local]\n" +
    "zsh/stable 5.9 amd64 [installed,upgradable to: 5.10]\n" +
    "gone/stable 1.0 all [residual-config]\n";
  assert.deepEqual(parseAptList(list).map((each) => Object.values(each).join("|")), [
    "libc6|2.36-9|amd64|",
    "libc6|2.35-1|i386|",
    "zsh|5.9|amd64|",
  ]);
});

Deno.test("the payload of packageList does not matter, but it is an object", () => {
  for (const payload of [{}, { x: 1 }, null, undefined]) packageList.prepare(payload);
  assert.throws(() => packageList.prepare("x"));
});

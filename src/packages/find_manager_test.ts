import assert from "node:assert/strict";
import { findManager } from "./find_manager.ts";

/** What manages packages on a machine that has these; a path is a file. */
async function managerOf(...there: string[]): Promise<string> {
  const stdout = there.join("\n");
  return (await findManager(() => Promise.resolve({ code: 0, stdout, stderr: "" }))).name;
}

const STATUS = "/var/lib/dpkg/status";

Deno.test("the package manager is chosen by what the machine has", async () => {
  assert.equal(await managerOf("dpkg-query", "dpkg", "apt-get", "apt", STATUS), "apt-get");
  assert.equal(await managerOf("rpm", "dnf"), "dnf");
  assert.equal(await managerOf("rpm", "dnf5"), "dnf5");
  assert.equal(await managerOf("rpm", "yum"), "yum");
  // A tool of the other family is there to build its packages.
  assert.equal(await managerOf("dpkg", "apt-get", STATUS, "rpm", "dnf"), "apt-get");
  assert.equal(await managerOf("rpm", "dnf", "dpkg"), "dnf");
  assert.equal(await managerOf("rpm", "microdnf"), "rpm");
});

Deno.test("of another family it is said what is supported", async () => {
  const supported = "package tasks support apt (Debian, Ubuntu) and dnf " +
    "(Fedora, RHEL and their relatives), and this machine has ";
  for (
    const [there, has] of [
      [["rpm", "zypper"], "zypper"],
      [["apk"], "apk"],
      [["pacman"], "pacman"],
      [[], "neither"],
    ] as const
  ) await assert.rejects(managerOf(...there), { message: supported + has });
});

Deno.test("where there is no dnf, the installed packages are listed all the same", async () => {
  const manager = await findManager(() =>
    Promise.resolve({ code: 0, stdout: "rpm\nmicrodnf", stderr: "" })
  );
  const stdout = "bash\t0\t5.2\t1\tx86_64\tA shell\n";
  const query = () => Promise.resolve({ exitCode: 0, stdout, stderr: "" });
  assert.equal((await manager.list(query)).length, 1);
  assert.throws(() => manager.search(["x"], query), /run "microdnf install dnf"/);
});

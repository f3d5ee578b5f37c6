import assert from "node:assert/strict";
import { reasonsIn } from "./apt.ts";

Deno.test("the reasons of apt and dpkg are told in one line", () => {
  const stderr = "W: a warning\n" +
    "dpkg: error processing package x (--configure):\n" +
    " installed x package post-installation script subprocess returned error exit status 3\n" +
    "Errors were encountered while processing:\n x\n" +
    "E: Sub-process /usr/bin/dpkg returned an error code (1)\n";
  assert.equal(
    reasonsIn("", stderr),
    "dpkg: processing package x (--configure): installed x package post-installation script " +
      "subprocess returned error exit status 3; " +
      "Sub-process /usr/bin/dpkg returned an error code (1)",
  );
  assert.equal(reasonsIn("", "E: Unable to locate package x\n"), "Unable to locate package x");
  assert.equal(reasonsIn("", "W: nothing but a warning\n"), "");
});

Deno.test("an unmet dependency is a reason, as apt 2 and apt 3 tell it", () => {
  const stdout = "Reading package lists...\n" +
    "The following packages have unmet dependencies:\n" +
    " top : Depends: base (= 9) but 1.0 is to be installed\n" +
    "       Depends: nowhere but it is not installable\n" +
    " other : Conflicts: top\n";
  assert.equal(
    reasonsIn(stdout, "E: Unable to correct problems, you have held broken packages.\n"),
    "Unable to correct problems, you have held broken packages.; " +
      "top : Depends: base (= 9) but 1.0 is to be installed, " +
      "Depends: nowhere but it is not installable; other : Conflicts: top",
  );
  const apt3 = "E: Unable to satisfy dependencies. Reached two conflicting assignments:\n" +
    "   1. lost:amd64=1.0 is selected for install\n" +
    "   2. lost:amd64 Depends nowhere\n      but none of the choices are installable:\n" +
    "      [no choices]\n";
  assert.equal(
    reasonsIn("", apt3),
    "Unable to satisfy dependencies. Reached two conflicting assignments: " +
      "1. lost:amd64=1.0 is selected for install 2. lost:amd64 Depends nowhere " +
      "but none of the choices are installable: [no choices]",
  );
});

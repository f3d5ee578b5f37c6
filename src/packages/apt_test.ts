import assert from "node:assert/strict";
import { reasonsIn } from "./apt.ts";

Deno.test("the reasons of apt and dpkg are told in one line", () => {
  const stderr = "W: a warning\n" +
    "dpkg: error processing package x (--configure):\n" +
    " installed x package post-installation script subprocess returned error exit status 3\n" +
    "Errors were encountered while processing:\n x\n" +
    "E: Sub-process /usr/bin/dpkg returned an error code (1)\n";
  assert.equal(
    reasonsIn(stderr),
    "dpkg: processing package x (--configure): installed x package post-installation script " +
      "subprocess returned error exit status 3; " +
      "Sub-process /usr/bin/dpkg returned an error code (1)",
  );
  assert.equal(reasonsIn("E: Unable to locate package x\n"), "Unable to locate package x");
  assert.equal(reasonsIn("W: nothing but a warning\n"), "");
});

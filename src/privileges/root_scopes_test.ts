import assert from "node:assert/strict";
import { operationalArgv, Profile, refusalOf, RootScope } from "./root_scopes.ts";

Deno.test("each profile allows what its name says, and refuses the rest in a sentence", () => {
  for (const profile of Profile.options) {
    for (const scope of RootScope.options) {
      const allowed = profile === "all" || profile.split("_").includes(scope);
      const refusal = refusalOf(profile, scope);
      assert.equal(refusal === undefined, allowed, `${profile}: ${scope}`);
      if (!allowed) assert.match(refusal ?? "", new RegExp(`"${profile}".*${scope}.*, all$`));
    }
  }
});

Deno.test("operational commands are taken word by word, and no others", () => {
  const commands = ["apt-get update", " apt-get   update ", "dnf makecache", "reboot"];
  for (const command of [...commands, "shutdown -r now"]) {
    assert.deepEqual(operationalArgv(command), command.trim().split(/ +/), command);
  }
  for (const unit of ["noderax-agent", "noderax-agent.service"]) {
    // A restart that was waited for would end the task that waits.
    assert.deepEqual(
      operationalArgv(`systemctl restart ${unit}`),
      ["systemctl", "--no-block", "restart", "noderax-agent"],
    );
  }
  const others = [
    "",
    "apt-get",
    "apt-get update; id",
    "apt-get update && id",
    "apt-get update $(id)",
    "apt-get update\nid",
    "apt-get\tupdate",
    "apt-get update -o APT::Update::Pre-Invoke::=id",
    "apt-get 'update'",
    "apt-get update #",
    "apt-get upgrade",
    "dnf -y makecache",
    "dnf makecache --setopt=pluginpath=/tmp",
    "dnf upgrade",
    "yum makecache",
    "/tmp/apt-get update",
    "PATH=/tmp apt-get update",
    "sudo apt-get update",
    "systemctl restart ssh",
    "systemctl restart noderax-agent ssh",
    "systemctl restart noderax-agent-evil",
    "reboot -f",
    "shutdown -h now",
    "constructor",
  ];
  for (const command of others) assert.equal(operationalArgv(command), undefined, command);
});

import assert from "node:assert/strict";
import { archiveOf } from "./_apt_sources.ts";

Deno.test("an archive is found in lists of one line each", () => {
  const list = `# deb http://a.example/debian bookworm main
deb-src http://b.example/debian bookworm main
deb http://c.example/debian-security bookworm-security main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://d.example/debian bookworm main contrib
`;
  const archive = archiveOf("bookworm", list, "");
  assert.deepEqual(archive, {
    suites: ["bookworm"],
    uri: "http://d.example/debian",
    components: ["main", "contrib"],
  });
});

Deno.test("an archive is found in paragraphs", () => {
  const sources = `Types: deb
URIs: http://a.example/debian
Suites: bookworm
Components: main
Enabled: no

# A comment
Types: deb-src deb
# Another
URIs: http://b.example/debian http://c.example/debian
Suites: bookworm-updates
 bookworm
Components: main
 universe
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://d.example/debian
Suites: bookworm
Components: main`;
  const archive = archiveOf("bookworm", "", sources);
  assert.equal(archive?.uri, "http://b.example/debian");
  assert.deepEqual(archive?.components, ["main", "universe"]);
});

Deno.test("there is none for another suite, and none that debootstrap could not take", () => {
  assert.equal(archiveOf("trixie", "deb http://a.example/debian bookworm main", ""), undefined);
  assert.equal(archiveOf("trixie", "deb cdrom:[disc]/ trixie main", ""), undefined);
});

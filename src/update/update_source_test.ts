import assert from "node:assert/strict";
import { join } from "@std/path";
import { createClient } from "../control_plane/network.ts";
import { runTool } from "../system/tool.ts";
import { ReleaseServer } from "./_test_source.ts";
import { UpdateSource } from "./update_source.ts";

const SIGNAL = new AbortController().signal;

Deno.test("a source at an https address is read by the authorities that are trusted", async () => {
  const folder = await Deno.makeTempDir({ prefix: "source_" });
  await using _folder = {
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
  await Deno.writeTextFile(join(folder, "latest"), "2.1.0\n");
  await using server = await ReleaseServer.start(folder, folder);
  const base = `https://localhost:${server.port}/`;
  using trusting = createClient(await Deno.readTextFile(join(folder, "ca.pem")));
  const source = new UpdateSource(base, { client: trusting });

  assert.equal(new TextDecoder().decode(await source.read("latest", 100, SIGNAL)), "2.1.0\n");
  const copy = join(folder, "copy");
  const digest = await source.download("latest", copy, SIGNAL);
  assert.equal(digest, "c89b87c262e9d5ffd20e73aac74a1772adcc9f5a21682cc33adcf5086e5fef5c");
  assert.equal(await Deno.readTextFile(copy), "2.1.0\n");
  assert.deepEqual(server.asked, ["/latest", "/latest"]);

  await assert.rejects(source.read("2.2.0/SHA256SUMS", 100, SIGNAL), {
    name: "UserError",
    message: `https://localhost:${server.port}/2.2.0/SHA256SUMS cannot be read: HTTP 404.`,
  });
  await assert.rejects(source.read("latest", 3, SIGNAL), /latest is larger than 3 bytes/);
  server.answers["/moved"] = () => Response.redirect("http://127.0.0.1:9/latest");
  await assert.rejects(source.read("moved", 100, SIGNAL), /moved cannot be .* an unsafe address/);
  const leadTo = (path: string) => () =>
    new Response(null, { status: 302, headers: { location: path } });
  server.answers["/store"] = leadTo("/latest");
  assert.equal(new TextDecoder().decode(await source.read("store", 100, SIGNAL)), "2.1.0\n");
  server.answers["/circle"] = leadTo(`${base}circle`);
  await assert.rejects(source.read("circle", 100, SIGNAL), /it leads from address to address/);
  assert.equal(server.asked.filter((path) => path === "/circle").length, 6);

  using strange = createClient();
  const untrusted = new UpdateSource(base, { client: strange }).read("latest", 100, SIGNAL);
  await assert.rejects(untrusted, /latest cannot be read: .*(certificate|UnknownIssuer)/);

  const interruption = new AbortController();
  server.answers["/endless"] = () => {
    interruption.abort(new Error("Interrupted."));
    return new Response(new ReadableStream());
  };
  await assert.rejects(source.read("endless", 100, interruption.signal), /Interrupted/);
});

Deno.test("of a folder only regular files are read, and no read outlasts its signal", async () => {
  const folder = await Deno.makeTempDir({ prefix: "source_" });
  await using _folder = {
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
  assert.equal((await runTool("mkfifo", join(folder, "fifo"))).code, 0);
  const source = new UpdateSource(folder);
  await assert.rejects(
    source.read("fifo", 100, SIGNAL),
    /fifo cannot be read: it is no regular file/,
  );
  await Deno.writeTextFile(join(folder, "latest"), "2.1.0\n");
  assert.equal(new TextDecoder().decode(await source.read("latest", 100, SIGNAL)), "2.1.0\n");
  const aborted = AbortSignal.abort(new Error("Interrupted."));
  await assert.rejects(source.read("latest", 100, aborted), /Interrupted/);
});

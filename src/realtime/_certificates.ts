import assert from "node:assert/strict";
import { join } from "@std/path";

/**
 * A certificate authority, in `ca.pem`, and the certificate of a server at localhost, made anew:
 * rustls takes no certificate that is its own authority.
 */
export async function certificates(folder: string): Promise<{ cert: string; key: string }> {
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: folder }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  // deno-fmt-ignore
  await openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
    "-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign");
  // deno-fmt-ignore
  await openssl("req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", ...ec, "-days", "2",
    "-keyout", "leaf.key", "-out", "leaf.pem", "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost,DNS:control-plane.test",
    "-addext", "basicConstraints=critical,CA:FALSE");
  const read = (name: string) => Deno.readTextFile(join(folder, name));
  return { cert: await read("leaf.pem"), key: await read("leaf.key") };
}

import * as z from "@zod/zod";
import type { Location } from "../control_plane/schemas.ts";
import { within } from "../system/deadline.ts";
import { jsonOf } from "../system/text.ts";

/** Where all three clouds answer their machines, and nobody else's. */
const METADATA_URL = "http://169.254.169.254";
/** For all questions together, in milliseconds. */
const LIMIT_MS = 2_000;
/** No answer needs to be longer. */
const MAX_ANSWER_BYTES = 64 * 1024;

const Name = z.string().trim().regex(/^[\w.-]{1,100}$/);
/** `projects/123/zones/europe-west3-a`, whose region is the zone without its last part. */
const GcpZone = z.string().trim().transform((text) => text.split("/").at(-1))
  .pipe(z.string().regex(/^[a-z\d-]+-[a-z\d]+$/));
const AzureCompute = z.object({ location: Name, zone: Name.optional().catch(undefined) });
/** A token is sent back as a header. */
const AwsToken = z.string().trim().regex(/^[\x21-\x7e]{1,1000}$/);

/** Asks the metadata server; gives the text of an answer with status 200. */
type Ask = (path: string, headers: Record<string, string>, method?: string) => Promise<string>;

/**
 * Asks the metadata of AWS (IMDSv2), GCP and Azure at once where this machine is; undefined when none
 * of them answers within 2 s. No proxy is used: it would answer for the place where it is.
 */
export async function cloudLocation(
  metadataUrl: string = METADATA_URL,
  limitMs: number = LIMIT_MS,
): Promise<Location | undefined> {
  const { Agent, request } = await import("node:http");
  // In an environment of its own it knows no proxy; its types do not know that option yet.
  const options = { keepAlive: true, proxyEnv: {} };
  const agent = new Agent(options);
  const stop = new AbortController();
  const ask: Ask = (path, headers, method = "GET") =>
    new Promise((resolve, reject) => {
      const options = { method, headers, agent, signal: stop.signal };
      const call = request(metadataUrl + path, options, async (response) => {
        try {
          let text = "";
          for await (const chunk of response.setEncoding("utf8")) {
            text += chunk;
            if (text.length > MAX_ANSWER_BYTES) throw new Error("the answer is too long");
          }
          if (response.statusCode !== 200) throw new Error(`HTTP status ${response.statusCode}`);
          resolve(text);
        } catch (error) {
          response.destroy();
          reject(error);
        }
      });
      call.on("error", reject).end();
    });
  try {
    return await within(Promise.any([aws(ask), gcp(ask), azure(ask)]), limitMs);
  } catch {
    // This is no machine of a cloud that is known.
    return undefined;
  } finally {
    stop.abort();
    agent.destroy();
  }
}

async function aws(ask: Ask): Promise<Location> {
  const lifetime = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
  const token = AwsToken.parse(await ask("/latest/api/token", lifetime, "PUT"));
  const headers = { "x-aws-ec2-metadata-token": token };
  const [region, zone] = await Promise.all([
    ask("/latest/meta-data/placement/region", headers),
    ask("/latest/meta-data/placement/availability-zone", headers),
  ]);
  return found("aws", Name.parse(region), Name.parse(zone));
}

async function gcp(ask: Ask): Promise<Location> {
  const path = "/computeMetadata/v1/instance/zone";
  const zone = GcpZone.parse(await ask(path, { "metadata-flavor": "Google" }));
  return found("gcp", zone.slice(0, zone.lastIndexOf("-")), zone);
}

async function azure(ask: Ask): Promise<Location> {
  const path = "/metadata/instance/compute?api-version=2021-02-01&format=json";
  const { location, zone } = AzureCompute.parse(jsonOf(await ask(path, { metadata: "true" })));
  return found("azure", location, zone);
}

function found(provider: Location["provider"], region: string, zone?: string): Location {
  return { provider, source: "cloud_metadata", region, ...(zone ? { zone } : {}) };
}

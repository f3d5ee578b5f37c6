import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { cloudLocation } from "./cloud_location.ts";

/** The question that a metadata server is asked, as it would be typed. */
function question({ method, url, headers }: IncomingMessage): string {
  const own = Object.entries(headers).filter(([name]) => /metadata/.test(name));
  return [method, url, ...own.map(([name, value]) => `${name}=${value}`)].join(" ");
}

const AWS = {
  "PUT /latest/api/token x-aws-ec2-metadata-token-ttl-seconds=60": "to-ken==",
  "GET /latest/meta-data/placement/region x-aws-ec2-metadata-token=to-ken==": "eu-central-1",
  "GET /latest/meta-data/placement/availability-zone x-aws-ec2-metadata-token=to-ken==":
    "eu-central-1b\n",
};
const GCP = {
  "GET /computeMetadata/v1/instance/zone metadata-flavor=Google":
    "projects/1234567/zones/europe-west3-a",
};
const AZURE_QUESTION =
  "GET /metadata/instance/compute?api-version=2021-02-01&format=json metadata=true";

/** Where nothing is to be late, in milliseconds. */
const PATIENCE_MS = 60_000;

/** Asks a metadata server that knows these answers; all else is a 404. */
async function asked(
  answers: Record<string, string>,
  limitMs = PATIENCE_MS,
  also: (question: string, response: ServerResponse) => boolean = () => false,
): Promise<Awaited<ReturnType<typeof cloudLocation>>> {
  const server = createServer((request, response) => {
    const text = answers[question(request)];
    if (also(question(request), response)) return;
    response.writeHead(text === undefined ? 404 : 200).end(text ?? "<h1>Not Found</h1>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    assert(typeof address === "object" && address);
    return await cloudLocation(`http://127.0.0.1:${address.port}`, limitMs);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

Deno.test("each cloud is asked in its own way", async () => {
  const source = "cloud_metadata";
  assert.deepEqual(await asked(AWS), {
    provider: "aws",
    source,
    region: "eu-central-1",
    zone: "eu-central-1b",
  });
  assert.deepEqual(await asked(GCP), {
    provider: "gcp",
    source,
    region: "europe-west3",
    zone: "europe-west3-a",
  });
  const compute = (fields: Record<string, unknown>) => ({
    [AZURE_QUESTION]: JSON.stringify({ name: "vm", ...fields }),
  });
  assert.deepEqual(await asked(compute({ location: "westeurope", zone: "2" })), {
    provider: "azure",
    source,
    region: "westeurope",
    zone: "2",
  });
  // A machine that is in no zone has an empty one.
  assert.deepEqual(await asked(compute({ location: "westeurope", zone: "" })), {
    provider: "azure",
    source,
    region: "westeurope",
  });
});

Deno.test("what is no metadata is no location", async () => {
  const page = "<html>sign in</html>";
  const portal = Object.keys({ ...AWS, ...GCP, [AZURE_QUESTION]: "" })
    .map((question) => [question, page]);
  const cases: Record<string, string>[] = [
    {},
    Object.fromEntries(portal),
    { ...AWS, "PUT /latest/api/token x-aws-ec2-metadata-token-ttl-seconds=60": "to\r\nken" },
    { "GET /computeMetadata/v1/instance/zone metadata-flavor=Google": "zone" },
    { [AZURE_QUESTION]: `{"location": 7}` },
    { [AZURE_QUESTION]: `{"location": "x", "much": "${"x".repeat(100_000)}"}` },
  ];
  for (const answers of cases) assert.equal(await asked(answers), undefined);
});

Deno.test("a metadata server that does not answer, or not to its end, is left alone in time", async () => {
  for (const begins of [false, true]) {
    const startMs = performance.now();
    const hangs = (_question: string, response: ServerResponse) => {
      if (begins) response.writeHead(200).write("eu");
      return true;
    };
    assert.equal(await asked({}, 100, hangs), undefined);
    const tookMs = performance.now() - startMs;
    assert(tookMs > 90, `${tookMs} ms`);
  }
  assert.equal(await cloudLocation("http://127.0.0.1:1"), undefined);
});

Deno.test("the metadata is not asked for through a proxy", async () => {
  const server = createServer((_request, response) => response.end("projects/1/zones/right-place"));
  const proxy = createServer((_request, response) => response.end("projects/1/zones/wrong-place"));
  const urls: string[] = [];
  for (const each of [server, proxy]) {
    await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
    const address = each.address();
    assert(typeof address === "object" && address);
    urls.push(`http://127.0.0.1:${address.port}`);
  }
  const [metadataUrl, proxyUrl = ""] = urls;
  const module = JSON.stringify(import.meta.resolve("./cloud_location.ts"));
  const program = `const { cloudLocation } = await import(${module});` +
    `console.log((await cloudLocation(${JSON.stringify(metadataUrl)}, ${PATIENCE_MS}))?.zone)`;
  const names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    env: {
      ...Object.fromEntries(names.map((name) => [name, proxyUrl])),
      NO_PROXY: "",
      NODE_USE_ENV_PROXY: "1",
      NO_COLOR: "1",
    },
  });
  try {
    const { stdout, stderr } = await child.output();
    assert.equal(
      new TextDecoder().decode(stdout),
      "right-place\n",
      new TextDecoder().decode(stderr),
    );
  } finally {
    for (const each of [server, proxy]) {
      each.closeAllConnections();
      await new Promise((resolve) => each.close(resolve));
    }
  }
});

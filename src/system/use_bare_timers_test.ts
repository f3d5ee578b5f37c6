import assert from "node:assert/strict";

/** In a process of its own: the timers of this one are those of the tests. */
async function withBareTimers(script: string): Promise<string> {
  const module = new URL("./use_bare_timers.ts", import.meta.url).href;
  const program = `
    import { useBareTimers } from ${JSON.stringify(module)};
    if (!useBareTimers()) throw new Error("this Deno has other timers");
    const said = [];
    ${script}
  `;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", program],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

Deno.test("bare timers fire in their order, with what they were given, and not when they are cleared", async () => {
  const said = await withBareTimers(`
    const interval = setInterval(() => {
      if (said.push("again") === 4) {
        clearInterval(interval);
        console.log(said.join());
      }
    }, 2);
    setTimeout((a, b) => said.push(a + b), 1, "a", "b");
    setTimeout(() => said.push("first"));
    const cleared = setTimeout(() => said.push("cleared"), 1);
    clearTimeout(cleared);
    clearTimeout(cleared);
    clearTimeout();
    clearTimeout(null);
  `);
  assert.equal(said, "ab,first,again,again");
});

Deno.test("a bare timer that is not waited for does not keep the process running", async () => {
  const said = await withBareTimers(`
    Deno.unrefTimer(setTimeout(() => console.log("late"), 60_000));
    setTimeout(() => console.log("here"), 1).unref().ref();
  `);
  assert.equal(said, "here");
});

Deno.test("a timer of a module of Node is cleared beside bare timers", async () => {
  const said = await withBareTimers(`
    const timers = await import("node:timers");
    clearTimeout(timers.setTimeout(() => console.log("fired"), 1));
    timers.setTimeout(() => console.log("done"), 5);
  `);
  assert.equal(said, "done");
});

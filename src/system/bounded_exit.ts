/**
 * Has the process end at most this long after `Deno.exit`, which first waits for Deno's exporter to
 * deliver what is pending, at a collector that does not answer for many seconds.
 */
export function boundExit(limitMs: number): void {
  // Deno.exit blocks this thread: only another one can end the process then. It has modules of its
  // own, so this is the one function of the C library that libc.ts does not bind.
  globalThis.addEventListener("unload", () => {
    const script = `
      const parameters = ["i32"];
      const libc = Deno.dlopen("libc.so.6", { _exit: { parameters, result: "void" } });
      setTimeout(() => libc.symbols._exit(${Deno.exitCode}), ${limitMs});
    `;
    new Worker(`data:text/javascript,${encodeURIComponent(script)}`, { type: "module" });
  });
}

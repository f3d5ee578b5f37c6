/** What root's work gets of the agent's own environment: how the world is reached. */
const PASSED_ON = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"]
  .flatMap((name) => [name, name.toLowerCase()]);

/** What of the agent's own environment goes into the units of root's work. */
export function passedOn(env: (name: string) => string | undefined): Record<string, string> {
  return Object.fromEntries(PASSED_ON.flatMap((name) => {
    const value = env(name);
    return value ? [[name, value]] : [];
  }));
}

/** Keys of the agent in Go that mean nothing here, and what does what they did. */
const EARLIER_KEYS: Readonly<Record<string, string>> = {
  ipinfo_token: "nobody else is asked where the machine is; see location_detection",
  location_public_ip_enabled: "nobody else is asked where the machine is; see location_detection",
  realtime_backoff_max: "the pauses between connections are the agent's own",
  realtime_backoff_min: "the pauses between connections are the agent's own",
  realtime_connect_timeout: "the limit of a connection is the agent's own",
};

/** Sentences about the keys of a file that mean nothing: each is named, its value is not. */
export function unknownKeyWarnings(path: string, unknownKeys: readonly string[]): string[] {
  const isEarlier = (key: string) => Object.hasOwn(EARLIER_KEYS, key);
  const others = unknownKeys.filter((key) => !isEarlier(key));
  const earlier = unknownKeys.filter(isEarlier).map((key) => `${key} (${EARLIER_KEYS[key]})`);
  return [
    ...others.length === 0
      ? []
      : [`${path} has unknown keys, which are ignored: ${others.join(", ")}.`],
    ...earlier.length === 0
      ? []
      : [`${path} has keys of the agent in Go that have no effect: ${earlier.join(", ")}.`],
  ];
}
